use ndarray::{Array2, s};

use super::{Made, ManyRuns};
use crate::explain::{Passes, Reading, RunError};
use crate::method::Needs;

/// How many squares fit side by side, and how many steps a square is wide.
const SQUARES: usize = 7;
const STEPS: usize = 2;

#[doc = include_str!("occlusion.md")]
#[derive(Clone, Copy, Debug)]
pub struct Occlusion;

impl ManyRuns for Occlusion {
    fn name(&self) -> &'static str {
        "occlusion"
    }

    fn title(&self) -> &'static str {
        "Occlusion"
    }

    fn description(&self) -> &'static str {
        include_str!("occlusion.md")
    }

    fn needs(&self) -> Needs {
        Needs::default()
    }

    fn takes_pictures(&self) -> bool {
        true
    }

    fn is_signed(&self) -> bool {
        true
    }

    fn maps(&self, passes: &mut Passes) -> Result<Vec<Made>, RunError> {
        let size = passes.size();
        let (rows, columns) = (places(size.0), places(size.1));
        let squares: Vec<_> = rows.iter().flat_map(|y| columns.iter().map(move |x| s![y.0..y.1, x.0..x.1])).collect();
        // Row 0 as it is, row i + 1 without square i.
        let scores = passes.masked(squares.len() + 1, Reading::Probability, |i, mut mask| {
            mask.fill(1.0);
            if let Some(i) = i.checked_sub(1) {
                mask.slice_mut(squares[i]).fill(0.0);
            }
        })?;
        let map = |scores: ndarray::ArrayView1<f64>| {
            let (mut drops, mut counts) = (Array2::<f64>::zeros(size), Array2::<f64>::zeros(size));
            for (square, score) in squares.iter().zip(scores.iter().skip(1)) {
                drops.slice_mut(*square).mapv_inplace(|sum| sum + scores[0] - score);
                counts.slice_mut(*square).mapv_inplace(|count| count + 1.0);
            }
            Made::from((drops / counts).mapv(|v| v as f32)) // Each pixel is in a square.
        };
        Ok(scores.columns().into_iter().map(map).collect())
    }
}

/// Where squares begin and end along a side: steps of half a square, the last flush with the end.
fn places(side: usize) -> Vec<(usize, usize)> {
    let square = side.div_ceil(SQUARES).max(1);
    let step = square.div_ceil(STEPS);
    let last = side.saturating_sub(square);
    let mut starts: Vec<usize> = (0..last).step_by(step).collect();
    starts.push(last);
    starts.into_iter().map(|start| (start, (start + square).min(side))).collect()
}

#[cfg(test)]
mod tests {
    use super::places;

    #[test]
    fn squares_cover_every_pixel() {
        let of_224 = places(224);
        assert_eq!((of_224[0], of_224[1], of_224.len(), of_224[12]), ((0, 32), (16, 48), 13, (192, 224)));
        for side in 1..100 {
            let places = places(side);
            let covered = |i: usize| places.iter().any(|(from, to)| (*from..*to).contains(&i));
            assert!((0..side).all(covered) && places.iter().all(|(from, to)| from < to && *to <= side), "{side}");
        }
    }
}

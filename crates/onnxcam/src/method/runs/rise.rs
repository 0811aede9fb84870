use ndarray::{Array2, ArrayViewMut2, s};

use super::draws::Draws;
use super::{Made, ManyRuns};
use crate::explain::{Passes, Reading, RunError};
use crate::heatmap::UpSampling;
use crate::method::Needs;

/// Cells a side, the share of them that is kept, and N: as published, N for VGG-16.
const CELLS: usize = 7;
const KEPT: f64 = 0.5;
const SAMPLES: usize = 4000;

#[doc = include_str!("rise.md")]
#[derive(Clone, Copy, Debug)]
pub struct Rise;

impl ManyRuns for Rise {
    fn name(&self) -> &'static str {
        "rise"
    }

    fn title(&self) -> &'static str {
        "RISE"
    }

    fn description(&self) -> &'static str {
        include_str!("rise.md")
    }

    fn needs(&self) -> Needs {
        Needs::default()
    }

    fn takes_pictures(&self) -> bool {
        true
    }

    fn is_random(&self) -> bool {
        true
    }

    fn maps(&self, passes: &mut Passes) -> Result<Vec<Made>, RunError> {
        let (size, seed) = (passes.size(), passes.settings().seed);
        let samples = passes.samples(SAMPLES);
        let mut masks = Masks::new(size, seed);
        let scores = passes.masked(samples, Reading::Probability, |i, mask| masks.write(i, mask))?; // [N, classes]
        let mut sums = vec![Array2::<f64>::zeros(size); scores.ncols()];
        let mut mask = Array2::zeros(size);
        for (i, scores) in scores.outer_iter().enumerate() {
            masks.write(i, mask.view_mut());
            for (sum, score) in sums.iter_mut().zip(scores) {
                sum.zip_mut_with(&mask, |sum, m| *sum += score * f64::from(*m));
            }
        }
        let scale = 1.0 / (KEPT * samples as f64);
        Ok(sums.into_iter().map(|sum| Made::from(sum.mapv(|v| (v * scale) as f32))).collect())
    }
}

/// M_i: a grid of cells, each kept or not, made larger than the picture by a cell and shifted by less than one.
struct Masks {
    seed: u64,
    /// Height and width of a cell in pixels.
    cell: (usize, usize),
    up: UpSampling,
    large: Array2<f32>,
}

impl Masks {
    fn new(size: (usize, usize), seed: u64) -> Masks {
        let cell = (size.0.div_ceil(CELLS), size.1.div_ceil(CELLS));
        let large = ((CELLS + 1) * cell.0, (CELLS + 1) * cell.1);
        Masks { seed, cell, up: UpSampling::new((CELLS, CELLS), large), large: Array2::zeros(large) }
    }

    fn write(&mut self, i: usize, mut mask: ArrayViewMut2<f32>) {
        let mut draws = Draws::of(self.seed, i);
        let grid = Array2::from_shape_simple_fn((CELLS, CELLS), || f32::from(u8::from(draws.uniform() < KEPT)));
        let mut below = |n: usize| ((draws.uniform() * n as f64) as usize).min(n.saturating_sub(1));
        let (down, right) = (below(self.cell.0), below(self.cell.1));
        self.up.write(grid.view(), self.large.view_mut());
        let (h, w) = mask.dim();
        mask.assign(&self.large.slice(s![down..down + h, right..right + w]));
    }
}

use ndarray::{Array2, Axis};

use super::{Made, ManyRuns};
use crate::explain::{Passes, Reading, RunError};
use crate::method::Needs;

/// One cell, and the 3 × 3 Gaussian around it.
const CELL: &[&[f32]] = &[&[1.0]];
const GAUSSIAN: &[&[f32]] =
    &[&[1.0 / 16.0, 1.0 / 8.0, 1.0 / 16.0], &[1.0 / 8.0, 1.0 / 4.0, 1.0 / 8.0], &[1.0 / 16.0, 1.0 / 8.0, 1.0 / 16.0]];

#[doc = include_str!("recipro_cam.md")]
#[derive(Clone, Copy, Debug)]
pub struct ReciproCam;

impl ManyRuns for ReciproCam {
    fn name(&self) -> &'static str {
        "recipro-cam"
    }

    fn title(&self) -> &'static str {
        "Recipro-CAM"
    }

    fn description(&self) -> &'static str {
        include_str!("recipro_cam.md")
    }

    fn needs(&self) -> Needs {
        Needs::FEATURES
    }

    fn maps(&self, passes: &mut Passes) -> Result<Vec<Made>, RunError> {
        cell_by_cell(passes, CELL)
    }
}

#[doc = include_str!("recipro_cam_gaussian.md")]
#[derive(Clone, Copy, Debug)]
pub struct ReciproCamGaussian;

impl ManyRuns for ReciproCamGaussian {
    fn name(&self) -> &'static str {
        "recipro-cam-gaussian"
    }

    fn title(&self) -> &'static str {
        "Recipro-CAM, Gaussian"
    }

    fn description(&self) -> &'static str {
        include_str!("recipro_cam_gaussian.md")
    }

    fn needs(&self) -> Needs {
        Needs::FEATURES
    }

    fn maps(&self, passes: &mut Passes) -> Result<Vec<Made>, RunError> {
        cell_by_cell(passes, GAUSSIAN)
    }
}

/// The score of the feature maps times a mask around each cell, from 0 to 1.
fn cell_by_cell(passes: &mut Passes, mask: &[&[f32]]) -> Result<Vec<Made>, RunError> {
    let features = passes.features_to_change()?; // [K, h, w]
    let (h, w) = (features.len_of(Axis(1)), features.len_of(Axis(2)));
    let reach = mask.len() / 2;
    let scores = passes.changed(h * w, Reading::Score, |cell, mut a| {
        let (y, x) = (cell / w, cell % w);
        let share = |(i, j): (usize, usize)| {
            let row = (i + reach).checked_sub(y).and_then(|i| mask.get(i));
            row.zip((j + reach).checked_sub(x)).and_then(|(row, j)| row.get(j)).copied().unwrap_or(0.0)
        };
        a *= &Array2::from_shape_fn((h, w), share);
    })?;
    let map = |scores: ndarray::ArrayView1<f64>| {
        let least = scores.iter().copied().fold(f64::INFINITY, f64::min);
        let range = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max) - least;
        // NaN stays NaN, which minimum and maximum pass over.
        let value = |(y, x): (usize, usize)| match scores[y * w + x] {
            score if score.is_nan() => f32::NAN,
            score if range > 0.0 => ((score - least) / range) as f32,
            _ => 0.0,
        };
        Made::from(Array2::from_shape_fn((h, w), value))
    };
    Ok(scores.columns().into_iter().map(map).collect())
}

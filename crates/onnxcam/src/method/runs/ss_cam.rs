use ndarray::Array2;

use super::draws::Draws;
use super::score_cam::{Masks, maps_of};
use super::{Made, ManyRuns};
use crate::explain::{Passes, Reading, RunError};
use crate::method::Needs;

/// N and σ, as published.
const SAMPLES: usize = 35;
const DEVIATION: f64 = 2.0;

#[doc = include_str!("ss_cam.md")]
#[derive(Clone, Copy, Debug)]
pub struct SsCam;

impl ManyRuns for SsCam {
    fn name(&self) -> &'static str {
        "ss-cam"
    }

    fn title(&self) -> &'static str {
        "SS-CAM"
    }

    fn description(&self) -> &'static str {
        include_str!("ss_cam.md")
    }

    fn needs(&self) -> Needs {
        Needs::FEATURES
    }

    fn takes_pictures(&self) -> bool {
        true
    }

    fn is_random(&self) -> bool {
        true
    }

    fn maps(&self, passes: &mut Passes) -> Result<Vec<Made>, RunError> {
        let features = passes.features()?; // [K, h, w]
        let mut masks = Masks::new(&features, passes.size());
        let (count, samples, seed) = (masks.count(), passes.samples(SAMPLES), passes.settings().seed);
        let scores = passes.masked(count * samples, Reading::Score, |i, mut mask| {
            masks.write(i / samples, mask.view_mut());
            let mut noise = Draws::of(seed, i);
            mask.mapv_inplace(|h| h + (DEVIATION * noise.normal()) as f32);
        })?;
        let mean = mean_of_each(&scores, samples); // [K, classes]
        Ok(maps_of(passes, &features, &mean))
    }
}

/// Means of `samples` rows each.
pub(super) fn mean_of_each(scores: &Array2<f64>, samples: usize) -> Array2<f64> {
    let mut means = Array2::zeros((scores.nrows() / samples, scores.ncols()));
    for (i, row) in scores.outer_iter().enumerate() {
        means.row_mut(i / samples).scaled_add(1.0 / samples as f64, &row);
    }
    means
}

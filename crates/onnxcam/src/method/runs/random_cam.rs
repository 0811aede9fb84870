use ndarray::Axis;

use super::draws::Draws;
use super::{Made, ManyRuns, weighted_sum};
use crate::explain::{Asked, Passes, RunError};
use crate::method::Needs;

#[doc = include_str!("random_cam.md")]
#[derive(Clone, Copy, Debug)]
pub struct RandomCam;

impl ManyRuns for RandomCam {
    fn name(&self) -> &'static str {
        "random-cam"
    }

    fn title(&self) -> &'static str {
        "Random CAM"
    }

    fn description(&self) -> &'static str {
        include_str!("random_cam.md")
    }

    fn needs(&self) -> Needs {
        Needs::FEATURES
    }

    fn is_random(&self) -> bool {
        true
    }

    fn maps(&self, passes: &mut Passes) -> Result<Vec<Made>, RunError> {
        let features = passes.features()?; // [K, h, w]
        let settings = passes.settings();
        let map = |asked: &Asked| {
            let mut draws = Draws::of(settings.seed, asked.class);
            let weights: Vec<f64> = (0..features.len_of(Axis(0))).map(|_| 2.0 * draws.uniform() - 1.0).collect();
            weighted_sum(&features, &weights, settings.signed)
        };
        Ok(passes.classes().iter().map(map).collect())
    }
}

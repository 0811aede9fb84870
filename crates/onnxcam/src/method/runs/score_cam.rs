use ndarray::{Array2, ArrayD, ArrayViewMut2, Axis, Ix2};

use super::masks::min_max;
use super::{Made, ManyRuns, softmax, weighted_sum};
use crate::explain::{Passes, Reading, RunError};
use crate::heatmap::UpSampling;
use crate::method::Needs;

#[doc = include_str!("score_cam.md")]
#[derive(Clone, Copy, Debug)]
pub struct ScoreCam;

impl ManyRuns for ScoreCam {
    fn name(&self) -> &'static str {
        "score-cam"
    }

    fn title(&self) -> &'static str {
        "Score-CAM"
    }

    fn description(&self) -> &'static str {
        include_str!("score_cam.md")
    }

    fn needs(&self) -> Needs {
        Needs::FEATURES
    }

    fn takes_pictures(&self) -> bool {
        true
    }

    fn maps(&self, passes: &mut Passes) -> Result<Vec<Made>, RunError> {
        let features = passes.features()?; // [K, h, w]
        let mut masks = Masks::new(&features, passes.size());
        let scores = passes.masked(masks.count(), Reading::Score, |k, mask| masks.write(k, mask))?; // [K, classes]
        Ok(maps_of(passes, &features, &scores))
    }
}

/// H_k: each feature map, as large as the picture, then from 0 to 1.
pub(super) struct Masks<'a> {
    features: &'a ArrayD<f32>,
    up: UpSampling,
}

impl<'a> Masks<'a> {
    pub fn new(features: &'a ArrayD<f32>, size: (usize, usize)) -> Masks<'a> {
        let shape = features.shape();
        Masks { features, up: UpSampling::new((shape[1], shape[2]), size) }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.features.len_of(Axis(0))
    }

    /// Writes H_k, [H, W].
    pub fn write(&mut self, k: usize, mut mask: ArrayViewMut2<f32>) {
        let small = self.features.index_axis(Axis(0), k).into_dimensionality::<Ix2>().expect("[K, h, w]");
        self.up.write(small, mask.view_mut());
        min_max(mask);
    }
}

/// The maps of classes whose channels score so, [K, classes]: the softmax over the channels weighs them. Softmax is the same
/// for scores and for their increase over a baseline, which is one number for all channels.
pub(super) fn maps_of(passes: &Passes, features: &ArrayD<f32>, scores: &Array2<f64>) -> Vec<Made> {
    let signed = passes.settings().signed;
    scores.columns().into_iter().map(|scores| weighted_sum(features, &softmax(scores), signed)).collect()
}

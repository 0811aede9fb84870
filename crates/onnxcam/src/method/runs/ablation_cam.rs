use ndarray::Axis;

use super::{Made, ManyRuns, weighted_sum};
use crate::explain::{Passes, Reading, RunError};
use crate::method::Needs;

/// The relative drop of a negative score has the opposite sign of the drop.
const NEGATIVE: &str = "the class's score is negative: what speaks for the class has negative weights in this method";

#[doc = include_str!("ablation_cam.md")]
#[derive(Clone, Copy, Debug)]
pub struct AblationCam;

impl ManyRuns for AblationCam {
    fn name(&self) -> &'static str {
        "ablation-cam"
    }

    fn title(&self) -> &'static str {
        "Ablation-CAM"
    }

    fn description(&self) -> &'static str {
        include_str!("ablation_cam.md")
    }

    fn needs(&self) -> Needs {
        Needs::FEATURES
    }

    fn maps(&self, passes: &mut Passes) -> Result<Vec<Made>, RunError> {
        let features = passes.features_to_change()?; // [K, h, w]
        let channels = features.len_of(Axis(0));
        // Row 0 as it is, row k + 1 without channel k.
        let scores = passes.changed(channels + 1, Reading::Score, |i, mut a| {
            if let Some(k) = i.checked_sub(1) {
                a.index_axis_mut(Axis(0), k).fill(0.0);
            }
        })?;
        let signed = passes.settings().signed;
        let map = |scores: ndarray::ArrayView1<f64>| {
            let whole = scores[0];
            let drop = |without: &f64| if whole == 0.0 { 0.0 } else { (whole - without) / whole };
            let weights: Vec<f64> = scores.iter().skip(1).map(drop).collect();
            let notes = if whole < 0.0 { vec![NEGATIVE.to_owned()] } else { Vec::new() };
            Made { notes, ..weighted_sum(&features, &weights, signed) }
        };
        Ok(scores.columns().into_iter().map(map).collect())
    }
}

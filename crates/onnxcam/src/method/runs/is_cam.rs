use super::score_cam::{Masks, maps_of};
use super::ss_cam::mean_of_each;
use super::{Made, ManyRuns};
use crate::explain::{Passes, Reading, RunError};
use crate::method::Needs;

/// N, as published.
const SAMPLES: usize = 10;

#[doc = include_str!("is_cam.md")]
#[derive(Clone, Copy, Debug)]
pub struct IsCam;

impl ManyRuns for IsCam {
    fn name(&self) -> &'static str {
        "is-cam"
    }

    fn title(&self) -> &'static str {
        "IS-CAM"
    }

    fn description(&self) -> &'static str {
        include_str!("is_cam.md")
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
        let (count, samples) = (masks.count(), passes.samples(SAMPLES));
        let scores = passes.masked(count * samples, Reading::Score, |i, mut mask| {
            masks.write(i / samples, mask.view_mut());
            let share = (i % samples + 1) as f32 / samples as f32;
            mask.mapv_inplace(|h| h * share);
        })?;
        let mean = mean_of_each(&scores, samples); // [K, classes]
        Ok(maps_of(passes, &features, &mean))
    }
}

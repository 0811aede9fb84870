//! What a method says of every sample of the input, as a picture.

use image::{Rgb, RgbImage};
use ndarray::{Array3, Axis};

use super::UpSampling;
use super::placed::hatched;
use crate::picture::Placement;

/// Signed values of every sample, `[H, W, 3]`: red, green, blue; or `[H, W, 1]`.
#[derive(Clone, Debug)]
pub struct Attribution {
    values: Array3<f32>,
}

/// The share of samples whose magnitude is shown without clipping: a few strong ones would leave the rest grey.
const SHOWN: f64 = 0.995;

impl Attribution {
    /// Wraps values `[H, W, channels]`; `None` unless there are one or three channels, and something to show.
    pub fn new(values: Array3<f32>) -> Option<Attribution> {
        let (height, width, channels) = values.dim();
        (matches!(channels, 1 | 3) && height > 0 && width > 0).then_some(Attribution { values })
    }

    /// The values.
    pub fn values(&self) -> &Array3<f32> {
        &self.values
    }

    /// On the picture that `placement` speaks of, in colours about grey: what speaks for the class brighter, what speaks
    /// against it darker, as Figure 2 of the Grad-CAM++ paper has it. Half-pixel bilinear; hatched where the network saw
    /// nothing.
    pub fn picture(&self, placement: &Placement) -> RgbImage {
        let (columns, rows) = placement.seen();
        let half_range = self.half_range();
        let level = |value: f32| {
            let about_grey = if half_range > 0.0 { value / half_range } else { 0.0 };
            (127.5 + 127.5 * about_grey).clamp(0.0, 255.0).round() as u8
        };
        let (high, wide, _) = self.values.dim();
        let mut up = UpSampling::onto(placement, (high, wide));
        let planes: Vec<_> = self.values.axis_iter(Axis(2)).map(|plane| up.of(plane)).collect();
        let (width, height) = placement.original();
        RgbImage::from_fn(width, height, |x, y| match columns.contains(&x) && rows.contains(&y) {
            true => {
                let at = ((y - rows.start) as usize, (x - columns.start) as usize);
                Rgb([0, 1, 2].map(|c: usize| level(planes[c.min(planes.len() - 1)][at])))
            }
            false => hatched(x, y, (width, height)),
        })
    }

    /// The magnitude that becomes white or black.
    fn half_range(&self) -> f32 {
        let mut magnitudes: Vec<f32> = self.values.iter().map(|v| v.abs()).filter(|v| v.is_finite()).collect();
        if magnitudes.is_empty() {
            return 0.0;
        }
        let at = ((magnitudes.len() - 1) as f64 * SHOWN) as usize;
        let (_, shown, above) = magnitudes.select_nth_unstable_by(at, f32::total_cmp);
        if *shown > 0.0 { *shown } else { above.iter().copied().fold(0.0, f32::max) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_grey_and_the_strongest_are_white_and_black() {
        let values = Array3::from_shape_vec((1, 3, 1), vec![0.0, 2.0, -2.0]).unwrap();
        let picture = Attribution::new(values).unwrap().picture(&Placement::whole(3, 1));
        let levels: Vec<u8> = picture.pixels().map(|p| p.0[0]).collect();
        assert_eq!(levels, [128, 255, 0]);
        let nothing = Attribution::new(Array3::zeros((1, 3, 3))).unwrap().picture(&Placement::whole(3, 1));
        assert!(nothing.pixels().all(|p| p.0 == [128; 3]));
    }

    #[test]
    fn channels_are_colours() {
        let values = Array3::from_shape_vec((1, 1, 3), vec![1.0, 0.0, -1.0]).unwrap();
        let picture = Attribution::new(values).unwrap().picture(&Placement::whole(1, 1));
        assert_eq!(picture.get_pixel(0, 0).0, [255, 128, 0]);
        assert!(Attribution::new(Array3::zeros((1, 1, 2))).is_none());
        assert!(Attribution::new(Array3::zeros((0, 1, 3))).is_none());
    }

    /// One sample a thousand times as strong as the rest does not hide them.
    #[test]
    fn a_few_strong_samples_are_clipped() {
        let mut values = Array3::from_elem((40, 40, 1), 1.0);
        values[(0, 0, 0)] = 1000.0;
        values[(5, 5, 0)] = f32::NAN;
        let picture = Attribution::new(values).unwrap().picture(&Placement::whole(40, 40));
        assert_eq!(picture.get_pixel(20, 20).0, [255; 3]);
    }
}

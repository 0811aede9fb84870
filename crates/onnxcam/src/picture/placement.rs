//! Where in the picture the network's input lies.

use std::ops::Range;

/// A rectangle in the coordinates of a picture, in pixels: the top left pixel spans 0 to 1 both ways.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rectangle {
    /// Left edge.
    pub left: f64,
    /// Top edge.
    pub top: f64,
    /// Right edge.
    pub right: f64,
    /// Bottom edge.
    pub bottom: f64,
}

/// Which part of a picture the network's input covers: the exact inverse of resize and crop, rounding included.
///
/// With a padded crop the rectangle reaches beyond the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placement {
    original: (u32, u32),
    covered: Rectangle,
}

/// Edges come out of divisions: nearer than this to a pixel's edge is on it.
const SLACK: f64 = 1e-6;

impl Placement {
    /// The input covers all of a picture of `width` × `height` pixels.
    pub fn whole(width: u32, height: u32) -> Placement {
        let covered = Rectangle { left: 0.0, top: 0.0, right: width.into(), bottom: height.into() };
        Placement { original: (width, height), covered }
    }

    /// A picture of size `original` was resized to `resized`, and a window of size `crop` cut out of that with
    /// its top left corner at `offset`; sizes and offsets as (horizontal, vertical).
    pub(super) fn of_crop(
        original: (u32, u32),
        resized: (u64, u64),
        offset: (i64, i64),
        crop: (usize, usize),
    ) -> Placement {
        let back = |position: i64, resized: u64, original: u32| position as f64 * f64::from(original) / resized as f64;
        let covered = Rectangle {
            left: back(offset.0, resized.0, original.0),
            top: back(offset.1, resized.1, original.1),
            right: back(offset.0 + crop.0 as i64, resized.0, original.0),
            bottom: back(offset.1 + crop.1 as i64, resized.1, original.1),
        };
        Placement { original, covered }
    }

    /// Width and height of the picture in pixels.
    pub fn original(&self) -> (u32, u32) {
        self.original
    }

    /// The rectangle of the picture that the input covers.
    pub fn covered(&self) -> Rectangle {
        self.covered
    }

    /// Columns and rows of the picture of which the network saw anything; empty only where the picture is.
    pub fn seen(&self) -> (Range<u32>, Range<u32>) {
        let Rectangle { left, top, right, bottom } = self.covered;
        (touched(left, right, self.original.0), touched(top, bottom, self.original.1))
    }
}

fn touched(from: f64, to: f64, size: u32) -> Range<u32> {
    let last = size.saturating_sub(1);
    let start = ((from + SLACK).floor().max(0.0) as u32).min(last);
    let end = ((to - SLACK).ceil().max(0.0) as u32).min(size);
    start..end.max((start + 1).min(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crop_goes_back_through_the_resize() {
        // 400 × 300 to 341 × 256, the middle 224 × 224 of it.
        let placement = Placement::of_crop((400, 300), (341, 256), (58, 16), (224, 224));
        let Rectangle { left, top, right, bottom } = placement.covered();
        assert!((left - 58.0 * 400.0 / 341.0).abs() < 1e-12 && (right - 282.0 * 400.0 / 341.0).abs() < 1e-12);
        assert_eq!((top, bottom), (18.75, 281.25));
        assert_eq!(placement.seen(), (68..331, 18..282));
    }

    #[test]
    fn an_edge_on_a_pixel_edge_stays_there() {
        // 3 · 7 / 3 and its like come out a hair off.
        for original in 1..200u32 {
            for resized in 1..40u64 {
                let placement = Placement::of_crop((original, 1), (resized, 1), (0, 0), (resized as usize, 1));
                assert_eq!(placement.seen(), (0..original, 0..1), "{original} {resized}");
            }
        }
    }

    #[test]
    fn something_is_always_seen() {
        // One pixel wide, four high, resized to 256 × 1024: the crop is less than a pixel high.
        let placement = Placement::of_crop((1, 4), (256, 1024), (16, 400), (224, 224));
        assert_eq!(placement.seen(), (0..1, 1..3));
    }
}

//! A map on the picture it explains.

use std::ops::Range;

use image::{Rgb, RgbImage};
use ndarray::{Array2, s};

use super::{Colormap, Flatness, Heatmap, HeatmapError, ROUNDING};
use crate::picture::{Picture, Placement};

/// A map in 0..=1 on the original picture; what lies outside the network's input has no value.
#[derive(Clone, Debug)]
pub struct Placed {
    size: (u32, u32),
    columns: Range<u32>,
    rows: Range<u32>,
    /// Values of the pixels seen, `[rows, columns]`; all 0 where `empty`.
    seen: Array2<f32>,
    empty: bool,
}

impl Placed {
    pub(super) fn new(heatmap: &Heatmap, placement: &Placement) -> Placed {
        let (columns, rows) = placement.seen();
        let shape = (rows.len(), columns.len());
        let mut placed = Placed { size: placement.original(), columns, rows, seen: Array2::zeros(shape), empty: true };
        if heatmap.flatness() == Flatness::Varies {
            placed.seen = placed.upsample(heatmap.raw(), placement);
            placed.empty = !stretch(&mut placed.seen);
        }
        placed
    }

    /// Half-pixel bilinear: the centre of cell i of n lies at (i + ½)/n of the input; beyond the outermost
    /// centres the outermost cells go on.
    fn upsample(&self, raw: &Array2<f32>, placement: &Placement) -> Array2<f32> {
        let covered = placement.covered();
        let across = mixes(self.columns.clone(), covered.left, covered.right, raw.ncols());
        let down = mixes(self.rows.clone(), covered.top, covered.bottom, raw.nrows());
        let cell = |y: usize, x: usize| raw[(y, x)].max(0.0);
        // Columns first, while there are few rows.
        let wide = Array2::from_shape_fn((raw.nrows(), across.len()), |(y, x)| {
            let Mix { low, high, share } = across[x];
            cell(y, low) * (1.0 - share) + cell(y, high) * share
        });
        Array2::from_shape_fn(self.seen.dim(), |(y, x)| {
            let Mix { low, high, share } = down[y];
            wide[(low, x)] * (1.0 - share) + wide[(high, x)] * share
        })
    }

    /// Values 0..=1 for the whole picture, `[height, width]`; NaN where the network saw nothing.
    pub fn values(&self) -> Array2<f32> {
        let mut all = Array2::from_elem((self.size.1 as usize, self.size.0 as usize), f32::NAN);
        let part = |range: &Range<u32>| range.start as usize..range.end as usize;
        all.slice_mut(s![part(&self.rows), part(&self.columns)]).assign(&self.seen);
        all
    }

    /// Columns and rows of the picture that have a value.
    pub fn seen(&self) -> (Range<u32>, Range<u32>) {
        (self.columns.clone(), self.rows.clone())
    }

    /// The map in colours, as large as the picture; hatched where the network saw nothing.
    pub fn colour(&self, colormap: Colormap) -> RgbImage {
        let table = colormap.table();
        let stripe = (self.size.0.min(self.size.1) / 60).max(1);
        RgbImage::from_fn(self.size.0, self.size.1, |x, y| match self.value(x, y) {
            Some(value) => Rgb(table[entry(value)]),
            None if ((x + y) / stripe).is_multiple_of(4) => Rgb([112; 3]),
            None => Rgb([80; 3]),
        })
    }

    /// The picture with the map's colours over it, `alpha` of them and 1 − `alpha` of the picture. A map that
    /// shows nothing adds no colour. What the network did not see is dark, grey and fenced off.
    ///
    /// # Errors
    /// [`HeatmapError::Alpha`] for an alpha outside 0..=1, [`HeatmapError::OtherPicture`] for a picture of
    /// another size than the map's.
    pub fn overlay(&self, picture: &Picture, colormap: Colormap, alpha: f32) -> Result<RgbImage, HeatmapError> {
        if !(0.0..=1.0).contains(&alpha) {
            return Err(HeatmapError::Alpha { alpha });
        }
        if picture.size() != self.size {
            let picture_name = picture.name().to_owned();
            return Err(HeatmapError::OtherPicture { picture: picture_name, placed: self.size, found: picture.size() });
        }
        let table = colormap.table();
        let alpha = if self.empty { 0.0 } else { alpha };
        let blend = |p: u8, c: u8| (f32::from(p) * (1.0 - alpha) + f32::from(c) * alpha).round() as u8;
        Ok(RgbImage::from_fn(self.size.0, self.size.1, |x, y| {
            let Rgb(pixel) = *picture.rgb().get_pixel(x, y);
            match self.value(x, y) {
                Some(value) => {
                    let colour = table[entry(value)];
                    Rgb(std::array::from_fn(|c| blend(pixel[c], colour[c])))
                }
                None if self.on_fence(x, y) => Rgb([FENCE; 3]),
                None => Rgb([unseen(pixel); 3]),
            }
        }))
    }

    fn value(&self, x: u32, y: u32) -> Option<f32> {
        let inside = self.columns.contains(&x) && self.rows.contains(&y);
        inside.then(|| self.seen[((y - self.rows.start) as usize, (x - self.columns.start) as usize)])
    }

    /// Unseen, but near a pixel that is seen.
    fn on_fence(&self, x: u32, y: u32) -> bool {
        let width = (self.size.0.min(self.size.1) / 300).max(1);
        let near = |range: &Range<u32>, at: u32| at + width >= range.start && at < range.end + width;
        near(&self.columns, x) && near(&self.rows, y)
    }
}

/// Brightness of the line around what was seen.
const FENCE: u8 = 235;

/// A third of the brightness, no colour, and never quite black.
fn unseen([r, g, b]: [u8; 3]) -> u8 {
    let luma = (u32::from(r) * 299 + u32::from(g) * 587 + u32::from(b) * 114) / 1000;
    (24 + luma / 3) as u8
}

/// Row of the colour table.
fn entry(value: f32) -> usize {
    (value * 255.0).round() as usize
}

/// Two neighbouring cells, and the share of the second.
#[derive(Clone, Copy)]
struct Mix {
    low: usize,
    high: usize,
    share: f32,
}

/// For each pixel, the cells it lies between: `cells` cells span `from..to` in the picture.
fn mixes(pixels: Range<u32>, from: f64, to: f64, cells: usize) -> Vec<Mix> {
    let last = cells - 1;
    let mix = |pixel: u32| {
        let at = (f64::from(pixel) + 0.5 - from) / (to - from) * cells as f64 - 0.5;
        let at = at.clamp(0.0, last as f64);
        let low = at as usize;
        Mix { low, high: (low + 1).min(last), share: (at - low as f64) as f32 }
    };
    pixels.map(mix).collect()
}

/// Min–max to 0..=1; false, and all 0, where there is nothing to stretch.
fn stretch(values: &mut Array2<f32>) -> bool {
    let (low, high) =
        values.iter().fold((f32::INFINITY, 0f32), |(low, high), &value| (low.min(value), high.max(value)));
    let varies = high - low > ROUNDING * high;
    values.mapv_inplace(|value| if varies { (value - low) / (high - low) } else { 0.0 });
    varies
}

//! A map on the picture it explains.

use std::ops::Range;

use image::{Rgb, RgbImage};
use ndarray::{Array2, s};

use super::{Colormap, Flatness, Heatmap, HeatmapError, ROUNDING, UpSampling};
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
            let positive = heatmap.raw().mapv(|v| v.max(0.0));
            placed.seen = UpSampling::onto(placement, positive.dim()).of(positive.view());
            placed.empty = !stretch(&mut placed.seen);
        }
        placed
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
        RgbImage::from_fn(self.size.0, self.size.1, |x, y| match self.value(x, y) {
            Some(value) => Rgb(table[entry(value)]),
            None => hatched(x, y, self.size),
        })
    }

    /// The explanation map E = L ∘ I, Eq. 11 of the Grad-CAM++ paper: the picture, each pixel times the map, so that what
    /// did not speak for the class is black. Hatched where the network saw nothing.
    ///
    /// # Errors
    /// [`HeatmapError::OtherPicture`] for a picture of another size than the map's.
    pub fn explanation(&self, picture: &Picture) -> Result<RgbImage, HeatmapError> {
        self.check(picture)?;
        let times = |p: u8, value: f32| (f32::from(p) * value).round() as u8;
        Ok(RgbImage::from_fn(self.size.0, self.size.1, |x, y| match self.value(x, y) {
            Some(value) => Rgb(picture.rgb().get_pixel(x, y).0.map(|p| times(p, value))),
            None => hatched(x, y, self.size),
        }))
    }

    fn check(&self, picture: &Picture) -> Result<(), HeatmapError> {
        if picture.size() == self.size {
            return Ok(());
        }
        let name = picture.name().to_owned();
        Err(HeatmapError::OtherPicture { picture: name, placed: self.size, found: picture.size() })
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
        self.check(picture)?;
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

/// Where the network saw nothing.
pub(super) fn hatched(x: u32, y: u32, size: (u32, u32)) -> Rgb<u8> {
    let stripe = (size.0.min(size.1) / 60).max(1);
    if ((x + y) / stripe).is_multiple_of(4) { Rgb([112; 3]) } else { Rgb([80; 3]) }
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

/// Min–max to 0..=1; false, and all 0, where there is nothing to stretch.
fn stretch(values: &mut Array2<f32>) -> bool {
    let (low, high) =
        values.iter().fold((f32::INFINITY, 0f32), |(low, high), &value| (low.min(value), high.max(value)));
    let varies = high - low > ROUNDING * high;
    values.mapv_inplace(|value| if varies { (value - low) / (high - low) } else { 0.0 });
    varies
}

#[cfg(test)]
mod tests {
    use image::imageops;
    use ndarray::array;

    use super::*;
    use crate::picture::{Fit, Preprocess, Preset};

    fn noise(width: u32, height: u32) -> Picture {
        let level = |x: u32, y: u32, c: u32| (x * 7 + y * 13 + c * 50 + x * y % 31) as u8;
        let rgb = RgbImage::from_fn(width, height, |x, y| Rgb([level(x, y, 0), level(x, y, 1), level(x, y, 2)]));
        Picture::from_rgb(rgb, "noise")
    }

    /// One cell of `rows` × `columns` at 1, the others at 0.
    fn hot(rows: usize, columns: usize, at: (usize, usize)) -> Heatmap {
        let mut raw = Array2::zeros((rows, columns));
        raw[at] = 1.0;
        Heatmap::new(raw)
    }

    /// Centre of mass as (x, y), in pixels.
    fn centre_of_mass(values: &Array2<f32>) -> (f64, f64) {
        let (mut mass, mut x_sum, mut y_sum) = (0.0, 0.0, 0.0);
        for ((y, x), &value) in values.indexed_iter().filter(|(_, v)| !v.is_nan()) {
            mass += f64::from(value);
            x_sum += f64::from(value) * (x as f64 + 0.5);
            y_sum += f64::from(value) * (y as f64 + 0.5);
        }
        (x_sum / mass, y_sum / mass)
    }

    /// The whole way: a dark picture with a bright spot goes through resize and crop; the cell of the network's
    /// input in which the spot arrives, made hot, must light up where the spot was.
    #[test]
    fn a_spot_comes_back_to_where_it_was() {
        let fits = [
            Fit::ShortSide { side: 64 },
            Fit::ShortSide { side: 40 },
            Fit::Cover { height: 60, width: 70 },
            Fit::Stretch,
        ];
        for (width, height) in [(300, 200), (200, 300), (97, 131), (160, 160), (640, 90)] {
            for fit in fits {
                for (across, down) in [(0.0, 0.0), (-0.08, 0.1), (0.12, -0.05)] {
                    let shorter = f64::from(width.min(height));
                    let spot = (f64::from(width) / 2.0 + across * shorter, f64::from(height) / 2.0 + down * shorter);
                    let reach = shorter / 14.0;
                    let rgb = RgbImage::from_fn(width, height, |x, y| {
                        let (dx, dy) = (f64::from(x) + 0.5 - spot.0, f64::from(y) + 0.5 - spot.1);
                        Rgb([(255.0 * (-(dx * dx + dy * dy) / (reach * reach)).exp()) as u8; 3])
                    });
                    let preprocess = Preprocess::preset(Preset::Unit, 56, 56).with_fit(fit);
                    let (input, placement) = preprocess.apply(&Picture::from_rgb(rgb, "spot")).unwrap();
                    let map = input.slice(s![0, 0, .., ..]).to_owned();
                    let found = centre_of_mass(&Heatmap::new(map).placed(&placement).values());
                    let pixel = f64::from(width.max(height)) / 56.0;
                    let off = (found.0 - spot.0).abs().max((found.1 - spot.1).abs());
                    assert!(off < 0.2 * pixel, "{width}×{height} {fit:?}: {spot:?} came back at {found:?}");
                }
            }
        }
    }

    /// 400 × 300 by stretch under a 4 × 3 map: a cell is 100 × 100 pixels, and its centre the hottest.
    #[test]
    fn a_cell_lies_on_its_part_of_the_picture() {
        for (row, column) in [(0, 0), (1, 2), (2, 3)] {
            let values = hot(3, 4, (row, column)).placed(&Placement::whole(400, 300)).values();
            let at = |x: usize, y: usize| values[(y, x)];
            let (x, y) = (column * 100 + 50, row * 100 + 50);
            assert!(at(x, y) > 0.98, "{row} {column}");
            // Half way to the next centre, half the value: between pixels 99 and 100 of the way.
            let toward = if column == 3 { x - 50 } else { x + 50 };
            assert!((at(toward, y) - 0.5).abs() < 0.01, "{}", at(toward, y));
            // One cell on, nothing is left.
            assert_eq!(at(if column == 3 { x - 101 } else { x + 100 }, y), 0.0);
        }
    }

    /// A slow, literal form of the definition, on a crop whose edges fall between pixels.
    #[test]
    fn agrees_with_the_definition() {
        let (_, placement) = Preprocess::preset(Preset::Unit, 224, 224).apply(&noise(451, 300)).unwrap();
        let raw = Array2::from_shape_fn((7, 7), |(y, x)| ((y * 5 + x * 3) % 11) as f32 - 3.0);
        let covered = placement.covered();
        let cell = |y: i64, x: i64| f64::from(raw[(y.clamp(0, 6) as usize, x.clamp(0, 6) as usize)].max(0.0));
        let sample = |px: u32, py: u32| {
            let u = (f64::from(px) + 0.5 - covered.left) / (covered.right - covered.left) * 7.0 - 0.5;
            let v = (f64::from(py) + 0.5 - covered.top) / (covered.bottom - covered.top) * 7.0 - 0.5;
            let (x, y) = (u.floor(), v.floor());
            let (fx, fy) = (u - x, v - y);
            let (x, y) = (x as i64, y as i64);
            (cell(y, x) * (1.0 - fx) + cell(y, x + 1) * fx) * (1.0 - fy)
                + (cell(y + 1, x) * (1.0 - fx) + cell(y + 1, x + 1) * fx) * fy
        };
        let (columns, rows) = placement.seen();
        let seen: Vec<f64> =
            rows.flat_map(|y| columns.clone().map(move |x| (x, y))).map(|(x, y)| sample(x, y)).collect();
        let (low, high) = seen.iter().fold((f64::MAX, f64::MIN), |(l, h), &v| (l.min(v), h.max(v)));
        let placed = Heatmap::new(raw.clone()).placed(&placement);
        let values = placed.values();
        let ours = values.iter().filter(|v| !v.is_nan());
        assert_eq!(ours.clone().count(), seen.len());
        for (&ours, v) in ours.zip(&seen) {
            assert!((f64::from(ours) - (v - low) / (high - low)).abs() < 1e-5);
        }
    }

    #[test]
    fn unseen_parts_have_no_value_and_look_it() {
        let picture = noise(450, 300);
        let (_, placement) = Preprocess::preset(Preset::Torchvision, 224, 224).apply(&picture).unwrap();
        let placed = hot(7, 7, (3, 3)).placed(&placement);
        // 300 high to 256, the middle 224 of it: 18.75 to 281.25; across (384 − 224)/2 = 80: 93.75 to 356.25.
        assert_eq!(placed.seen(), (93..357, 18..282));
        let values = placed.values();
        assert!(values[(150, 92)].is_nan() && values[(150, 357)].is_nan() && values[(17, 200)].is_nan());
        assert!(!values[(150, 93)].is_nan() && !values[(18, 200)].is_nan());
        let (low, high) = (values.iter().copied().fold(9.0, f32::min), values.iter().copied().fold(-9.0, f32::max));
        assert_eq!((low, high), (0.0, 1.0));

        let overlay = placed.overlay(&picture, Colormap::Turbo, 0.5).unwrap();
        let grey = |x, y| overlay.get_pixel(x, y).0.windows(2).all(|c| c[0] == c[1]);
        assert!(grey(10, 10) && grey(440, 290) && !grey(225, 150));
        assert_eq!(overlay.get_pixel(92, 150).0, [FENCE; 3]);
        assert_eq!(overlay.get_pixel(91, 150).0, [unseen(picture.rgb().get_pixel(91, 150).0); 3]);
        let colours = placed.colour(Colormap::Grey);
        assert_eq!(colours.get_pixel(225, 150).0, [255; 3]);
        assert!([80, 112].contains(&colours.get_pixel(10, 10).0[0]));
    }

    #[test]
    fn alpha_goes_from_the_picture_to_the_map() {
        let picture = noise(40, 30);
        let placed = hot(3, 4, (1, 1)).placed(&Placement::whole(40, 30));
        assert_eq!(&placed.overlay(&picture, Colormap::Jet, 0.0).unwrap(), picture.rgb());
        assert_eq!(placed.overlay(&picture, Colormap::Jet, 1.0).unwrap(), placed.colour(Colormap::Jet));
        for alpha in [-0.1, 1.1, f32::NAN, f32::INFINITY] {
            let result = placed.overlay(&picture, Colormap::Jet, alpha);
            assert!(matches!(result, Err(HeatmapError::Alpha { .. })), "{alpha}");
        }
        let turned = Picture::from_rgb(imageops::rotate90(picture.rgb()), "turned");
        let result = placed.overlay(&turned, Colormap::Jet, 0.5);
        assert!(matches!(result, Err(HeatmapError::OtherPicture { placed: (40, 30), found: (30, 40), .. })));
    }

    /// No evidence is drawn as no colour: the picture as it is, where it was seen.
    #[test]
    fn a_flat_map_is_an_empty_overlay() {
        let picture = noise(40, 30);
        for raw in
            [array![[0.0]], array![[-1.0, -2.0]], array![[3.0, 3.0]], array![[1.0, f32::NAN]], Array2::zeros((0, 3))]
        {
            let placed = Heatmap::new(raw).placed(&Placement::whole(40, 30));
            assert!(placed.values().iter().all(|&v| v == 0.0));
            assert_eq!(&placed.overlay(&picture, Colormap::Turbo, 0.5).unwrap(), picture.rgb());
        }
    }

    #[test]
    fn extreme_shapes_are_placed() {
        for size in [(1, 1), (1, 4000), (4000, 1), (3, 500), (2, 3)] {
            for preset in [Preset::Torchvision, Preset::EfficientNetLite] {
                for fit in [Preprocess::preset(preset, 56, 56).fit, Fit::Stretch, Fit::ShortSide { side: 7 }] {
                    let picture = noise(size.0, size.1);
                    let preprocess = Preprocess::preset(preset, 56, 56).with_fit(fit);
                    let (input, placement) = preprocess.apply(&picture).unwrap();
                    assert!(input.iter().all(|v| v.is_finite()));
                    let placed = Heatmap::new(array![[0.0, 1.0], [2.0, 3.0]]).placed(&placement);
                    assert!(placed.values().iter().any(|v| !v.is_nan()));
                    let overlay = placed.overlay(&picture, Colormap::Jet, 0.5).unwrap();
                    assert_eq!(overlay.dimensions(), size);
                    assert_eq!(placed.colour(Colormap::Jet).dimensions(), size);
                }
            }
        }
    }
}

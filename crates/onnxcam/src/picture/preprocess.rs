//! From a picture to a network's input: resize, crop, normalise, lay out.

use std::{fmt, ops::Range, str::FromStr};

use image::{RgbImage, imageops};
use ndarray::Array4;
use thiserror::Error;

use super::{MAX_PIXELS, Picture, PictureError, Placement, resample::resize_part};

/// How a picture of any shape becomes one of the network's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Resize so that the shorter side has `side` pixels, then take the centre, as torchvision's `Resize(side)`
    /// and `CenterCrop` do. Where the crop is larger than the resized picture, black is added around it.
    ShortSide {
        /// Length of the shorter side in pixels.
        side: u32,
    },
    /// Resize, proportions kept, to the smallest that covers `height` × `width`, then take the centre.
    /// With `height` = `width` this is [`Fit::ShortSide`]; for an oblong network it does not waste the picture.
    Cover {
        /// Least height in pixels.
        height: u32,
        /// Least width in pixels.
        width: u32,
    },
    /// Resize the whole picture to the network's input, proportions lost.
    Stretch,
}

/// The interpolation filter of a resize. All are antialiased: reducing a picture widens them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Mean of the pixels covered.
    Box,
    /// Triangle; torchvision's usual choice.
    Bilinear,
    /// Cubic with a = −½.
    Bicubic,
    /// Sinc with three lobes.
    Lanczos,
}

/// Which channels the network wants, in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelOrder {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// One channel, 0.299 R + 0.587 G + 0.114 B; the first of mean and standard deviation holds for it.
    Grey,
}

/// Where the channels stand in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `[1, channels, height, width]`.
    Nchw,
    /// `[1, height, width, channels]`.
    Nhwc,
}

/// A common way to prepare pictures: a normalisation, and the filter and channel order that go with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// (x/255 − mean) / std with ImageNet's mean and standard deviation.
    Torchvision,
    /// x/127.5 − 1.
    Tf,
    /// BGR, x − (103.939, 116.779, 123.68).
    Caffe,
    /// (x − 127) / 128, bicubic, of a picture that is 32 pixels larger than the crop.
    EfficientNetLite,
    /// x/255.
    Unit,
}

/// How a picture becomes the input of a network: out = (x · `scale` − `mean`) / `std`, x in 0..=255.
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocess {
    /// How the shape is met.
    pub fit: Fit,
    /// The filter of the resize.
    pub filter: Filter,
    /// The network's height and width in pixels.
    pub size: (usize, usize),
    /// What a sample 0..=255 is multiplied with first.
    pub scale: f32,
    /// What is subtracted then, for red, green, blue, whatever the order in the input.
    pub mean: [f32; 3],
    /// What is divided by last, for red, green, blue.
    pub std: [f32; 3],
    /// Channels of the input.
    pub order: ChannelOrder,
    /// Layout of the input.
    pub layout: Layout,
}

impl Preprocess {
    /// A preset for a network that sees `height` × `width` pixels: the picture is resized to cover 256/224 of
    /// that, and the centre taken. EfficientNet-Lite's authors add 32 pixels instead, whatever the size.
    pub fn preset(preset: Preset, height: usize, width: usize) -> Preprocess {
        let margin = |length: usize| match preset {
            Preset::EfficientNetLite => u32::try_from(length).unwrap_or(u32::MAX).saturating_add(32),
            _ => (length as f64 * 256.0 / 224.0).round() as u32,
        };
        let fit = if height == width {
            Fit::ShortSide { side: margin(height) }
        } else {
            Fit::Cover { height: margin(height), width: margin(width) }
        };
        let plain = Preprocess {
            fit,
            filter: Filter::Bilinear,
            size: (height, width),
            scale: 1.0,
            mean: [0.0; 3],
            std: [1.0; 3],
            order: ChannelOrder::Rgb,
            layout: Layout::Nchw,
        };
        match preset {
            Preset::Torchvision => {
                Preprocess { scale: 1.0 / 255.0, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], ..plain }
            }
            Preset::Tf => Preprocess { scale: 1.0 / 127.5, mean: [1.0; 3], ..plain },
            Preset::Caffe => Preprocess { mean: [123.68, 116.779, 103.939], order: ChannelOrder::Bgr, ..plain },
            Preset::EfficientNetLite => {
                Preprocess { filter: Filter::Bicubic, mean: [127.0; 3], std: [128.0; 3], ..plain }
            }
            Preset::Unit => Preprocess { scale: 1.0 / 255.0, ..plain },
        }
    }

    /// With another fit.
    pub fn with_fit(self, fit: Fit) -> Preprocess {
        Preprocess { fit, ..self }
    }

    /// With another filter.
    pub fn with_filter(self, filter: Filter) -> Preprocess {
        Preprocess { filter, ..self }
    }

    /// With another scale.
    pub fn with_scale(self, scale: f32) -> Preprocess {
        Preprocess { scale, ..self }
    }

    /// With another mean, for red, green, blue.
    pub fn with_mean(self, mean: [f32; 3]) -> Preprocess {
        Preprocess { mean, ..self }
    }

    /// With another standard deviation, for red, green, blue.
    pub fn with_std(self, std: [f32; 3]) -> Preprocess {
        Preprocess { std, ..self }
    }

    /// With other channels.
    pub fn with_order(self, order: ChannelOrder) -> Preprocess {
        Preprocess { order, ..self }
    }

    /// With another layout.
    pub fn with_layout(self, layout: Layout) -> Preprocess {
        Preprocess { layout, ..self }
    }

    /// The network's input, batch 1 in this layout, and the part of the picture that it covers.
    ///
    /// # Errors
    /// [`PictureError::Empty`] for a picture without pixels, [`PictureError::Preprocess`] where a size is 0, a
    /// standard deviation is 0, or a number is not finite.
    pub fn apply(&self, picture: &Picture) -> Result<(Array4<f32>, Placement), PictureError> {
        self.check()?;
        let (width, height) = picture.size();
        if width == 0 || height == 0 {
            return Err(PictureError::Empty { name: picture.name().to_owned() });
        }
        let geometry = self.geometry((width, height));
        let crop = geometry.cut(picture.rgb(), self.filter);
        Ok((self.normalise(&crop), geometry.placement()))
    }

    /// What a black pixel becomes, in the order of the input's channels; of one channel the first.
    pub fn black(&self) -> [f32; 3] {
        let black: [f32; 3] = std::array::from_fn(|c| -self.mean[c] / self.std[c]);
        match self.order {
            ChannelOrder::Bgr => [black[2], black[1], black[0]],
            ChannelOrder::Rgb | ChannelOrder::Grey => black,
        }
    }

    /// All of it in one line.
    pub fn describe(&self) -> String {
        let fit = self.describe_fit();
        let [scale, mean, std] = [&[self.scale][..], &self.mean, &self.std].map(numbers);
        let (filter, order, layout) = (self.filter, self.order, self.layout);
        format!("{fit} ({filter}), (x·{scale} − {mean}) / {std}, {order}, {layout}")
    }

    /// How the shape is met: `shorter side to 256, centre 224×224`.
    pub(crate) fn describe_fit(&self) -> String {
        let (height, width) = self.size;
        match self.fit {
            Fit::ShortSide { side } => format!("shorter side to {side}, centre {height}×{width}"),
            Fit::Cover { height: h, width: w } => format!("to cover {h}×{w}, centre {height}×{width}"),
            Fit::Stretch => format!("stretched to {height}×{width}"),
        }
    }

    fn check(&self) -> Result<(), PictureError> {
        let bad = |reason: &str| Err(PictureError::Preprocess { reason: reason.to_owned() });
        let (height, width) = self.size;
        let least = match self.fit {
            Fit::ShortSide { side } => side,
            Fit::Cover { height, width } => height.min(width),
            Fit::Stretch => 1,
        };
        if height == 0 || width == 0 || least == 0 {
            return bad("a size of 0 pixels");
        }
        if (height as u64).saturating_mul(width as u64) > MAX_PIXELS {
            return bad("an input of too many pixels");
        }
        if self.std.contains(&0.0) {
            return bad("a standard deviation of 0");
        }
        if !self.mean.iter().chain(&self.std).chain([&self.scale]).all(|v| v.is_finite()) {
            return bad("a scale, mean or standard deviation that is not finite");
        }
        Ok(())
    }

    fn geometry(&self, original: (u32, u32)) -> Geometry {
        let (height, width) = self.size;
        let resized = match self.fit {
            Fit::ShortSide { side } => cover(original, (side, side)),
            Fit::Cover { height, width } => cover(original, (width, height)),
            Fit::Stretch => (width as u64, height as u64),
        };
        let offset = (centre(resized.0, width), centre(resized.1, height));
        Geometry { original, resized, offset, crop: (width, height) }
    }

    fn normalise(&self, crop: &RgbImage) -> Array4<f32> {
        let sources: &[usize] = match self.order {
            ChannelOrder::Rgb => &[0, 1, 2],
            ChannelOrder::Bgr => &[2, 1, 0],
            ChannelOrder::Grey => &[0],
        };
        let grey = self.order == ChannelOrder::Grey;
        let ((height, width), channels) = (self.size, sources.len());
        let value = |y: usize, x: usize, c: usize| {
            let pixel = crop.get_pixel(x as u32, y as u32).0;
            let source = sources[c];
            let sample = if grey { luma(pixel) } else { pixel[source] };
            (f32::from(sample) * self.scale - self.mean[source]) / self.std[source]
        };
        match self.layout {
            Layout::Nchw => Array4::from_shape_fn((1, channels, height, width), |(_, c, y, x)| value(y, x, c)),
            Layout::Nhwc => Array4::from_shape_fn((1, height, width, channels), |(_, y, x, c)| value(y, x, c)),
        }
    }
}

/// A resize and a crop, not yet done. Pairs are (horizontal, vertical).
struct Geometry {
    original: (u32, u32),
    resized: (u64, u64),
    /// Of the crop in the resized picture; negative where black is added.
    offset: (i64, i64),
    crop: (usize, usize),
}

impl Geometry {
    fn placement(&self) -> Placement {
        Placement::of_crop(self.original, self.resized, self.offset, self.crop)
    }

    fn cut(&self, source: &RgbImage, filter: Filter) -> RgbImage {
        let (columns, left) = overlap(self.offset.0, self.crop.0, self.resized.0);
        let (rows, top) = overlap(self.offset.1, self.crop.1, self.resized.1);
        let part = resize_part(source, self.resized, columns, rows, filter);
        if part.dimensions() == (self.crop.0 as u32, self.crop.1 as u32) {
            return part;
        }
        let mut crop = RgbImage::new(self.crop.0 as u32, self.crop.1 as u32);
        imageops::replace(&mut crop, &part, left, top);
        crop
    }
}

/// The part of `0..resized` that a crop of length `crop` at `offset` covers, and where in the crop it begins.
fn overlap(offset: i64, crop: usize, resized: u64) -> (Range<u64>, i64) {
    let start = offset.max(0) as u64;
    let end = (offset + crop as i64).min(resized as i64) as u64;
    (start..end, (-offset).max(0))
}

/// The smallest size with `original`'s proportions that covers `target`: one side equal, the other cut to whole
/// pixels as torchvision does, int(short · long / short).
fn cover(original: (u32, u32), target: (u32, u32)) -> (u64, u64) {
    let (width, height) = (u64::from(original.0), u64::from(original.1));
    let (w, h) = (u64::from(target.0), u64::from(target.1));
    if w * height >= h * width { (w, w * height / width) } else { (h * width / height, h) }
}

/// Where the centre crop begins, as torchvision has it: half of what is over, rounded half to even; where the
/// picture is the smaller, half of what is missing, rounded down, stands before it.
fn centre(resized: u64, crop: usize) -> i64 {
    let over = resized as i64 - crop as i64;
    match (over, over & 3) {
        (..0, _) => -(-over / 2),
        (_, 3) => over / 2 + 1,
        _ => over / 2,
    }
}

/// ITU-R 601 luma in 16 fractional bits, rounded, as Pillow's `convert("L")`.
fn luma([r, g, b]: [u8; 3]) -> u8 {
    ((u32::from(r) * 19_595 + u32::from(g) * 38_470 + u32::from(b) * 7_471 + 0x8000) >> 16) as u8
}

/// One number for each channel, once where they are equal.
pub(crate) fn numbers(values: &[f32]) -> String {
    let same = values.iter().all(|v| v == &values[0]);
    let shown = if same { &values[..1] } else { values };
    let text: Vec<String> = shown.iter().map(|v| format!("{}", (v * 1e6).round() / 1e6)).collect();
    if same { text.concat() } else { format!("[{}]", text.join(", ")) }
}

impl Filter {
    /// Every filter.
    pub const ALL: [Filter; 4] = [Filter::Box, Filter::Bilinear, Filter::Bicubic, Filter::Lanczos];

    /// Half its width, in samples of the coarser picture.
    pub(super) fn support(self) -> f64 {
        match self {
            Filter::Box => 0.5,
            Filter::Bilinear => 1.0,
            Filter::Bicubic => 2.0,
            Filter::Lanczos => 3.0,
        }
    }

    /// Its value at `x`, not yet normalised.
    pub(super) fn weight(self, x: f64) -> f64 {
        let d = x.abs();
        match self {
            Filter::Box if x > -0.5 && x <= 0.5 => 1.0,
            Filter::Bilinear if d < 1.0 => 1.0 - d,
            // a = −½: (a+2)d³ − (a+3)d² + 1, then a(d³ − 5d² + 8d − 4)
            Filter::Bicubic if d < 1.0 => (1.5 * d - 2.5) * d * d + 1.0,
            Filter::Bicubic if d < 2.0 => -0.5 * (((d - 5.0) * d + 8.0) * d - 4.0),
            Filter::Lanczos if d < 3.0 => sinc(d) * sinc(d / 3.0),
            _ => 0.0,
        }
    }
}

fn sinc(x: f64) -> f64 {
    let angle = x * std::f64::consts::PI;
    if x == 0.0 { 1.0 } else { angle.sin() / angle }
}

/// A name that is none of those known.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown {what} {given:?}\nhint: one of {}", known.join(", "))]
pub struct UnknownName {
    what: &'static str,
    given: String,
    known: Vec<&'static str>,
}

impl UnknownName {
    /// `given` is no `what`; `known` are.
    pub(crate) fn new(what: &'static str, given: &str, known: impl IntoIterator<Item = &'static str>) -> Self {
        UnknownName { what, given: given.to_owned(), known: known.into_iter().collect() }
    }
}

/// Names on the command line, one table for each enum.
macro_rules! names {
    ($type:ident, $what:literal, $($variant:ident = $name:literal),+) => {
        impl $type {
            const NAMES: &[($type, &'static str)] = &[$(($type::$variant, $name)),+];

            /// Every name that can be given.
            pub fn names() -> impl Iterator<Item = &'static str> {
                $type::NAMES.iter().map(|&(_, name)| name)
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.pad(match self { $($type::$variant => $name),+ })
            }
        }
        impl FromStr for $type {
            type Err = UnknownName;
            fn from_str(text: &str) -> Result<$type, UnknownName> {
                let known = $type::NAMES.iter().find(|(_, name)| name.eq_ignore_ascii_case(text));
                known.map(|&(value, _)| value).ok_or_else(|| {
                    UnknownName::new($what, text, $type::names())
                })
            }
        }
    };
}

names!(Filter, "filter", Box = "box", Bilinear = "bilinear", Bicubic = "bicubic", Lanczos = "lanczos");
names!(ChannelOrder, "channel order", Rgb = "rgb", Bgr = "bgr", Grey = "grey");
names!(Layout, "layout", Nchw = "nchw", Nhwc = "nhwc");
names!(
    Preset,
    "preset",
    Torchvision = "torchvision",
    Tf = "tf",
    Caffe = "caffe",
    EfficientNetLite = "efficientnet-lite",
    Unit = "unit"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_cut_not_rounded() {
        assert_eq!(cover((451, 300), (256, 256)), (384, 256)); // 384.85
        assert_eq!(cover((300, 451), (256, 256)), (256, 384));
        assert_eq!(cover((600, 400), (256, 256)), (384, 256));
        assert_eq!(cover((65_535, 1), (256, 256)), (256 * 65_535, 256));
        assert_eq!(cover((1000, 500), (512, 256)), (512, 256));
        assert_eq!(cover((1000, 400), (512, 256)), (640, 256));
        assert_eq!(cover((1000, 600), (512, 256)), (512, 307));
    }

    #[test]
    fn covers_whatever_the_shape() {
        for original in [(1, 1), (1, 999), (999, 1), (451, 300), (37, 41), (4096, 3)] {
            for target in [(256, 256), (512, 256), (3, 700), (1, 1)] {
                let (w, h) = cover(original, target);
                assert!(w >= target.0.into() && h >= target.1.into(), "{original:?} {target:?}");
            }
        }
    }

    /// Python: int(round((resized − crop) / 2.0)).
    #[test]
    fn centre_rounds_half_to_even() {
        let begins: Vec<i64> = (224..=232).map(|resized| centre(resized, 224)).collect();
        assert_eq!(begins, [0, 0, 1, 2, 2, 2, 3, 4, 4]);
        // Padding before: (crop − resized) // 2.
        assert_eq!([centre(223, 224), centre(222, 224), centre(221, 224)], [0, -1, -1]);
    }

    #[test]
    fn names_go_both_ways() {
        for (preset, name) in Preset::NAMES {
            assert_eq!(name.parse(), Ok(*preset));
            assert_eq!(preset.to_string(), *name);
        }
        assert_eq!("TorchVision".parse(), Ok(Preset::Torchvision));
        let error = "imagenet".parse::<Preset>().unwrap_err().to_string();
        assert_eq!(error, "unknown preset \"imagenet\"\nhint: one of torchvision, tf, caffe, efficientnet-lite, unit");
    }

    /// The family's inputs, and what its authors resize to before the crop.
    #[test]
    fn efficientnet_lite_is_cut_out_of_32_pixels_more() {
        for (size, side) in [(224, 256), (240, 272), (260, 292)] {
            let preset = Preprocess::preset(Preset::EfficientNetLite, size, size);
            assert_eq!((preset.fit, preset.size), (Fit::ShortSide { side }, (size, size)));
        }
        let oblong = Preprocess::preset(Preset::EfficientNetLite, 100, 200);
        assert_eq!(oblong.fit, Fit::Cover { height: 132, width: 232 });
        assert_eq!(Preprocess::preset(Preset::Tf, 240, 240).fit, Fit::ShortSide { side: 274 });
    }

    #[test]
    fn describes_itself() {
        let text = Preprocess::preset(Preset::Torchvision, 224, 224).describe();
        assert_eq!(
            text,
            "shorter side to 256, centre 224×224 (bilinear), \
             (x·0.003922 − [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225], rgb, nchw"
        );
        let text = Preprocess::preset(Preset::Tf, 299, 598).with_layout(Layout::Nhwc).describe();
        assert_eq!(text, "to cover 342×683, centre 299×598 (bilinear), (x·0.007843 − 1) / 1, rgb, nhwc");
    }
}

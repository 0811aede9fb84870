//! Photographs, and what a network is fed of them.
//!
//! ```text
//! photo.jpg ─ decode ─ EXIF orientation ─ Picture ─ resize ─ crop ─ normalise ─► [1, 3, h, w]
//!                                           │                                │
//!                                           └──────────── Placement ◄────────┘
//! ```
//! A [`Picture`] is upright 8-bit RGB. A [`Preprocess`] turns it into the network's input and says, as a
//! [`Placement`], which part of the picture that input covers, so that a heatmap finds its way back.

mod bmp;
mod decode;
mod error;
mod format;
mod gif;
mod jpeg;
mod placement;
mod png;
mod preprocess;
mod resample;
mod samples;
mod tiff;
mod webp;

use std::path::Path;

use image::RgbImage;

pub use decode::{MAX_BYTES, MAX_PIXELS};
pub use error::PictureError;
pub(crate) use format::{Find, SNIFFED};
pub use placement::{Placement, Rectangle};
pub(crate) use preprocess::numbers;
pub use preprocess::{ChannelOrder, Filter, Fit, Layout, Preprocess, Preset, UnknownName};
pub(crate) use resample::resize;

/// A picture as a person sees it: upright, 8-bit RGB, nothing transparent.
#[derive(Clone, Debug)]
pub struct Picture {
    rgb: RgbImage,
    name: String,
    notes: Vec<String>,
}

impl Picture {
    /// Reads a JPEG, PNG, WebP, GIF, BMP or TIFF file; what it is, its first bytes say, not its suffix.
    ///
    /// # Errors
    /// [`PictureError`] where the file cannot be read, is none of these, is truncated or damaged, or is
    /// larger than [`MAX_PIXELS`] or [`MAX_BYTES`].
    pub fn open(path: impl AsRef<Path>) -> Result<Picture, PictureError> {
        decode::open(path.as_ref())
    }

    /// Decodes the bytes of a picture file; `name` stands for it in errors.
    ///
    /// # Errors
    /// As [`Picture::open`].
    pub fn decode(bytes: &[u8], name: &str) -> Result<Picture, PictureError> {
        decode::decode(bytes, &decode::printable(name))
    }

    /// A picture from pixels that are there already.
    pub fn from_rgb(image: RgbImage, name: &str) -> Picture {
        Picture { rgb: image, name: decode::printable(name), notes: Vec::new() }
    }

    /// The pixels, upright.
    pub fn rgb(&self) -> &RgbImage {
        &self.rgb
    }

    /// The name given to it, without control characters.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What was done to the picture beyond decoding it, such as `alpha composed over white`.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Width and height in pixels, upright.
    pub fn size(&self) -> (u32, u32) {
        self.rgb.dimensions()
    }
}

//! A picture made here, with what it says of itself.

use std::path::Path;

use image::RgbImage;

use crate::heatmap::{HeatmapError, read_png_text, write_png};

/// The PNG keyword, and how its content begins, by which a file of ours is known again.
const SOFTWARE: &str = "Software";
const PROGRAM: &str = "onnxcam ";

/// An overlay, a heatmap in colours, or a panel; its file says how it was made.
#[derive(Clone, Debug)]
pub struct Drawing {
    image: RgbImage,
    text: Vec<(&'static str, String)>,
}

impl Drawing {
    pub(super) fn new(image: RgbImage, text: Vec<(&'static str, String)>) -> Drawing {
        Drawing { image, text }
    }

    /// The pixels.
    pub fn image(&self) -> &RgbImage {
        &self.image
    }

    /// Keywords and content that the file carries beside the pixels.
    pub fn text(&self) -> &[(&'static str, String)] {
        &self.text
    }

    /// Writes a PNG file, whole or not at all.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), HeatmapError> {
        let software = (SOFTWARE, format!("{PROGRAM}{}", env!("CARGO_PKG_VERSION")));
        let text: Vec<_> = [software].into_iter().chain(self.text.iter().cloned()).collect();
        write_png(path.as_ref(), &self.image, &text)
    }

    /// Whether a file is a drawing that was made here.
    pub fn is_one(path: &Path) -> bool {
        let text = read_png_text(path).unwrap_or_default();
        text.iter().any(|(keyword, content)| keyword == SOFTWARE && content.starts_with(PROGRAM))
    }
}

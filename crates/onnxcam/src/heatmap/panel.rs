//! The picture, and each method's heatmap and overlay, side by side under captions.

use std::path::Path;

use image::{Rgb, RgbImage, imageops};

use super::text::{LINE, Typesetter};
use crate::picture::{Filter, Picture, resize};

/// One explanation in a panel.
#[derive(Clone, Debug)]
pub struct PanelColumn {
    /// Method, class, probability; line feeds break.
    pub caption: String,
    /// The map in colours.
    pub heatmap: RgbImage,
    /// The map over the picture.
    pub overlay: RgbImage,
}

/// Pictures are fitted into a square of this many pixels, small ones enlarged: the captions are of one size, so
/// the pictures are too.
const CELL: u32 = 384;
/// A cell is never narrower: a caption has to fit.
const NARROWEST: u32 = 160;
const GAP: u32 = 16;
/// Explanations in one row; the rest goes below.
const PER_ROW: usize = 2;
/// Lines of a caption.
const LINES: usize = 5;

/// The picture, then for each column its heatmap and overlay, captioned; two columns a row, the picture in the
/// first. Everything is drawn at one size, whatever the picture's.
pub fn panel(picture: &Picture, columns: &[PanelColumn]) -> RgbImage {
    let setter = Typesetter::new();
    let shown = fitted(picture.size());
    let cell = (shown.0.max(NARROWEST), shown.1);
    let pair = 2 * cell.0 + GAP;

    let file = Path::new(picture.name()).file_name().map(|name| name.to_string_lossy().into_owned());
    let title = setter.wrap(&file.unwrap_or_default(), cell.0 as f32, LINES);
    let captions: Vec<Vec<String>> =
        columns.iter().map(|column| setter.wrap(&column.caption, pair as f32, LINES)).collect();
    let caption_lines = captions.iter().map(Vec::len).chain([title.len(), 1]).max().unwrap_or(1) as u32;

    let row_height = caption_lines * LINE + cell.1 + GAP;
    let rows = columns.len().div_ceil(PER_ROW).max(1) as u32;
    let pairs = columns.len().min(PER_ROW) as u32;
    let width = GAP + cell.0 + GAP + pairs * (pair + GAP);
    let mut out = RgbImage::from_pixel(width, GAP + rows * row_height, Rgb([255; 3]));

    let mut place = |image: &RgbImage, x: u32, y: u32| {
        let small = scaled(image, shown);
        imageops::replace(&mut out, &small, i64::from(x), i64::from(y + caption_lines * LINE));
    };
    let left = |i: usize| GAP + cell.0 + GAP + (i % PER_ROW) as u32 * (pair + GAP);
    let top = |i: usize| GAP + (i / PER_ROW) as u32 * row_height;
    place(picture.rgb(), GAP, GAP);
    for (i, column) in columns.iter().enumerate() {
        place(&column.heatmap, left(i), top(i));
        place(&column.overlay, left(i) + cell.0 + GAP, top(i));
    }

    let mut write = |lines: &[String], x: u32, y: u32| {
        // Captions stand on the pictures, not on the line above.
        let first = caption_lines - lines.len() as u32;
        for (line, n) in lines.iter().zip(first..) {
            setter.draw(&mut out, x, y + n * LINE - LINE / 8, line);
        }
    };
    write(&title, GAP, GAP);
    for (i, caption) in captions.iter().enumerate() {
        write(caption, left(i), top(i));
    }
    out
}

/// `size` made to fit a cell, proportions kept, no side below one pixel.
fn fitted((width, height): (u32, u32)) -> (u32, u32) {
    let longer = width.max(height).max(1);
    let side = |length: u32| (f64::from(length) * f64::from(CELL) / f64::from(longer)).round().max(1.0) as u32;
    (side(width), side(height))
}

/// Reduced with a smooth filter; enlarged as plain squares, so that a picture of 8 × 8 pixels shows them.
fn scaled(image: &RgbImage, size: (u32, u32)) -> RgbImage {
    if image.width() == 0 || image.height() == 0 {
        return RgbImage::new(0, 0);
    }
    let filter = if size.0 >= 2 * image.width() { Filter::Box } else { Filter::Bicubic };
    resize(image, size, filter)
}

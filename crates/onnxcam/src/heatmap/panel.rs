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
/// Lines of a caption.
const LINES: usize = 5;

/// The picture, then for each column its heatmap and overlay, captioned; `per_row` columns a row, the picture in the
/// first. Everything is drawn at one size, whatever the picture's.
pub fn panel(picture: &Picture, columns: &[PanelColumn], per_row: usize) -> RgbImage {
    let per_row = per_row.max(1);
    let setter = Typesetter::new();
    let shown = fitted(picture.size());
    let cell = (shown.0.max(NARROWEST), shown.1);
    let pair = 2 * cell.0 + GAP;

    let file = Path::new(picture.name()).file_name().map(|name| name.to_string_lossy().into_owned());
    let title = setter.wrap(&file.unwrap_or_default(), cell.0 as f32, LINES);
    let captions: Vec<Vec<String>> =
        columns.iter().map(|column| setter.wrap(&column.caption, pair as f32, LINES)).collect();

    // Per row: where its pictures begin, below its longest caption.
    let mut tops = Vec::new();
    let mut height = GAP;
    for row in 0..columns.len().div_ceil(per_row).max(1) {
        let beside = captions.iter().skip(row * per_row).take(per_row);
        let title = if row == 0 { title.len() } else { 0 };
        let lines = beside.map(Vec::len).max().unwrap_or(0).max(title) as u32;
        tops.push(height + lines * LINE);
        height += lines * LINE + cell.1 + GAP;
    }
    let pairs = columns.len().min(per_row) as u32;
    let width = GAP + cell.0 + GAP + pairs * (pair + GAP);
    let mut out = RgbImage::from_pixel(width, height, Rgb([255; 3]));

    let mut place = |image: &RgbImage, x: u32, y: u32| {
        imageops::replace(&mut out, &scaled(image, shown), i64::from(x), i64::from(y));
    };
    let left = |i: usize| GAP + cell.0 + GAP + (i % per_row) as u32 * (pair + GAP);
    let top = |i: usize| tops[i / per_row];
    place(picture.rgb(), GAP, top(0));
    for (i, column) in columns.iter().enumerate() {
        place(&column.heatmap, left(i), top(i));
        place(&column.overlay, left(i) + cell.0 + GAP, top(i));
    }

    // Captions stand on the pictures, a little above them.
    let mut write = |lines: &[String], x: u32, bottom: u32| {
        let first = bottom - lines.len() as u32 * LINE;
        for (line, n) in lines.iter().zip(0..) {
            setter.draw(&mut out, x, first + n * LINE - LINE / 8, line);
        }
    };
    write(&title, GAP, top(0));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(size: (u32, u32), level: u8) -> RgbImage {
        RgbImage::from_pixel(size.0, size.1, Rgb([level; 3]))
    }

    fn column(size: (u32, u32), caption: &str) -> PanelColumn {
        PanelColumn { caption: caption.to_owned(), heatmap: plain(size, 100), overlay: plain(size, 150) }
    }

    /// Captions take the same ink whether the picture has 4 pixels or a million.
    #[test]
    fn captions_do_not_shrink_with_the_picture() {
        let ink = |size: (u32, u32)| {
            let out =
                panel(&Picture::from_rgb(plain(size, 200), "a.png"), &[column(size, "Grad-CAM\n281 tabby 41 %")], 2);
            let dark = out.pixels().filter(|p| p.0[0] < 90).count();
            (out.dimensions(), dark)
        };
        let expected = ink((384, 384));
        assert!(expected.1 > 500, "{expected:?}");
        for size in [(2, 2), (30, 30), (1000, 1000)] {
            assert_eq!(ink(size), expected, "{size:?}");
        }
    }

    #[test]
    fn shows_every_image_once() {
        let size = (60, 40);
        let columns = [column(size, "one"), column(size, "two\nlines"), column(size, "")];
        let area = (fitted(size).0 * fitted(size).1) as usize;
        for per_row in 0..5 {
            let out = panel(&Picture::from_rgb(plain(size, 200), "a.png"), &columns, per_row);
            for (level, times) in [(200, 1), (100, 3), (150, 3)] {
                // Letters have grey edges of any level, hence the small excess.
                let found = out.pixels().filter(|p| p.0 == [level; 3]).count();
                assert!((times * area..times * area + 60).contains(&found), "{per_row}, {level}: {found}");
            }
        }
    }

    #[test]
    fn any_shape_and_any_caption_will_do() {
        let long = "word ".repeat(200);
        for size in [(1, 1), (1, 5000), (5000, 1), (0, 0)] {
            for caption in ["", "\n\n", "호랑이 🐯 \u{202E}Ж\u{0}", &long] {
                let picture = Picture::from_rgb(plain(size, 9), "folder/\u{1B}[2J.png");
                let out = panel(&picture, &[column(size, caption), column(size, caption), column(size, caption)], 2);
                assert!(out.width() < 2100 && out.height() < 1500, "{size:?}");
                panel(&picture, &[], 2);
            }
        }
    }
}

//! PNG files with text beside the pixels.

use std::{io::BufReader, path::Path};

use image::RgbImage;
use png::{BitDepth, ColorType, Decoder, Encoder, EncodingError};

use super::{HeatmapError, file, replace_file};

/// Writes an 8-bit RGB PNG, whole or not at all. `text` becomes one chunk each, keyword and content: `tEXt` where
/// Latin-1 is enough, `iTXt` otherwise. Control characters other than line feeds are replaced.
///
/// # Errors
/// [`HeatmapError::Encode`] for an image without pixels or a keyword that is not 1 to 79 Latin-1 characters,
/// [`HeatmapError::Write`] where the file cannot be written.
pub fn write_png(path: &Path, image: &RgbImage, text: &[(&str, String)]) -> Result<(), HeatmapError> {
    let bytes = encode(image, text)
        .map_err(|error| HeatmapError::Encode { path: path.to_owned(), detail: error.to_string() })?;
    replace_file(path, &bytes)
}

fn encode(image: &RgbImage, text: &[(&str, String)]) -> Result<Vec<u8>, EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, image.width(), image.height());
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    for (keyword, content) in text {
        let replaced = |c: char| {
            if c.is_control() && c != '\n' { char::REPLACEMENT_CHARACTER } else { c }
        };
        let content: String = content.chars().map(replaced).collect();
        if content.chars().all(|c| u32::from(c) < 256) {
            encoder.add_text_chunk((*keyword).to_owned(), content)?;
        } else {
            encoder.add_itxt_chunk((*keyword).to_owned(), content)?;
        }
    }
    let mut writer = encoder.write_header()?;
    writer.write_image_data(image.as_raw())?;
    writer.finish()?;
    Ok(bytes)
}

/// The text of a PNG file, keyword and content: `tEXt`, then `zTXt`, then `iTXt`, as far as they stand before the
/// pixels. This is how a file that [`write_png`] made is known again.
///
/// # Errors
/// [`HeatmapError::Read`] where the file cannot be read, [`HeatmapError::NotPng`] where it is no PNG.
pub fn read_png_text(path: &Path) -> Result<Vec<(String, String)>, HeatmapError> {
    let not_png =
        |error: &dyn std::fmt::Display| HeatmapError::NotPng { path: path.to_owned(), detail: error.to_string() };
    let (file, _) = file::open(path)?;
    let reader = Decoder::new(BufReader::new(file)).read_info().map_err(|error| not_png(&error))?;
    let info = reader.info();
    let mut text = Vec::new();
    for chunk in &info.uncompressed_latin1_text {
        text.push((chunk.keyword.clone(), chunk.text.clone()));
    }
    for chunk in &info.compressed_latin1_text {
        text.push((chunk.keyword.clone(), chunk.get_text().map_err(|error| not_png(&error))?));
    }
    for chunk in &info.utf8_text {
        text.push((chunk.keyword.clone(), chunk.get_text().map_err(|error| not_png(&error))?));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Picture;

    #[test]
    fn pixels_and_text_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let image = RgbImage::from_fn(5, 3, |x, y| image::Rgb([x as u8, y as u8, 200]));
        let text = [
            ("Software", "onnxcam 0.1.0".to_owned()),
            ("class", "281 tabby, Zürich\nsecond line".to_owned()),
            ("label", "호랑이 🐯".to_owned()),
        ];
        write_png(&path, &image, &text).unwrap();
        let expected: Vec<_> = text.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
        assert_eq!(read_png_text(&path).unwrap(), expected);
        assert_eq!(Picture::open(&path).unwrap().rgb(), &image);
    }

    #[test]
    fn control_characters_do_not_get_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        write_png(&path, &RgbImage::new(1, 1), &[("k", "a\0b\x1B[31m".to_owned())]).unwrap();
        assert_eq!(read_png_text(&path).unwrap(), [("k".to_owned(), "a\u{FFFD}b\u{FFFD}[31m".to_owned())]);
    }

    #[test]
    fn what_cannot_be_a_png_is_an_error_and_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        assert!(matches!(write_png(&path, &RgbImage::new(0, 0), &[]), Err(HeatmapError::Encode { .. })));
        let keyword = "k".repeat(80);
        let result = write_png(&path, &RgbImage::new(1, 1), &[(&keyword, String::new())]);
        assert!(matches!(result, Err(HeatmapError::Encode { .. })));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn other_files_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        std::fs::write(&path, b"no").unwrap();
        assert!(matches!(read_png_text(&path), Err(HeatmapError::NotPng { .. })));
        assert!(matches!(read_png_text(folder.path()), Err(HeatmapError::Read { .. })));
        assert!(matches!(read_png_text(&folder.path().join("none")), Err(HeatmapError::Read { .. })));
    }
}

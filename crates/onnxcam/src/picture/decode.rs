//! From the bytes of a file to an upright RGB picture.

use std::{
    fs::{self, File},
    io::Read,
    path::Path,
};

use image::{DynamicImage, RgbImage, metadata::Orientation};

use super::{Picture, PictureError, jpeg, png};

/// The largest picture that is read, in pixels: 16,384 × 16,384.
pub const MAX_PIXELS: u64 = 1 << 28;

/// The largest picture file that is read, in bytes: 1 GiB.
pub const MAX_BYTES: u64 = 1 << 30;

/// What a codec found.
pub(super) struct Decoded {
    /// As stored, before orientation.
    pub rgb: RgbImage,
    /// The Exif block from its TIFF header on, if there is one.
    pub exif: Option<Vec<u8>>,
    /// What a user may want to know.
    pub notes: Vec<String>,
}

pub(super) fn open(path: &Path) -> Result<Picture, PictureError> {
    let io = |source| PictureError::Io { path: path.to_owned(), source };
    let meta = fs::metadata(path).map_err(io)?;
    if !meta.is_file() {
        return Err(PictureError::NotAFile { path: path.to_owned() });
    }
    if meta.len() > MAX_BYTES {
        return Err(PictureError::TooManyBytes { path: path.to_owned(), bytes: meta.len() });
    }
    let mut bytes = Vec::with_capacity(meta.len() as usize);
    File::open(path).map_err(io)?.take(MAX_BYTES).read_to_end(&mut bytes).map_err(io)?;
    decode(&bytes, &printable(&path.display().to_string()))
}

pub(super) fn decode(bytes: &[u8], name: &str) -> Result<Picture, PictureError> {
    let decoded = match sniff(bytes) {
        Content::Jpeg => jpeg::decode(bytes, name)?,
        Content::Png => png::decode(bytes, name)?,
        Content::Nothing => {
            return Err(PictureError::Empty { name: name.to_owned() });
        }
        Content::Unknown => {
            return Err(PictureError::UnknownFormat { name: name.to_owned() });
        }
        Content::Other(format) => {
            return Err(PictureError::Unsupported { name: name.to_owned(), format: format.to_owned() });
        }
    };
    let orientation = decoded.exif.as_deref().and_then(Orientation::from_exif_chunk);
    Ok(Picture {
        rgb: orient(decoded.rgb, orientation.unwrap_or(Orientation::NoTransforms)),
        name: name.to_owned(),
        notes: decoded.notes,
    })
}

fn orient(rgb: RgbImage, orientation: Orientation) -> RgbImage {
    let mut upright = DynamicImage::ImageRgb8(rgb);
    upright.apply_orientation(orientation);
    upright.into_rgb8()
}

enum Content {
    Nothing,
    Jpeg,
    Png,
    Other(&'static str),
    Unknown,
}

/// What the first bytes say. Formats that are not read are still known by name.
fn sniff(bytes: &[u8]) -> Content {
    const OTHERS: &[(&[u8], &str)] = &[
        (b"GIF8", "a GIF file"),
        (b"BM", "a BMP file"),
        (b"\0\0\x01\0", "a Windows icon"),
        (b"II*\0", "a TIFF or camera raw file"),
        (b"MM\0*", "a TIFF or camera raw file"),
        (b"\xFF\x0A", "a JPEG XL file"),
        (b"\0\0\0\x0CJXL ", "a JPEG XL file"),
        (b"\0\0\0\x0CjP  ", "a JPEG 2000 file"),
        (b"8BPS", "a Photoshop file"),
        (b"qoif", "a QOI file"),
        (b"%PDF", "a PDF file"),
        (b"<svg", "an SVG file"),
        (b"\x93NUMPY", "a NumPy array"),
    ];
    if bytes.is_empty() {
        Content::Nothing
    } else if bytes.starts_with(jpeg::SIGNATURE) {
        Content::Jpeg
    } else if bytes.starts_with(png::SIGNATURE) {
        Content::Png
    } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        Content::Other("a WebP file")
    } else if bytes.get(4..8) == Some(b"ftyp") {
        Content::Other("a HEIC, AVIF or video file")
    } else if let Some((_, format)) = OTHERS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        Content::Other(format)
    } else {
        Content::Unknown
    }
}

/// Refuses a size that is empty, too large, or larger than `most`, the pixels that the file's bytes can hold.
pub(super) fn check_size(name: &str, width: u64, height: u64, most: u64) -> Result<(), PictureError> {
    let name = || name.to_owned();
    let pixels = width.saturating_mul(height);
    if pixels == 0 {
        return Err(PictureError::Empty { name: name() });
    }
    if pixels > MAX_PIXELS {
        return Err(PictureError::TooManyPixels { name: name(), width, height });
    }
    if pixels > most {
        let detail = format!("it claims {width} × {height} pixels, which so few bytes cannot hold");
        return Err(PictureError::Truncated { name: name(), detail });
    }
    Ok(())
}

/// The name with each control character replaced: names come from foreign archives, and terminals obey them.
pub(super) fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

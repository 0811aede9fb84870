//! From the bytes of a file to an upright RGB picture.

use std::{
    fs::{self, File},
    io::Read,
    path::Path,
};

use image::{DynamicImage, RgbImage, metadata::Orientation};

use super::{
    Picture, PictureError, bmp,
    format::{Content, Format, sniff},
    gif, jpeg, png, tiff, webp,
};

/// The largest picture that is read, in pixels: 16,384 × 16,384.
pub const MAX_PIXELS: u64 = 1 << 28;

/// The largest picture file that is read, in bytes: 1 GiB.
pub const MAX_BYTES: u64 = 1 << 30;

/// So many pixels are believed of any file, 16 million.
const BELIEVED_PIXELS: u64 = 1 << 24;

/// And beyond them so many for each of its bytes, where the format itself sets no bound.
const BELIEVED_PIXELS_PER_BYTE: u64 = 4096;

/// What a codec found.
pub(super) struct Decoded {
    /// As stored, before orientation.
    pub rgb: RgbImage,
    /// How to turn it.
    pub orientation: Option<Orientation>,
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
    let file = Named(name);
    let decoded = match sniff(bytes) {
        Content::Read(Format::Jpeg) => jpeg::decode(bytes, file)?,
        Content::Read(Format::Png) => png::decode(bytes, file)?,
        Content::Read(Format::Webp) => webp::decode(bytes, file)?,
        Content::Read(Format::Gif) => gif::decode(bytes, file)?,
        Content::Read(Format::Bmp) => bmp::decode(bytes, file)?,
        Content::Read(Format::Tiff) => tiff::decode(bytes, file)?,
        Content::Nothing => return Err(PictureError::Empty { name: name.to_owned() }),
        Content::Unknown => return Err(PictureError::UnknownFormat { name: name.to_owned() }),
        Content::Other { format, hint } => {
            return Err(PictureError::Unsupported { name: name.to_owned(), format: format.to_owned(), hint });
        }
    };
    let rgb = orient(decoded.rgb, decoded.orientation.unwrap_or(Orientation::NoTransforms));
    Ok(Picture { rgb, name: name.to_owned(), notes: decoded.notes })
}

fn orient(rgb: RgbImage, orientation: Orientation) -> RgbImage {
    let mut upright = DynamicImage::ImageRgb8(rgb);
    upright.apply_orientation(orientation);
    upright.into_rgb8()
}

/// What an Exif block says of the orientation. Some writers put JPEG's prefix before its TIFF header.
pub(super) fn exif_orientation(exif: &[u8]) -> Option<Orientation> {
    Orientation::from_exif_chunk(exif.strip_prefix(b"Exif\0\0").unwrap_or(exif))
}

/// A picture's name, and the errors that bear it.
#[derive(Clone, Copy)]
pub(super) struct Named<'a>(pub &'a str);

impl Named<'_> {
    pub fn truncated(self, detail: impl Into<String>) -> PictureError {
        PictureError::Truncated { name: self.0.to_owned(), detail: detail.into() }
    }

    pub fn damaged(self, detail: impl ToString) -> PictureError {
        PictureError::Damaged { name: self.0.to_owned(), detail: detail.to_string().replace('\n', " ") }
    }

    /// A kind of a known format that is not read; `format` with its article.
    pub fn unsupported(self, format: impl Into<String>) -> PictureError {
        let hint = "save it as an ordinary JPEG or PNG";
        PictureError::Unsupported { name: self.0.to_owned(), format: format.into(), hint }
    }

    /// Refuses a size that is empty, too large, or larger than `most`, the pixels that the file's bytes can hold.
    pub fn check_size(self, width: u64, height: u64, most: u64) -> Result<(), PictureError> {
        let name = || self.0.to_owned();
        let pixels = width.saturating_mul(height);
        if pixels == 0 {
            return Err(PictureError::Empty { name: name() });
        }
        if pixels > MAX_PIXELS {
            return Err(PictureError::TooManyPixels { name: name(), width, height });
        }
        if pixels > most {
            return Err(self.truncated(format!("it claims {width} × {height} pixels, which so few bytes cannot hold")));
        }
        Ok(())
    }

    /// Refuses a size that is empty, too large, or beyond belief: a few bytes of WebP may stand for 16,384 × 16,384
    /// pixels of one colour, and so for gigabytes.
    pub fn check_believable(self, width: u64, height: u64, bytes: usize) -> Result<(), PictureError> {
        self.check_size(width, height, MAX_PIXELS)?;
        if width * height > BELIEVED_PIXELS.max((bytes as u64).saturating_mul(BELIEVED_PIXELS_PER_BYTE)) {
            return Err(PictureError::Bomb { name: self.0.to_owned(), width, height, bytes });
        }
        Ok(())
    }

    /// The picture that these samples make.
    pub fn rgb(self, width: u32, height: u32, samples: Vec<u8>) -> Result<RgbImage, PictureError> {
        RgbImage::from_raw(width, height, samples).ok_or_else(|| self.damaged("its pixels do not fill its size"))
    }
}

/// The note on a file of several frames or pages, where it is one.
pub(super) fn first_of(count: usize, what: &str) -> Option<String> {
    (count > 1).then(|| format!("the first of {count} {what}"))
}

/// The name with each control character replaced: names come from foreign archives, and terminals obey them.
pub(super) fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

//! BMP: a look at its header, then the decoder.

use std::io::{Cursor, ErrorKind};

use image::{ColorType, ImageDecoder, ImageError, codecs::bmp::BmpDecoder};

use super::{
    PictureError,
    decode::{Decoded, Named},
    samples::{OVER_WHITE, without_alpha},
};

pub(super) fn decode(bytes: &[u8], file: Named<'_>) -> Result<Decoded, PictureError> {
    let (width, height) = check(bytes, file)?;
    let fault = |error: ImageError| match error {
        ImageError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            file.truncated("its pixels end early")
        }
        ImageError::Unsupported(_) => file.unsupported("a BMP of an unusual kind"),
        other => file.damaged(other),
    };
    let decoder = BmpDecoder::new(Cursor::new(bytes)).map_err(fault)?;
    let color = decoder.color_type();
    let mut samples = vec![0; width as usize * height as usize * usize::from(color.bytes_per_pixel())];
    if decoder.dimensions() != (width, height) {
        return Err(file.damaged("its header contradicts itself"));
    }
    decoder.read_image(&mut samples).map_err(fault)?;

    let mut notes = Vec::new();
    if color == ColorType::Rgba8 {
        // Many writers leave the fourth byte empty: a picture in which nothing is visible is not meant.
        if samples.chunks_exact(4).all(|pixel| pixel[3] == 0) {
            samples.chunks_exact_mut(4).for_each(|pixel| pixel[3] = 255);
            notes.push("empty alpha ignored".to_owned());
        }
        let (rgb, transparent) = without_alpha(&samples, 4);
        samples = rgb;
        if transparent {
            notes.push(OVER_WHITE.to_owned());
        }
    }
    let rgb = file.rgb(width, height, samples)?;
    Ok(Decoded { rgb, orientation: None, notes })
}

/// Width and height as the header has them; a file that ends before its pixels do is truncated.
fn check(bytes: &[u8], file: Named<'_>) -> Result<(u32, u32), PictureError> {
    let header = Header::of(bytes).ok_or_else(|| file.truncated("it ends inside its header"))?;
    let (width, height) = (u64::from(header.width), u64::from(header.height));
    file.check_believable(width, height, bytes.len())?;
    let stride = (width * u64::from(header.bits)).div_ceil(32) * 4;
    if !header.compressed && (bytes.len() as u64) < u64::from(header.offset) + stride * height {
        return Err(
            file.truncated(format!("its header tells of {width} × {height} pixels, for which there are too few bytes"))
        );
    }
    Ok((header.width, header.height))
}

struct Header {
    /// Where the pixels begin.
    offset: u32,
    width: u32,
    height: u32,
    bits: u16,
    /// Run lengths, or a whole JPEG or PNG.
    compressed: bool,
}

impl Header {
    fn of(bytes: &[u8]) -> Option<Header> {
        let u16_at = |at: usize| Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        let u32_at = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        let offset = u32_at(10)?;
        if u32_at(14)? == 12 {
            let (width, height) = (u16_at(18)?.into(), u16_at(20)?.into());
            return Some(Header { offset, width, height, bits: u16_at(24)?, compressed: false });
        }
        // A negative height says that the top row comes first.
        let height = u32_at(22)?.cast_signed().unsigned_abs();
        // 0: none, 3: none, with bit masks.
        let compressed = !matches!(u32_at(30)?, 0 | 3);
        Some(Header { offset, width: u32_at(18)?, height, bits: u16_at(28)?, compressed })
    }
}

//! JPEG: a walk over its segments, then the decoder.
//!
//! The decoder fills what is missing with grey and calls it success. So the segments are walked first: a file
//! whose end-of-image marker does not come is truncated. Segments are skipped by their length, so the marker
//! inside an embedded thumbnail is not seen, and what follows the marker does not matter.

use zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};
use zune_jpeg::{JpegDecoder, errors::DecodeErrors};

use super::{
    PictureError,
    decode::{Decoded, Named, exif_orientation},
};

/// Start of image, and the first byte of the next marker.
pub(super) const SIGNATURE: &[u8] = b"\xFF\xD8\xFF";

/// The least that 8 × 8 pixels take is one bit.
const PIXELS_PER_BYTE: u64 = 8 * 64;

pub(super) fn decode(bytes: &[u8], file: Named<'_>) -> Result<Decoded, PictureError> {
    let (width, height) = walk(bytes, file)?;
    file.check_size(width, height, (bytes.len() as u64).saturating_mul(PIXELS_PER_BYTE))?;

    let mut notes = Vec::new();
    let decoded = decode_pixels(bytes, true).or_else(|strict| {
        let lenient = decode_pixels(bytes, false)?;
        notes.push(format!("the JPEG is not clean, parts may be wrong: {}", reason(&strict)));
        Ok(lenient)
    });
    let (samples, exif) = decoded.map_err(|error: DecodeErrors| file.damaged(reason(&error)))?;
    let rgb = file.rgb(width as u32, height as u32, samples)?;
    Ok(Decoded { rgb, orientation: exif.as_deref().and_then(exif_orientation), notes })
}

/// RGB samples, and the Exif block. CMYK and YCCK become RGB as in Pillow, Adobe's inverted polarity assumed.
fn decode_pixels(bytes: &[u8], strict: bool) -> Result<(Vec<u8>, Option<Vec<u8>>), DecodeErrors> {
    let options = DecoderOptions::default()
        .set_strict_mode(strict)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let samples = decoder.decode()?;
    Ok((samples, decoder.exif().cloned()))
}

/// The decoder's words on one line.
fn reason(error: &DecodeErrors) -> String {
    let text = error.to_string();
    text.trim().trim_start_matches("[strict-mode]: ").trim_matches('"').replace('\n', " ")
}

/// Follows the segments to the end of the image; width and height as the frame header has them.
fn walk(bytes: &[u8], file: Named<'_>) -> Result<(u64, u64), PictureError> {
    let mut size = None;
    let mut scanned = false;
    let mut at = 2; // behind the start of image
    loop {
        at = next_marker(bytes, at).ok_or_else(|| file.truncated("its end-of-image marker is missing"))?;
        let marker = bytes[at + 1];
        at += 2;
        match marker {
            0x01 | 0xD0..=0xD8 => continue, // no length: TEM, restarts, another start
            0xD9 => break,
            _ => {}
        }
        let segment = segment(bytes, at).ok_or_else(|| file.truncated("it ends inside a header"))?;
        match marker {
            0xC0..=0xC2 if size.is_none() => size = Some(frame_size(segment, file)?),
            0xC9 | 0xCA => return Err(file.unsupported("an arithmetic-coded JPEG")),
            0xC3 | 0xC7 | 0xCB | 0xCF => return Err(file.unsupported("a lossless JPEG")),
            0xC5 | 0xC6 | 0xCD | 0xCE => return Err(file.unsupported("a hierarchical JPEG")),
            0xF7 => return Err(file.unsupported("a JPEG-LS file")),
            0xDA => scanned = true,
            _ => {}
        }
        at += segment.len() + 2;
    }
    match size {
        Some(size) if scanned => Ok(size),
        _ => Err(file.damaged("it has no picture before its end-of-image marker")),
    }
}

/// Where the next marker begins, at or after `from`. Entropy-coded data and stray bytes are stepped over:
/// there 0xFF is followed by 0, and fill bytes are 0xFF themselves.
fn next_marker(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let offset = rest.windows(2).position(|pair| pair[0] == 0xFF && !matches!(pair[1], 0 | 0xFF))?;
    Some(from + offset)
}

/// What the segment at `at` holds behind its length.
fn segment(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let length = u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?);
    bytes.get(at + 2..at + usize::from(length).max(2))
}

fn frame_size(segment: &[u8], file: Named<'_>) -> Result<(u64, u64), PictureError> {
    let &[bits, h1, h0, w1, w0, ..] = segment else {
        return Err(file.damaged("its frame header is too short"));
    };
    if bits != 8 {
        return Err(file.unsupported(format!("a JPEG of {bits} bits per sample")));
    }
    Ok((u16::from_be_bytes([w1, w0]).into(), u16::from_be_bytes([h1, h0]).into()))
}

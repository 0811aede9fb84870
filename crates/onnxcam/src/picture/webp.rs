//! WebP: a walk over its chunks, then the decoder.

use std::io::Cursor;

use image_webp::{DecodingError, WebPDecoder};

use super::{
    PictureError,
    decode::{Decoded, Named, exif_orientation, first_of},
    samples::{OVER_WHITE, without_alpha},
};

pub(super) fn decode(bytes: &[u8], file: Named<'_>) -> Result<Decoded, PictureError> {
    let chunks = walk(bytes, file)?;
    let fault = |error: DecodingError| match error {
        DecodingError::IoError(_) => file.truncated("its pixels end early"),
        other => file.damaged(other),
    };
    let mut decoder = WebPDecoder::new(Cursor::new(chunks.riff)).map_err(fault)?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        // The decoder takes the largest size, 16,384, for none.
        return Err(file.unsupported("a WebP file of 16,384 pixels across"));
    }
    file.check_believable(width.into(), height.into(), chunks.riff.len())?;
    let mut samples = vec![0; decoder.output_buffer_size().unwrap_or(0)];
    decoder.read_image(&mut samples).map_err(fault)?;

    let mut notes = Vec::from_iter(first_of(chunks.frames, "frames"));
    if decoder.has_alpha() {
        let (rgb, transparent) = without_alpha(&samples, 4);
        samples = rgb;
        if transparent {
            notes.push(OVER_WHITE.to_owned());
        }
    }
    let rgb = file.rgb(width, height, samples)?;
    Ok(Decoded { rgb, orientation: chunks.exif.and_then(exif_orientation), notes })
}

/// What the chunks say before anything is decompressed.
struct Chunks<'a> {
    /// The file without what follows it.
    riff: &'a [u8],
    exif: Option<&'a [u8]>,
    frames: usize,
}

/// Follows the chunks to the end that the file's header names; a file that ends before is truncated.
fn walk<'a>(bytes: &'a [u8], file: Named<'_>) -> Result<Chunks<'a>, PictureError> {
    let truncated = || file.truncated("it ends before its last chunk does");
    let size = |bytes: &[u8]| bytes.first_chunk().map(|n| u32::from_le_bytes(*n) as usize);
    let whole = size(&bytes[4..]).and_then(|size| bytes.get(..size.checked_add(8)?)).ok_or_else(truncated)?;
    let mut rest = whole.get(12..).ok_or_else(|| file.damaged("it is shorter than its header"))?;
    let mut chunks = Chunks { riff: whole, exif: None, frames: 0 };
    while rest.len() >= 8 {
        let length = size(&rest[4..]).ok_or_else(truncated)?;
        let data = rest[8..].get(..length).ok_or_else(|| file.damaged("a chunk is longer than the file says"))?;
        match &rest[..4] {
            b"EXIF" => chunks.exif = Some(data),
            b"ANMF" => chunks.frames += 1,
            _ => {}
        }
        // Chunks of odd length are padded.
        rest = rest.get(8 + length + length % 2..).unwrap_or_default();
    }
    Ok(chunks)
}

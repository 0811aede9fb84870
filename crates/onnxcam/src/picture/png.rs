//! PNG: a walk over its chunks, then the decoder, then eight bits and no alpha.

use std::io::Cursor;

use image::RgbImage;
use png::{BitDepth, ColorType, Decoder, Transformations};

use super::{
    PictureError,
    decode::{Decoded, check_size},
};

pub(super) const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1A\n";

/// Deflate makes at most 1,032 bytes out of one.
const DEFLATE_RATIO: u64 = 1032;

pub(super) fn decode(bytes: &[u8], name: &str) -> Result<Decoded, PictureError> {
    let chunks = walk(bytes, name)?;
    let most_bits = chunks.data_bytes.saturating_mul(DEFLATE_RATIO).saturating_mul(8);
    check_size(name, chunks.width, chunks.height, most_bits / chunks.bits_per_pixel)?;

    let damaged =
        |error: png::DecodingError| PictureError::Damaged { name: name.to_owned(), detail: error.to_string() };
    let mut decoder = Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(Transformations::EXPAND);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info().map_err(damaged)?;
    let mut samples = vec![0; reader.output_buffer_size().unwrap_or(0)];
    let frame = reader.next_frame(&mut samples).map_err(damaged)?;
    samples.truncate(frame.buffer_size());

    let mut notes = Vec::new();
    if frame.bit_depth == BitDepth::Sixteen {
        samples = to_eight_bits(&samples);
        notes.push("16-bit samples scaled to 8 bits".to_owned());
    }
    let (samples, transparent) = to_rgb(&samples, frame.color_type);
    if transparent {
        notes.push("alpha composed over white".to_owned());
    }
    let rgb = RgbImage::from_raw(frame.width, frame.height, samples).ok_or_else(|| PictureError::Damaged {
        name: name.to_owned(),
        detail: "its pixels do not fill its size".to_owned(),
    })?;
    Ok(Decoded { rgb, exif: chunks.exif, notes })
}

/// 0..=65535 to 0..=255, rounded: a scaling, where Pillow clips 16-bit grey to white.
fn to_eight_bits(samples: &[u8]) -> Vec<u8> {
    let scale = |pair: &[u8]| (u32::from(u16::from_be_bytes([pair[0], pair[1]])) + 128) / 257;
    samples.chunks_exact(2).map(|pair| scale(pair) as u8).collect()
}

/// Grey spread to three channels, alpha composed over white; and whether anything was transparent.
fn to_rgb(samples: &[u8], color: ColorType) -> (Vec<u8>, bool) {
    match color {
        ColorType::Rgb => (samples.to_vec(), false),
        ColorType::Rgba => over_white(samples, 4),
        ColorType::GrayscaleAlpha => over_white(samples, 2),
        // EXPAND leaves no palette.
        ColorType::Grayscale | ColorType::Indexed => (samples.iter().flat_map(|&v| [v; 3]).collect(), false),
    }
}

fn over_white(samples: &[u8], channels: usize) -> (Vec<u8>, bool) {
    let mut transparent = false;
    let mut rgb = Vec::with_capacity(samples.len() / channels * 3);
    for pixel in samples.chunks_exact(channels) {
        let alpha = u32::from(pixel[channels - 1]);
        transparent |= alpha < 255;
        // c a + 255 (1 − a), rounded
        let over = |v: u8| ((u32::from(v) * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
        rgb.extend(match *pixel {
            [r, g, b, _] => [over(r), over(g), over(b)],
            _ => [over(pixel[0]); 3],
        });
    }
    (rgb, transparent)
}

/// What the chunks say before anything is decompressed.
struct Chunks {
    width: u64,
    height: u64,
    bits_per_pixel: u64,
    data_bytes: u64,
    exif: Option<Vec<u8>>,
}

/// Follows the chunks to the last; a file whose IEND does not come is truncated.
fn walk(bytes: &[u8], name: &str) -> Result<Chunks, PictureError> {
    let truncated = |detail: &str| PictureError::Truncated { name: name.to_owned(), detail: detail.to_owned() };
    let damaged = |detail: &str| PictureError::Damaged { name: name.to_owned(), detail: detail.to_owned() };
    let mut rest = &bytes[SIGNATURE.len()..];
    let (kind, header) = next_chunk(&mut rest).ok_or_else(|| truncated("it ends inside its header"))?;
    let (&[w3, w2, w1, w0, h3, h2, h1, h0, depth, color, ..], b"IHDR") = (header, &kind) else {
        return Err(damaged("its first chunk is no header"));
    };
    let channels = match color {
        2 => 3,
        4 => 2,
        6 => 4,
        _ => 1,
    };
    let mut chunks = Chunks {
        width: u32::from_be_bytes([w3, w2, w1, w0]).into(),
        height: u32::from_be_bytes([h3, h2, h1, h0]).into(),
        bits_per_pixel: channels * u64::from(depth.max(1)),
        data_bytes: 0,
        exif: None,
    };
    loop {
        let (kind, data) = next_chunk(&mut rest).ok_or_else(|| truncated("its last chunk, IEND, is missing"))?;
        match &kind {
            b"IDAT" => chunks.data_bytes += data.len() as u64,
            b"eXIf" => chunks.exif = Some(data.to_vec()),
            b"IEND" => return Ok(chunks),
            _ => {}
        }
    }
}

/// Name and content of the chunk that `rest` begins with, which then stands behind its checksum.
fn next_chunk<'a>(rest: &mut &'a [u8]) -> Option<([u8; 4], &'a [u8])> {
    let (length, body) = rest.split_first_chunk::<4>()?;
    let (kind, body) = body.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let data = body.get(..length)?;
    *rest = body.get(length..)?.get(4..)?;
    Some((*kind, data))
}

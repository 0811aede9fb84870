//! PNG: a walk over its chunks, then the decoder, then eight bits and no alpha.

use std::io::Cursor;

use png::{BitDepth, ColorType, Decoder, Transformations};

use super::{
    PictureError,
    decode::{Decoded, Named, exif_orientation, first_of},
    samples::{OVER_WHITE, SCALED, eight_bits, grey, without_alpha},
};

pub(super) const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1A\n";

/// Deflate makes at most 1,032 bytes out of one.
const DEFLATE_RATIO: u64 = 1032;

pub(super) fn decode(bytes: &[u8], file: Named<'_>) -> Result<Decoded, PictureError> {
    let chunks = walk(bytes, file)?;
    let most_bits = chunks.data_bytes.saturating_mul(DEFLATE_RATIO).saturating_mul(8);
    file.check_size(chunks.width, chunks.height, most_bits / chunks.bits_per_pixel)?;

    let mut decoder = Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(Transformations::EXPAND);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info().map_err(|e| file.damaged(e))?;
    let mut samples = vec![0; reader.output_buffer_size().unwrap_or(0)];
    let frame = reader.next_frame(&mut samples).map_err(|e| file.damaged(e))?;
    samples.truncate(frame.buffer_size());

    let mut notes = Vec::from_iter(chunks.animation());
    if frame.bit_depth == BitDepth::Sixteen {
        let scale = |pair: &[u8]| eight_bits(u16::from_be_bytes([pair[0], pair[1]]));
        samples = samples.chunks_exact(2).map(scale).collect();
        notes.push(SCALED.to_owned());
    }
    let (samples, transparent) = match frame.color_type {
        ColorType::Rgb => (samples, false),
        ColorType::Rgba => without_alpha(&samples, 4),
        ColorType::GrayscaleAlpha => without_alpha(&samples, 2),
        // EXPAND leaves no palette.
        ColorType::Grayscale | ColorType::Indexed => (grey(&samples), false),
    };
    if transparent {
        notes.push(OVER_WHITE.to_owned());
    }
    let rgb = file.rgb(frame.width, frame.height, samples)?;
    Ok(Decoded { rgb, orientation: chunks.exif.as_deref().and_then(exif_orientation), notes })
}

/// What the chunks say before anything is decompressed.
struct Chunks {
    width: u64,
    height: u64,
    bits_per_pixel: u64,
    data_bytes: u64,
    exif: Option<Vec<u8>>,
    /// Frames of an animation.
    frames: usize,
    /// Whether the picture is the first of them.
    picture_is_frame: bool,
}

impl Chunks {
    fn animation(&self) -> Option<String> {
        match self.picture_is_frame {
            true => first_of(self.frames, "frames"),
            false => (self.frames > 0).then(|| format!("the still picture, not one of {} frames", self.frames)),
        }
    }
}

/// Follows the chunks to the last; a file whose IEND does not come is truncated.
fn walk(bytes: &[u8], file: Named<'_>) -> Result<Chunks, PictureError> {
    let mut rest = &bytes[SIGNATURE.len()..];
    let (kind, header) = next_chunk(&mut rest).ok_or_else(|| file.truncated("it ends inside its header"))?;
    if &kind == b"CgBI" {
        return Err(file.unsupported("a PNG made for Apple's devices alone"));
    }
    let (&[w3, w2, w1, w0, h3, h2, h1, h0, depth, color, ..], b"IHDR") = (header, &kind) else {
        return Err(file.damaged("its first chunk is no header"));
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
        frames: 0,
        picture_is_frame: false,
    };
    loop {
        let (kind, data) = next_chunk(&mut rest).ok_or_else(|| file.truncated("its last chunk, IEND, is missing"))?;
        match &kind {
            b"IDAT" => chunks.data_bytes += data.len() as u64,
            b"acTL" => chunks.frames = data.first_chunk().map_or(0, |n| u32::from_be_bytes(*n) as usize),
            b"fcTL" => chunks.picture_is_frame |= chunks.data_bytes == 0,
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

//! GIF: a walk over its blocks, then the first frame on its canvas.

use gif::{ColorOutput, DecodeOptions, DecodingError, MemoryLimit};

use super::{
    PictureError,
    decode::{Decoded, MAX_PIXELS, Named, first_of},
    samples::OVER_WHITE,
};

pub(super) fn decode(bytes: &[u8], file: Named<'_>) -> Result<Decoded, PictureError> {
    let blocks = walk(bytes, file)?;
    let (width, height) = (blocks.width as usize, blocks.height as usize);
    file.check_believable(width as u64, height as u64, bytes.len())?;

    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.set_memory_limit(MemoryLimit::Bytes(MAX_PIXELS.try_into().expect("not zero")));
    let fault = |error: DecodingError| match error {
        DecodingError::UnexpectedEof => file.truncated("its pixels end early"),
        other => file.damaged(other),
    };
    let mut decoder = options.read_info(bytes).map_err(fault)?;
    let global = decoder.global_palette().map(<[u8]>::to_vec);
    let frame = decoder.read_next_frame().map_err(fault)?.ok_or_else(|| file.damaged("it has no frame"))?;
    let palette = frame.palette.as_ref().or(global.as_ref()).ok_or_else(|| file.damaged("it has no palette"))?;

    // What no frame covers is transparent, whatever background colour the file names: so viewers have it.
    let mut samples = vec![255; width * height * 3];
    let mut transparent = usize::from(frame.width) * usize::from(frame.height) < width * height;
    for (y, row) in frame.buffer.chunks_exact(usize::from(frame.width.max(1))).enumerate() {
        let start = ((usize::from(frame.top) + y) * width + usize::from(frame.left)) * 3;
        for (pixel, &index) in samples[start..].chunks_exact_mut(3).zip(row) {
            if frame.transparent == Some(index) {
                transparent = true;
                continue;
            }
            let color = palette.get(usize::from(index) * 3..).and_then(|rest| rest.first_chunk());
            pixel.copy_from_slice(color.unwrap_or(&[0; 3]));
        }
    }
    let mut notes = Vec::from_iter(first_of(blocks.frames, "frames"));
    if transparent {
        notes.push(OVER_WHITE.to_owned());
    }
    let rgb = file.rgb(blocks.width, blocks.height, samples)?;
    Ok(Decoded { rgb, orientation: None, notes })
}

/// What the blocks say before anything is decompressed.
struct Blocks {
    /// The canvas, made to hold the first frame.
    width: u32,
    height: u32,
    frames: usize,
}

/// Follows the blocks to the trailer; a file without it is truncated.
fn walk(bytes: &[u8], file: Named<'_>) -> Result<Blocks, PictureError> {
    let mut rest = Rest(bytes.get(6..).unwrap_or_default());
    blocks(&mut rest, file)?.ok_or_else(|| file.truncated("its trailer is missing"))
}

/// `None` where the bytes run out.
fn blocks(rest: &mut Rest<'_>, file: Named<'_>) -> Result<Option<Blocks>, PictureError> {
    let mut walked = || {
        let &[w0, w1, h0, h1, flags, _, _] = rest.take(7)?.first_chunk()?;
        rest.palette(flags)?;
        let number = |low, high| u32::from(u16::from_le_bytes([low, high]));
        let mut blocks = Blocks { width: number(w0, w1), height: number(h0, h1), frames: 0 };
        loop {
            match rest.take(1)?[0] {
                b'!' => {
                    rest.take(1)?;
                    rest.sub_blocks()?;
                }
                b',' => {
                    let &[l0, l1, t0, t1, w0, w1, h0, h1, flags] = rest.take(9)?.first_chunk()?;
                    if blocks.frames == 0 {
                        blocks.width = blocks.width.max(number(l0, l1) + number(w0, w1));
                        blocks.height = blocks.height.max(number(t0, t1) + number(h0, h1));
                    }
                    rest.palette(flags)?;
                    rest.take(1)?; // the code size
                    rest.sub_blocks()?;
                    blocks.frames += 1;
                }
                b';' => return Some(Ok(blocks)),
                other => return Some(Err(file.damaged(format!("it has a block of unknown kind {other}")))),
            }
        }
    };
    walked().transpose()
}

/// What has not been walked over.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// The palette that the flags announce.
    fn palette(&mut self, flags: u8) -> Option<()> {
        let colors = if flags & 0x80 != 0 { 2 << (flags & 7) } else { 0 };
        self.take(colors * 3).map(drop)
    }

    fn sub_blocks(&mut self) -> Option<()> {
        while let size @ 1.. = self.take(1)?[0] {
            self.take(size.into())?;
        }
        Some(())
    }
}

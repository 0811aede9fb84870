//! TIFF: a walk over its directories, then the first page, chunk by chunk.
//!
//! The decoder knows few meanings of samples (no palette, no grey with alpha). So it is made to believe that all are
//! grey, which leaves samples as they are stored, and their meaning is given to them here.

mod directory;
mod page;

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use ::tiff::{
    TiffError,
    decoder::{Decoder, Limits},
};
use image::metadata::Orientation;

use self::{
    directory::{Bytes, Directory, Fault},
    page::{Alpha, Color, Page, tag},
};
use super::{
    PictureError,
    decode::{Decoded, Named, first_of},
    jpeg,
    samples::{OVER_WHITE, SCALED, cmyk, eight_bits, over_white},
};

/// What a tag may hold, in bytes: the places of a million strips.
const MOST_VALUE_BYTES: usize = 8 << 20;

pub(super) fn decode(bytes: &[u8], file: Named<'_>) -> Result<Decoded, PictureError> {
    let outside = || file.truncated("it ends before its directory does");
    let (numbers, first) = Bytes::of(bytes).ok_or_else(outside)?;
    let pages = numbers.pages(first).map_err(|fault| match fault {
        Fault::Missing => outside(),
        Fault::Circle => file.damaged("its pages do not end"),
    })?;
    let directory = pages.first().ok_or_else(|| PictureError::Empty { name: file.0.to_owned() })?;
    let page = Page::of(directory, file)?;
    check_chunks(&pages, bytes.len() as u64, file)?;
    check_sizes(&page, directory, bytes.len(), file)?;

    let mut picture = Canvas::new(&page);
    if page.jpeg {
        picture.draw_jpegs(directory, bytes, file)?;
    } else {
        picture.draw_chunks(numbers, directory, file)?;
    }
    let mut notes = Vec::from_iter(first_of(pages.len(), "pages"));
    if page.bits == 16 {
        notes.push(SCALED.to_owned());
    }
    if picture.transparent {
        notes.push(OVER_WHITE.to_owned());
    }
    let rgb = file.rgb(page.width, page.height, picture.rgb)?;
    let orientation = directory.number(tag::ORIENTATION).and_then(|value| Orientation::from_exif(value as u8));
    Ok(Decoded { rgb, orientation, notes })
}

const TOO_SMALL: &str = "a part of it is too small";

/// Places and lengths of a page's chunks.
fn chunks<'a>(directory: &'a Directory<'_>) -> impl Iterator<Item = (u64, u64)> + 'a {
    let (offsets, lengths) = match directory.has(tag::TILE_OFFSETS) {
        true => (tag::TILE_OFFSETS, tag::TILE_BYTES),
        false => (tag::STRIP_OFFSETS, tag::STRIP_BYTES),
    };
    directory.numbers(offsets).zip(directory.numbers(lengths))
}

/// No chunk of any page lies behind the end of the file.
fn check_chunks(pages: &[Directory<'_>], length: u64, file: Named<'_>) -> Result<(), PictureError> {
    let mut left = length; // Pages that share their lists could make this long.
    for (number, directory) in pages.iter().enumerate() {
        let mut count = 0;
        for (at, bytes) in chunks(directory) {
            count += 1;
            if at.saturating_add(bytes) > length {
                return Err(file.truncated(format!("it ends before the pixels of page {} do", number + 1)));
            }
        }
        let listed = directory.count(tag::STRIP_OFFSETS).max(directory.count(tag::TILE_OFFSETS));
        if count < listed {
            return Err(file.damaged(format!("page {} has {listed} parts, and lengths for {count}", number + 1)));
        }
        left = left.checked_sub(count).ok_or_else(|| file.damaged("its pages overlap"))?;
    }
    Ok(())
}

/// Nothing that will be allocated is larger than a picture may be, or than so few bytes are believed to hold.
fn check_sizes(page: &Page, directory: &Directory<'_>, bytes: usize, file: Named<'_>) -> Result<(), PictureError> {
    let (width, height, across, down) = (page.width, page.height, page.chunk.0, page.chunk.1);
    file.check_believable(width.into(), height.into(), bytes)?;
    file.check_believable(across.into(), down.into(), bytes)?;
    let needed = u64::from(width.div_ceil(across)) * u64::from(height.div_ceil(down)) * page.planes() as u64;
    let listed = directory.count(tag::STRIP_OFFSETS).max(directory.count(tag::TILE_OFFSETS));
    if listed < needed {
        return Err(file.damaged(format!("it has {listed} parts where its size needs {needed}")));
    }
    Ok(())
}

/// The picture that chunks are drawn into.
struct Canvas<'a> {
    page: &'a Page,
    rgb: Vec<u8>,
    transparent: bool,
}

/// Which part of the picture a chunk covers.
struct Area {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

impl Canvas<'_> {
    fn new(page: &Page) -> Canvas<'_> {
        Canvas { page, rgb: vec![255; page.width as usize * page.height as usize * 3], transparent: false }
    }

    /// The chunks' areas, row by row.
    fn areas(&self) -> Vec<Area> {
        let (width, height) = (self.page.width as usize, self.page.height as usize);
        let (across, down) = (self.page.chunk.0 as usize, self.page.chunk.1 as usize);
        let area = |left, top| Area { left, top, width: across.min(width - left), height: down.min(height - top) };
        (0..height).step_by(down).flat_map(|top| (0..width).step_by(across).map(move |left| area(left, top))).collect()
    }

    fn draw_chunks(
        &mut self,
        bytes: Bytes<'_>,
        directory: &Directory<'_>,
        file: Named<'_>,
    ) -> Result<(), PictureError> {
        let fault = |error: TiffError| match error {
            TiffError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                file.truncated("its pixels end early")
            }
            TiffError::UnsupportedError(_) => file.unsupported("a TIFF of an unusual kind"),
            other => file.damaged(other),
        };
        let at = directory.place_of_short(tag::PHOTOMETRIC);
        let at = at.ok_or_else(|| file.damaged("it does not say what its samples mean"))?;
        let grey = Patched { inner: Cursor::new(bytes.all), at, with: bytes.spelled(1) };
        let mut limits = Limits::default();
        limits.ifd_value_size = MOST_VALUE_BYTES;
        limits.decoding_buffer_size = usize::MAX; // The sizes have been checked.
        limits.intermediate_buffer_size = usize::MAX;
        let mut decoder = Decoder::new(grey).map_err(fault)?.with_limits(limits);

        let areas = self.areas();
        let planes = self.page.planes();
        for (i, area) in areas.iter().enumerate() {
            let mut stored = Vec::with_capacity(planes);
            for plane in 0..planes {
                let chunk = (plane * areas.len() + i) as u32;
                let layout = decoder.image_chunk_buffer_layout(chunk).map_err(fault)?;
                let mut raw = vec![0; layout.len];
                decoder.read_chunk_bytes(chunk, &mut raw).map_err(fault)?;
                let stride = layout.row_stride.map_or(raw.len(), usize::from);
                let rows = self.page.unpacked(&raw, stride, area).ok_or_else(|| file.damaged(TOO_SMALL))?;
                stored.push(rows);
            }
            self.draw(area, &stored);
        }
        Ok(())
    }

    /// Draws an area's samples: a plane for each sample of a pixel, or one for all.
    fn draw(&mut self, area: &Area, planes: &[Vec<u8>]) {
        let count = self.page.samples;
        let mut pixel = vec![0; count];
        for y in 0..area.height {
            let start = (area.top + y) * self.page.width as usize + area.left;
            for x in 0..area.width {
                let at = y * area.width + x;
                match planes {
                    [all] => pixel.copy_from_slice(&all[at * count..][..count]),
                    each => pixel.iter_mut().zip(each).for_each(|(sample, plane)| *sample = plane[at]),
                }
                let (color, transparent) = self.page.color_of(&pixel);
                self.transparent |= transparent;
                self.rgb[(start + x) * 3..][..3].copy_from_slice(&color);
            }
        }
    }

    /// Each chunk is a JPEG whose tables stand elsewhere, and which does not say whether it is RGB.
    fn draw_jpegs(&mut self, directory: &Directory<'_>, bytes: &[u8], file: Named<'_>) -> Result<(), PictureError> {
        let tables = directory.bytes(tag::JPEG_TABLES).and_then(|all| all.get(2..all.len().checked_sub(2)?));
        let areas = self.areas();
        let mut chunks = chunks(directory);
        for area in areas {
            let (at, length) = chunks.next().ok_or_else(|| file.damaged("it has too few parts"))?;
            let chunk = bytes.get(at as usize..(at + length) as usize);
            let scan = chunk
                .and_then(|chunk| chunk.strip_prefix(b"\xFF\xD8"))
                .ok_or_else(|| file.damaged("a part of it is no JPEG"))?;
            let transform = u8::from(self.page.color == Color::YCbCr);
            let whole =
                [&b"\xFF\xD8\xFF\xEE\0\x0EAdobe\0\x64\0\0\0\0"[..], &[transform], tables.unwrap_or_default(), scan]
                    .concat();
            let part = jpeg::decode(&whole, file)?.rgb;
            if (part.width() as usize) < area.width || (part.height() as usize) < area.height {
                return Err(file.damaged(TOO_SMALL));
            }
            let invert = self.page.color == Color::Grey { white_is_zero: true };
            for (y, row) in part.as_raw().chunks_exact(part.width() as usize * 3).take(area.height).enumerate() {
                let start = ((area.top + y) * self.page.width as usize + area.left) * 3;
                for (to, &from) in self.rgb[start..].iter_mut().zip(&row[..area.width * 3]) {
                    *to = if invert { 255 - from } else { from };
                }
            }
        }
        Ok(())
    }
}

impl Page {
    /// How many chunks hold an area.
    fn planes(&self) -> usize {
        if self.planar { self.samples } else { 1 }
    }

    /// The samples of an area, 8 bits each; indices into a palette as they are. `None` where there are too few.
    fn unpacked(&self, stored: &[u8], stride: usize, area: &Area) -> Option<Vec<u8>> {
        let count = area.width * self.samples / self.planes();
        let mut samples = Vec::with_capacity(count * area.height);
        for y in 0..area.height {
            let row = stored.get(y * stride..)?;
            match self.bits {
                8 => samples.extend_from_slice(row.get(..count)?),
                16 => {
                    let pairs = row.get(..count * 2)?.chunks_exact(2);
                    samples.extend(pairs.map(|pair| eight_bits(u16::from_ne_bytes([pair[0], pair[1]]))));
                }
                bits => {
                    let (bits, each, most) = (usize::from(bits), usize::from(8 / bits), (1u8 << bits) - 1);
                    let spread = if matches!(self.color, Color::Palette(_)) { 1 } else { 255 / most };
                    let row = row.get(..count.div_ceil(each))?;
                    samples.extend((0..count).map(|i| (row[i / each] >> (8 - bits * (i % each + 1)) & most) * spread));
                }
            }
        }
        Some(samples)
    }

    /// RGB of a pixel, and whether it was transparent.
    fn color_of(&self, pixel: &[u8]) -> ([u8; 3], bool) {
        let (color, alpha) = match (&self.color, pixel) {
            (Color::Grey { white_is_zero: true }, [v, rest @ ..]) => ([255 - v; 3], rest.first()),
            (Color::Grey { .. }, [v, rest @ ..]) => ([*v; 3], rest.first()),
            (Color::Palette(colors), [i, rest @ ..]) => (colors[usize::from(*i)], rest.first()),
            (Color::Cmyk, [c, m, y, k, rest @ ..]) => (cmyk([*c, *m, *y, *k]), rest.first()),
            (_, [r, g, b, rest @ ..]) => ([*r, *g, *b], rest.first()),
            _ => unreachable!("a page has as many samples as its colours need"),
        };
        match (self.alpha, alpha) {
            (Alpha::Separate, Some(&alpha)) => (color.map(|v| over_white(v, alpha)), alpha < 255),
            (Alpha::Associated, Some(&alpha)) => (color.map(|v| v.saturating_add(255 - alpha)), alpha < 255),
            _ => (color, false),
        }
    }
}

/// A file with two of its bytes replaced.
struct Patched<'a> {
    inner: Cursor<&'a [u8]>,
    at: u64,
    with: [u8; 2],
}

impl Read for Patched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let start = self.inner.position();
        let count = self.inner.read(buffer)?;
        for (place, byte) in (self.at..).zip(self.with) {
            if let Some(to) = place.checked_sub(start).and_then(|i| buffer[..count].get_mut(i as usize)) {
                *to = byte;
            }
        }
        Ok(count)
    }
}

impl Seek for Patched<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

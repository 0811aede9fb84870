//! What a directory says of its page's samples.

use super::{
    super::{PictureError, decode::Named},
    directory::Directory,
};

pub(super) mod tag {
    pub const KIND_OF_PAGE: u16 = 254;
    pub const WIDTH: u16 = 256;
    pub const HEIGHT: u16 = 257;
    pub const BITS: u16 = 258;
    pub const COMPRESSION: u16 = 259;
    pub const PHOTOMETRIC: u16 = 262;
    pub const BIT_ORDER: u16 = 266;
    pub const STRIP_OFFSETS: u16 = 273;
    pub const ORIENTATION: u16 = 274;
    pub const SAMPLES: u16 = 277;
    pub const ROWS_PER_STRIP: u16 = 278;
    pub const STRIP_BYTES: u16 = 279;
    pub const PLANAR: u16 = 284;
    pub const COLOR_MAP: u16 = 320;
    pub const TILE_WIDTH: u16 = 322;
    pub const TILE_HEIGHT: u16 = 323;
    pub const TILE_OFFSETS: u16 = 324;
    pub const TILE_BYTES: u16 = 325;
    pub const SUB_DIRECTORIES: u16 = 330;
    pub const INKS: u16 = 332;
    pub const EXTRA_SAMPLES: u16 = 338;
    pub const SAMPLE_FORMAT: u16 = 339;
    pub const JPEG_TABLES: u16 = 347;
    pub const DNG_VERSION: u16 = 50706;
}

/// What the samples mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Color {
    Grey {
        white_is_zero: bool,
    },
    Rgb,
    Palette(Vec<[u8; 3]>),
    Cmyk,
    /// In JPEG only, whose decoder makes it RGB.
    YCbCr,
}

/// The sample after the colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alpha {
    None,
    /// The colours are already multiplied by it.
    Associated,
    Separate,
}

pub(super) struct Page {
    pub width: u32,
    pub height: u32,
    pub bits: u8,
    /// Samples of a pixel.
    pub samples: usize,
    pub color: Color,
    pub alpha: Alpha,
    pub jpeg: bool,
    /// Each sample in a chunk of its own.
    pub planar: bool,
    /// Width and height of a chunk: a tile, or some rows.
    pub chunk: (u32, u32),
}

impl Page {
    pub fn of(directory: &Directory<'_>, file: Named<'_>) -> Result<Page, PictureError> {
        let required = |tag, what| directory.number(tag).ok_or_else(|| file.damaged(format!("its {what} is missing")));
        let small = |tag, otherwise| directory.number(tag).unwrap_or(otherwise);
        let size = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        if directory.has(tag::DNG_VERSION)
            || directory.has(tag::SUB_DIRECTORIES) && small(tag::KIND_OF_PAGE, 0) & 1 == 1
        {
            return Err(file.unsupported("a camera raw file"));
        }
        let (width, height) = (size(required(tag::WIDTH, "width")?), size(required(tag::HEIGHT, "height")?));

        let bits = small(tag::BITS, 1);
        if directory.numbers(tag::BITS).any(|other| other != bits) {
            return Err(file.unsupported("a TIFF whose samples differ in depth"));
        }
        match small(tag::SAMPLE_FORMAT, 1) {
            1 | 4 => {}
            2 => return Err(file.unsupported("a TIFF of signed samples")),
            3 => return Err(file.unsupported("a TIFF of floating-point samples")),
            _ => return Err(file.unsupported("a TIFF of complex samples")),
        }
        if !matches!(bits, 1 | 2 | 4 | 8 | 16) {
            return Err(file.unsupported(format!("a TIFF of {bits} bits per sample")));
        }
        if small(tag::BIT_ORDER, 1) != 1 {
            return Err(file.unsupported("a TIFF of reversed bits"));
        }
        let jpeg = match small(tag::COMPRESSION, 1) {
            1 | 4 | 5 | 8 | 32773 | 32946 => false,
            7 => true,
            other => return Err(file.unsupported(compressed(other))),
        };
        let planar = small(tag::PLANAR, 1) == 2;

        let samples = small(tag::SAMPLES, 1);
        let color = color(directory, bits, file)?;
        let colors = match color {
            Color::Grey { .. } | Color::Palette(_) => 1,
            Color::Rgb | Color::YCbCr => 3,
            Color::Cmyk => 4,
        };
        if samples < colors || samples > 8 {
            return Err(file.unsupported(format!("a TIFF of {samples} samples per pixel")));
        }
        let alpha = match directory.number(tag::EXTRA_SAMPLES) {
            _ if samples == colors => Alpha::None,
            Some(1) => Alpha::Associated,
            Some(2) | None => Alpha::Separate,
            Some(_) => Alpha::None,
        };
        match (&color, jpeg) {
            (Color::YCbCr, false) => return Err(file.unsupported("a TIFF of luma and chroma outside JPEG")),
            (Color::Cmyk | Color::Palette(_), true) => return Err(file.unsupported("a TIFF of inks in JPEG")),
            (_, true) if planar || samples != colors || bits != 8 => {
                return Err(file.unsupported("a TIFF of an unusual kind of JPEG"));
            }
            (_, false) if bits < 8 && samples > 1 => {
                return Err(file.unsupported(format!("a TIFF of {bits} bits per sample")));
            }
            _ => {}
        }
        let tiled = directory.has(tag::TILE_OFFSETS);
        let chunk = if tiled {
            (size(required(tag::TILE_WIDTH, "tile width")?), size(required(tag::TILE_HEIGHT, "tile height")?))
        } else {
            (width, size(small(tag::ROWS_PER_STRIP, height.into())).min(height))
        };
        Ok(Page { width, height, bits: bits as u8, samples: samples as usize, color, alpha, jpeg, planar, chunk })
    }
}

fn color(directory: &Directory<'_>, bits: u64, file: Named<'_>) -> Result<Color, PictureError> {
    let kind =
        directory.number(tag::PHOTOMETRIC).ok_or_else(|| file.damaged("it does not say what its samples mean"))?;
    Ok(match kind {
        0 => Color::Grey { white_is_zero: true },
        1 => Color::Grey { white_is_zero: false },
        2 => Color::Rgb,
        3 => Color::Palette(palette(directory, bits, file)?),
        5 if directory.number(tag::INKS).is_none_or(|set| set == 1) => Color::Cmyk,
        6 => Color::YCbCr,
        4 => return Err(file.unsupported("a TIFF mask")),
        5 => return Err(file.unsupported("a TIFF of inks other than CMYK")),
        8..=10 => return Err(file.unsupported("a TIFF in Lab colours")),
        32803 | 34892 => return Err(file.unsupported("a camera raw file")),
        _ => return Err(file.unsupported(format!("a TIFF of colours of kind {kind}"))),
    })
}

/// All reds, then all greens, then all blues. Some writers fill 16 bits by v·257, some by v·256: the upper byte is v in
/// both.
fn palette(directory: &Directory<'_>, bits: u64, file: Named<'_>) -> Result<Vec<[u8; 3]>, PictureError> {
    if bits > 8 {
        return Err(file.unsupported(format!("a TIFF of {bits} bits per sample and a palette")));
    }
    let colors = 1 << bits;
    let map: Vec<u8> = directory.numbers(tag::COLOR_MAP).take(3 * colors).map(|v| (v >> 8) as u8).collect();
    if map.len() < 3 * colors {
        return Err(file.damaged("its palette is missing or too short"));
    }
    Ok((0..colors).map(|i| [map[i], map[colors + i], map[2 * colors + i]]).collect())
}

fn compressed(method: u64) -> String {
    let name = match method {
        2 | 3 => "by CCITT Group 3",
        6 => "by an early form of JPEG",
        34712 | 33003 | 33005 => "by JPEG 2000",
        34925 => "by LZMA",
        34887 => "by LERC",
        50000 => "by Zstandard",
        50001 => "by WebP",
        50002 | 52546 => "by JPEG XL",
        _ => return format!("a TIFF compressed by method {method}"),
    };
    format!("a TIFF compressed {name}")
}

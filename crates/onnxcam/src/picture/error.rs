//! Why a picture could not be had.

use std::{io, path::PathBuf};

use thiserror::Error;

use super::decode::{MAX_BYTES, MAX_PIXELS};

/// Why a picture could not be read or prepared. Each names the picture; most end in a line `hint: …`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PictureError {
    /// The file system said no.
    #[error("cannot read picture {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A folder, a pipe, a device.
    #[error("cannot read picture {}: it is not a regular file", path.display())]
    NotAFile {
        /// The thing there.
        path: PathBuf,
    },
    /// No bytes, or no pixels.
    #[error("picture {name} is empty")]
    Empty {
        /// The picture.
        name: String,
    },
    /// The first bytes are those of no picture format.
    #[error(
        "{name} is not a picture: it begins like no known format\nhint: JPEG, PNG, WebP, GIF, BMP and TIFF are read, by content, whatever the suffix"
    )]
    UnknownFormat {
        /// The file.
        name: String,
    },
    /// A file of another format, or of a kind of a known one that is not read.
    #[error("picture {name} is {format}, which is not read\nhint: {hint}")]
    Unsupported {
        /// The picture.
        name: String,
        /// What it is, with article: `a HEIC file`.
        format: String,
        /// How to get on.
        hint: &'static str,
    },
    /// The file ends before the picture does.
    #[error("picture {name} is truncated: {detail}\nhint: fetch or copy the file again")]
    Truncated {
        /// The picture.
        name: String,
        /// What is missing.
        detail: String,
    },
    /// The bytes contradict the format.
    #[error("picture {name} is damaged: {detail}\nhint: fetch or copy the file again")]
    Damaged {
        /// The picture.
        name: String,
        /// What is wrong.
        detail: String,
    },
    /// More pixels than [`MAX_PIXELS`], or so the header claims.
    #[error(
        "picture {name} has, or claims, {width} × {height} pixels; at most {MAX_PIXELS} are read\nhint: make it smaller; a network sees a few hundred pixels across"
    )]
    TooManyPixels {
        /// The picture.
        name: String,
        /// Claimed width in pixels.
        width: u64,
        /// Claimed height in pixels.
        height: u64,
    },
    /// So many pixels in so few bytes that it is no photograph.
    #[error(
        "picture {name} claims {width} × {height} pixels in {bytes} bytes, and is not unpacked\nhint: make it smaller; a network sees a few hundred pixels across"
    )]
    Bomb {
        /// The picture.
        name: String,
        /// Claimed width in pixels.
        width: u64,
        /// Claimed height in pixels.
        height: u64,
        /// What there is of it.
        bytes: usize,
    },
    /// A file of more than [`MAX_BYTES`].
    #[error("picture {} has {bytes} bytes; at most {MAX_BYTES} are read", path.display())]
    TooManyBytes {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// The preprocessing asked for makes no sense.
    #[error("cannot preprocess: {reason}")]
    Preprocess {
        /// What is wrong with it.
        reason: String,
    },
}

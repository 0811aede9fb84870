//! Why a map or a picture could not be drawn, written or read.

use std::{io, path::PathBuf};

use thiserror::Error;

/// Why a heatmap could not be drawn, or a file of one written or read. Each names the file, if there is one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HeatmapError {
    /// The map was placed on a picture of another size.
    #[error("the map was placed on {}×{} pixels, the picture {picture} has {}×{}", placed.0, placed.1, found.0, found.1)]
    OtherPicture {
        /// The picture.
        picture: String,
        /// Width and height of the picture the map belongs to.
        placed: (u32, u32),
        /// Width and height of this one.
        found: (u32, u32),
    },
    /// An opacity outside 0..=1.
    #[error("an alpha of {alpha} makes no sense\nhint: 0 shows the picture alone, 1 the map alone")]
    Alpha {
        /// What was given.
        alpha: f32,
    },
    /// The file could not be written; what stood there before still does.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The image cannot be a PNG: no pixels, or a text keyword that the format forbids.
    #[error("cannot make a PNG of {}: {detail}", path.display())]
    Encode {
        /// The file it was meant for.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// Not a PNG file, or a damaged one.
    #[error("{} is not a readable PNG: {detail}", path.display())]
    NotPng {
        /// The file.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// Not a NumPy array, or one whose header cannot be understood.
    #[error("{} is not a readable .npy file: {detail}\nhint: numpy.save(path, array.astype(\"float32\")) writes one", path.display())]
    NotNpy {
        /// The file.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// An array of other numbers than little-endian float32.
    #[error("{} holds numbers of type {found}, not little-endian float32\nhint: numpy.save(path, array.astype(\"<f4\"))", path.display())]
    NpyType {
        /// The file.
        path: PathBuf,
        /// The type as NumPy writes it.
        found: String,
    },
    /// Header and length disagree.
    #[error("{} holds {found} bytes of numbers where its shape {shape:?} needs {needed}\nhint: copy or save the file again", path.display())]
    NpyLength {
        /// The file.
        path: PathBuf,
        /// The shape in the header.
        shape: Vec<usize>,
        /// Bytes that shape needs.
        needed: u128,
        /// Bytes behind the header.
        found: u64,
    },
}

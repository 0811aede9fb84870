//! The files to explain: what a user names, folders and globs expanded.

mod expand;
mod glob;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::heatmap::NpyReader;

pub use expand::{ExpandError, Expanded, expand};

/// A file to explain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    path: PathBuf,
    rows: Option<usize>,
}

impl Source {
    /// Looks at a file: arrays are known by their first bytes, everything else counts as a picture. A file that cannot
    /// be read is a source all the same; reading it will say why.
    pub fn of(path: PathBuf) -> Source {
        let mut first = Vec::new();
        let opened = path.is_file().then(|| File::open(&path).ok()).flatten();
        let read = opened.and_then(|file| file.take(8).read_to_end(&mut first).ok());
        let array = read.is_some() && first.starts_with(b"\x93NUMPY");
        let rows = || NpyReader::open(&path).ok().and_then(|reader| reader.shape().first().copied()).unwrap_or(1);
        Source { rows: array.then(rows), path }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many images an array holds; `None` for a picture.
    pub fn rows(&self) -> Option<usize> {
        self.rows
    }
}

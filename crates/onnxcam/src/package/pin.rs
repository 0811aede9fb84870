//! Pinned files: known to the byte before they are fetched.

use std::io;
use std::path::Path;

use zip::result::ZipError;

use crate::digest::Digest;

/// What a file must be, to the byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin {
    /// Length in bytes.
    pub size: u64,
    /// SHA-256 of the whole file.
    pub sha256: Digest,
}

/// Why a file is not the pinned one.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// It cannot be read.
    #[error("cannot read it: {0}")]
    Io(#[from] io::Error),
    /// The archive is broken, or has no such member.
    #[error("{0}")]
    Archive(#[from] ZipError),
    /// It is a folder, a device or a link.
    #[error("it is not a regular file")]
    Irregular,
    /// It has another length.
    #[error("it has {found} bytes instead of {}", pin.size)]
    Size {
        /// What it should be.
        pin: Pin,
        /// Its length, or what its archive says.
        found: u64,
    },
    /// It has other content.
    #[error("its SHA-256 is {found} instead of {}", pin.sha256)]
    Hash {
        /// What it should be.
        pin: Pin,
        /// Its digest.
        found: Digest,
    },
}

impl Pin {
    /// A pin from its digest in hexadecimal, for tables.
    ///
    /// # Panics
    /// If that is not 64 hexadecimal digits; in a table of constants the program does not compile then.
    pub(crate) const fn new(size: u64, sha256: &str) -> Self {
        match Digest::from_hex(sha256) {
            Some(sha256) => Self { size, sha256 },
            None => panic!("a SHA-256 has 64 hexadecimal digits"),
        }
    }

    /// Makes sure that a file on disk is the pinned one. At most the pinned length is read.
    ///
    /// # Errors
    /// Says how it differs.
    pub fn check_file(&self, path: &Path) -> Result<(), PinError> {
        let metadata = path.symlink_metadata()?;
        if !metadata.is_file() {
            return Err(PinError::Irregular);
        }
        self.check_size(metadata.len())?;
        let (digest, length) = Digest::of_file(path)?;
        self.check_size(length)?;
        self.check_digest(digest)
    }

    pub(super) fn check_size(&self, found: u64) -> Result<(), PinError> {
        match found == self.size {
            true => Ok(()),
            false => Err(PinError::Size { pin: *self, found }),
        }
    }

    pub(super) fn check_digest(&self, found: Digest) -> Result<(), PinError> {
        match found == self.sha256 {
            true => Ok(()),
            false => Err(PinError::Hash { pin: *self, found }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_the_pinned_one_or_says_how_it_differs() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.pth");
        let pin = Pin { size: 5, sha256: Digest::of(b"right") };
        assert!(matches!(pin.check_file(&path), Err(PinError::Io(_))));
        assert!(matches!(pin.check_file(dir.path()), Err(PinError::Irregular)));
        std::fs::write(&path, b"wrong").unwrap();
        assert!(matches!(pin.check_file(&path), Err(PinError::Hash { .. })));
        std::fs::write(&path, b"rights").unwrap();
        assert!(matches!(pin.check_file(&path), Err(PinError::Size { found: 6, .. })));
        std::fs::write(&path, b"right").unwrap();
        pin.check_file(&path).unwrap();
    }
}

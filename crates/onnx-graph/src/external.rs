//! Weights beside the model, and files that appear whole.
//!
//! A location is relative to the model's folder and stays in it. A symbolic link is followed only where the model is one
//! itself and both end in the same folder, as model-hub caches keep their files.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;

use crate::proto::StringStringEntryProto;
use crate::text::printable;

/// Why external data cannot be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ExternalError {
    #[error("it says that its data is in another file, but not in which")]
    NoLocation,
    #[error(
        "its data file \"{0}\" is not inside the model's folder\nhint: only relative locations without `..` are followed"
    )]
    Escapes(String),
    #[error("its data file {} cannot be read: {error}\nhint: keep the data file beside the model, under this name", .path.display())]
    Read { path: PathBuf, error: io::Error },
    #[error("its data file {} is a symbolic link that leaves the model's folder", .0.display())]
    Link(PathBuf),
    #[error("its data file {} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    #[error("its {key} \"{value}\" is no number")]
    Number { key: &'static str, value: String },
    #[error("it needs {needed} bytes at offset {offset} of {}, which has {size}\nhint: was the data file copied whole?", .path.display())]
    Short { path: PathBuf, offset: u64, needed: u64, size: u64 },
    #[error("its shape needs {expected} bytes, its entry says {found}")]
    Length { expected: u64, found: u64 },
}

/// Maps a file into memory.
pub(crate) fn map(path: &Path) -> io::Result<Bytes> {
    let meta = fs::metadata(path)?; // Before it is opened: opening a pipe waits for its writer.
    if meta.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
    }
    if !meta.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(Bytes::new());
    }
    // SAFETY: the mapping is private and read-only. As for every mapped file, another program that shortens it while we
    // read ends this one; nothing of ours writes to a model it has open.
    let map = unsafe { memmap2::Mmap::map(&file)? };
    Ok(Bytes::from_owner(map))
}

/// The data files of one model, each mapped once.
pub(crate) struct Files {
    model: PathBuf,
    maps: HashMap<String, (PathBuf, Bytes)>,
}

impl Files {
    pub fn beside(model: &Path) -> Files {
        Files { model: model.into(), maps: HashMap::new() }
    }

    /// The bytes that a tensor's `external_data` entries name; `expected` is what its shape needs.
    pub fn slice(&mut self, entries: &[StringStringEntryProto], expected: usize) -> Result<Bytes, ExternalError> {
        let entry = |key| entries.iter().find(|e| e.key.as_deref() == Some(key)).and_then(|e| e.value.as_deref());
        let number = |key: &'static str| -> Result<Option<u64>, ExternalError> {
            let parsed = entry(key).map(|v| v.trim().parse().map_err(|_| (key, v)));
            parsed.transpose().map_err(|(key, v)| ExternalError::Number { key, value: printable(v) })
        };
        let location = entry("location").filter(|l| !l.is_empty()).ok_or(ExternalError::NoLocation)?;
        let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
        let expected = expected as u64;
        if let Some(found) = length.filter(|l| *l != expected) {
            return Err(ExternalError::Length { expected, found });
        }
        let (path, bytes) = self.map(location)?;
        let size = bytes.len() as u64;
        match offset.checked_add(expected) {
            Some(end) if end <= size => Ok(bytes.slice(offset as usize..end as usize)),
            _ => Err(ExternalError::Short { path: path.clone(), offset, needed: expected, size }),
        }
    }

    fn map(&mut self, location: &str) -> Result<&(PathBuf, Bytes), ExternalError> {
        if !self.maps.contains_key(location) {
            let path = self.resolve(location)?;
            let bytes = map(&path).map_err(|error| ExternalError::Read { path: path.clone(), error })?;
            self.maps.insert(location.to_owned(), (path, bytes));
        }
        Ok(&self.maps[location])
    }

    fn resolve(&self, location: &str) -> Result<PathBuf, ExternalError> {
        let relative = Path::new(location);
        let stays = relative.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
        // A drive or a backslash would leave the folder on another system.
        if !stays || location.contains(['\\', ':', '\0']) {
            return Err(ExternalError::Escapes(printable(location)));
        }
        let folder = self.model.parent().unwrap_or(Path::new(""));
        let path = folder.join(relative);
        let unreadable = |error| ExternalError::Read { path: path.clone(), error };
        if fs::symlink_metadata(&path).map_err(unreadable)?.is_symlink() {
            let model_is_link = fs::symlink_metadata(&self.model).is_ok_and(|m| m.is_symlink());
            let end = |p: &Path| fs::canonicalize(p).ok().and_then(|p| p.parent().map(Path::to_path_buf));
            if !(model_is_link && end(&path).is_some() && end(&path) == end(&self.model)) {
                return Err(ExternalError::Link(path));
            }
        } else if let (Ok(real), Ok(root)) = (fs::canonicalize(&path), fs::canonicalize(nonempty(folder)))
            && !real.starts_with(root)
        {
            return Err(ExternalError::Link(path)); // A folder on the way is a link.
        }
        if !fs::metadata(&path).map_err(unreadable)?.is_file() {
            return Err(ExternalError::NotAFile(path));
        }
        Ok(path)
    }
}

fn nonempty(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

/// Writes a file under a temporary name in its folder, then renames it: it appears whole or not at all.
pub(crate) fn write_whole(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let mut name = OsString::from(".");
    name.push(path.file_name().ok_or(io::ErrorKind::InvalidInput)?);
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    let written = File::create(&part).and_then(|mut file| write(&mut file)).and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        let _ = fs::remove_file(&part); // The first error is the one to tell.
    }
    written
}

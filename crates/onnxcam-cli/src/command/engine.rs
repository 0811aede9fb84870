//! `onnxcam engine [install|remove]`

use std::io;
use std::path::Path;
use std::process::ExitCode;

use onnxcam::cache::Cache;
use onnxcam::engine::install::{folder_of, install, remove, state};
use onnxcam::engine::{Candidate, Choice, Release, Rten, Search, choose, survey};
use serde_json::{Value, json};

use crate::options::CacheOptions;
use crate::out::{self, note};
use crate::places;

/// Show the engines that are there, or install ONNX Runtime
///
/// rten is compiled in. ONNX Runtime, which is faster for most networks, is used where it is found: in a Python
/// environment, in the cache, among the system's libraries.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// Print one JSON object
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    cache: CacheOptions,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Fetch ONNX Runtime into the cache, where it is found from then on
    ///
    /// It comes out of the Python package `onnxruntime`, fetched with pip or uv in one pinned version, 16 to 28 MB; the
    /// library and its notices are checked against pinned hashes, and nothing else of the package is kept or run. Where it
    /// is there already, nothing is fetched.
    Install,
    /// Remove from the cache what `install` put there, earlier versions too
    Remove,
}

const EXAMPLES: &str = "\
Examples:
  onnxcam engine
  onnxcam engine install
  onnxcam engine remove
  onnxcam explain photo.jpg --engine ort";

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let cache = arguments.cache.locate()?;
    match arguments.action {
        None => list(&cache, &arguments.cache.search(), arguments.json)?,
        Some(Action::Install) => put(&cache, &arguments.cache.search(), arguments.json)?,
        Some(Action::Remove) => take_away(&cache, arguments.json)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(cache: &Cache, search: &Search, json: bool) -> anyhow::Result<()> {
    let found = survey(search);
    let taken = choose(Choice::Auto, search)?;
    let rten = onnxcam::engine::Engine::version(&Rten);
    if json {
        let release = Release::here().map(|release| release_to_json(release, cache));
        let places = found.iter().map(places::place_to_json).collect::<Vec<_>>();
        let taken = places::taken_to_json(&taken);
        out::line(json!({ "rten": rten, "release": release, "onnx_runtime": places, "taken": taken }))?;
        return Ok(());
    }
    out::line(format_args!("  {rten}, compiled in"))?;
    match Release::here() {
        Some(release) => {
            let megabytes = release.package.wheel.size as f64 / 1e6;
            let here = places::in_words(state(release, cache));
            out::line(format_args!("  {}, {megabytes:.1} MB to fetch, in the cache: {here}", release.title()))?;
        }
        None => out::line("  there is no ONNX Runtime to install for this system")?,
    }
    places::print(&found, Some(&taken))?;
    Ok(())
}

fn put(cache: &Cache, search: &Search, json: bool) -> anyhow::Result<()> {
    let installed = install(cache, &mut |line| note(line))?;
    let path = &installed.library;
    if json {
        out::line(json!({ "path": path.to_string_lossy(), "fetched": installed.fetched }))?;
    } else {
        let what = if installed.fetched { "installed" } else { "already there:" };
        out::line(format_args!("{what} {}", path.display()))?;
    }
    if let Some(other) = before(&survey(search), path) {
        note(format_args!("{} comes first: {}", other.path.clone().unwrap_or_default().display(), other.place));
    }
    Ok(())
}

/// A usable library that the search takes instead of this one.
fn before<'a>(found: &'a [Candidate], ours: &Path) -> Option<&'a Candidate> {
    let first = found.iter().find(|candidate| candidate.outcome.is_ok())?;
    let same = first.path.as_ref().is_some_and(|path| path.canonicalize().ok() == ours.canonicalize().ok());
    (!same).then_some(first)
}

fn take_away(cache: &Cache, json: bool) -> anyhow::Result<()> {
    let removed = remove(cache)?;
    if json {
        let paths: Vec<_> = removed.iter().map(|path| path.to_string_lossy()).collect();
        out::line(json!({ "removed": paths }))?;
        return Ok(());
    }
    let lines: io::Result<()> = removed.iter().try_for_each(|p| out::line(format_args!("removed {}", p.display())));
    lines?;
    if removed.is_empty() {
        out::line(format_args!("nothing to remove in {}", cache.root().display()))?;
    }
    Ok(())
}

fn release_to_json(release: &Release, cache: &Cache) -> Value {
    json!({
        "version": release.package.version,
        "path": folder_of(release, cache).join(release.library.file_name()).to_string_lossy(),
        "state": places::word(state(release, cache)),
        "download_bytes": release.package.wheel.size,
    })
}

//! `onnxcam doctor`

use std::env::consts::{ARCH, OS};
use std::io;
use std::process::ExitCode;
use std::thread::available_parallelism;

use onnxcam::doctor::{CacheFolder, Examination, examine};
use onnxcam::engine::default_threads;
use onnxcam::model::Kept;
use serde_json::{Value, json};

use super::models;
use crate::options::{CacheOptions, EngineOptions};
use crate::out;
use crate::places;
use crate::table::{Align, print_table};

/// Show what was found and where: engines, cache, package clients, threads
///
/// Nothing is fetched or changed. The exit status is that of success, unless something that was asked for by name (--engine,
/// --cache-dir, ORT_DYLIB_PATH) does not work.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    cache: CacheOptions,
    #[command(flatten)]
    engine: EngineOptions,
}

const EXAMPLES: &str = "\
Examples:
  onnxcam doctor
  onnxcam doctor --json
  onnxcam doctor --engine ort";

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let cache = arguments.cache.locate().map_err(|e| e.to_string());
    let found = examine(arguments.engine.engine, &arguments.cache.search(), cache);
    let threads = arguments.engine.threads().unwrap_or_else(default_threads);
    match arguments.json {
        true => out::line(to_json(&found, threads))?,
        false => print(&found, threads)?,
    }
    found.broken.iter().for_each(|what| out::aside(format_args!("error: {what}")));
    Ok(if found.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(found: &Examination, threads: usize) -> io::Result<()> {
    let usable = available_parallelism().map_or("unknown".to_owned(), |n| n.to_string());
    out::line(format_args!("onnxcam {} on {OS}, {ARCH} {}", found.version, found.features.join(" ")))?;
    out::line(format_args!("threads: {threads}, of {usable} usable"))?;

    out::line("\nengines")?;
    out::line(format_args!("  {}, compiled in", found.rten))?;
    places::print(&found.onnx_runtime, found.engine.as_ref().ok())?;

    match &found.cache {
        Ok(cache) => print_cache(cache)?,
        Err(fault) => out::line(format_args!("\ncache: none, as {fault}"))?,
    }

    out::line("\npackage clients, for models and engines that are fetched")?;
    let rows = found.clients.iter().map(|(name, version)| {
        let outcome = version.clone().unwrap_or_else(|fault| fault);
        [" ".to_owned(), name.clone(), outcome]
    });
    print_table(None, &[Align::Left; 3], rows)
}

fn print_cache(cache: &CacheFolder) -> io::Result<()> {
    let there = if cache.path.is_dir() { "" } else { ", not made yet" };
    out::line(format_args!("\ncache {}{there}", cache.path.display()))?;
    if let Some(fault) = &cache.fault {
        out::line(format_args!("  nothing can be fetched into it: {fault}"))?;
    }
    for (entry, path, state) in &cache.models {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        out::line(format_args!("  {}: {name}, {}", entry.title, in_words(*state)))?;
    }
    if let Some((release, _, state)) = &cache.release {
        out::line(format_args!("  {}: {}", release.title(), places::in_words(*state)))?;
    }
    let size: u64 = cache.files.iter().map(|(_, size)| size).sum();
    out::line(format_args!("  {} files, {:.1} MB in all", cache.files.len(), size as f64 / 1e6))
}

fn in_words(state: Kept) -> &'static str {
    match state {
        Kept::Absent => "not there, fetched when first used",
        Kept::Verified => "there, verified",
        Kept::Damaged => "damaged, fetched again when next used",
    }
}

fn to_json(found: &Examination, threads: usize) -> Value {
    let client = |(name, version): &(String, Result<String, String>)| json!({ "command": name, "version": version.as_ref().ok(), "fault": version.as_ref().err() });
    json!({
        "version": found.version,
        "os": OS,
        "arch": ARCH,
        "cpu_features": found.features,
        "threads": threads,
        "usable_threads": available_parallelism().ok(),
        "rten": found.rten,
        "onnx_runtime": found.onnx_runtime.iter().map(places::place_to_json).collect::<Vec<_>>(),
        "taken": found.engine.as_ref().ok().map(places::taken_to_json),
        "cache": cache_to_json(&found.cache),
        "clients": found.clients.iter().map(client).collect::<Vec<_>>(),
        "broken": found.broken,
    })
}

fn cache_to_json(cache: &Result<CacheFolder, String>) -> Value {
    let cache = match cache {
        Ok(cache) => cache,
        Err(fault) => return json!({ "path": null, "fault": fault }),
    };
    let models = cache.models.iter().map(|(entry, path, state)| {
        json!({ "name": entry.name, "path": path.to_string_lossy(), "state": models::in_words(*state) })
    });
    let release = cache.release.as_ref().map(|(release, path, state)| {
        let version = release.package.version;
        json!({ "version": version, "path": path.to_string_lossy(), "state": places::word(*state) })
    });
    let files = cache.files.iter().map(|(path, size)| json!({ "path": path.to_string_lossy(), "bytes": size }));
    json!({
        "path": cache.path.to_string_lossy(),
        "exists": cache.path.is_dir(),
        "fault": cache.fault,
        "models": models.collect::<Vec<_>>(),
        "release": release,
        "files": files.collect::<Vec<_>>(),
    })
}

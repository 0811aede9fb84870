//! `onnxcam doctor`

use std::env::consts::{ARCH, OS};
use std::process::ExitCode;
use std::thread::available_parallelism;

use onnxcam::doctor::{CacheFolder, Examination, examine};
use onnxcam::engine::default_threads;
use onnxcam::model::Kept;
use serde_json::{Value, json};

use crate::options::{CacheOptions, EngineOptions};
use crate::table::{Align, print_table};

/// Show what was found and where: engines, cache, package clients, threads
///
/// Nothing is fetched. The exit status is that of success, unless something that was asked for by name (--engine,
/// --cache-dir, ORT_DYLIB_PATH) does not work.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    cache: CacheOptions,
    #[command(flatten)]
    engine: EngineOptions,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let cache = arguments.cache.locate().map_err(|e| e.to_string());
    let found = examine(arguments.engine.engine, &arguments.cache.search(), cache);
    let threads = arguments.engine.threads().unwrap_or_else(default_threads);
    match arguments.json {
        true => println!("{}", to_json(&found, threads)),
        false => print(&found, threads),
    }
    found.broken.iter().for_each(|what| eprintln!("error: {what}"));
    Ok(if found.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(found: &Examination, threads: usize) {
    let usable = available_parallelism().map_or("unknown".to_owned(), |n| n.to_string());
    println!("onnxcam {} on {OS}, {ARCH} {}", found.version, found.features.join(" "));
    println!("threads: {threads}, of {usable} usable");

    println!("\nengines");
    println!("  {}, compiled in", found.rten);
    println!("  ONNX Runtime, places in the order looked at:");
    let rows = found.onnx_runtime.iter().map(|c| {
        let path = c.path.as_ref().map(|p| format!("{}: ", p.display())).unwrap_or_default();
        let outcome = c.outcome.as_ref().unwrap_or_else(|fault| fault);
        ["   ".to_owned(), c.place.clone(), format!("{path}{outcome}")]
    });
    print_table(None, &[Align::Left; 3], rows);
    match &found.engine {
        Ok(chosen) => println!("  taken: {}", chosen.why.clone().unwrap_or_else(|| chosen.engine.version())),
        Err(_) => println!("  taken: none"),
    }

    match &found.cache {
        Ok(cache) => print_cache(cache),
        Err(fault) => println!("\ncache: none, as {fault}"),
    }

    println!("\npackage clients, for models that are fetched");
    let rows = found.clients.iter().map(|(name, version)| {
        let outcome = version.clone().unwrap_or_else(|fault| fault);
        [" ".to_owned(), name.clone(), outcome]
    });
    print_table(None, &[Align::Left; 3], rows);
}

fn print_cache(cache: &CacheFolder) {
    let there = if cache.path.is_dir() { "" } else { ", not made yet" };
    println!("\ncache {}{there}", cache.path.display());
    for (entry, path, state) in &cache.models {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        println!("  {}: {name}, {}", entry.title, in_words(*state));
    }
    let size: u64 = cache.files.iter().map(|(_, size)| size).sum();
    println!("  {} files, {:.1} MB in all", cache.files.len(), size as f64 / 1e6);
}

fn in_words(state: Kept) -> &'static str {
    match state {
        Kept::Absent => "not there, fetched when first used",
        Kept::Verified => "there, verified",
        Kept::Damaged => "damaged, fetched again when next used",
    }
}

fn to_json(found: &Examination, threads: usize) -> Value {
    let place = |c: &onnxcam::engine::Candidate| {
        json!({
            "place": c.place,
            "path": c.path.as_ref().map(|p| p.to_string_lossy()),
            "version": c.outcome.as_ref().ok(),
            "fault": c.outcome.as_ref().err(),
        })
    };
    let taken = found.engine.as_ref().ok().map(|chosen| {
        json!({
            "engine": chosen.engine.name(),
            "version": chosen.engine.version(),
            "path": chosen.engine.location().map(|p| p.to_string_lossy()),
            "why": chosen.why,
        })
    });
    let client = |(name, version): &(String, Result<String, String>)| json!({ "command": name, "version": version.as_ref().ok(), "fault": version.as_ref().err() });
    json!({
        "version": found.version,
        "os": OS,
        "arch": ARCH,
        "cpu_features": found.features,
        "threads": threads,
        "usable_threads": available_parallelism().ok(),
        "rten": found.rten,
        "onnx_runtime": found.onnx_runtime.iter().map(place).collect::<Vec<_>>(),
        "taken": taken,
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
        let state = match state {
            Kept::Absent => "absent",
            Kept::Verified => "verified",
            Kept::Damaged => "damaged",
        };
        json!({ "name": entry.name, "path": path.to_string_lossy(), "state": state })
    });
    let files = cache.files.iter().map(|(path, size)| json!({ "path": path.to_string_lossy(), "bytes": size }));
    json!({
        "path": cache.path.to_string_lossy(),
        "exists": cache.path.is_dir(),
        "models": models.collect::<Vec<_>>(),
        "files": files.collect::<Vec<_>>(),
    })
}

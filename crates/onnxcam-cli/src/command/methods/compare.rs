//! `onnxcam methods NAME --compare IMAGE`

use std::path::{Path, PathBuf};

use anyhow::Context;
use onnxcam::Model;
use onnxcam::classifier::{Settled, Target};
use onnxcam::compare::{Apart, Compared, Comparison, compare};
use onnxcam::engine::{Choice, Engine};
use onnxcam::method::{Method, find, variants};
use onnxcam::model::Labels;
use onnxcam::picture::Picture;
use onnxcam::printable;
use serde_json::{Value, json};

use crate::command::explain::preprocess::PreprocessOptions;
use crate::options::{CacheOptions, EngineOptions, ModelOptions};
use crate::out::{self, note};
use crate::table::{Align, print_table};

/// What beside the picture a comparison needs to know.
#[derive(Debug, clap::Args)]
pub struct CompareOptions {
    /// The class to explain for a comparison: a number or a name [default: the predicted one]
    #[arg(long, value_name = "CLASS", requires = "compare")]
    class: Option<String>,
    /// The target layer for a comparison [default: the one that `onnxcam layers` marks]
    #[arg(long, value_name = "NAME", requires = "compare")]
    layer: Option<String>,
    #[command(flatten)]
    model: ModelOptions,
    /// Names of the classes: a text file, one a line, or JSON [default: ImageNet's for a network of 1,000 classes]
    #[arg(long, value_name = "FILE", help_heading = "Model")]
    labels: Option<PathBuf>,
    #[command(flatten)]
    cache: CacheOptions,
    #[command(flatten)]
    preprocess: PreprocessOptions,
    #[command(flatten)]
    engine: EngineOptions,
}

impl CompareOptions {
    /// An option that means nothing but to a comparison, if one was given.
    pub fn given(&self) -> Option<&'static str> {
        let model = &self.model;
        let given = [
            ("--model", model.model.is_some()),
            ("--input-size", model.input_size.is_some()),
            ("--input", !model.input.is_empty()),
            ("--output", model.output.is_some()),
            ("--score", model.score.is_some()),
            ("--score-graph", model.score_graph.is_some()),
            ("--activation", model.activation.is_some()),
            ("--labels", self.labels.is_some()),
            ("--engine", self.engine.engine != Choice::default()),
            ("--threads", self.engine.threads.is_some()),
        ];
        given.into_iter().chain(self.preprocess.given()).find(|(_, given)| *given).map(|(name, _)| name)
    }
}

/// What a method's formulas are compared with, besides each other.
const OTHERS: [&str; 3] = ["grad-cam++", "grad-cam", "grad-cam+"];

pub fn run(name: &str, picture: &Path, options: &CompareOptions, json: bool) -> anyhow::Result<()> {
    let model = Model::open(options.model.path(None, &options.cache)?)?;
    let shown = find(name)?;
    if shown.runs().is_some() || shown.needs().pixels.is_some() {
        anyhow::bail!(
            "{} is no weighted sum of feature maps of one run, and only those are compared\nhint: as grad-cam++; maps of any \
             method can be had from `onnxcam explain --save map`",
            shown.title()
        );
    }
    let others = OTHERS.iter().filter(|other| **other != name).map(|other| find(other));
    let methods: Vec<&'static dyn Method> = variants(name).map(Ok).chain(others).collect::<Result<_, _>>()?;
    let settled = settle(options, &model, &methods)?;
    let class = class(options, &settled)?;
    let seen = Picture::open(picture)?;
    settled.subject().notes().iter().for_each(note);
    settled.subject().preprocessing_note().iter().for_each(note);
    seen.notes().iter().for_each(note);
    let engine = options.engine.choose(&options.cache)?.engine;
    let comparison = compare(&settled, &engine, options.engine.threads(), &seen, class)?;
    match json {
        true => out::line(to_json(picture, &settled, &*engine, &comparison)),
        false => print(picture, &settled, &*engine, &comparison),
    }
    .context("cannot print the comparison")
}

fn settle(options: &CompareOptions, model: &Model, methods: &[&'static dyn Method]) -> anyhow::Result<Settled> {
    let mut setup = options.model.tell(model.explain_with(methods))?.preprocess(options.preprocess.preprocessing()?);
    if let Some(layer) = &options.layer {
        setup = setup.layer(layer);
    }
    if let Some(path) = &options.labels {
        setup = setup.labels(Labels::from_file(path)?);
    }
    Ok(setup.settle()?)
}

/// The class asked for; −1 for the predicted one.
fn class(options: &CompareOptions, settled: &Settled) -> anyhow::Result<i64> {
    let Some(text) = &options.class else { return Ok(-1) };
    match settled.subject().targets(text)?.as_slice() {
        [Target::Class(class)] => Ok(i64::try_from(*class)?),
        _ => anyhow::bail!("{} names several classes, and one is compared", printable(text)),
    }
}

fn title(compared: &Compared) -> String {
    format!("{} {}", compared.method.name(), compared.method.variant())
}

fn print(picture: &Path, settled: &Settled, engine: &dyn Engine, comparison: &Comparison) -> std::io::Result<()> {
    let subject = settled.subject();
    let (label, layer) = (subject.label(comparison.class), printable(&subject.layer().name));
    let (picture, class) = (picture.display(), comparison.class);
    out::line(format_args!("{picture}, class {class} {label}, layer \"{layer}\", {}", engine.version()))?;
    let first = &comparison.methods[0];
    let number = |value: Option<f64>, digits: usize| value.map_or("-".to_owned(), |v| format!("{v:.digits$}"));
    let row = |compared: &Compared| {
        let (maps, weights) = (first.maps_apart(compared), first.weights_apart(compared));
        let numbers = [maps.correlation, maps.difference, weights.correlation, weights.difference];
        let [a, b, c, d] = numbers.map(|v| number(v, 4));
        [title(compared), a, b, c, d]
    };
    let against = format!("against {}", title(first));
    let header = [&against, "maps: r", "greatest Δ", "weights: r", "greatest Δ"];
    const RIGHT: Align = Align::Right;
    let rows = comparison.methods[1..].iter().map(row);
    print_table(Some(header), &[Align::Left, RIGHT, RIGHT, RIGHT, RIGHT], rows)?;
    out::line("")?;
    out::line("correlation of maps, of weights below it")?;
    let methods = &comparison.methods;
    let widest = methods.iter().map(|m| title(m).chars().count()).max().unwrap_or(0);
    for (i, one) in methods.iter().enumerate() {
        let cell = |(j, other): (usize, &Compared)| {
            let correlation = match i <= j {
                true => one.maps_apart(other).correlation,
                false => one.weights_apart(other).correlation,
            };
            format!("  {:>6}", if i == j { (i + 1).to_string() } else { number(correlation, 3) })
        };
        let cells: String = methods.iter().enumerate().map(cell).collect();
        out::line(format_args!("{:>2} {:<widest$}{cells}", i + 1, title(one)))?;
    }
    for (compared, text) in methods.iter().flat_map(|m| m.notes.iter().map(move |text| (m, text))) {
        note(format_args!("{}: {text}", title(compared)));
    }
    Ok(())
}

fn to_json(picture: &Path, settled: &Settled, engine: &dyn Engine, comparison: &Comparison) -> Value {
    let subject = settled.subject();
    let name = |compared: &Compared| json!({ "method": compared.method.name(), "variant": compared.method.variant() });
    let apart = |apart: Apart| json!({ "correlation": apart.correlation, "difference": apart.difference });
    let pairs = comparison.methods.iter().enumerate().flat_map(|(i, one)| {
        comparison.methods[i + 1..].iter().map(move |other| {
            json!({
                "first": name(one),
                "second": name(other),
                "maps": apart(one.maps_apart(other)),
                "weights": apart(one.weights_apart(other)),
            })
        })
    });
    let methods = comparison.methods.iter().map(|compared| {
        let mut object = name(compared);
        object["notes"] = json!(compared.notes);
        object
    });
    json!({
        "file": picture.to_string_lossy(),
        "model": subject.path().to_string_lossy(),
        "engine": engine.version(),
        "layer": subject.layer().name,
        "class": comparison.class,
        "label": subject.label(comparison.class),
        "methods": methods.collect::<Value>(),
        "pairs": pairs.collect::<Value>(),
    })
}

//! `onnxcam show FILE`

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use onnxcam::digest::Digest;
use onnxcam::explain::Rival;
use onnxcam::export::{Document, Port};
use onnxcam::{Model, printable};
use serde_json::json;

use crate::out;
use crate::table::{Align, print_table};

/// Show what an explained model is: method, equation, layer, original, inputs and outputs, what was found when it ran
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// A file that `onnxcam export` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  onnxcam show explained.onnx
  onnxcam show explained.onnx --json";

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let path = &arguments.file;
    let document = Document::of(Model::open(path)?.file())?;
    if arguments.json {
        let mut object = document.to_json();
        object["file"] = json!(path.to_string_lossy());
        object["original_beside"] = json!(beside(path, &document).map(Beside::name));
        out::line(object)?;
        return Ok(ExitCode::SUCCESS);
    }
    print_head(path, &document)?;
    for map in &document.maps {
        out::line(format_args!(
            "{} ({}): {}",
            printable(&map.title),
            printable(&map.variant),
            printable(&map.equation)
        ))?;
        out::line(format_args!("  {}", printable(&map.source)))?;
        for note in &map.notes {
            out::line(format_args!("  note: {}", printable(note)))?;
        }
    }
    let original = &document.original;
    let (file, beside) = (printable(&original.file), beside(path, &document));
    out::line(format_args!("original: {file}, SHA-256 {}{}", original.sha256, beside.map_or("", Beside::in_words)))?;
    if let Some(text) = document.preprocessing.as_ref().and_then(|p| p["text"].as_str()) {
        out::line(format_args!("pictures: {}", printable(text)))?;
    }
    for note in &document.notes {
        out::line(format_args!("note: {}", printable(note)))?;
    }
    print_certificates(&document)?;
    Ok(ExitCode::SUCCESS)
}

/// Whether a file of the original's name lies beside the explained one, and is the original.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beside {
    Same,
    Other,
}

impl Beside {
    fn name(self) -> &'static str {
        match self {
            Beside::Same => "same",
            Beside::Other => "other",
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Beside::Same => " (the file of that name beside it is the same)",
            Beside::Other => " (the file of that name beside it is ANOTHER)",
        }
    }
}

fn beside(explained: &Path, document: &Document) -> Option<Beside> {
    let name = Path::new(&document.original.file).file_name()?;
    let (found, _) = Digest::of_file(&explained.with_file_name(name)).ok()?;
    Some(if found == document.original.sha256 { Beside::Same } else { Beside::Other })
}

/// What the file is, its inputs and outputs.
pub fn print_head(path: &Path, document: &Document) -> io::Result<()> {
    let layer = document.maps.first().map_or("", |m| m.layer.as_str());
    let titles: Vec<&str> = document.maps.iter().map(|m| m.title.as_str()).collect();
    let (titles, of, layer) = (printable(&titles.join(", ")), printable(&document.original.file), printable(layer));
    let part = if document.added.is_none() { ", maps only" } else { "" };
    out::line(format_args!("{}: {titles} of {of} at \"{layer}\"{part}", path.display()))?;
    let signature = |port: &Port| format!("{}{}", printable(&port.dtype), port.shape_in_words());
    let row = |kind: &str, port: &Port, what: &str| {
        [format!("  {kind}"), printable(&port.name), signature(port), what.to_owned()]
    };
    let asked = if document.class.is_some() { "the class asked for, −1: the predicted one" } else { "the class" };
    let class = if document.target.is_some() { "the class explained" } else { "the predicted class" };
    let mut rows = vec![row("input", &document.input, "the picture")];
    rows.extend(document.target.iter().map(|target| row("input", target, asked)));
    rows.extend(document.class.iter().map(|port| row("output", port, class)));
    rows.extend(document.maps.iter().map(|map| {
        let signature = format!("float32{}", map.shape_in_words());
        let every = if document.target.is_none() { ", of every class" } else { "" };
        ["  output".to_owned(), printable(&map.output), signature, printable(&map.title) + every]
    }));
    print_table(None, &[Align::Left; 4], rows.into_iter())?;
    let rival = match document.rival {
        Some(Rival::RunnerUp) => "the likeliest class beside it".to_owned(),
        Some(Rival::Class(class)) => format!("class {class}"),
        None => return Ok(()),
    };
    out::line(format_args!("explained is the score less that of {rival}"))
}

/// A line an engine.
pub fn print_certificates(document: &Document) -> io::Result<()> {
    document.certificates.iter().try_for_each(|certificate| out::line(format_args!("certificate: {certificate}")))
}

//! `onnxcam layers [MODEL]`

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use onnxcam::explain::Layers;
use onnxcam::target::Candidate;
use onnxcam::{Dim, Model, printable, show_shape};
use serde_json::{Value, json};

use crate::options::{CacheOptions, ModelOptions};
use crate::out::{self, note};
use crate::table::{Align, print_table};

/// List the layers that a map can be made of, and which one is taken when none is named
///
/// Listed are the feature maps of more than one cell that every path from the picture to the scores passes through.
/// `--layer` of other commands takes a tensor or a module from this list, and any other feature map on the way as well.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// The classifier: an ONNX file or a name that `onnxcam models` lists [default: efficientnet-lite0]
    #[arg(value_name = "MODEL", conflicts_with = "model")]
    file: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelOptions,
    #[command(flatten)]
    cache: CacheOptions,
}

const EXAMPLES: &str = "\
Examples:
  onnxcam layers resnet50.onnx
  onnxcam layers net.onnx --input-size 224x192 --json
  onnxcam explain photo.jpg --model resnet50.onnx --layer layer3";

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let path = arguments.model.path(arguments.file.as_ref(), &arguments.cache)?;
    let layers = Layers::of(Model::open(&path)?.file(), &arguments.model.plan(None)?)?;
    layers.notes.iter().for_each(note);
    match arguments.json {
        true => out::line(to_json(&path, &layers))?,
        false => print(&layers)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn print(layers: &Layers) -> io::Result<()> {
    out::line(&layers.head)?;
    let header = ["", "tensor", "module", "operator", "shape"];
    let row = |c: &Candidate| {
        let mark = if c.automatic { "*" } else { "" };
        [mark.to_owned(), printable(&c.layer.name), printable(&c.layer.module), c.op.clone(), shape_of(c)]
    };
    if !layers.candidates.is_empty() {
        print_table(Some(header), &[Align::Left; 5], layers.candidates.iter().map(row))?;
    }
    match &layers.refusal {
        None => out::line("* is taken when no --layer is named"),
        Some(refusal) if layers.candidates.is_empty() => out::line(format_args!("there is none: {refusal}")),
        Some(refusal) => out::line(format_args!("none is taken unless --layer names it: {refusal}")),
    }
}

/// Its shape, and where that is not [N, K, h, w], the cells that it holds.
fn shape_of(c: &Candidate) -> String {
    let (grid, (before, behind)) = (c.layer.view.grid(), c.layer.view.extras());
    let grid: Vec<String> = grid.iter().map(i64::to_string).collect();
    let tokens = |count: i64, place: &str| match count {
        0 => String::new(),
        1 => format!(" {place} 1 token"),
        several => format!(" {place} {several} tokens"),
    };
    let cells = match c.layer.view.is_identity() {
        true => String::new(),
        false => format!(": {}{}{}", grid.join("×"), tokens(before, "behind"), tokens(behind, "before")),
    };
    show_shape(&c.shape) + &cells
}

fn to_json(path: &Path, layers: &Layers) -> Value {
    let candidate = |c: &Candidate| {
        // A size that depends on the batch is given as text.
        let sizes = |shape: &[Dim]| -> Vec<Value> {
            shape.iter().map(|d| d.known().map_or(json!(d.to_string()), |n| json!(n))).collect()
        };
        let (before, behind) = c.layer.view.extras();
        json!({
            "tensor": c.layer.name,
            "module": c.layer.module,
            "operator": c.op,
            "shape": sizes(&c.shape),
            "maps": sizes(c.layer.view.shape()),
            "other_tokens": [before, behind],
            "automatic": c.automatic,
        })
    };
    json!({
        "model": path.to_string_lossy(),
        "output": layers.head.output,
        "classes": layers.head.classes,
        "activation": layers.head.activation.to_string(),
        "layers": layers.candidates.iter().map(candidate).collect::<Vec<_>>(),
        "refusal": layers.refusal.as_ref().map(ToString::to_string),
        "notes": layers.notes,
    })
}

//! `onnxcam export MODEL`

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use onnxcam::Model;
use onnxcam::classifier::Settled;
use onnxcam::engine::{Choice, Engine, Rten, choose};
use onnxcam::export::{Document, ExportOptions, Exported, Gradients};
use onnxcam::output::check_file;
use serde_json::json;

use super::explain::methods;
use super::explain::preprocess::PreprocessOptions;
use super::show;
use crate::interrupt;
use crate::options::{CacheOptions, ModelOptions};
use crate::out::{self, note};

/// Write a model that explains itself: the classifier's own file, and behind its nodes those that make class and maps
///
/// The file needs no onnxcam any more: any engine that runs the classifier runs it, and the maps come with the scores. Its
/// inputs are the classifier's and `onnxcam.target`, a class for each picture, −1 for the predicted one; its outputs the
/// classifier's, `onnxcam.class` and a map for each method. At the end original and explained file run on every engine that
/// is found here; what came of it is printed and stands in the file.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// The classifier: an ONNX file or a name that `onnxcam models` lists [default: efficientnet-lite0]
    #[arg(value_name = "MODEL", conflicts_with = "model")]
    file: Option<PathBuf>,
    /// The file to write [default: MODEL's name, ending in .explained.onnx, in the current folder]
    #[arg(short, long = "out", value_name = "FILE")]
    out: Option<PathBuf>,
    /// The methods, with commas between; `onnxcam methods` lists them. Several cost hardly more than one
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', default_value = "grad-cam++")]
    method: Vec<String>,
    /// Which formula of a method that has several, as `onnxcam methods NAME` lists them [default: paper]
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// The target layer: a tensor, a node or a module. Given several times, one map is made of all of them
    /// [default: the one that `onnxcam layers` marks]
    #[arg(long, value_name = "NAME")]
    layer: Vec<String>,
    /// Explain why that class rather than this one: the difference of their scores. A number, a name, or second, for
    /// the likeliest beside the class explained
    #[arg(long, value_name = "CLASS")]
    against: Option<String>,
    /// Leave out the last relu of the methods: maps show what spoke against the class, too
    #[arg(long)]
    signed: bool,
    /// Maps as large as the network's input, half-pixel bilinear, instead of as large as the layer
    #[arg(long)]
    resize_to_input: bool,
    /// Several classes of each picture, the likeliest where the target is −1: top5 makes target and class [N, 5] and maps
    /// [N, 5, h, w]
    #[arg(long, value_name = "topK", value_parser = top)]
    classes: Option<usize>,
    /// Every class of each picture in one run: there is no target, maps are [N, classes, h, w]
    #[arg(long, conflicts_with = "classes")]
    all_classes: bool,
    /// Maps only: leave out the scores and what only they need. The target must name a class then
    #[arg(long)]
    lite: bool,
    /// Leave the weights in the original's file, and refer to them there: both belong into one folder then
    #[arg(long)]
    share_weights: bool,
    /// Replace a file that is not this classifier, explained; the original never is
    #[arg(long)]
    overwrite: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelOptions,
    #[command(flatten)]
    cache: CacheOptions,
    #[command(flatten)]
    preprocess: PreprocessOptions,
}

const EXAMPLES: &str = "\
Examples:
  onnxcam export resnet50.onnx -o explained.onnx
  onnxcam export resnet50.onnx --method grad-cam,grad-cam++ --layer layer3 --resize-to-input
  onnxcam export resnet50.onnx --classes top5 --share-weights
  onnxcam show explained.onnx
  onnxcam strip explained.onnx -o original.onnx";

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    interrupt::install().context("cannot prepare for an interrupt")?;
    let path = arguments.model.path(arguments.file.as_ref(), &arguments.cache)?;
    let model = Model::open(&path)?;
    let out = arguments.out.clone().unwrap_or_else(|| default_name(&path));
    let protected: Vec<PathBuf> = onnx_files(&path);
    check_file(&out, &protected, arguments.overwrite, |path| is_explained(path, &model))?;
    let settled = settle(arguments, &model)?;
    settled.plan().notes.iter().for_each(note);
    settled.subject().preprocessing_note().into_iter().for_each(note);
    let options = ExportOptions {
        resize_to_input: arguments.resize_to_input,
        classes: arguments.classes,
        all_classes: arguments.all_classes,
        lite: arguments.lite,
    };
    let mut exported = Exported::of(&model, &settled, &options)?;
    if let Some(data) = exported.to_model().data_file(&out).filter(|_| !arguments.share_weights) {
        check_file(&data, &protected, arguments.overwrite, |_| false)?;
    }
    exported.certify(&engines(&arguments.cache))?;
    interrupt::whole(|| match arguments.share_weights {
        true => exported.save_sharing_weights(&out),
        false => exported.save(&out),
    })?;
    let (nodes, bytes) = exported.size_added();
    let document = exported.document();
    if arguments.json {
        let mut object = document.to_json();
        object["file"] = json!(out.to_string_lossy());
        object["nodes_added"] = json!(nodes);
        object["bytes_added"] = json!(bytes);
        out::line(object)?;
    } else {
        show::print_head(&out, document)?;
        if !arguments.lite {
            out::line(format_args!("added: {nodes} nodes, {bytes} bytes"))?;
        }
        show::print_certificates(document)?;
    }
    warn(document);
    Ok(ExitCode::SUCCESS)
}

/// Gradients that are not the scores' slopes are said in any case.
fn warn(document: &Document) {
    for certificate in &document.certificates {
        if let Gradients::Differ(by) = certificate.gradients {
            out::aside(format_args!(
                "warning: on {} gradients and central differences are {by:.0e} apart; is the layer followed by something \
                 that jumps?",
                certificate.engine
            ));
        }
    }
}

fn settle(arguments: &Arguments, model: &Model) -> anyhow::Result<Settled> {
    let methods = methods(&arguments.method, arguments.variant.as_deref())?;
    let setup = arguments.model.tell(model.explain_with(&methods))?;
    let mut setup = setup.signed(arguments.signed).preprocess(arguments.preprocess.preprocessing()?);
    if !arguments.layer.is_empty() {
        setup = setup.layers(&arguments.layer);
    }
    if let Some(rival) = &arguments.against {
        setup = setup.against(rival);
    }
    Ok(setup.settle()?)
}

/// The engines that are found here.
fn engines(cache: &CacheOptions) -> Vec<Arc<dyn Engine>> {
    let onnx_runtime = choose(Choice::Ort, &cache.search()).ok().map(|chosen| chosen.engine);
    onnx_runtime.into_iter().chain([Arc::new(Rten) as Arc<dyn Engine>]).collect()
}

/// A model and the files beside it that hold its weights.
pub fn onnx_files(model: &Path) -> Vec<PathBuf> {
    let beside = onnxcam::export::data_files(model).unwrap_or_default(); // What cannot be read has been said by then.
    [model.to_owned()].into_iter().chain(beside).collect()
}

/// Whether a file is this classifier explained, and may be replaced: one of another may be the last copy of its weights.
fn is_explained(path: &Path, classifier: &Model) -> bool {
    let document = Model::open(path).ok().and_then(|model| Document::of(model.file()).ok());
    document.is_some_and(|document| document.original.sha256 == classifier.digest())
}

fn default_name(model: &Path) -> PathBuf {
    let mut name = model.file_stem().unwrap_or_default().to_owned();
    name.push(".explained.onnx");
    PathBuf::from(name)
}

/// `top5`, or `5`.
fn top(text: &str) -> Result<usize, String> {
    let count = text.strip_prefix("top").unwrap_or(text).parse().ok().filter(|k| *k > 0);
    count.ok_or_else(|| "a number of classes is written top5".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_classes() {
        assert_eq!((top("top5"), top("3")), (Ok(5), Ok(3)));
        for wrong in ["", "top", "top0", "0", "5top", "tabby"] {
            assert!(top(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_for_the_file() {
        assert_eq!(default_name(Path::new("models/resnet50.onnx")), Path::new("resnet50.explained.onnx"));
    }
}

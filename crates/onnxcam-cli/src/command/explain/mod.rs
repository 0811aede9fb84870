//! `onnxcam explain IMAGE…`

pub(super) mod preprocess;
mod report;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use onnxcam::Model;
use onnxcam::classifier::{Outcome, PictureExplainer, Settled, Targets};
use onnxcam::engine::Chosen;
use onnxcam::explain::Rival;
use onnxcam::heatmap::Colormap;
use onnxcam::method::{Method, find, find_variant, variants};
use onnxcam::model::Labels;
use onnxcam::output::{Kind, Outputs, Request, Style};
use onnxcam::picture::Picture;
use onnxcam::source::{Source, expand};

use self::preprocess::PreprocessOptions;
use self::report::Report;
use crate::interrupt;
use crate::options::{CacheOptions, EngineOptions, ModelOptions};
use crate::out::{self, note};

/// Show why a classifier said what it said of pictures
///
/// Prints the five likeliest classes of each image and writes, for each method, a heatmap of what spoke for a class, laid
/// over the picture. Without further options that is Grad-CAM++ of the predicted class, by a network for the 1,000
/// classes of ImageNet that is fetched on first use.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// JPEG, PNG, WebP, GIF, BMP and TIFF files, folders, patterns such as "*.jpg", or float32 .npy files in the network's own layout
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// The class to explain: a number, a name, or top3; several with commas between [default: the predicted one]
    #[arg(long, value_name = "CLASS,…")]
    class: Option<String>,
    /// Explain why that class rather than this one: the difference of their scores. A number, a name, or second, for the likeliest
    /// beside the class explained
    #[arg(long, value_name = "CLASS")]
    against: Option<String>,
    /// Explain how like another picture this one is: the cosine of what the network makes of both, for a network whose output
    /// is an embedding
    #[arg(long, value_name = "IMAGE", conflicts_with_all = ["class", "against", "score", "score_graph", "activation", "labels"])]
    similar_to: Option<PathBuf>,
    /// The methods, with commas between; `onnxcam methods` lists them. Several cost hardly more than one
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', default_value = "grad-cam++")]
    method: Vec<String>,
    /// The formula of Grad-CAM++: paper, literal, authors, pytorch-grad-cam, torch-cam, tf-keras-vis or xplique; of Finer-CAM:
    /// paper or authors;
    /// `onnxcam methods grad-cam++ --variant NAME` tells of one [default: paper]
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// The target layer: a tensor, a node or a module. Given several times, one map is made of all of them
    /// [default: the one that `onnxcam layers` marks]
    #[arg(long, value_name = "NAME")]
    layer: Vec<String>,
    /// Leave out the last relu of the methods: raw maps show what spoke against the class, too
    #[arg(long)]
    signed: bool,
    /// What methods that draw random numbers draw them from: the same number, the same map
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// How many noisy pictures, masks or steps methods of many runs average over [default: as `onnxcam methods NAME` says]
    #[arg(long, value_name = "N", value_parser = samples)]
    samples: Option<usize>,
    /// Look into the folders of folders
    #[arg(long)]
    recursive: bool,
    #[command(flatten)]
    results: ResultOptions,
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
    /// Images to run at once [default: 8 for several images, 1 for one]
    #[arg(long, value_name = "N", help_heading = "Engine")]
    batch: Option<NonZeroUsize>,
}

/// What is written, and where.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Results")]
struct ResultOptions {
    /// The folder for the files; or the file, where it is only one [default: the current folder]
    #[arg(short, long = "out", value_name = "PATH")]
    out: Option<PathBuf>,
    /// What to write: overlay, heatmap (the map alone, in colours), map (raw, float32 .npy), explanation (the picture times the
    /// map), explanation-input (the same as the network is fed it, .npy), panel (all side by side)
    #[arg(long, value_name = "KIND,…", value_delimiter = ',', default_value = "overlay")]
    save: Vec<Kind>,
    /// Colours: turbo, jet, viridis, inferno, magma, plasma, cividis or grey
    #[arg(long, value_name = "NAME", default_value_t = Colormap::Turbo)]
    colormap: Colormap,
    /// Opacity of the map over the picture, 0 to 1
    #[arg(long, value_name = "X", default_value_t = 0.5, value_parser = alpha, allow_negative_numbers = true)]
    alpha: f32,
    /// Print one JSON object an image and line
    #[arg(long)]
    json: bool,
    /// Replace files that onnxcam did not make; its own are always replaced, inputs never
    #[arg(long)]
    overwrite: bool,
}

const EXAMPLES: &str = "\
Files are called STEM.METHOD.KIND.png or .npy, panels STEM.panel.png. Where several classes were asked for, .class281 and \
the like stand before the method, and .against285 or .against-second where a class was contrasted with another; for the images of an .npy file with several, .0, .1, … before that. Of inputs with equal \
stems the second is called STEM-2.

Examples:
  onnxcam explain photo.jpg
  onnxcam explain photo.jpg --class tabby -o tabby.png
  onnxcam explain photo.jpg --class top3 --method grad-cam,grad-cam++ --save panel
  onnxcam explain photos --recursive -o maps --save overlay,map --json > results.jsonl
  onnxcam explain photo.jpg --model resnet50.onnx --layer layer4
  onnxcam explain photo.jpg --model resnet50.onnx --layer layer3 --layer layer4
  onnxcam explain photo.jpg --model efficientnet-lite2
  onnxcam explain photo.jpg --model embedder.onnx --similar-to other.jpg";

/// Images to run at once where there are several.
const BATCH: usize = 8;

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    interrupt::install().context("cannot prepare for an interrupt")?;
    let expanded = expand(&arguments.images, arguments.recursive)?;
    expanded.notes.iter().for_each(note);
    let sources = expanded.sources;
    let images: usize = sources.iter().map(|s| s.rows().unwrap_or(1)).sum();

    let model = Model::open(arguments.model.path(None, &arguments.cache)?)?;
    let methods = methods(&arguments.method, arguments.variant.as_deref())?;
    let early = arguments.similar_to.as_ref().map(|_| arguments.engine.choose(&arguments.cache)).transpose()?;
    let settled = settle(arguments, &model, &methods, if images > 1 { BATCH } else { 1 }, early.as_ref())?;
    let subject = settled.subject();
    if sources.iter().any(|s| s.rows().is_none()) {
        subject.preprocess().with_context(|| format!("cannot feed pictures to {}", model.path().display()))?;
    }
    let targets = match &arguments.class {
        Some(text) => subject.targets(text)?,
        None => Targets::default(),
    };
    let outputs =
        plan_outputs(arguments, &model, &methods, &targets, settled.plan().rival.map(|(rival, _)| rival), &sources)?;
    let chosen = early.map_or_else(|| arguments.engine.choose(&arguments.cache), Ok)?;
    let explainer = settled.load_for(&chosen, &targets)?;
    outputs.make_folder()?;
    explain(arguments, explainer, &targets, &sources, &outputs, images)
}

/// The methods of these names; those of several formulas by the one that was asked for.
pub(super) fn methods(names: &[String], variant: Option<&str>) -> anyhow::Result<Vec<&'static dyn Method>> {
    let has_several = |name: &str| variants(name).nth(1).is_some();
    let one_has = names.iter().any(|name| has_several(name.trim()));
    let mut methods: Vec<&'static dyn Method> = Vec::new();
    for name in names.iter().map(|name| name.trim()) {
        let method = match variant.filter(|_| has_several(name) || !one_has) {
            Some(variant) => find_variant(name, variant)?,
            None => find(name)?,
        };
        if methods.iter().all(|m| m.name() != method.name()) {
            methods.push(method);
        }
    }
    Ok(methods)
}

fn settle(
    arguments: &Arguments,
    model: &Model,
    methods: &[&'static dyn Method],
    batch: usize,
    engine: Option<&Chosen>,
) -> anyhow::Result<Settled> {
    let mut setup = arguments
        .model
        .tell(model.explain_with(methods))?
        .signed(arguments.signed)
        .seed(arguments.seed)
        .preprocess(arguments.preprocess.preprocessing()?)
        .batch(arguments.batch.map_or(batch, NonZeroUsize::get));
    if let Some(samples) = arguments.samples {
        setup = setup.samples(samples);
    }
    if !arguments.layer.is_empty() {
        setup = setup.layers(&arguments.layer);
    }
    if let Some(rival) = &arguments.against {
        setup = setup.against(rival);
    }
    if let Some(threads) = arguments.engine.threads() {
        setup = setup.threads(threads);
    }
    if let Some(path) = &arguments.labels {
        setup = setup.labels(Labels::from_file(path)?);
    }
    if let Some((path, engine)) = arguments.similar_to.as_ref().zip(engine) {
        let picture = Picture::open(path)?;
        picture.notes().iter().for_each(note);
        setup = setup.similar_to(&picture, path.display().to_string(), engine)?;
    }
    Ok(setup.settle()?)
}

fn plan_outputs(
    arguments: &Arguments,
    model: &Model,
    methods: &[&'static dyn Method],
    targets: &Targets,
    rival: Option<Rival>,
    sources: &[Source],
) -> anyhow::Result<Outputs> {
    let protected: Vec<PathBuf> =
        arguments.labels.iter().chain(&arguments.similar_to).cloned().chain([model.path().to_owned()]).collect();
    let results = &arguments.results;
    let request = Request {
        output: results.out.clone(),
        kinds: &results.save,
        methods,
        targets,
        rival,
        overwrite: results.overwrite,
        protected: &protected,
    };
    let outputs = Outputs::plan(&request, sources)?;
    for (i, source) in sources.iter().enumerate() {
        if let Some(lost) = results.save.iter().find(|kind| !outputs.kinds(i).contains(kind)) {
            let path = source.path().display();
            note(format_args!("{path} holds no picture to draw on: heatmaps are written where {lost} was asked for"));
        }
    }
    Ok(outputs)
}

/// Explains every image; the status tells whether all went well.
fn explain(
    arguments: &Arguments,
    mut explainer: PictureExplainer,
    targets: &Targets,
    sources: &[Source],
    outputs: &Outputs,
    images: usize,
) -> anyhow::Result<ExitCode> {
    let style = Style { colormap: arguments.results.colormap, alpha: arguments.results.alpha };
    let mut report = Report::new(&explainer, images, arguments.results.json);
    if let Some(watcher) = report.watcher(images) {
        explainer.watch(watcher);
    }
    let subject = explainer.subject().clone();
    subject.notes().iter().for_each(|text| report.note(text));
    if sources.iter().any(|s| s.rows().is_none()) {
        subject.preprocessing_note().into_iter().for_each(|text| report.note(text));
    }
    let mut failed = 0;
    explainer.explain_each(sources, targets, |Outcome { source, row, result }| -> anyhow::Result<()> {
        interrupt::whole(|| {
            let file = sources[source].path();
            let several = sources[source].rows().is_some_and(|rows| rows > 1);
            let written = result.and_then(|seen| Ok((outputs.write(source, row, &seen, style)?, seen)));
            match written {
                Ok((files, seen)) => report.explained(file, row.filter(|_| several), &seen, &files)?,
                Err(error) => {
                    failed += 1;
                    report.failed(file, &crate::failure::in_words(&error.into()))?;
                }
            }
            Ok(())
        })
    })?;
    report.finish();
    if failed > 0 && images > 1 {
        out::aside(format_args!("error: {failed} of {images} images could not be explained"));
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A number of samples.
fn samples(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| {
        "an average is over 1 sample or more; without --samples each method takes its own number".to_owned()
    })
}

/// An opacity.
fn alpha(text: &str) -> Result<f32, String> {
    let alpha = text.parse().ok().filter(|alpha| (0.0..=1.0).contains(alpha));
    alpha.ok_or_else(|| "an opacity is a number from 0, the picture alone, to 1, the map alone".to_owned())
}

//! Options that several commands share.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use onnxcam::Model;
use onnxcam::cache::{Cache, CacheError};
use onnxcam::classifier::Setup;
use onnxcam::engine::{Choice, Chosen, EngineError, Search, choose};
use onnxcam::explain::PlanOptions;
use onnxcam::model::catalogue::{EFFICIENTNET_LITE0, find};
use onnxcam::model::model;
use onnxcam::target::{Activation, HeadOptions, Part, Score};

use crate::out::note;

/// Which model, and what its file does not say.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Model")]
pub struct ModelOptions {
    /// The classifier: an ONNX file, or a name that `onnxcam models` lists, which is fetched on first use
    /// [default: efficientnet-lite0]
    #[arg(long, value_name = "FILE|NAME")]
    pub model: Option<PathBuf>,
    /// The size of its picture where the file leaves it open: one number, or height and width
    #[arg(long, value_name = "N|HxW", value_parser = size)]
    pub input_size: Option<(usize, usize)>,
    /// The value that an input besides the picture always has: `is_training=0`; one number for all its elements, or one for
    /// each. May be given several times
    #[arg(long, value_name = "NAME=VALUE,…", value_parser = input_value)]
    pub input: Vec<(String, Vec<f64>)>,
    /// The output with the class scores, where several could be meant
    #[arg(long, value_name = "NAME")]
    pub output: Option<String>,
    /// A part of an output to explain instead, of a detector or a segmentation network: the output and an entry for each axis
    /// but the batch: c for the classes, a number, or a range to average over: 'out[c, 10:20, 30:40]', 'boxes[c4:, 1234]'
    #[arg(long, value_name = "PART", conflicts_with_all = ["output", "score_graph"])]
    pub score: Option<Part>,
    /// An ONNX graph behind the model that makes the scores: its inputs are called like the model's outputs, its output is
    /// [N, classes] or [N]
    #[arg(long, value_name = "FILE", conflicts_with = "output")]
    pub score_graph: Option<PathBuf>,
    /// How scores become probabilities: softmax, sigmoid or none [default: as the model says]
    #[arg(long, value_name = "HOW")]
    pub activation: Option<Activation>,
}

impl ModelOptions {
    /// The model's file: the one named (`file` is a command's own argument), a model of the catalogue where there is no
    /// such file, or the default model's.
    pub fn path(&self, file: Option<&PathBuf>, cache: &CacheOptions) -> anyhow::Result<PathBuf> {
        let entry = match file.or(self.model.as_ref()) {
            None => &EFFICIENTNET_LITE0,
            Some(path) => match name(path) {
                None => return Ok(path.clone()),
                Some(name) => find(name)?,
            },
        };
        Ok(model(entry, &cache.locate()?, &mut |line| note(line))?)
    }

    /// Tells a classifier's setup what its file does not say.
    pub fn tell<'m>(&self, mut setup: Setup<'m>) -> anyhow::Result<Setup<'m>> {
        if let Some(output) = &self.output {
            setup = setup.output(output);
        }
        if let Some(activation) = self.activation {
            setup = setup.activation(activation);
        }
        if let Some((height, width)) = self.input_size {
            setup = setup.input_size(height, width);
        }
        if let Some(score) = self.score()? {
            setup = setup.score(score);
        }
        Ok(self.input.iter().fold(setup, |setup, (name, values)| setup.input_value(name, values)))
    }

    /// These options, as planning an explanation takes them.
    pub fn plan(&self, layer: Option<&str>) -> anyhow::Result<PlanOptions> {
        let mut options = PlanOptions { layer: layer.map(str::to_owned), ..Default::default() };
        options.import.input_size = self.input_size;
        options.import.values = self.input.clone();
        options.head = HeadOptions { output: self.output.clone(), activation: self.activation, score: self.score()? };
        Ok(options)
    }

    /// What is explained instead of an output as it is.
    pub fn score(&self) -> anyhow::Result<Option<Score>> {
        match (&self.score, &self.score_graph) {
            (Some(part), _) => Ok(Some(Score::Part(part.clone()))),
            (None, Some(path)) => Ok(Some(Score::graph(Model::open(path)?.file())?)),
            (None, None) => Ok(None),
        }
    }
}

/// Where the program keeps files that it can make again.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Cache")]
pub struct CacheOptions {
    /// The folder for models, ONNX Runtime and other files that can be fetched again [default: $ONNXCAM_CACHE or the user's]
    #[arg(long, value_name = "DIR", global = true)]
    pub cache_dir: Option<PathBuf>,
}

impl CacheOptions {
    /// The cache.
    pub fn locate(&self) -> Result<Cache, CacheError> {
        Cache::locate(self.cache_dir.as_deref())
    }

    /// Where to look for engines.
    pub fn search(&self) -> Search {
        Search::from_env(self.locate().ok().map(|cache| cache.root().to_owned()))
    }
}

/// What runs the model.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Engine")]
pub struct EngineOptions {
    /// auto (ONNX Runtime where it is found, else rten), rten, or ort (ONNX Runtime)
    #[arg(long, value_name = "ENGINE", default_value_t)]
    pub engine: Choice,
    /// Threads to compute with [default: as many as there are physical cores]
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
}

impl EngineOptions {
    /// Finds the engine; what `auto` took is said.
    pub fn choose(&self, cache: &CacheOptions) -> Result<Chosen, EngineError> {
        let chosen = choose(self.engine, &cache.search())?;
        if let Some(why) = &chosen.why {
            note(format_args!("engine: {why}"));
        }
        Ok(chosen)
    }

    /// The number of threads, as engines take it.
    pub fn threads(&self) -> Option<usize> {
        self.threads.map(NonZeroUsize::get)
    }
}

/// What can only be a name of the catalogue: no file is there, and it has neither folders nor a suffix.
fn name(path: &Path) -> Option<&str> {
    let name = path.to_str().filter(|name| Path::new(name).file_name().is_some_and(|last| last == *name))?;
    (path.extension().is_none() && path.symlink_metadata().is_err()).then_some(name)
}

/// `224` or `224x192`, height first.
fn size(text: &str) -> Result<(usize, usize), String> {
    let (height, width) = text.split_once(['x', '×']).unwrap_or((text, text));
    match (height.parse(), width.parse()) {
        (Ok(height @ 1..), Ok(width @ 1..)) => Ok((height, width)),
        _ => Err("a size is one number, such as 224, or height and width, such as 224x192".to_owned()),
    }
}

/// `is_training=0`, `mean:0=0.485,0.456,0.406`; a name may hold equal signs, its value does not.
fn input_value(text: &str) -> Result<(String, Vec<f64>), String> {
    let number = |text: &str| match text.trim() {
        "true" => Some(1.0),
        "false" => Some(0.0),
        number => number.parse::<f64>().ok(),
    };
    let parts = text.rsplit_once('=').filter(|(name, _)| !name.is_empty());
    let value =
        parts.and_then(|(name, values)| Some((name.to_owned(), values.split(',').map(number).collect::<Option<_>>()?)));
    value.ok_or_else(|| "an input and its value are written is_training=0, or mean=0.485,0.456,0.406".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_no_file_can_be_meant_by() {
        assert_eq!(name(Path::new("efficientnet-lite1")), Some("efficientnet-lite1"));
        for file in ["net.onnx", "./net", "folder/net", "net/", "..", "src"] {
            assert_eq!(name(Path::new(file)), None, "{file}");
        }
    }

    #[test]
    fn inputs_have_a_name_and_numbers() {
        let of = |name: &str, values: &[f64]| Ok((name.to_owned(), values.to_vec()));
        assert_eq!(input_value("is_training=false"), of("is_training", &[0.0]));
        assert_eq!(input_value("a=b/c:0=0.485, -1e-3,true"), of("a=b/c:0", &[0.485, -0.001, 1.0]));
        for wrong in ["", "x", "=1", "x=", "x=1,", "x=many"] {
            assert!(input_value(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_one_number_or_height_and_width() {
        assert_eq!(size("224"), Ok((224, 224)));
        assert_eq!(size("224x192"), Ok((224, 192)));
        for wrong in ["", "0", "0x3", "3x0", "x", "3x", "-1", "3x4x5", "a", "3 x 4"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}

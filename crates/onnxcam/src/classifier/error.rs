//! Why a classifier cannot be explained.

use std::path::{Path, PathBuf};

use onnx_graph::{ModelError, printable};

use super::{ClassError, PreprocessingError};
use crate::engine::EngineError;
use crate::explain::{PlanError, RunError};
use crate::heatmap::HeatmapError;
use crate::picture::PictureError;

/// Why a classifier, or a picture, cannot be explained. Each names its file; most end in a line `hint: …`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model's file cannot be read.
    #[error("{}", with_path(path, error))]
    Model {
        /// The model.
        path: PathBuf,
        /// Why.
        error: ModelError,
    },
    /// It can be read, but not explained as was asked.
    #[error("cannot explain {}: {error}", path.display())]
    Plan {
        /// The model.
        path: PathBuf,
        /// Why.
        error: PlanError,
    },
    /// The names of classes do not fit the network.
    #[error(
        "{labels} class names were given, {} has {classes} classes\nhint: one name a line for each class, in the network's order",
        path.display()
    )]
    Labels {
        /// The model.
        path: PathBuf,
        /// How many names there are.
        labels: usize,
        /// How many classes there are.
        classes: usize,
    },
    /// More or less than one class to contrast with.
    #[error("{text:?} is not one class to contrast with\nhint: a number, a name, or second")]
    Rival {
        /// The text.
        text: String,
    },
    /// A class is contrasted with itself.
    #[error(
        "the class explained is {class} ({}), and it is contrasted with {class} ({}): nothing sets a class apart from itself\nhint: --class names the class explained, --against another one, or second",
        printable(label),
        printable(label)
    )]
    AgainstItself {
        /// The class.
        class: usize,
        /// Its name.
        label: String,
    },
    /// A text names no class.
    #[error(transparent)]
    Class(#[from] ClassError),
    /// No engine, or it does not take the model.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The engine failed, or was given what does not fit.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The picture cannot be read.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// Pictures cannot become this network's input.
    #[error(transparent)]
    Preprocessing(#[from] PreprocessingError),
    /// An array cannot be read, or a heatmap drawn.
    #[error(transparent)]
    Heatmap(#[from] HeatmapError),
    /// An array is not in the network's layout.
    #[error("{name} has shape {found:?}, the network takes {expected}{}", axis_hint(found, wanted))]
    Array {
        /// The array.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The network's input in words: `[N, 3, 224, 224]`.
        expected: String,
        /// Its sizes behind the batch.
        wanted: Vec<usize>,
    },
}

/// Some of a model's errors name the file themselves.
fn with_path(path: &Path, error: &ModelError) -> String {
    match error {
        ModelError::Read { .. } | ModelError::Decode { .. } | ModelError::NoGraph { .. } => error.to_string(),
        _ => format!("{}: {error}", path.display()),
    }
}

fn axis_hint(found: &[usize], wanted: &[usize]) -> &'static str {
    let rotated = |by: fn(&mut [usize])| {
        let mut turned = wanted.to_vec();
        by(&mut turned);
        found.get(1..) == Some(&turned)
    };
    if found == wanted {
        "\nhint: the first axis counts pictures; `array[None]` in NumPy adds it"
    } else if found.first() == Some(&0) {
        "\nhint: there is no picture in it"
    } else if rotated(|w| w.rotate_left(1)) {
        "\nhint: this network takes the channels before height and width"
    } else if rotated(|w| w.rotate_right(1)) {
        "\nhint: this network takes the channels after height and width"
    } else {
        "\nhint: arrays are fed as they are, in the network's own layout"
    }
}

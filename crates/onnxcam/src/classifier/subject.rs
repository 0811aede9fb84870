//! What is explained: the classifier with everything settled, without its weights.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use ndarray::ArrayD;
use onnx_graph::Dim;

use super::preprocessing::SettledPreprocessing;
use super::probability::Probabilities;
use super::{ClassError, Error, PreprocessingError, Targets};
use crate::digest::Digest;
use crate::model::Labels;
use crate::picture::{Picture, Placement, Preprocess};
use crate::target::{Head, Layer};

/// A classifier's file, head, layer, classes and preprocessing, as they were settled.
#[derive(Clone, Debug)]
pub struct Subject {
    pub(super) path: PathBuf,
    pub(super) digest: Digest,
    pub(super) head: Head,
    pub(super) layer: Layer,
    pub(super) labels: Labels,
    pub(super) probabilities: Probabilities,
    pub(super) preprocessing: Result<SettledPreprocessing, PreprocessingError>,
    /// The input's shape, the batch first.
    pub(super) shape: Vec<Dim>,
    pub(super) notes: Vec<String>,
}

/// What the network is fed for one picture, and where in the picture it lies.
#[derive(Clone, Debug)]
pub struct Input {
    pub(super) tensor: ArrayD<f32>,
    pub(super) placement: Placement,
    pub(super) notes: Vec<String>,
}

impl Subject {
    /// The model's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// SHA-256 of the model's file.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The class scores.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The target layer.
    pub fn layer(&self) -> &Layer {
        &self.layer
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.head.classes
    }

    /// What to call a class: its name, or `class 7`.
    pub fn label(&self, class: usize) -> Cow<'_, str> {
        self.labels.display(class)
    }

    /// The classes that a text names: `281`, `tabby`, `top3`, or several with commas between.
    ///
    /// # Errors
    /// Where a part of it names no class, or several; the choices are listed.
    pub fn targets(&self, text: &str) -> Result<Targets, ClassError> {
        Targets::parse(text, &self.labels, self.classes())
    }

    /// What was assumed about the model; sentences for the user.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What was assumed about preprocessing, if anything; of interest where pictures are fed.
    pub fn preprocessing_note(&self) -> Option<&str> {
        self.preprocessing.as_ref().ok()?.note.as_deref()
    }

    /// How pictures become the network's input.
    ///
    /// # Errors
    /// Where the input cannot be a picture.
    pub fn preprocess(&self) -> Result<&Preprocess, PreprocessingError> {
        self.preprocessing.as_ref().map(|settled| &settled.preprocess).map_err(Clone::clone)
    }

    /// What the network is fed for a picture.
    ///
    /// # Errors
    /// Where the input cannot be a picture, or this one has no pixels.
    pub fn input(&self, picture: &Picture) -> Result<Input, Error> {
        let (tensor, placement) = self.preprocess()?.apply(picture)?;
        Ok(Input { tensor: tensor.into_dyn(), placement, notes: picture.notes().to_vec() })
    }

    /// One row of an array in the network's own layout, `[1, …]`, fed as it is; `name` stands for it in errors.
    ///
    /// # Errors
    /// [`Error::Array`] for another shape.
    pub fn array_input(&self, row: ArrayD<f32>, name: &str) -> Result<Input, Error> {
        self.check_array(row.shape(), name)?;
        let (width, height) = self.input_size();
        Ok(Input { tensor: row, placement: Placement::whole(width, height), notes: Vec::new() })
    }

    /// Whether an array `[N, …]` is in the network's layout, and not empty.
    pub(super) fn check_array(&self, found: &[usize], name: &str) -> Result<(), Error> {
        let wanted: Vec<usize> = self.shape.iter().skip(1).map(|d| usize::try_from(d.at(1)).unwrap_or(0)).collect();
        if found.first().is_some_and(|n| *n > 0) && found.get(1..) == Some(&wanted) {
            return Ok(());
        }
        let sizes: Vec<String> = wanted.iter().map(usize::to_string).collect();
        let expected = format!("[N, {}]", sizes.join(", "));
        Err(Error::Array { name: onnx_graph::printable(name), found: found.to_vec(), expected, wanted })
    }

    /// Width and height of the network's input as a picture.
    fn input_size(&self) -> (u32, u32) {
        let size = |axis: usize| self.shape.get(axis).and_then(|d| u32::try_from(d.at(1)).ok()).unwrap_or(1);
        match self.preprocess() {
            Ok(preprocess) => (preprocess.size.1 as u32, preprocess.size.0 as u32),
            Err(_) => (size(3), size(2)),
        }
    }
}

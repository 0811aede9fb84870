//! What is explained: the classifier with everything settled, without its weights.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use ndarray::{Array3, ArrayD, Ix3};
use onnx_graph::Dim;

use super::preprocessing::SettledPreprocessing;
use super::probability::Probabilities;
use super::{ClassError, Error, PreprocessingError, Targets};
use crate::digest::Digest;
use crate::heatmap::Heatmap;
use crate::model::Labels;
use crate::picture::{ChannelOrder, Picture, Placement, Preprocess};
use crate::target::{Head, Layer};

/// A classifier's file, head, layer, classes and preprocessing, as they were settled.
#[derive(Clone, Debug)]
pub struct Subject {
    pub(super) path: PathBuf,
    pub(super) digest: Digest,
    pub(super) head: Head,
    pub(super) layer: Layer,
    /// The input's name.
    pub(super) input: String,
    /// Which of its axes is the channels, where it may be a picture.
    pub(super) channels: Option<usize>,
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

/// What becomes of the samples that a map leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Beyond {
    /// They become black, as if the picture had been masked before preprocessing: E = L ∘ I by the letter.
    #[default]
    Black,
    /// They become 0 behind preprocessing, usually the mean colour of the data set, as pytorch-grad-cam and torch-cam do.
    Mean,
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

    /// A class is contrasted with itself.
    pub(super) fn against_itself(&self, class: usize) -> Error {
        Error::AgainstItself { class, label: self.label(class).into_owned() }
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
        let odd = row.iter().any(|v| !v.is_finite());
        let notes = odd.then(|| format!("{}: the array holds NaN or infinity", onnx_graph::printable(name)));
        Ok(Input { tensor: row, placement: Placement::whole(width, height), notes: notes.into_iter().collect() })
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

    /// An attribution of the input's shape, as red, green and blue, or one channel, last: `[H, W, channels]`.
    pub(super) fn in_colours(&self, attribution: &ArrayD<f32>) -> Option<Array3<f32>> {
        let last = attribution.view().into_dimensionality::<Ix3>().ok()?;
        let last = if self.channels? == 1 { last.permuted_axes([1, 2, 0]) } else { last };
        let bgr = self.preprocess().is_ok_and(|p| p.order == ChannelOrder::Bgr);
        let colour = |c: usize| if bgr { last.dim().2 - 1 - c } else { c };
        Some(Array3::from_shape_fn(last.dim(), |(y, x, c)| last[(y, x, colour(c))]))
    }

    /// The input times the positive part of a map that was up-sampled to it and stretched to 0..=1.
    pub(super) fn masked(&self, input: &Input, map: &Heatmap, beyond: Beyond) -> Result<ArrayD<f32>, Error> {
        self.check_array(input.tensor.shape(), "an input")?;
        let channels = self.channels.unwrap_or(1);
        let spatial: Vec<usize> = (1..4).filter(|axis| *axis != channels).collect();
        let size = |i: usize| spatial.get(i).and_then(|axis| input.tensor.shape().get(*axis)).copied().unwrap_or(1);
        let whole = Placement::whole(size(1) as u32, size(0) as u32);
        let mask = map.placed(&whole).values(); // [H, W]
        let black = match beyond {
            Beyond::Black => self.preprocess()?.black(),
            Beyond::Mean => [0.0; 3],
        };
        let mut masked = input.tensor.clone();
        for (at, sample) in masked.indexed_iter_mut() {
            let nothing = black[at[channels].min(2)];
            *sample = nothing + mask[(at[spatial[0]], at[spatial[1]])] * (*sample - nothing);
        }
        Ok(masked)
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

//! The explained model as a file: the classifier's own file and, behind its nodes, those that make class and maps.
//!
//! ```
//! use onnxcam::Model;
//! use onnxcam::export::{Document, ExportOptions, Exported, strip};
//! use onnxcam::method::GradCamPlusPlus;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let (net, explained) = (folder.path().join("net.onnx"), folder.path().join("explained.onnx"));
//! # std::fs::write(&net, testkit::models::tiny_cnn(17, 3).bytes())?;
//! let model = Model::open(&net)?;
//! let settled = model.explain_with(&[&GradCamPlusPlus]).settle()?;
//! let mut exported = Exported::of(&model, &settled, &ExportOptions::default())?;
//! exported.certify(&[std::sync::Arc::new(onnxcam::engine::Rten)])?;
//! exported.save(&explained)?;
//!
//! let file = Model::open(&explained)?;
//! let document = Document::of(file.file())?;
//! assert_eq!(document.maps[0].output, "onnxcam.grad-cam++");
//! assert_eq!(strip(file.file())?.proto(), model.file().proto());
//! # Ok(())
//! # }
//! ```
//!
//! What is in such a file, and what can be relied on, is in `docs/export.md`.

mod certificate;
mod document;
mod every_class;
mod graph;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use onnx_graph::{
    Added, AttachError, Attachment, EmitError, ModelError, TARGET, TRAINING_MODE, Tensor, attach, detach, keep_outputs,
    printable, tensor_names,
};

pub use certificate::{Certificate, Gradients, Outputs};
pub use document::{Document, DocumentError, ExplainedMap, Original, Port};
pub use onnx_graph::data_files;

use self::graph::Wanted;
use crate::classifier::{Model, PreprocessingError, Settled};
use crate::engine::Engine;
use crate::explain::{Plan, RunError};

/// What the explained file is to hold besides the maps as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportOptions {
    /// Maps as large as the network's input, half-pixel bilinear, instead of as large as the layer.
    pub resize_to_input: bool,
    /// So many classes of each picture: target and class are [N, K], maps [N, K, h, w].
    pub classes: Option<usize>,
    /// Every class of each picture, whatever `classes` says: there is no target, class is the predicted one, maps are
    /// [N, classes, h, w].
    pub all_classes: bool,
    /// Maps only: the file's own outputs and what only they need are left out, and the class must be given.
    pub lite: bool,
}

/// Why a model cannot be exported, or is none that was.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ExportError {
    #[error(
        "{} is an explained model already ({what})\nhint: `onnxcam strip` gives the original back", path.display()
    )]
    Explained { path: PathBuf, what: String },
    #[error(
        "{}: {note}\nhint: engines compute such a file otherwise than the trained network; export it in evaluation mode", path.display()
    )]
    Training { path: PathBuf, note: String },
    #[error("cannot add the explanation to {}: {error}", path.display())]
    Attach { path: PathBuf, error: AttachError },
    #[error(
        "{what}: not every class can be explained in one run\nhint: --classes top5 explains several, --layer chooses a deeper layer"
    )]
    EveryClass { what: String },
    #[error("{asked} classes were asked for, the network has {classes}")]
    Classes { asked: usize, classes: usize },
    #[error(
        "{method} is made of many runs, and no nodes in a graph make it\nhint: methods in the graph are exported, as grad-cam++; `onnxcam methods` lists them"
    )]
    Runs { method: &'static str },
    #[error("maps cannot be as large as the network's input: {0}")]
    NoPicture(PreprocessingError),
    #[error(transparent)]
    Emit(#[from] EmitError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Document(#[from] DocumentError),
    #[error(
        "{engine} computes the explained file, but its own outputs differ from the original's: {what}\nhint: this is a defect of onnxcam or of the engine; please report it"
    )]
    Differs { engine: String, what: String },
    #[error("{engine} runs the original, but not the explained file: {error}\nhint: please report it")]
    NotRun { engine: String, error: RunError },
    #[error("{} holds a part of its original only: it was exported with --lite", path.display())]
    Part { path: PathBuf },
    #[error("{} is not as onnxcam wrote it: nodes or outputs are missing", path.display())]
    Changed { path: PathBuf },
}

/// An explained model that is to become a file.
#[derive(Clone, Debug)]
pub struct Exported {
    plan: Plan,
    original: Model,
    model: onnx_graph::Model,
    /// The same nodes with two outputs more, ∂S/∂A of the first class and A.
    with_gradient: Option<WithGradient>,
    added: Added,
    document: Document,
}

/// The file with what a certificate looks at among its outputs.
#[derive(Clone, Debug)]
struct WithGradient {
    model: onnx_graph::Model,
    /// Of the outputs ∂S/∂A and A.
    names: [String; 2],
}

impl Exported {
    /// Adds what was settled to the model's file. Nothing is written yet.
    ///
    /// # Errors
    /// Where the model is an explained one already, was exported in training mode, or no opset has both what its nodes
    /// and what the new ones need.
    pub fn of(model: &Model, settled: &Settled, options: &ExportOptions) -> Result<Exported, ExportError> {
        let path = || model.path().to_owned();
        let plan = settled.plan();
        if let Some(runs) = plan.runs.first() {
            return Err(ExportError::Runs { method: runs.method.title() });
        }
        if let Ok(document) = Document::of(model.file()) {
            return Err(ExportError::Explained { path: path(), what: document.in_short() });
        }
        if let Some(note) = plan.notes.iter().find(|note| note.contains(TRAINING_MODE)) {
            return Err(ExportError::Training { path: path(), note: note.clone() });
        }
        let size = match options.resize_to_input {
            true => Some(settled.subject().preprocess().map_err(ExportError::NoPicture)?.size),
            false => None,
        };
        let names: HashSet<String> = tensor_names(model.file().graph()).map(str::to_owned).collect();
        let Wanted { graph, target, class, maps, gradient } = graph::wanted(plan, options, &names, size)?;
        let mut free = Free(names);
        let inputs: Vec<(Tensor, String)> = target.map(|target| (target, free.name(TARGET))).into_iter().collect();
        let class = class.map(|class| (class, free.name("onnxcam.class")));
        let maps: Vec<(Tensor, String)> = maps
            .into_iter()
            .zip(&plan.maps)
            .map(|(map, planned)| (map, free.name(&format!("onnxcam.{}", planned.method.name()))))
            .collect();
        let outputs: Vec<(Tensor, String)> = class.iter().cloned().chain(maps.iter().cloned()).collect();
        let written = |outputs: &[(Tensor, String)]| {
            let attached = attach(model.file(), Attachment { graph: &graph, inputs: &inputs, outputs });
            let mut attached = attached.map_err(|error| ExportError::Attach { path: path(), error })?;
            if options.lite {
                keep_outputs(&mut attached.proto, |name| outputs.iter().any(|(_, output)| output == name));
            }
            Ok::<_, ExportError>(attached)
        };
        let attached = written(&outputs)?;
        let with_gradient = match gradient {
            Some([gradient, features]) => {
                let more = [(gradient, certificate::GRADIENT), (features, certificate::FEATURES)];
                let more = more.map(|(t, name)| (t, free.name(name)));
                let names = more.each_ref().map(|(_, name)| name.clone());
                let with_gradient: Vec<_> = outputs.iter().cloned().chain(more).collect();
                let proto = written(&with_gradient)?.proto;
                Some(WithGradient { model: onnx_graph::Model::from_proto(proto, model.path())?, names })
            }
            None => None,
        };
        let port = |t: Tensor, name: &str| Port::of(&graph, t, name);
        let document = Document::new(document::Facts {
            model,
            settled,
            options,
            input: Port::of(&plan.graph, plan.input, &plan.graph.tensor(plan.input).name),
            target: inputs.first().map(|(t, name)| port(*t, name)),
            class: class.as_ref().map(|(t, name)| port(*t, name)),
            maps: maps.iter().map(|(t, name)| port(*t, name)).collect(),
            added: (!options.lite).then(|| attached.added.clone()),
        });
        let model_out = onnx_graph::Model::from_proto(attached.proto, model.path())?;
        Ok(Exported {
            plan: plan.clone(),
            original: model.clone(),
            model: model_out,
            with_gradient,
            added: attached.added,
            document,
        })
    }

    /// Runs original and explained file on these engines: the file's own outputs are compared, and the gradients of a
    /// random direction with central differences. The document says what came of it.
    ///
    /// An engine that does not run the original is left out, which is said.
    ///
    /// # Errors
    /// [`ExportError::Differs`] where the outputs differ beyond float32's rounding, [`ExportError::NotRun`] where an engine
    /// runs the original and not the explained file.
    pub fn certify(&mut self, engines: &[Arc<dyn Engine>]) -> Result<(), ExportError> {
        for engine in engines {
            let certificate = certificate::certify(self, engine)?;
            self.document.certificates.push(certificate);
        }
        Ok(())
    }

    /// What is said about the file, inside it.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// How many nodes and how many bytes are new.
    pub fn size_added(&self) -> (usize, usize) {
        (self.added.nodes, self.to_model().byte_count().saturating_sub(self.original.file().byte_count()))
    }

    /// The file's content, the document in it.
    pub fn to_model(&self) -> onnx_graph::Model {
        self.model.clone().with_metadata(document::KEY, &self.document.to_text())
    }

    /// Writes the file: whole or not at all.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), ExportError> {
        Ok(self.to_model().save(path)?)
    }

    /// Writes the file with the original's weights referred to where they lie: in the original's file, or beside it. The two
    /// belong together from then on, in one folder.
    ///
    /// # Errors
    /// Where the original lies in another folder, or the file cannot be written.
    pub fn save_sharing_weights(&self, path: &Path) -> Result<(), ExportError> {
        Ok(self.to_model().save_sharing(path)?)
    }
}

/// The original of an explained model: as its file was, message for message.
///
/// # Errors
/// Where the file is no explained one, was changed since, or holds only a part of its original.
pub fn strip(file: &onnx_graph::Model) -> Result<onnx_graph::Model, ExportError> {
    let document = Document::of(file)?;
    let path = || file.path().to_owned();
    let added = document.added.as_ref().ok_or_else(|| ExportError::Part { path: path() })?;
    let stripped = file.clone().without_metadata(document::KEY);
    let proto = detach(stripped.proto(), added).ok_or_else(|| ExportError::Changed { path: path() })?;
    Ok(onnx_graph::Model::from_proto(proto, file.path())?)
}

/// Names that are taken.
struct Free(HashSet<String>);

impl Free {
    /// This name, or where it is taken, with @2, @3, …
    fn name(&mut self, name: &str) -> String {
        let numbered = (2..).map(|n| format!("{name}@{n}"));
        let free = std::iter::once(name.to_owned()).chain(numbered).find(|name| !self.0.contains(name));
        let free = free.unwrap_or_else(|| printable(name)); // There is always one.
        self.0.insert(free.clone());
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Rten;
    use crate::method::GradCam;

    /// A certificate is none for another network.
    #[test]
    fn what_is_wrong_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.onnx");
        std::fs::write(&path, testkit::models::tiny_cnn(17, 5).bytes()).unwrap();
        let model = Model::open(&path).unwrap();
        let settled = model.explain_with(&[&GradCam]).settle().unwrap();
        let right = Exported::of(&model, &settled, &ExportOptions::default()).unwrap();
        let engines: [Arc<dyn Engine>; 1] = [Arc::new(Rten)];
        let certified = |mut exported: Exported| exported.certify(&engines).map(|()| exported.document.certificates);
        let [certificate] = &certified(right.clone()).unwrap()[..] else { panic!("one engine") };
        assert!(matches!(certificate.gradients, Gradients::Agree(_)), "{certificate}");
        let names = right.with_gradient.as_ref().unwrap().names.clone();
        let other = Exported { with_gradient: Some(WithGradient { model: turned(&right), names }), ..right.clone() };
        let [certificate] = &certified(other).unwrap()[..] else { panic!("one engine") };
        assert!(matches!(certificate.gradients, Gradients::Differ(_)), "{certificate}");
        assert_eq!(certificate.outputs, Outputs::Equal);
        assert!(certificate.to_string().contains("gradients DIFFER from"), "{certificate}");
        let error = certified(Exported { model: turned(&right), ..right }).unwrap_err().to_string();
        assert!(error.contains("its own outputs differ from the original's: \"logits\" by "), "{error}");
    }

    /// The file with the weights of its head for other feature maps.
    fn turned(exported: &Exported) -> onnx_graph::Model {
        let model = &exported.with_gradient.as_ref().unwrap().model;
        let mut proto = model.proto().clone();
        let weights = &mut proto.graph.as_mut().unwrap().initializer;
        let head = weights.iter_mut().find(|t| t.name.as_deref() == Some("fc.weight")).unwrap();
        let mut bytes = head.raw_data.clone().unwrap().to_vec();
        bytes.rotate_left(4);
        head.raw_data = Some(bytes.into());
        onnx_graph::Model::from_proto(proto, model.path()).unwrap()
    }
}

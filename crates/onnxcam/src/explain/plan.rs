//! The explained graph: the model's own nodes, and after them class, gradient and maps.

use onnx_autodiff::GradientError;
use onnx_graph::{
    Attributes, Constant, DataType, Dim, Emit, EmitError, Graph, ImportOptions, Imported, Model, ModelError, TARGET,
    Tensor, import, printable,
};

use super::pooled_head::pooled_linear_head;
use crate::method::{At, Caveat, Method, Needs};
use crate::target::{
    Head, HeadError, HeadOptions, LastLinear, Layer, LayerError, automatic_layer, cells_reach_the_score, find_head,
    find_layer, first_curved, first_rounded,
};

/// What to explain.
#[derive(Clone, Debug, Default)]
pub struct PlanOptions {
    /// What the caller knows about the model's input.
    pub import: ImportOptions,
    /// What the caller knows about its head.
    pub head: HeadOptions,
    /// The target layer by tensor, node or module name; the automatic one otherwise.
    pub layer: Option<String>,
    /// Leave the last relu of each method out.
    pub signed: bool,
}

/// Why a model cannot be explained.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum PlanError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Head(#[from] HeadError),
    #[error(transparent)]
    Layer(#[from] LayerError),
    #[error("{0}\nhint: choose a layer after it; `onnxcam layers` lists the candidates")]
    Gradient(#[from] GradientError),
    #[error(transparent)]
    Emit(#[from] EmitError),
    #[error("{method} is not defined for layer \"{layer}\": {reason}\nhint: grad-cam and grad-cam++ need no such head")]
    NoPooledHead { method: &'static str, layer: String, reason: String },
    #[error(
        "the model has {} inputs to feed:\n{}\nhint: one of them is the picture; {}", inputs.len(), inputs.join("\n"), give(others)
    )]
    Inputs { inputs: Vec<String>, others: Vec<String> },
}

/// What to do about inputs besides the picture, as `is_training` and `keep_prob`.
fn give(others: &[String]) -> String {
    let flags: Vec<String> = others.iter().map(|name| format!("--input '{name}=VALUE'")).collect();
    match flags.as_slice() {
        [] => "networks of several pictures cannot be explained".to_owned(),
        flags => format!("{} gives the others what they always have", flags.join(" ")),
    }
}

/// One method's tensors in the explained graph.
#[derive(Clone, Debug)]
pub struct PlannedMap {
    /// The method.
    pub method: &'static dyn Method,
    /// w_k, [N, K, 1, 1].
    pub weights: Tensor,
    /// The raw map, [N, h, w].
    pub map: Tensor,
    /// What has to be said of some pictures' maps.
    pub caveat: Option<Caveat>,
    /// What has to be said of every map of this network and layer.
    pub notes: Vec<String>,
}

/// An explained graph, not yet tied to an engine or a batch size.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The model's nodes with ours behind them.
    pub graph: Graph,
    /// The picture.
    pub input: Tensor,
    /// The class asked for, \[N\], int64.
    pub target: Tensor,
    /// The class explained, \[N\], int64.
    pub class: Tensor,
    /// The head.
    pub head: Head,
    /// The target layer.
    pub layer: Layer,
    /// Its feature maps A, [N, K, h, w]: the layer's tensor, or as its view moves that.
    pub features: Tensor,
    /// The maps, in the order of the methods.
    pub maps: Vec<PlannedMap>,
    /// What was assumed; sentences for the user.
    pub notes: Vec<String>,
}

impl Plan {
    /// Adds the explanation by these methods to a model.
    pub fn new(model: &Model, methods: &[&'static dyn Method], options: &PlanOptions) -> Result<Plan, PlanError> {
        let imported = read(model, options)?;
        let (mut graph, mut notes) = (imported.graph, imported.notes);
        let input = only_input(&graph)?;
        let head = find_head(&mut graph, &options.head).map_err(|e| e.at(imported.assumed_size))?;
        let layer = match &options.layer {
            Some(name) => find_layer(&graph, &head, name)?,
            None => automatic_layer(&graph, &head)?,
        };
        note_layer(&graph, &head, &layer, &mut notes);
        let batch = graph.shape(head.scores).and_then(|s| s.first().copied()).unwrap_or(Dim::BATCH);
        let target = graph.add_input(TARGET, DataType::I64, vec![batch]);
        let class = emit_class(&mut graph, &head, target)?;
        let features = as_maps(&mut graph, &layer, layer.tensor)?;

        let wants = |needs| methods.iter().find(|m| m.needs() == needs);
        let gradient = match wants(Needs::LayerGradient) {
            Some(_) => {
                let gradient = emit_gradient(&mut graph, &head, class, &layer)?;
                Some(as_maps(&mut graph, &layer, gradient)?)
            }
            None => None,
        };
        let head_row = match wants(Needs::PooledLinearHead) {
            Some(method) => {
                let linear = pooled_linear_head(&graph, &head, layer.tensor).map_err(|reason| {
                    PlanError::NoPooledHead { method: method.title(), layer: printable(&layer.name), reason }
                })?;
                Some(emit_row(&mut graph, &head, &linear, class)?)
            }
            None => None,
        };
        let at = At { features, gradient, head_row };
        let curved = first_curved(&graph, &head, layer.tensor).map(|node| graph.describe(node));
        let rounded = first_rounded(&graph, &head, layer.tensor).map(|node| graph.describe(node));
        let e = Emit::new(&mut graph);
        let maps = methods.iter().map(|method| {
            let emitted = method.emit(&e, &at, options.signed);
            let curved = curved.iter().filter(|_| method.is_first_order());
            let rounded = rounded.iter().filter(|_| method.needs() == Needs::LayerGradient);
            let curved = curved.map(|c| format!("alpha: first-order, as {c} lies between layer and score"));
            let rounded = rounded.map(|r| format!("straight-through: gradients pass {r} as if it did not round"));
            PlannedMap {
                method: *method,
                weights: emitted.weights,
                map: emitted.map,
                caveat: emitted.caveat,
                notes: curved.chain(rounded).collect(),
            }
        });
        let maps = maps.collect();
        e.finish()?;
        Ok(Plan { graph, input, target, class, head, layer, features, maps, notes })
    }

    /// The batch size that the file fixes, if it does.
    pub fn fixed_batch(&self) -> Option<usize> {
        let batch = self.graph.shape(self.input)?.first()?.known()?;
        usize::try_from(batch).ok()
    }
}

/// The model as it is explained: in float32, whatever floats the file has.
pub(super) fn read(model: &Model, options: &PlanOptions) -> Result<Imported, ModelError> {
    import(model, &ImportOptions { single_precision: true, ..options.import.clone() })
}

pub(super) fn only_input(graph: &Graph) -> Result<Tensor, PlanError> {
    match graph.inputs.as_slice() {
        [one] => Ok(*one),
        several => {
            let name = |t: &Tensor| printable(&graph.tensor(*t).name);
            let line = |t: &Tensor| format!("  {}  {}", name(t), graph.tensor(*t).signature());
            // A picture has height and width; a value for every cell of one is none that can be said.
            let large = |t: &&Tensor| graph.shape(**t).is_some_and(|s| s.iter().filter(|d| is_large(**d)).count() >= 2);
            let others = several.iter().filter(|t| !large(t)).map(name).collect();
            Err(PlanError::Inputs { inputs: several.iter().map(line).collect(), others })
        }
    }
}

fn is_large(size: Dim) -> bool {
    size.known().is_some_and(|size| size > 4)
}

fn note_layer(graph: &Graph, head: &Head, layer: &Layer, notes: &mut Vec<String>) {
    let (name, (rows, columns)) = (printable(&layer.name), layer.view.grid());
    if (rows, columns) == (1, 1) {
        notes.push(format!("layer \"{name}\" has one cell only: its map is the same everywhere"));
    }
    if !cells_reach_the_score(graph, head, layer) {
        notes.push(format!(
            "the score is made of the class token alone behind layer \"{name}\": its patches do not reach it, and the map is zero"
        ));
    }
}

/// The feature maps of the layer's tensor, or the gradient with respect to them of that with respect to the tensor.
fn as_maps(graph: &mut Graph, layer: &Layer, t: Tensor) -> Result<Tensor, EmitError> {
    if layer.view.is_identity() {
        return Ok(t);
    }
    let e = Emit::new(graph);
    let maps = layer.view.emit(&e, t);
    e.finish()?;
    Ok(maps)
}

/// The class of each picture, [N]: the target, or where that is negative the highest score's.
fn emit_class(graph: &mut Graph, head: &Head, target: Tensor) -> Result<Tensor, EmitError> {
    let e = Emit::new(graph);
    let predicted = e.node("ArgMax", &[head.scores], Attributes::none().with("axis", 1i64).with("keepdims", false));
    let open = e.compare("Less", target, e.constant(Constant::i64s(&[], &[0])));
    let class = e.node("Where", &[open, predicted, target], Attributes::none());
    e.finish()?;
    Ok(class)
}

/// ∂S/∂A for the class of each picture.
///
/// Where a linear layer makes the scores, its rows are the gradient with respect to its input: a gather, not a product
/// with a one-hot seed.
fn emit_gradient(graph: &mut Graph, head: &Head, class: Tensor, layer: &Layer) -> Result<Tensor, PlanError> {
    let linear = LastLinear::making(graph, head.raw).filter(|l| layer.tensor != l.output);
    let seed = match &linear {
        Some(linear) => {
            let e = Emit::new(graph);
            let rows = linear.rows(&e, head, class);
            let seed = e.reshape(rows, e.shape(linear.input));
            e.finish()?;
            (linear.input, seed)
        }
        None => {
            let e = Emit::new(graph);
            let classes: Vec<i64> = (0..head.classes as i64).collect();
            let classes = e.constant(Constant::i64s(&[1, classes.len()], &classes));
            let batch = e.shape(class).first().copied().unwrap_or(Dim::BATCH);
            let chosen = e.compare("Equal", e.reshape(class, vec![batch, Dim::new(1)]), classes);
            let seed = e.cast(chosen, e.float_type(head.scores)); // One-hot, [N, classes]
            e.finish()?;
            (head.scores, seed)
        }
    };
    let gradient = onnx_autodiff::gradient(graph, &[seed], &[layer.tensor])?;
    gradient[0].ok_or_else(|| LayerError::OffThePath { layer: printable(&layer.name) }.into())
}

fn emit_row(graph: &mut Graph, head: &Head, linear: &LastLinear, class: Tensor) -> Result<Tensor, EmitError> {
    let e = Emit::new(graph);
    let rows = linear.rows(&e, head, class);
    let mut shape = e.shape(rows);
    shape.extend([Dim::new(1), Dim::new(1)]);
    let row = e.reshape(rows, shape);
    e.finish()?;
    Ok(row)
}

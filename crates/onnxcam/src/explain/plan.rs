//! The explained graph: the model's own nodes, and after them class, gradient and maps.

use onnx_autodiff::{ActivationRule, GradientError, activations_between};
use onnx_graph::{
    Attributes, DataType, Dim, Emit, EmitError, Graph, ImportOptions, Imported, Model, ModelError, TARGET, Tensor,
    import, lower, printable, show_shape,
};

use super::gradients::{Choice, Gradients, emit_class, emit_rival, emit_row};
use super::pooled_head::pooled_linear_head;
use crate::method::{At, Caveat, Emitted, Method, Needs, Similar, reciprocal_or_zero};
use crate::picture::Layout;
use crate::target::{
    Head, HeadError, HeadOptions, Layer, LayerError, View, automatic_layer, cells_reach_the_score, channel_axis,
    find_head, find_layer, first_curved, first_rounded,
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
    /// Further target layers, whose maps are fused with the first one's.
    pub fused: Vec<String>,
    /// Explain the difference to another class's score: S = S_class − S_rival.
    pub rival: Option<Rival>,
    /// Leave the last relu of each method out.
    pub signed: bool,
    /// Where the picture's channels stand, where that is known; else as the graph shows or the shape suggests.
    pub layout: Option<Layout>,
}

/// The class that a contrast is with: why this class, rather than that?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rival {
    /// The one with the highest score beside the class explained.
    RunnerUp,
    /// This one, counted from 0.
    Class(usize),
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
        "{method} looks at changed pictures, whose second class may be another\nhint: name the class with --against"
    )]
    NoContrast { method: &'static str },
    #[error(
        "{method} is made for pictures, and layer \"{layer}\" has feature maps {shape}\nhint: grad-cam, grad-cam++ and others of one gradient explain series and volumes"
    )]
    OfPictures { method: &'static str, layer: String, shape: String },
    #[error(
        "layer \"{layer}\" has feature maps {shape}, and only those of pictures, [N, channels, height, width], can be drawn\nhint: the library explains series and volumes: `Plan` and `Explainer`, see docs/layers.md"
    )]
    NotPictures { layer: String, shape: String },
    #[error("there is no rival {rival}: the network has {classes} classes, counted from 0")]
    NoRival { rival: String, classes: usize },
    #[error(
        "{method} is made at the picture, and the input is {input}\nhint: it takes pictures, [N, channels, height, width] or [N, height, width, channels], in floats or cast to them first"
    )]
    NoPixels { method: &'static str, input: String },
    #[error(
        "{method} cannot be fused over several layers: {reason}\nhint: name one layer, or a method of feature maps such as grad-cam or layercam"
    )]
    NotFused { method: &'static str, reason: &'static str },
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
    /// w_k, [N, K, 1, 1], or one weight a cell, [N, K, h, w]; none where the map is no weighted sum of feature maps.
    pub weights: Option<Tensor>,
    /// The raw map, [N, h, w], of a series [N, l], of a volume [N, d, h, w].
    pub map: Tensor,
    /// What a method in the space of the picture says of every sample, of the picture's shape.
    pub attribution: Option<Tensor>,
    /// What has to be said of some pictures' maps.
    pub caveat: Option<Caveat>,
    /// What has to be said of every map of this network and layer.
    pub notes: Vec<String>,
}

/// A method of many runs, and what of the graph it runs.
#[derive(Clone, Debug)]
pub struct PlannedRuns {
    /// The method.
    pub method: &'static dyn Method,
    /// The gradient that it needs, at the feature maps or at the picture.
    pub(super) gradient: Option<Tensor>,
    /// Which axis of the picture is its channels, where it is one.
    pub(super) channels: Option<usize>,
    /// What has to be said of every map of this network and layer.
    pub(super) notes: Vec<String>,
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
    /// The class it is contrasted with, \[N\], int64.
    pub rival: Option<(Rival, Tensor)>,
    /// The head.
    pub head: Head,
    /// The target layer; the picture itself where no method takes feature maps.
    pub layer: Layer,
    /// Its feature maps A, [N, K, h, w], of a series [N, K, l], of a volume [N, K, d, h, w]: the layer's tensor, or as its
    /// view moves that.
    pub features: Tensor,
    /// The gradient of the score with respect to the layer's tensor, of its shape, where a method needs it.
    pub gradient: Option<Tensor>,
    /// The methods, in the order that they were asked for.
    pub methods: Vec<&'static dyn Method>,
    /// The maps of those that are nodes in the graph.
    pub maps: Vec<PlannedMap>,
    /// Those that take many runs.
    pub runs: Vec<PlannedRuns>,
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
        notes.extend(head.score.iter().map(|score| match head.classes {
            1 => format!("explained is {}", printable(score)),
            classes => format!("explained is {}, of {classes} classes counted from 0", printable(score)),
        }));
        let needed = methods.iter().any(|m| m.needs().features);
        let layers: Vec<Layer> = match (&options.layer, options.fused.as_slice()) {
            _ if !needed => vec![the_picture(&graph, input)],
            (None, []) => vec![automatic_layer(&graph, &head)?],
            (first, more) => {
                first.iter().chain(more).map(|name| find_layer(&graph, &head, name)).collect::<Result<_, _>>()?
            }
        };
        let layer = fused_layer(&graph, &layers);
        if let Some(name) = options.layer.as_ref().filter(|_| !needed) {
            let name = printable(name);
            notes.push(format!("--layer \"{name}\" plays no part: no method asked for takes feature maps"));
        }
        let channels = channel_axis(&graph, input, options.layout);
        if layers.len() > 1 {
            check_fused(&graph, input, channels, &layers, methods, options.signed)?;
        }
        layers.iter().for_each(|layer| note_layer(&graph, &head, layer, &mut notes));
        let of_pictures = methods.iter().find(|m| m.runs().is_some() && m.needs().features && !is_of_pictures(&layer));
        if let Some(method) = of_pictures {
            let (layer, shape) = (printable(&layer.name), show_shape(layer.view.shape()));
            return Err(PlanError::OfPictures { method: method.title(), layer, shape });
        }
        let batch = graph.shape(head.scores).and_then(|s| s.first().copied()).unwrap_or(Dim::BATCH);
        let target = graph.add_input(TARGET, DataType::I64, vec![batch]);
        let class = emit_class(&mut graph, &head, target)?;
        let second = options.rival == Some(Rival::RunnerUp);
        if let Some(method) = methods.iter().find(|m| second && averages_gradients(**m)) {
            return Err(PlanError::NoContrast { method: method.title() });
        }
        let rival = match options.rival {
            Some(rival) => Some((rival, emit_rival(&mut graph, &head, class, rival)?)),
            None => None,
        };
        let explained = Choice { class, rival: rival.map(|(_, t)| t) };
        let gradients = Gradients::new(&mut graph, methods, &head, explained, &layers, input, options.layout)?;
        let mut of_layers = Vec::new();
        for (i, layer) in layers.iter().enumerate() {
            let features = as_maps(&mut graph, layer, layer.tensor)?;
            let mut viewed = |t: Option<Tensor>| t.map(|t| as_maps(&mut graph, layer, t)).transpose();
            let curvature = viewed(gradients.curvature(i))?;
            let kinds = [None, Some(Similar::Mean), Some(Similar::Probable)].into_iter();
            let kinds = kinds.map(|of| Ok((of, viewed(gradients.at_layer(i, of))?)));
            let gradients = kinds.collect::<Result<_, EmitError>>()?;
            let head_row = match methods.iter().find(|m| m.needs().pooled_head) {
                Some(method) => {
                    let linear = pooled_linear_head(&graph, &head, layer.tensor).map_err(|reason| {
                        PlanError::NoPooledHead { method: method.title(), layer: printable(&layer.name), reason }
                    })?;
                    Some(emit_row(&mut graph, &head, &linear, explained, layer.view.shape().len())?)
                }
                None => None,
            };
            of_layers.push(OfLayer { features, gradients, curvature, head_row });
        }
        let main = layers.iter().position(|l| l.tensor == layer.tensor).unwrap_or(0);
        let curved = layers.iter().find_map(|layer| first_curved(&graph, &head, layer.tensor));
        let curved = curved.map(|node| graph.describe(node));
        let maps: Vec<(At, Vec<String>)> = methods
            .iter()
            .map(|method| {
                let needs = method.needs();
                let pixels = needs.pixels.and_then(|rule| gradients.pixels(rule));
                let at = At {
                    pixels,
                    biases: if needs.biases { gradients.biases.clone() } else { Vec::new() },
                    ..of_layers[main].at(needs)
                };
                let curved = curved.iter().filter(|_| method.is_first_order());
                let mut notes: Vec<String> =
                    curved.map(|c| format!("alpha: first-order, as {c} lies between layer and score")).collect();
                let from = pixels.map(|p| p.input).or(at.gradient.map(|_| layer.tensor));
                notes.extend(from.and_then(|from| note_rounding(&graph, &head, from)));
                if let Some((rule, from)) = needs.pixels.filter(|rule| *rule != ActivationRule::Exact).zip(from) {
                    notes.push(UNFAITHFUL.to_owned());
                    notes.extend(note_rule(&graph, &head, from, rule));
                }
                (at, notes)
            })
            .collect();
        let mut runs = Vec::new();
        for (method, (at, notes)) in methods.iter().zip(&maps) {
            let Some(procedure) = method.runs() else { continue };
            if procedure.takes_pictures() && channels.is_none() {
                let input = graph.tensor(input).signature();
                return Err(PlanError::NoPixels { method: method.title(), input });
            }
            let gradient = at.gradient.or(at.pixels.map(|pixels| pixels.gradient));
            runs.push(PlannedRuns { method: *method, gradient, channels, notes: notes.clone() });
        }
        let e = Emit::new(&mut graph);
        let nodes = methods.iter().zip(maps).filter(|(method, _)| method.runs().is_none());
        let maps = nodes.map(|(method, (at, notes))| {
            let emitted = match of_layers.as_slice() {
                [_] => method.emit(&e, &at, options.signed),
                several => {
                    let every = several.iter().map(|of| method.emit(&e, &of.at(method.needs()), false));
                    fused(&e, every, input, channels.unwrap_or(1))
                }
            };
            PlannedMap {
                method: *method,
                weights: emitted.weights,
                map: emitted.map,
                attribution: emitted.attribution,
                caveat: emitted.caveat,
                notes,
            }
        });
        let maps = maps.collect();
        e.finish()?;
        Ok(Plan {
            graph,
            input,
            target,
            class,
            rival,
            head,
            layer,
            features: of_layers[main].features,
            gradient: gradients.at_layer(main, None),
            methods: methods.to_vec(),
            maps,
            runs,
            notes,
        })
    }

    /// That there are pictures, whose maps can be drawn, rather than series or volumes.
    ///
    /// # Errors
    /// [`PlanError::NotPictures`].
    pub(crate) fn check_pictures(&self) -> Result<(), PlanError> {
        if is_of_pictures(&self.layer) || self.layer.tensor == self.input {
            return Ok(());
        }
        let (layer, shape) = (printable(&self.layer.name), show_shape(self.layer.view.shape()));
        Err(PlanError::NotPictures { layer, shape })
    }

    /// The batch size that the file fixes, if it does.
    pub fn fixed_batch(&self) -> Option<usize> {
        let batch = self.graph.shape(self.input)?.first()?.known()?;
        usize::try_from(batch).ok()
    }
}

fn is_of_pictures(layer: &Layer) -> bool {
    layer.view.shape().len() == 4
}

/// What methods need of a target layer, as maps [N, K, h, w].
struct OfLayer {
    features: Tensor,
    gradients: Vec<(Option<Similar>, Option<Tensor>)>,
    curvature: Option<Tensor>,
    head_row: Option<Tensor>,
}

impl OfLayer {
    fn at(&self, needs: Needs) -> At {
        let gradient = self.gradients.iter().find(|(of, _)| *of == needs.similar).and_then(|(_, t)| *t);
        At {
            features: needs.features.then_some(self.features),
            gradient: gradient.filter(|_| needs.gradient),
            curvature: self.curvature.filter(|_| needs.curvature),
            head_row: self.head_row.filter(|_| needs.pooled_head),
            ..At::default()
        }
    }
}

/// The deepest of several layers, under the names of all.
fn fused_layer(graph: &Graph, layers: &[Layer]) -> Layer {
    let depth = |layer: &Layer| {
        graph.nodes().iter().position(|n| n.outputs.contains(&Some(layer.tensor))).map_or(0, |place| place + 1)
    };
    let deepest = layers.iter().max_by_key(|layer| depth(layer)).cloned().expect("one layer at least");
    let named = |what: fn(&Layer) -> &str| layers.iter().map(what).collect::<Vec<_>>().join(", ");
    Layer { name: named(|l| &l.name), module: named(|l| &l.module), ..deepest }
}

/// Which methods make one map of several layers.
fn check_fused(
    graph: &Graph,
    input: Tensor,
    channels: Option<usize>,
    layers: &[Layer],
    methods: &[&'static dyn Method],
    signed: bool,
) -> Result<(), PlanError> {
    for method in methods {
        let refused = |reason| Err(PlanError::NotFused { method: method.title(), reason });
        if !layers.iter().all(is_of_pictures) {
            return refused("only feature maps of pictures, [N, channels, height, width], are laid over each other");
        } else if channels.is_none() {
            let input = graph.tensor(input).signature();
            return Err(PlanError::NoPixels { method: method.title(), input });
        } else if method.runs().is_some() {
            return refused("it takes many runs, each for one layer");
        } else if method.needs().pixels.is_some() {
            return refused("it is made in the space of the picture");
        } else if signed {
            return refused(
                "each layer's map is its positive part, stretched to 0..=1, and --signed asks for the rest",
            );
        }
    }
    Ok(())
}

/// The maps of several layers as one, [N, H, W]: the positive part of each stretched to 0..=1 (0 where it is the same everywhere),
/// up-sampled to the picture, half-pixel bilinear, and averaged.
fn fused(e: &Emit, every: impl Iterator<Item = Emitted>, input: Tensor, channels: usize) -> Emitted {
    let shape = e.shape(input);
    let [height, width] = if channels == 1 { [shape[2], shape[3]] } else { [shape[1], shape[2]] };
    let (mut maps, mut caveat): (Vec<Tensor>, Option<Caveat>) = (Vec::new(), None);
    for emitted in every {
        let map = e.relu(emitted.map); // [N, h, w]
        let low = e.reduce("ReduceMin", map, &[1, 2], true);
        let range = e.sub(e.reduce("ReduceMax", map, &[1, 2], true), low);
        let stretched = e.mul(e.sub(map, low), reciprocal_or_zero(e, range));
        maps.push(lower::resize_bilinear(e, stretched, height, width));
        caveat = match (caveat, emitted.caveat) {
            (Some(one), Some(other)) => {
                Some(Caveat { tensor: e.node("Min", &[one.tensor, other.tensor], Attributes::none()), ..one })
            }
            (one, other) => one.or(other),
        };
    }
    let count = maps.len() as f64;
    let sum = maps.into_iter().reduce(|sum, map| e.add(sum, map)).expect("one layer at least");
    Emitted { caveat, ..Emitted::of_map(e.scale(sum, 1.0 / count)) }
}

/// Whether a method takes gradients in many runs.
fn averages_gradients(method: &dyn Method) -> bool {
    method.runs().is_some() && (method.needs().gradient || method.needs().pixels.is_some())
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
    let name = printable(&layer.name);
    if layer.view.is_one_cell() {
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

/// The picture as a target layer: where methods in its space are made.
fn the_picture(graph: &Graph, input: Tensor) -> Layer {
    let view = View::identity(graph.shape(input).unwrap_or_default());
    Layer { tensor: input, name: graph.tensor(input).name.to_string(), module: String::new(), view }
}

/// Gradients that pass a rounding.
fn note_rounding(graph: &Graph, head: &Head, from: Tensor) -> Option<String> {
    let node = first_rounded(graph, head, from)?;
    Some(format!("straight-through: gradients pass {} as if it did not round", graph.describe(node)))
}

/// What has to be said wherever a rule other than the derivative is shown.
const UNFAITHFUL: &str = "what it shows hardly changes when the network's weights are made random (Adebayo et al. 2018): \
    edges the network can see, not what decided";

/// Activations that a rule was not published for.
fn note_rule(graph: &Graph, head: &Head, from: Tensor, rule: ActivationRule) -> Option<String> {
    let other: Vec<_> =
        activations_between(graph, &[head.scores], &[from]).into_iter().filter(|a| !a.is_rectifier).collect();
    let first = graph.describe(graph.producer(other.first()?.output)?);
    let more = if other.len() > 1 { format!(" and {} more activations", other.len() - 1) } else { String::new() };
    Some(format!(
        "its rule was published for ReLU; {first}{more} send back relu(dY) {}",
        if rule == ActivationRule::Guided { "times their own derivative" } else { "as it is" }
    ))
}

//! Which score is explained, and its gradients: where the layer and the picture want them.

use onnx_autodiff::{ActivationRule, gradient_by};
use onnx_graph::{Attributes, Constant, Dim, Emit, EmitError, Graph, Tensor, printable};

use super::biases::biases;
use super::plan::{PlanError, Rival};
use crate::method::{Method, Pixels, Similar, Spread};
use crate::picture::Layout;
use crate::target::{Head, LastLinear, Layer, LayerError, channel_axis, picture_in_floats};

/// The class of each picture, [N]: the target, or where that is negative the highest score's.
pub(super) fn emit_class(graph: &mut Graph, head: &Head, target: Tensor) -> Result<Tensor, EmitError> {
    let e = Emit::new(graph);
    let predicted = e.node("ArgMax", &[head.scores], Attributes::none().with("axis", 1i64).with("keepdims", false));
    let open = e.compare("Less", target, e.constant(Constant::i64s(&[], &[0])));
    let class = e.node("Where", &[open, predicted, target], Attributes::none());
    e.finish()?;
    Ok(class)
}

/// The class with the highest score beside each picture's class, or the one named: [N].
pub(super) fn emit_rival(graph: &mut Graph, head: &Head, class: Tensor, rival: Rival) -> Result<Tensor, PlanError> {
    let missing = |rival: String| PlanError::NoRival { rival, classes: head.classes };
    let e = Emit::new(graph);
    let found = match rival {
        Rival::Class(number) if number >= head.classes => return Err(missing(format!("class {number}"))),
        Rival::RunnerUp if head.classes < 2 => return Err(missing("to the only score".to_owned())),
        Rival::Class(number) => e.expand(e.constant(Constant::i64s(&[1], &[number as i64])), e.shape(class)),
        Rival::RunnerUp => {
            let least = e.number_like(head.scores, f32::NEG_INFINITY);
            let others = e.node("Where", &[is_class(&e, head, class), least, head.scores], Attributes::none());
            e.node("ArgMax", &[others], Attributes::none().with("axis", 1i64).with("keepdims", false))
        }
    };
    e.finish()?;
    Ok(found)
}

/// Whether a score is that of the picture's class: [N] -> [N, classes].
fn is_class(e: &Emit, head: &Head, class: Tensor) -> Tensor {
    let classes: Vec<i64> = (0..head.classes as i64).collect();
    let classes = e.constant(Constant::i64s(&[1, classes.len()], &classes));
    let batch = e.shape(class).first().copied().unwrap_or(Dim::BATCH);
    e.compare("Equal", e.reshape(class, vec![batch, Dim::new(1)]), classes)
}

/// The score explained, S: a class's, or its difference to a rival's.
#[derive(Clone, Copy)]
pub(super) struct Choice {
    pub class: Tensor,
    pub rival: Option<Tensor>,
}

impl Choice {
    /// What `of` makes of the class, less what it makes of its rival.
    fn each(self, e: &Emit, of: impl Fn(Tensor) -> Tensor) -> Tensor {
        let own = of(self.class);
        self.rival.map_or(own, |rival| e.sub(own, of(rival)))
    }
}

/// What the methods need of gradients, each swept once.
pub(super) struct Gradients {
    /// At each target layer; none where no method needs them.
    pub layers: Vec<Tensor>,
    /// The same of the score less those of similar classes.
    similar: Vec<(Similar, Vec<Tensor>)>,
    /// H A at each layer, H the second derivative; none where it is 0.
    curvature: Vec<Option<Tensor>>,
    /// At the picture, by each rule.
    pixels: Vec<(ActivationRule, Pixels)>,
    /// At the biases of convolutions and batch normalisations.
    pub biases: Vec<Spread>,
}

impl Gradients {
    pub fn new(
        graph: &mut Graph,
        methods: &[&'static dyn Method],
        head: &Head,
        explained: Choice,
        layers: &[Layer],
        input: Tensor,
        layout: Option<Layout>,
    ) -> Result<Gradients, PlanError> {
        let needs = |rule| methods.iter().find(|m| m.needs().pixels == Some(rule));
        let mut gradients = Gradients {
            layers: Vec::new(),
            similar: Vec::new(),
            curvature: Vec::new(),
            pixels: Vec::new(),
            biases: Vec::new(),
        };
        let tensors: Vec<Tensor> = layers.iter().map(|layer| layer.tensor).collect();
        let at_layers = |found: &mut dyn Iterator<Item = Option<Tensor>>| -> Result<Vec<Tensor>, LayerError> {
            let off = |layer: &Layer| LayerError::OffThePath { layer: printable(&layer.name) };
            layers.iter().map(|layer| found.next().flatten().ok_or_else(|| off(layer))).collect()
        };
        let biases = if methods.iter().any(|m| m.needs().biases) { biases(graph) } else { Vec::new() };
        for rule in [ActivationRule::Exact, ActivationRule::Guided, ActivationRule::Deconvnet] {
            let at_layer = rule == ActivationRule::Exact
                && methods.iter().any(|m| m.needs().gradient && m.needs().similar.is_none());
            let picture = match needs(rule) {
                None => None,
                Some(method) => {
                    let floats = picture_in_floats(graph, input).zip(channel_axis(graph, input, layout));
                    let signature = graph.tensor(input).signature();
                    Some(floats.ok_or(PlanError::NoPixels { method: method.title(), input: signature })?)
                }
            };
            let biases = if rule == ActivationRule::Exact { biases.as_slice() } else { &[] };
            let at: &[Tensor] = if at_layer { &tensors } else { &[] };
            let ends = at.iter().copied().chain(picture.map(|(input, _)| input));
            let ends: Vec<Tensor> = ends.chain(biases.iter().map(|b| b.output)).collect();
            if ends.is_empty() {
                continue;
            }
            let mut found = emit_gradients(graph, head, explained, &ends, rule)?.into_iter();
            if at_layer {
                gradients.layers = at_layers(&mut found)?;
            }
            if let Some((input, channels)) = picture {
                let off = || LayerError::OffThePath { layer: printable(&graph.tensor(input).name) };
                let gradient = found.next().flatten().ok_or_else(off)?;
                gradients.pixels.push((rule, Pixels { input, gradient, channels }));
            }
            let e = Emit::new(graph);
            for (bias, gradient) in biases.iter().zip(found) {
                let Some(gradient) = gradient else { continue }; // It plays no part in the score.
                let bias = e.constants_like(gradient, &[1, bias.values.len(), 1, 1], &bias.values);
                gradients.biases.push(Spread { bias, gradient });
            }
            e.finish()?;
        }
        for similar in [Similar::Mean, Similar::Probable] {
            if methods.iter().any(|m| m.needs().similar == Some(similar)) {
                let seed = (head.scores, emit_similar(graph, head, explained, similar)?);
                let found = gradient_by(graph, &[seed], &tensors, ActivationRule::Exact)?;
                gradients.similar.push((similar, at_layers(&mut found.into_iter())?));
            }
        }
        if methods.iter().any(|m| m.needs().curvature) {
            for (g, layer) in gradients.layers.iter().zip(&tensors) {
                // ∂⟨g, A'⟩/∂A for A' = A held fast: as H is symmetric, that is H A.
                gradients.curvature.push(onnx_autodiff::gradient(graph, &[(*g, *layer)], &[*layer])?[0]);
            }
        }
        Ok(gradients)
    }

    /// The gradient at a layer that a method needs, of its tensor's shape.
    pub fn at_layer(&self, layer: usize, similar: Option<Similar>) -> Option<Tensor> {
        let all = match similar {
            Some(of) => &self.similar.iter().find(|(similar, _)| *similar == of)?.1,
            None => &self.layers,
        };
        all.get(layer).copied()
    }

    /// H A at a layer.
    pub fn curvature(&self, layer: usize) -> Option<Tensor> {
        self.curvature.get(layer).copied().flatten()
    }

    pub fn pixels(&self, rule: ActivationRule) -> Option<Pixels> {
        self.pixels.iter().find(|(of, _)| *of == rule).map(|(_, pixels)| *pixels)
    }
}

/// The gradients of the score of each picture's class at these tensors.
///
/// Where a linear layer makes the scores, its rows are the gradient with respect to its input: a gather, not a product
/// with a one-hot seed.
fn emit_gradients(
    graph: &mut Graph,
    head: &Head,
    explained: Choice,
    ends: &[Tensor],
    rule: ActivationRule,
) -> Result<Vec<Option<Tensor>>, PlanError> {
    let linear = LastLinear::making(graph, head.raw).filter(|l| !ends.contains(&l.output));
    let e = Emit::new(graph);
    let seed = match &linear {
        Some(linear) => {
            let rows = explained.each(&e, |class| linear.rows(&e, head, class));
            (linear.input, e.reshape(rows, e.shape(linear.input)))
        }
        None => {
            let one_hot = |class| e.cast(is_class(&e, head, class), e.float_type(head.scores)); // [N, classes]
            (head.scores, explained.each(&e, one_hot))
        }
    };
    e.finish()?;
    Ok(gradient_by(graph, &[seed], ends, rule)?)
}

/// How many classes Finer-CAM compares with.
const SIMILAR: usize = 3;

/// ∂F/∂S, [N, classes], for F = S_c − Σ_d q_d S_d, d the classes whose scores are nearest to S_c, or the rival: q are equal, or
/// the softmax of their scores.
fn emit_similar(graph: &mut Graph, head: &Head, explained: Choice, similar: Similar) -> Result<Tensor, PlanError> {
    let count = if explained.rival.is_some() { 1 } else { SIMILAR.min(head.classes.saturating_sub(1)) };
    if head.classes < 2 {
        return Err(PlanError::NoRival { rival: "to the only score".to_owned(), classes: head.classes });
    }
    let e = Emit::new(graph);
    let scores = head.scores;
    let float = e.float_type(scores);
    let one_hot = |class| e.cast(is_class(&e, head, class), float); // [N, classes]
    let own = one_hot(explained.class);
    let others = match explained.rival {
        Some(rival) => one_hot(rival),
        None => {
            let score = e.reduce("ReduceSum", e.mul(own, scores), &[1], true); // [N, 1]
            let nearness = e.neg(e.abs(e.sub(scores, score)));
            let none = e.number_like(scores, f32::NEG_INFINITY);
            let nearest = |taken: Tensor| {
                let taken = e.compare("Greater", taken, e.number_like(scores, 0.0));
                let open = e.node("Where", &[taken, none, nearness], Attributes::none());
                one_hot(e.node("ArgMax", &[open], Attributes::none().with("axis", 1i64).with("keepdims", false)))
            };
            e.sub((0..count).fold(own, |taken, _| e.add(taken, nearest(taken))), own)
        }
    };
    let slope = match similar {
        Similar::Mean => e.scale(others, 1.0 / count as f64),
        Similar::Probable => {
            // ∂(Σ q_d S_d)/∂S_j = q_j (1 + S_j − Σ q_d S_d).
            let chosen = e.compare("Greater", others, e.number_like(scores, 0.0));
            let none = e.number_like(scores, f32::NEG_INFINITY);
            let among = e.node("Where", &[chosen, scores, none], Attributes::none());
            let q = e.node("Softmax", &[among], Attributes::none().with("axis", 1i64));
            let mean = e.reduce("ReduceSum", e.mul(q, scores), &[1], true); // [N, 1]
            e.mul(q, e.add(e.sub(scores, mean), e.number_like(scores, 1.0)))
        }
    };
    let seed = e.sub(own, slope);
    e.finish()?;
    Ok(seed)
}

/// The class's row of a linear head, [N, K, 1, 1], or of as many axes as feature maps have.
pub(super) fn emit_row(
    graph: &mut Graph,
    head: &Head,
    linear: &LastLinear,
    explained: Choice,
    axes: usize,
) -> Result<Tensor, EmitError> {
    let e = Emit::new(graph);
    let rows = explained.each(&e, |class| linear.rows(&e, head, class));
    let mut shape = e.shape(rows);
    shape.resize(axes, Dim::new(1));
    let row = e.reshape(rows, shape);
    e.finish()?;
    Ok(row)
}

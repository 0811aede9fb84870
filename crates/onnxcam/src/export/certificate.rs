//! What was found when an explained file ran: whether its own outputs are the original's, and whether its gradients are the
//! scores' slopes.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use ndarray::{ArrayD, IxDyn, Zip};
use onnx_graph::ops::Signature;
use onnx_graph::{DataType, Emit, Graph, Model, Node, Spelling, Tensor, rewrite, spell};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::{ExportError, Exported, WithGradient};
use crate::bench::noise;
use crate::engine::{Engine, Kind, Session, Source, Value};
use crate::explain::{Plan, RunError, legal, load};
use crate::target::first_rounded;

/// The name under which the gradient leaves the graph while it is checked.
pub(super) const GRADIENT: &str = "onnxcam.gradient";

/// The same of the feature maps.
pub(super) const FEATURES: &str = "onnxcam.features";

/// Outputs may differ by so much of the largest element: float32's rounding in another order.
const ROUNDING: f64 = 1e-4;

/// Gradients agree where a random direction's slope is as near as this to central differences, relative to the root of
/// Σ (g d)², which that slope is as large as by its nature. Between kinks and float32's rounding, differences tell no more;
/// gradients that are wrong are off by about 1.
const SLOPE: f64 = 0.1;

/// What was found on one engine, with noise for pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct Certificate {
    /// The engine and its version.
    pub engine: String,
    /// The outputs of the original.
    pub outputs: Outputs,
    /// The gradients at the target layer.
    pub gradients: Gradients,
}

/// The original's outputs, as the explained file makes them.
#[derive(Clone, Debug, PartialEq)]
pub enum Outputs {
    /// Every bit the same.
    Equal,
    /// They differ by this much, relative to the largest element.
    Within(f64),
    /// The engine does not run the original, or the file has none of its outputs.
    NotCompared(String),
}

/// Gradients against central differences of the scores.
#[derive(Clone, Debug, PartialEq)]
pub enum Gradients {
    /// The slopes agree within this, relative to the root of Σ (g d)².
    Agree(f64),
    /// They do not: by this much.
    Differ(f64),
    /// There are none, or none that differences could show.
    NotCompared(String),
}

impl fmt::Display for Outputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outputs::Equal => f.write_str("plain outputs are the original's, bit for bit"),
            Outputs::Within(difference) => {
                write!(f, "plain outputs differ from the original's by {difference:.0e} of the largest element at most")
            }
            Outputs::NotCompared(why) => write!(f, "plain outputs not compared: {why}"),
        }
    }
}

impl fmt::Display for Gradients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Gradients::Agree(by) => write!(f, "gradients agree with central differences within {by:.0e}"),
            Gradients::Differ(by) => write!(f, "gradients DIFFER from central differences by {by:.0e}"),
            Gradients::NotCompared(why) => write!(f, "gradients not compared: {why}"),
        }
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (outputs, gradients) = (self.outputs.to_string(), self.gradients.to_string());
        write!(f, "{}: {}; {}", self.engine, onnx_graph::printable(&outputs), onnx_graph::printable(&gradients))
    }
}

impl Certificate {
    /// As JSON: `engine`, then `outputs` and `gradients`, each with `is` and what goes with it.
    pub fn to_json(&self) -> Json {
        let outputs = match &self.outputs {
            Outputs::Equal => json!({ "is": "equal" }),
            Outputs::Within(difference) => json!({ "is": "within", "difference": difference }),
            Outputs::NotCompared(why) => json!({ "is": "not compared", "why": why }),
        };
        let gradients = match &self.gradients {
            Gradients::Agree(deviation) => json!({ "is": "agree", "deviation": deviation }),
            Gradients::Differ(deviation) => json!({ "is": "differ", "deviation": deviation }),
            Gradients::NotCompared(why) => json!({ "is": "not compared", "why": why }),
        };
        json!({ "engine": self.engine, "outputs": outputs, "gradients": gradients })
    }

    pub(super) fn read(value: &Json) -> Result<Certificate, String> {
        let (outputs, gradients) = (&value["outputs"], &value["gradients"]);
        let number = |v: &Json, key: &str| v[key].as_f64().ok_or_else(|| format!("`{key}` is no number"));
        let why = |v: &Json| v["why"].as_str().unwrap_or_default().to_owned();
        Ok(Certificate {
            engine: value["engine"].as_str().ok_or("`engine` is no text")?.to_owned(),
            outputs: match outputs["is"].as_str() {
                Some("equal") => Outputs::Equal,
                Some("within") => Outputs::Within(number(outputs, "difference")?),
                _ => Outputs::NotCompared(why(outputs)),
            },
            gradients: match gradients["is"].as_str() {
                Some("agree") => Gradients::Agree(number(gradients, "deviation")?),
                Some("differ") => Gradients::Differ(number(gradients, "deviation")?),
                _ => Gradients::NotCompared(why(gradients)),
            },
        })
    }
}

/// Runs original and explained file, then the scores on both sides of the layer's tensor.
pub(super) fn certify(exported: &Exported, engine: &Arc<dyn Engine>) -> Result<Certificate, ExportError> {
    let plan = &exported.plan;
    let batch = plan.fixed_batch().unwrap_or(2);
    let picture = picture(plan, batch);
    let failed = |error: RunError| ExportError::NotRun { engine: engine.version(), error };
    let expected = match original_outputs(exported, engine, &picture) {
        Ok(expected) => expected,
        Err(error) => {
            let outputs = Outputs::NotCompared(format!("it does not run the original: {}", first_line(&error)));
            let gradients = Gradients::NotCompared("for the same reason".to_owned());
            return Ok(Certificate { engine: engine.version(), outputs, gradients });
        }
    };
    let names: Vec<&str> = expected.iter().map(|(name, _)| name.as_str()).collect();
    let found = run(&exported.model, exported, engine, &picture, batch, &names).map_err(failed)?;
    let outputs = compare(&expected, &found, engine)?;
    let gradients = match &exported.with_gradient {
        None => Gradients::NotCompared("the method takes none at a layer".to_owned()),
        Some(_) if first_rounded(&plan.graph, &plan.head, plan.layer.tensor).is_some() => Gradients::NotCompared(
            "the network rounds to integers between layer and scores, which gradients pass as if it did not".to_owned(),
        ),
        Some(with_gradient) => match slopes(exported, with_gradient, engine, &picture, batch).map_err(failed)? {
            deviation if deviation <= SLOPE => Gradients::Agree(two_digits(deviation)),
            deviation => Gradients::Differ(two_digits(deviation)),
        },
    };
    Ok(Certificate { engine: engine.version(), outputs, gradients })
}

/// As it is written down: more digits say nothing, and do not survive the way through JSON.
fn two_digits(value: f64) -> f64 {
    format!("{value:.1e}").parse().unwrap_or(value)
}

fn first_line(error: &dyn fmt::Display) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// Noise for pictures, whole numbers 0 to 255 where the network takes those.
fn picture(plan: &Plan, batch: usize) -> Value {
    let shape = plan.graph.shape(plan.input).unwrap_or_default();
    let shape: Vec<usize> = shape.iter().map(|d| usize::try_from(d.at(batch)).unwrap_or(0)).collect();
    let noise = noise(&shape);
    match plan.graph.tensor(plan.input).dtype {
        Some(DataType::I8) => Value::from(noise.mapv(|v| (v * 73.0) as i64)),
        Some(dtype) if !dtype.is_float() => Value::from(noise.mapv(|v| ((v + 1.74) * 73.0) as i64)),
        _ => Value::from(noise),
    }
}

/// The original's outputs by name, those of tensors.
fn original_outputs(
    exported: &Exported,
    engine: &Arc<dyn Engine>,
    picture: &Value,
) -> Result<Vec<(String, Value)>, RunError> {
    let plan = &exported.plan;
    let mut session = engine.load(Source::File(exported.original.path()), None)?;
    let mut given: Vec<(String, Value)> = Vec::new();
    for port in session.inputs() {
        match plan.graph.find(&port.name) {
            Some(t) if t == plan.input => given.push((port.name.clone(), picture.clone())),
            Some(t) => given.extend(constant(plan, t, port.kind).map(|value| (port.name.clone(), value))),
            None => {}
        }
    }
    let names: Vec<String> = session.outputs().iter().filter(|o| o.kind.is_some()).map(|o| o.name.clone()).collect();
    let given: Vec<(&str, &Value)> = given.iter().map(|(name, value)| (name.as_str(), value)).collect();
    let asked: Vec<&str> = names.iter().map(String::as_str).collect();
    let values = session.run(&given, &asked)?;
    Ok(names.into_iter().zip(values).collect())
}

/// The value of an input that always has the same.
fn constant(plan: &Plan, t: Tensor, kind: Option<Kind>) -> Option<Value> {
    let constant = plan.graph.constant(t)?;
    let values = constant.to_f64().ok()?;
    let array = ArrayD::from_shape_vec(IxDyn(constant.dims()), values).ok()?;
    Some(match kind {
        Some(Kind::Int) => Value::from(array.mapv(|v| v as i64)),
        _ => Value::from(array.mapv(|v| v as f32)),
    })
}

/// Outputs of the explained file for the predicted class, or where it has to be given, class 0.
fn run(
    model: &Model,
    exported: &Exported,
    engine: &Arc<dyn Engine>,
    picture: &Value,
    batch: usize,
    outputs: &[&str],
) -> Result<Vec<Value>, RunError> {
    let (mut session, _folder) = load(&**engine, model, None)?;
    let document = &exported.document;
    let class = if document.class.is_some() { -1 } else { 0 };
    let target = document.target.as_ref().map(|port| {
        let sizes = port.shape.iter().map(|d| d.as_u64().map_or(batch, |d| d as usize));
        (port.name.as_str(), Value::from(ArrayD::from_elem(IxDyn(&sizes.collect::<Vec<_>>()), class)))
    });
    let given = [(document.input.name.as_str(), picture)].into_iter();
    let given: Vec<(&str, &Value)> = given
        .chain(target.as_ref().map(|(name, target)| (*name, target)))
        .filter(|(name, _)| session.inputs().iter().any(|port| port.name == *name))
        .collect();
    let has = |name: &&&str| session.outputs().iter().any(|o| o.name == **name);
    let there: Vec<&str> = outputs.iter().filter(has).copied().collect();
    Ok(session.run(&given, &there)?)
}

fn compare(expected: &[(String, Value)], found: &[Value], engine: &Arc<dyn Engine>) -> Result<Outputs, ExportError> {
    if found.is_empty() {
        return Ok(Outputs::NotCompared("the file has none of them".to_owned()));
    }
    let mut worst = 0.0_f64;
    let mut equal = true;
    for ((name, expected), found) in expected.iter().zip(found) {
        equal &= same_bits(expected, found);
        let difference = difference(expected, found);
        worst = worst.max(difference);
        if difference.is_nan() || difference > ROUNDING {
            let what = format!("\"{}\" by {difference:.1e} of its largest element", onnx_graph::printable(name));
            return Err(ExportError::Differs { engine: engine.version(), what });
        }
    }
    Ok(if equal { Outputs::Equal } else { Outputs::Within(two_digits(worst)) })
}

fn same_bits(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::F32(a), Value::F32(b)) => {
            a.shape() == b.shape() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
        }
        (a, b) => a == b,
    }
}

/// The largest difference, relative to the largest element that is expected; ∞ for other shapes or whole numbers.
fn difference(expected: &Value, found: &Value) -> f64 {
    match (expected, found) {
        (Value::F32(expected), Value::F32(found)) if expected.shape() == found.shape() => {
            let most = expected.iter().fold(f32::MIN_POSITIVE, |most, v| most.max(v.abs()));
            let apart = |(a, b): (&f32, &f32)| if a.to_bits() == b.to_bits() { 0.0 } else { f64::from((a - b).abs()) };
            let differences = expected.iter().zip(found).map(apart);
            differences.fold(0.0, |worst, d| if d > worst || d.is_nan() { d } else { worst }) / f64::from(most)
        }
        (expected, found) if expected == found => 0.0,
        _ => f64::INFINITY,
    }
}

/// How far Σ g d, for random directions d of the layer's tensor (in those cells that are not 0), is from
/// (S(A + εd) − S(A − εd)) / 2ε, relative to the root of Σ (g d)²; of several ε the best, since a large one meets kinks and a
/// small one rounding.
fn slopes(
    exported: &Exported,
    WithGradient { model, names: [gradient_name, features_name] }: &WithGradient,
    engine: &Arc<dyn Engine>,
    picture: &Value,
    batch: usize,
) -> Result<f64, RunError> {
    const STEPS: [f32; 7] = [0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4];
    const DIRECTIONS: usize = 2;
    let plan = &exported.plan;
    let document = &exported.document;
    // Of every class, it is the first one's gradient.
    let class_name = document.class.as_ref().filter(|_| document.target.is_some()).map(|port| port.name.as_str());
    let names: Vec<&str> = [gradient_name.as_str(), features_name].into_iter().chain(class_name).collect();
    let mut found = run(model, exported, engine, picture, batch, &names)?.into_iter();
    let answer = |what| RunError::Answer { what, shape: vec![] };
    let mut floats = |what| found.next().and_then(Value::into_f32).ok_or_else(|| answer(what));
    let (gradient, features) = (floats("the gradient")?, floats("the feature maps")?);
    let classes: Vec<i64> = match found.next().and_then(Value::into_i64) {
        Some(classes) => classes.iter().step_by((classes.len() / batch).max(1)).copied().collect(), // The first of each.
        None => vec![0; batch],
    };
    let mut behind = Behind::new(plan, engine, batch, picture)?;
    let spread = (features.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / features.len().max(1) as f64).sqrt();
    let spread = if spread > 0.0 { spread as f32 } else { 1.0 };
    let noise = noise(&[&[DIRECTIONS], gradient.shape()].concat());
    let mut worst = 0.0_f64;
    for direction in noise.outer_iter() {
        // Where a layer is rectified, 0s tie in the pools behind it, and the gradient there is a convention.
        let direction = Zip::from(&direction).and(&features).map_collect(|d, a| if *a == 0.0 { 0.0 } else { *d });
        let (mut slope, mut size) = (0.0, f64::MIN_POSITIVE);
        for (g, d) in gradient.iter().zip(&direction) {
            let term = f64::from(*g) * f64::from(*d) * f64::from(spread);
            slope += term;
            size += term * term;
        }
        let mut best = f64::INFINITY;
        for step in STEPS {
            let by = direction.mapv(|d| d * step * spread);
            let (above, below) = (behind.scores(&features + &by)?, behind.scores(&features - &by)?);
            let score = |scores: &ArrayD<f32>, i: usize| f64::from(scores[[i, classes[i] as usize]]);
            let rise: f64 = (0..batch).map(|i| score(&above, i) - score(&below, i)).sum();
            best = best.min((rise / (2.0 * f64::from(step)) - slope).abs() / size.sqrt());
        }
        worst = worst.max(best);
    }
    Ok(worst)
}

/// The network from the target layer on: its tensor is fed.
struct Behind {
    session: Box<dyn Session>,
    _folder: Option<TempDir>,
    /// The picture, for what does not pass through the layer.
    input: (String, Value),
    features: String,
    output: String,
}

impl Behind {
    fn new(plan: &Plan, engine: &Arc<dyn Engine>, batch: usize, picture: &Value) -> Result<Behind, RunError> {
        let mut graph = plan.graph.clone();
        let layer = plan.layer.tensor;
        let shape = graph.shape(layer).unwrap_or_default().to_vec();
        let fed = graph.add_input(FEATURES, DataType::F32, shape);
        let features = graph.tensor(fed).name.to_string();
        graph.inputs.retain(|t| *t != plan.target);
        let behind = rewrite(&graph, &[plan.head.scores], |e, node, inputs| {
            let place = node.outputs.iter().position(|t| *t == Some(layer))?;
            let mut outputs = again(&graph, e, node, inputs);
            outputs[place] = e.graph().find(&features)?;
            Some(outputs)
        })?;
        let behind = legal(&behind, &behind.outputs, engine.lacks())?;
        let proto = spell(&behind, &Spelling::for_graph(&behind, batch))?;
        let output = proto.graph.iter().flat_map(|g| &g.output).find_map(|o| o.name.clone()).unwrap_or_default();
        let model = Model::from_proto(proto, Path::new("behind"))?;
        let (session, _folder) = load(&**engine, &model, None)?;
        let input = (plan.graph.tensor(plan.input).name.to_string(), picture.clone());
        Ok(Behind { session, _folder, input, features, output })
    }

    /// Scores [N, classes].
    fn scores(&mut self, features: ArrayD<f32>) -> Result<ArrayD<f32>, RunError> {
        let features = Value::from(features);
        let given = [(self.input.0.as_str(), &self.input.1), (self.features.as_str(), &features)];
        let values = self.session.run(&given, &[&self.output])?;
        let scores = values.into_iter().next().and_then(Value::into_f32);
        scores.ok_or(RunError::Answer { what: "scores", shape: vec![] })
    }
}

/// The same node once more.
fn again(graph: &Graph, e: &Emit, node: &Node, inputs: &[Option<Tensor>]) -> Vec<Tensor> {
    let Some(carried) = &node.carried else { return e.nodes(&node.op, inputs, node.attributes.clone()) };
    let signature = |t: Tensor| Signature { dtype: graph.tensor(t).dtype, shape: graph.tensor(t).shape.clone() };
    let outputs = node.outputs.iter().map(|t| t.map(signature)).collect();
    let made = e.carry(&node.op, inputs.to_vec(), outputs, carried.clone());
    made.into_iter().flatten().collect()
}

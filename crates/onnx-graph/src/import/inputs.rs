//! The graph's inputs, and what the file declares about its tensors.

use std::collections::{HashMap, HashSet};

use super::{ImportOptions, Scope, declared_values};
use crate::constant::Constant;
use crate::dim::{Dim, Shape, show_shape};
use crate::dtype::DataType;
use crate::emit::Emit;
use crate::graph::{Graph, TARGET};
use crate::model::ModelError;
use crate::ops::{MOST_AXES, Signature, is_too_large};
use crate::proto::{DimensionValue, GraphProto, NodeProto, ValueInfoProto, type_proto};
use crate::text::printable;

/// Height and width where nothing says otherwise.
const DEFAULT_SIZE: (usize, usize) = (224, 224);

/// Declared types and shapes by tensor name, with the symbols read as batch where they are the inputs' batch.
pub(super) struct Declared {
    tensors: HashMap<String, (Option<DataType>, Option<Sizes>)>,
    /// Whether a size of an input is neither declared nor given.
    pub assumed_size: bool,
}

/// Sizes, as far as they are declared.
type Sizes = Vec<Option<Dim>>;

impl Declared {
    /// What is declared for a tensor; the shape only where every size is known.
    pub fn signature(&self, name: &str) -> Option<Signature> {
        let (dtype, dims) = self.tensors.get(name)?;
        let shape: Option<Shape> = dims.as_ref().and_then(|dims| dims.iter().copied().collect());
        let shape = shape.filter(|shape| shape.len() <= MOST_AXES && !is_too_large(shape));
        Some(Signature { dtype: *dtype, shape })
    }
}

/// Adds the inputs that have no initializer to the graph; the [`TARGET`] of a graph that is an explained one already is
/// no picture, and −1 from here on.
pub(super) fn declare(
    file: &GraphProto,
    options: &ImportOptions,
    graph: &mut Graph,
    scope: &mut Scope,
    notes: &mut Vec<String>,
) -> Result<Declared, ModelError> {
    let sparse = file.sparse_initializer.iter().filter_map(|s| s.values.as_ref());
    let weights: HashSet<Option<&str>> = file.initializer.iter().chain(sparse).map(|t| t.name.as_deref()).collect();
    check_names(file, &weights, options)?;
    let readers = readers(file);
    let mut seen = HashSet::new();
    let (mut batch_symbol, mut open_batch, mut assumed_size) = (None, false, false);
    for input in &file.input {
        let name = input.name.as_deref().unwrap_or("");
        if !seen.insert(name) {
            return Err(ModelError::MadeTwice {
                tensor: printable(name),
                first: "an input of the graph".to_owned(),
                second: "another input".to_owned(),
            });
        }
        if weights.contains(&input.name.as_deref()) {
            continue;
        }
        let unfit = |what: String| ModelError::Input { input: printable(name), what };
        let (dtype, dims) = declaration(input);
        let dtype = dtype.ok_or_else(|| unfit("no tensor of a known element type".to_owned()))?;
        if let Some((_, values)) = options.values.iter().find(|(given, _)| given == name) {
            let constant = constant_input(dtype, dims.as_deref(), values);
            let constant = constant.map_err(|(signature, what)| ModelError::InputValue {
                input: printable(name),
                signature,
                what,
            })?;
            scope.insert(name.to_owned(), graph.add_constant(name, constant));
            continue;
        }
        if dims.as_ref().is_some_and(|dims| dims.len() > MOST_AXES) {
            return Err(unfit("a tensor of far too many axes".to_owned()));
        }
        if batch_symbol.is_none() {
            batch_symbol = dims.as_ref().and_then(|d| symbol(d.first()?)).map(str::to_owned);
        }
        open_batch |=
            dims.as_ref().is_none_or(|d| !d.is_empty() && !matches!(d[0], Some(DimensionValue::DimValue(1..))));
        let open = |dims: &Vec<_>| {
            dims.len() == 4 && dims[1..].iter().any(|d| !matches!(d, Some(DimensionValue::DimValue(1..))))
        };
        assumed_size |= options.input_size.is_none() && dims.as_ref().is_none_or(open);
        let behind = channels_move_forward(&readers, name);
        let shape = input_shape(name, dims.as_deref(), batch_symbol.as_deref(), behind, options, notes);
        if is_too_large(&shape) {
            return Err(unfit(format!("as large as {}", show_shape(&shape))));
        }
        let t = match name == TARGET && dtype == DataType::I64 && shape.len() == 1 {
            true => {
                let e = Emit::new(graph);
                let predicted = e.expand(e.constant(Constant::i64s(&[1], &[-1])), shape);
                e.finish().map_err(ModelError::Emit)?;
                predicted
            }
            false => graph.add_input(name, dtype, shape),
        };
        scope.insert(name.to_owned(), t);
    }
    if graph.inputs.is_empty() {
        return Err(ModelError::NoInput);
    }
    let batch = open_batch.then(|| options.batch.map_or(Dim::BATCH, Dim::from));
    let read = |v: &ValueInfoProto| {
        let (dtype, dims) = declaration(v);
        let dims = dims.map(|dims| {
            let read = |(i, d): (usize, &Option<DimensionValue>)| match d {
                Some(DimensionValue::DimValue(size)) if *size > 0 => Some(Dim::new(*size)),
                Some(DimensionValue::DimParam(s)) if Some(s.as_str()) == batch_symbol.as_deref() => batch,
                _ if i == 0 => batch, // Whatever the file calls it.
                _ => None,
            };
            dims.iter().enumerate().map(read).collect()
        });
        (dtype, dims)
    };
    let mut tensors = HashMap::new();
    for (name, value) in declared_values(file).filter(|(_, value)| value.r#type.is_some()) {
        tensors.entry(name.to_owned()).or_insert_with(|| read(value));
    }
    Ok(Declared { tensors, assumed_size })
}

/// Every name that a value is given for must be an input's.
fn check_names(file: &GraphProto, weights: &HashSet<Option<&str>>, options: &ImportOptions) -> Result<(), ModelError> {
    let names = file.input.iter().filter(|v| !weights.contains(&v.name.as_deref())).filter_map(|v| v.name.as_deref());
    let names: Vec<&str> = names.collect();
    let mut seen = HashSet::new();
    if let Some((twice, _)) = options.values.iter().find(|(given, _)| !seen.insert(given)) {
        return Err(ModelError::TwoValues { input: printable(twice) });
    }
    match options.values.iter().find(|(given, _)| !names.contains(&given.as_str())) {
        Some((given, _)) => {
            let inputs: Vec<String> = names.into_iter().map(printable).collect();
            Err(ModelError::NoSuchInput { input: printable(given), inputs: inputs.join(", ") })
        }
        None => Ok(()),
    }
}

/// An input whose value is given; where it does not fit, the input's signature and why.
fn constant_input(
    dtype: DataType,
    dims: Option<&[Option<DimensionValue>]>,
    values: &[f64],
) -> Result<Constant, (String, String)> {
    let size = |d: &Option<DimensionValue>| match d {
        Some(DimensionValue::DimValue(size)) => usize::try_from(*size).unwrap_or(1).max(1),
        _ => 1,
    };
    let sizes: Vec<usize> = dims.unwrap_or_default().iter().map(size).collect();
    let shape: Shape = sizes.iter().map(|size| Dim::from(*size)).collect();
    let refused = |what: String| (format!("{dtype}{}", show_shape(&shape)), what);
    if is_too_large(&shape) || sizes.len() > MOST_AXES {
        return Err(refused("too large to be given a value".to_owned()));
    }
    let count: usize = sizes.iter().product();
    let (given, held) = match values {
        [_] => (values, vec![]),
        several if several.len() == count => (values, sizes.clone()),
        several => return Err(refused(format!("it takes {count} values, or one for all, not {}", several.len()))),
    };
    let whole: Vec<i64> = given.iter().map(|v| *v as i64).collect();
    let (least, most) = dtype.range().unwrap_or((0.0, 1.0));
    let constant = match dtype.is_float() {
        true => Constant::floats(dtype, &held, given),
        false if given.iter().any(|v| v.fract() != 0.0 || !(least..=most).contains(v)) => {
            return Err(refused(format!("it takes whole numbers from {least} to {most}")));
        }
        false => Constant::integers(dtype, &held, &whole),
    };
    let constant = constant.ok_or_else(|| refused("no value can be given to this type".to_owned()))?;
    if held == sizes { Ok(constant) } else { Constant::splat(&constant, sizes).map_err(|e| refused(e.to_string())) }
}

fn symbol(dim: &Option<DimensionValue>) -> Option<&str> {
    match dim {
        Some(DimensionValue::DimParam(symbol)) if !symbol.is_empty() => Some(symbol),
        _ => None,
    }
}

fn declaration(value: &ValueInfoProto) -> (Option<DataType>, Option<Vec<Option<DimensionValue>>>) {
    let Some(type_proto::Value::TensorType(tensor)) = value.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
        return (None, None);
    };
    let dims = tensor.shape.as_ref().map(|s| s.dim.iter().map(|d| d.value.clone()).collect());
    (tensor.elem_type.and_then(DataType::from_number), dims)
}

/// The node that reads each tensor; none where there are several.
fn readers(file: &GraphProto) -> HashMap<&str, Option<&NodeProto>> {
    let mut readers = HashMap::new();
    for node in &file.node {
        for name in &node.input {
            readers.entry(name.as_str()).and_modify(|reader| *reader = None).or_insert(Some(node));
        }
    }
    readers
}

/// Whether the first node that moves the axes of an input brings its channels from behind to the front, as TensorFlow's
/// exporters write it; a few nodes that compute element by element may stand before.
fn channels_move_forward(readers: &HashMap<&str, Option<&NodeProto>>, input: &str) -> bool {
    const MOST: usize = 16;
    let mut at = input;
    for _ in 0..MOST {
        let Some(Some(node)) = readers.get(at) else { return false };
        let next = match node.op_type() {
            "Transpose" => {
                let perm = node.attribute.iter().find(|a| a.name.as_deref() == Some("perm"));
                return perm.is_some_and(|perm| perm.ints == [0, 3, 1, 2]);
            }
            "Cast" | "Identity" | "Add" | "Sub" | "Mul" | "Div" => node.output.first(),
            _ => None,
        };
        let Some(next) = next else { return false };
        at = next;
    }
    false
}

/// The shape of an input: the first axis is the batch where it is open, open heights and widths are fixed.
fn input_shape(
    name: &str,
    dims: Option<&[Option<DimensionValue>]>,
    batch_symbol: Option<&str>,
    channels_move_forward: bool,
    options: &ImportOptions,
    notes: &mut Vec<String>,
) -> Shape {
    let name = printable(name);
    let batch = options.batch.map_or(Dim::BATCH, Dim::from);
    let (height, width) = options.input_size.unwrap_or(DEFAULT_SIZE);
    let sizes = [Dim::from(height), Dim::from(width)];
    let Some(dims) = dims else {
        let mut shape = vec![batch, Dim::new(3), sizes[0], sizes[1]];
        if channels_move_forward {
            shape[1..].rotate_left(1);
        }
        notes.push(format!("input \"{name}\" declares no shape; it is taken as {}", show_shape(&shape)));
        return shape;
    };
    let fixed = |d: &Option<DimensionValue>| match d {
        Some(DimensionValue::DimValue(size)) if *size > 0 => Some(Dim::new(*size)),
        Some(DimensionValue::DimParam(s)) if Some(s.as_str()) == batch_symbol => Some(batch),
        _ => None,
    };
    let size = |i: usize| fixed(&dims[i]).and_then(Dim::known);
    let channels_last = dims.len() == 4
        && size(1).is_none_or(|size| size > 4)
        && match size(3) {
            Some(size) => matches!(size, 1 | 3 | 4),
            None => channels_move_forward,
        };
    let spatial = if channels_last { 1..3 } else { 2..4 };
    let mut assumed = Vec::new();
    let shape: Shape = dims
        .iter()
        .enumerate()
        .map(|(i, dim)| match (i, fixed(dim)) {
            (_, Some(size)) if i > 0 || !size.is_symbolic() => size,
            (0, _) => batch,
            (i, _) if dims.len() == 4 && spatial.contains(&i) => {
                let size = sizes[i - spatial.start];
                assumed.push(format!("{} {size}", if i == spatial.start { "height" } else { "width" }));
                size
            }
            (i, _) => {
                assumed.push(format!("axis {i} as 3 channels"));
                Dim::new(3)
            }
        })
        .collect();
    if assumed.is_empty()
        && let (4, Some((height, width))) = (dims.len(), options.input_size)
        && shape[spatial.clone()] != sizes
    {
        let fixed = show_shape(&shape);
        notes.push(format!("input \"{name}\" is {fixed} in the file; the size {height}x{width} asked for is not used"));
    }
    if !assumed.is_empty() && options.input_size.is_none() {
        notes.push(format!(
            "input \"{name}\" leaves its size open; assumed {} (choose with --input-size)",
            assumed.join(", ")
        ));
    }
    shape
}

/// Notes where declared and inferred shapes contradict each other. Declared ones are hints: the inferred ones are used.
pub(super) fn check_declared(
    file: &GraphProto,
    declared: &Declared,
    graph: &Graph,
    scope: &Scope,
    notes: &mut Vec<String>,
) {
    const MOST: usize = 5;
    let mut contradictions = Vec::new();
    let mut seen = HashSet::new();
    for (name, value) in declared_values(file).filter(|(name, _)| seen.insert(*name)) {
        let (Some(t), Some((_, Some(dims)))) = (scope.get(name), declared.tensors.get(name)) else { continue };
        let (Some(shape), Some(in_file)) = (graph.shape(*t), declaration(value).1) else { continue };
        let differs = |(d, s): (&Option<DimensionValue>, &Dim)| match (d, s.known()) {
            (Some(DimensionValue::DimValue(declared @ 1..)), Some(inferred)) => *declared != inferred,
            _ => false,
        };
        let contradicts = in_file.len() != shape.len() || in_file.iter().zip(shape).any(differs);
        if contradicts {
            let shown: Vec<String> = dims.iter().map(|d| d.map_or("?".to_owned(), |d| d.to_string())).collect();
            contradictions.push(format!(
                "the file declares \"{}\" as [{}], its nodes make {}; the latter is used",
                printable(name),
                shown.join(","),
                show_shape(shape)
            ));
        }
    }
    let more = contradictions.len().saturating_sub(MOST);
    notes.extend(contradictions.into_iter().take(MOST));
    if more > 0 {
        notes.push(format!("{more} more declared shapes contradict the nodes"));
    }
}

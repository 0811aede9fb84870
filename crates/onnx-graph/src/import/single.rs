//! Files in half or double precision, read as float32.
//!
//! Halves save memory where a network runs; an explanation in them would lose small gradients and overflow in sums that the
//! network itself never forms. Engines differ in what they do with them: one widens halves when it loads, and has no doubles.
//! So a file in float16, bfloat16 or float64 is read as if it had been written in float32: its weights keep their values
//! (doubles are rounded), what lies between is not rounded to the narrower type, and a Cast between floats is nothing.

use std::collections::BTreeSet;

use crate::dtype::DataType;
use crate::model::{ModelError, constant_of};
use crate::proto::{
    AttributeProto, AttributeType, FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto, TypeProto,
    ValueInfoProto, type_proto,
};
use crate::text::printable;

/// The model with float32 for every other float type, and which those were; `None` where it has no tensor of theirs.
pub(crate) fn in_single_precision(model: &ModelProto) -> Result<Option<(ModelProto, String)>, ModelError> {
    let mut types = BTreeSet::new();
    model.graph.iter().for_each(|graph| note_types(graph, &mut types));
    if types.is_empty() {
        return Ok(None);
    }
    let widening = Widening(types);
    let mut model = model.clone();
    model.graph.iter_mut().try_for_each(|graph| widening.graph(graph))?;
    for FunctionProto { node, value_info, .. } in &mut model.functions {
        widening.nodes(node)?;
        value_info.iter_mut().for_each(|v| widening.value(v));
    }
    let names: Vec<String> = widening.0.into_iter().filter_map(DataType::from_number).map(long_name).collect();
    Ok(Some((model, names.join(" and "))))
}

/// The float types, but for float32, of the graph's inputs and weights. What a node makes for itself does not count:
/// arithmetic on sizes is often done in doubles, which stays as it is.
fn note_types(graph: &GraphProto, types: &mut BTreeSet<i32>) {
    let weights = graph.initializer.iter().filter_map(|t| t.data_type);
    let sparse = graph.sparse_initializer.iter().filter_map(|s| s.values.as_ref()?.data_type);
    let inputs = graph.input.iter().filter_map(|v| element_type(v.r#type.as_ref()?));
    let constants = graph.node.iter().filter(|n| n.op_type() == "Constant").flat_map(|n| &n.attribute);
    let constants = constants.filter_map(|a| a.t.as_ref()).filter(|t| t.dims.len() > 1).filter_map(|t| t.data_type);
    types.extend(weights.chain(sparse).chain(inputs).chain(constants).filter(|t| is_other_float(*t)));
}

fn is_other_float(number: i32) -> bool {
    DataType::from_number(number).is_some_and(|t| t.is_float() && t != DataType::F32)
}

fn long_name(t: DataType) -> String {
    match t {
        DataType::F16 => "float16".to_owned(),
        DataType::BF16 => "bfloat16".to_owned(),
        DataType::F64 => "float64".to_owned(),
        other => other.to_string(),
    }
}

fn element_type(declared: &TypeProto) -> Option<i32> {
    match declared.value.as_ref()? {
        type_proto::Value::TensorType(tensor) => tensor.elem_type,
        _ => None,
    }
}

/// Attributes that hold an element type in some operator of the standard.
const TYPES: &[&str] = &["to", "dtype", "output_dtype", "output_datatype", "softmax_precision"];

/// The types that become float32.
struct Widening(BTreeSet<i32>);

impl Widening {
    fn concerns(&self, number: Option<i32>) -> bool {
        number.is_some_and(|number| self.0.contains(&number))
    }

    fn graph(&self, graph: &mut GraphProto) -> Result<(), ModelError> {
        graph.initializer.iter_mut().try_for_each(|t| self.tensor(t))?;
        graph.sparse_initializer.iter_mut().filter_map(|s| s.values.as_mut()).try_for_each(|t| self.tensor(t))?;
        graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info).for_each(|v| self.value(v));
        self.nodes(&mut graph.node)
    }

    fn nodes(&self, nodes: &mut [NodeProto]) -> Result<(), ModelError> {
        nodes.iter_mut().flat_map(|node| &mut node.attribute).try_for_each(|a| self.attribute(a))
    }

    fn attribute(&self, attribute: &mut AttributeProto) -> Result<(), ModelError> {
        let names_a_type = attribute.name.as_deref().is_some_and(|name| TYPES.contains(&name));
        let number = attribute.i.and_then(|i| i32::try_from(i).ok());
        if names_a_type && attribute.r#type == Some(AttributeType::Int as i32) && self.concerns(number) {
            attribute.i = Some(DataType::F32 as i64);
        }
        attribute.t.iter_mut().chain(&mut attribute.tensors).try_for_each(|t| self.tensor(t))?;
        let sparse = attribute.sparse_tensor.iter_mut().chain(&mut attribute.sparse_tensors);
        sparse.filter_map(|s| s.values.as_mut()).try_for_each(|t| self.tensor(t))?;
        attribute.tp.iter_mut().chain(&mut attribute.type_protos).for_each(|t| self.r#type(t));
        attribute.g.iter_mut().chain(&mut attribute.graphs).try_for_each(|g| self.graph(g))
    }

    fn value(&self, value: &mut ValueInfoProto) {
        value.r#type.iter_mut().for_each(|t| self.r#type(t));
    }

    fn r#type(&self, declared: &mut TypeProto) {
        use type_proto::Value::{OptionalType, SequenceType, SparseTensorType, TensorType};
        match &mut declared.value {
            Some(TensorType(tensor) | SparseTensorType(tensor)) if self.concerns(tensor.elem_type) => {
                tensor.elem_type = Some(DataType::F32 as i32);
            }
            Some(SequenceType(of)) => of.elem_type.iter_mut().for_each(|t| self.r#type(t)),
            Some(OptionalType(of)) => of.elem_type.iter_mut().for_each(|t| self.r#type(t)),
            _ => {}
        }
    }

    fn tensor(&self, tensor: &mut TensorProto) -> Result<(), ModelError> {
        if !self.concerns(tensor.data_type) {
            return Ok(());
        }
        let values = constant_of(tensor)?.to_f32().map_err(|error| {
            let name = tensor.name.as_deref().unwrap_or("");
            ModelError::Constant { tensor: printable(name), error }
        })?;
        *tensor = TensorProto {
            dims: std::mem::take(&mut tensor.dims),
            name: tensor.name.take(),
            data_type: Some(DataType::F32 as i32),
            raw_data: Some(values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>().into()),
            ..Default::default()
        };
        Ok(())
    }
}

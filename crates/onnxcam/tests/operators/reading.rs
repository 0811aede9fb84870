//! A case as onnxcam reads it.

use ndarray::ArrayD;
use onnx_graph::proto::{ModelProto, TensorProto, ValueInfoProto, type_proto};
use onnx_graph::{Constant, DataType, Graph, ImportOptions, Model, Tensor, import};
use testkit::{Case, models};

/// A case's graph with values for its inputs.
pub struct Read {
    pub graph: Graph,
    pub x: Vec<ArrayD<f64>>,
}

impl Read {
    /// Whether anything of it can be differentiated: a float output, and a float input that it reads.
    pub fn has_floats(&self) -> bool {
        let float = |t: &Tensor| self.graph.tensor(*t).dtype.is_some_and(DataType::is_float);
        let read = |t: &Tensor| float(t) && &*self.graph.tensor(*t).name != SPARE;
        self.graph.inputs.iter().any(read) && self.graph.outputs.iter().any(float)
    }
}

/// An input that nothing reads: files have one.
const SPARE: &str = "spare";

/// What is read of a case with its inputs as they are, with its integers as constants, with all but the first, and with
/// all of them, so far as these differ and are understood: most inputs first. Else why not.
pub fn readings(case: &Case) -> Result<Vec<Read>, String> {
    let all = vec![true; case.x.len()];
    let inputs = &case.model.graph().input;
    let floats: Vec<bool> = inputs.iter().map(|v| element_type(v).is_some_and(DataType::is_float)).collect();
    let first = (0..case.x.len()).map(|i| i == 0).collect();
    let mut open = vec![all, floats, first, vec![false; case.x.len()]];
    open.dedup();
    let (mut read, mut reasons) = (Vec::new(), Vec::new());
    for open in open {
        match reading(case, &open) {
            Ok(reading) => read.push(reading),
            Err(reason) => reasons.push(reason),
        }
    }
    reasons.dedup();
    if read.is_empty() { Err(reasons.join("; ")) } else { Ok(read) }
}

/// The case without its outputs but the first.
pub fn first_output(case: &Case) -> Case {
    let mut proto: ModelProto = case.model.proto().clone();
    proto.graph.as_mut().expect("a model has a graph").output.truncate(1);
    let model = Model::from_proto(proto, case.model.path()).unwrap();
    Case { model, y: case.y[..1].to_vec(), ..case.clone() }
}

/// The imported graph, if every node of it is understood.
fn reading(case: &Case, open: &[bool]) -> Result<Read, String> {
    let graph = import(&with_constants(case, open), &ImportOptions::default()).map_err(|e| e.to_string())?.graph;
    if let Some(carried) = graph.nodes().iter().find_map(|n| n.carried.as_ref()) {
        return Err(carried.reason.clone());
    }
    if graph.outputs.len() != case.y.len() {
        return Err("outputs are missing".to_owned());
    }
    let disagrees = graph.inputs.iter().zip(case.x.iter().zip(open).filter(|(_, open)| **open)).find(|(t, (x, _))| {
        let shape = graph.shape(**t).unwrap_or_default();
        !shape.iter().map(|d| d.at(1)).eq(x.shape().iter().map(|n| *n as i64))
    });
    if let Some((t, (x, _))) = disagrees {
        return Err(format!("its input {:?} is read as {}", x.shape(), graph.tensor(*t).signature()));
    }
    let mut x: Vec<ArrayD<f64>> = case.x.iter().zip(open).filter(|(_, open)| **open).map(|(x, _)| x.clone()).collect();
    x.resize(graph.inputs.len(), ArrayD::zeros(vec![1])); // The spare one.
    Ok(Read { graph, x })
}

/// The case's model with the inputs that are not open as initializers; a spare one where none is left.
fn with_constants(case: &Case, open: &[bool]) -> Model {
    let mut proto: ModelProto = case.model.proto().clone();
    let graph = proto.graph.as_mut().expect("a model has a graph");
    let mut place = 0..;
    let (inputs, constants): (Vec<_>, Vec<_>) = graph.input.drain(..).partition(|_| open[place.next().unwrap()]);
    let values = case.x.iter().zip(open).filter(|(_, open)| !**open).map(|(x, _)| x);
    graph.initializer.extend(constants.iter().zip(values).map(|(value, elements)| initializer(value, elements)));
    graph.input = inputs;
    if graph.input.is_empty() {
        graph.input = models::Maker::new(17).input(SPARE, "f32[1]").build().graph.unwrap().input;
    }
    Model::from_proto(proto, case.model.path()).unwrap()
}

fn element_type(value: &ValueInfoProto) -> Option<DataType> {
    match value.r#type.as_ref()?.value.as_ref()? {
        type_proto::Value::TensorType(tensor) => tensor.elem_type.and_then(DataType::from_number),
        _ => None,
    }
}

fn initializer(value: &ValueInfoProto, elements: &ArrayD<f64>) -> TensorProto {
    let dtype = element_type(value).unwrap_or_else(|| panic!("{value:?} is a tensor of a known type"));
    let floats: Vec<f64> = elements.iter().copied().collect();
    let integers: Vec<i64> = floats.iter().map(|v| *v as i64).collect();
    let constant = Constant::floats(dtype, elements.shape(), &floats)
        .or_else(|| Constant::integers(dtype, elements.shape(), &integers));
    let data = constant.unwrap().bytes().unwrap().to_vec();
    TensorProto { name: value.name.clone(), ..models::raw(dtype, elements.shape(), data) }
}

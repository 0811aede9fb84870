//! rten: pure Rust, compiled in, always there.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use ndarray::{ArrayD, IxDyn};
use rten::{
    DataType, Dimension, LoadErrorKind, Model, ModelOptions, NodeId, RunOptions, ThreadPool, ValueOrView, ValueType,
};
use rten_tensor::prelude::*;
use rten_tensor::{Tensor, TensorView};

use super::check::{self, Port};
use super::value::{Kind, Value};
use super::{Engine, EngineError, Lack, Session, Source, guard, threads};

const NAME: &str = "rten";
/// The version that Cargo.toml pins; a test holds it against Cargo.lock.
const VERSION: &str = "0.27.0";

/// The engine that is always there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rten;

impl Engine for Rten {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> String {
        format!("{NAME} {VERSION}")
    }

    fn location(&self) -> Option<&Path> {
        None
    }

    fn lacks(&self) -> &'static [Lack] {
        &[Lack::Lrn, Lack::DilatedPools, Lack::MatricesByVector, Lack::CastToBool, Lack::Bytes, Lack::Volumes]
    }

    fn load(&self, model: Source<'_>, threads: Option<usize>) -> Result<Box<dyn Session>, EngineError> {
        let pool = Arc::new(ThreadPool::with_num_threads(threads::resolve(threads)));
        let name = model.in_words();
        // In the pool: a panic then happens on one of its threads, as it does when running.
        let loaded = guard(NAME, || format!("loading {name}"), || pool.run(|| read(model, &name)))?;
        let ports = |ids: &[NodeId]| ids.iter().map(|id| port(&loaded, *id)).collect::<Vec<_>>();
        Ok(Box::new(RtenSession {
            inputs: ports(loaded.input_ids()),
            outputs: ports(loaded.output_ids()),
            run_options: RunOptions::default().with_thread_pool(Some(pool)),
            model: loaded,
        }))
    }
}

fn read(model: Source<'_>, name: &str) -> Result<Model, EngineError> {
    let options = ModelOptions::with_all_ops();
    let fault = |node: Option<&str>, reason: String| EngineError::Load {
        engine: NAME,
        model: name.to_owned(),
        node: node.map(str::to_owned),
        reason,
    };
    let refused = |e: rten::LoadError| fault(e.node(), e.to_string());
    match model {
        Source::Bytes(bytes) => options.load(Vec::from(bytes)).map_err(refused), // no copy of the only handle
        Source::File(path) => {
            if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("onnx")) {
                match options.load_file(path) {
                    Err(e) if matches!(e.kind(), LoadErrorKind::ExternalDataError | LoadErrorKind::GraphError) => {}
                    loaded => return loaded.map_err(refused),
                }
            }
            // rten goes by the suffix, and takes external data only from files of certain names, with offset and length
            // given, beside the file at which a link ends. Our reader follows the standard.
            let whole = onnx_graph::Model::open(path).map_err(|e| fault(None, e.to_string()))?;
            options.load(Vec::from(whole.to_bytes())).map_err(refused)
        }
    }
}

fn port(model: &Model, id: NodeId) -> Port {
    let info = model.node_info(id);
    let kind = match info.as_ref().and_then(|i| i.dtype()) {
        Some(ValueType::Tensor(DataType::Float)) => Some(Kind::Float),
        Some(ValueType::Tensor(_)) => Some(Kind::Int),
        _ => None,
    };
    let size = |d: &Dimension| match d {
        Dimension::Fixed(n) => Some(*n),
        Dimension::Symbolic(_) => None,
    };
    Port {
        name: info.as_ref().and_then(|i| i.name()).unwrap_or_default().to_owned(),
        kind,
        shape: info.and_then(|i| i.shape()).map(|s| s.iter().map(size).collect()),
    }
}

struct RtenSession {
    model: Model,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    run_options: RunOptions,
}

impl fmt::Debug for RtenSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RtenSession").field("inputs", &self.inputs).field("outputs", &self.outputs).finish()
    }
}

impl Session for RtenSession {
    fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    fn run(&mut self, inputs: &[(&str, &Value)], outputs: &[&str]) -> Result<Vec<Value>, EngineError> {
        let values = check::inputs(&self.inputs, inputs)?;
        let wanted = check::Wanted::new(&self.outputs, outputs)?;
        let found = guard(NAME, || "running the model".to_owned(), || self.run_checked(&values, &wanted.places))?;
        Ok(wanted.restore(found))
    }
}

impl RtenSession {
    /// `values` in the order of the inputs, `places` in the list of outputs.
    fn run_checked(&self, values: &[&Value], places: &[usize]) -> Result<Vec<Value>, EngineError> {
        let contiguous: Vec<Held<'_>> = values.iter().map(|v| Held::new(v)).collect();
        let mut fed = Vec::with_capacity(values.len());
        for ((port, id), held) in self.inputs.iter().zip(self.model.input_ids()).zip(&contiguous) {
            let declared = self.model.node_info(*id).and_then(|i| i.dtype());
            fed.push((*id, held.to_rten(port, declared)?));
        }
        let ids: Vec<NodeId> = places.iter().map(|p| self.model.output_ids()[*p]).collect();
        let results = self.model.run(fed, &ids, Some(self.run_options.clone())).map_err(|e| EngineError::Run {
            engine: NAME,
            node: e.node_path().into_iter().flatten().last().filter(|n| !n.is_empty()).map(str::to_owned),
            reason: e.to_string(),
        })?;
        let named = places.iter().map(|p| self.outputs[*p].name.as_str());
        named.zip(results).map(|(name, value)| from_rten(name, value)).collect()
    }
}

/// A value in standard layout, borrowed where it already is.
enum Held<'v> {
    F32(ndarray::CowArray<'v, f32, IxDyn>),
    I64(ndarray::CowArray<'v, i64, IxDyn>),
}

impl<'v> Held<'v> {
    fn new(value: &'v Value) -> Self {
        match value {
            Value::F32(a) => Held::F32(a.as_standard_layout()),
            Value::I64(a) => Held::I64(a.as_standard_layout()),
        }
    }

    /// Floats are lent; integers become the declared type, i32 where none is declared.
    fn to_rten<'h>(&'h self, port: &Port, declared: Option<ValueType>) -> Result<ValueOrView<'h>, EngineError> {
        match self {
            Held::F32(a) => {
                let data = a.as_slice().expect("standard layout");
                Ok(ValueOrView::View(TensorView::from_data(a.shape(), data).into()))
            }
            Held::I64(a) => Ok(match declared {
                Some(ValueType::Tensor(DataType::UInt8)) => ValueOrView::Value(narrow::<u8>(a, port, "uint8")?.into()),
                Some(ValueType::Tensor(DataType::Int8)) => ValueOrView::Value(narrow::<i8>(a, port, "int8")?.into()),
                _ => ValueOrView::Value(narrow::<i32>(a, port, "int32")?.into()),
            }),
        }
    }
}

fn narrow<T: TryFrom<i64>>(
    a: &ndarray::CowArray<'_, i64, IxDyn>,
    port: &Port,
    into: &'static str,
) -> Result<Tensor<T>, EngineError> {
    let fit = |x: &i64| {
        T::try_from(*x).map_err(|_| EngineError::InputRange { name: port.name.clone(), value: *x, engine: NAME, into })
    };
    let data: Vec<T> = a.iter().map(fit).collect::<Result<_, _>>()?;
    Ok(Tensor::from_data(a.shape(), data))
}

fn from_rten(name: &str, value: rten::Value) -> Result<Value, EngineError> {
    match value {
        rten::Value::FloatTensor(t) => {
            let shape = t.shape().to_vec();
            Ok(Value::F32(ArrayD::from_shape_vec(shape, t.into_data()).expect("as many elements as the shape says")))
        }
        rten::Value::Int32Tensor(t) => ints(name, t).map(Value::I64),
        rten::Value::Int8Tensor(t) => ints(name, t).map(Value::I64),
        rten::Value::UInt8Tensor(t) => ints(name, t).map(Value::I64),
        other => {
            let found = other.dtype().to_string();
            Err(EngineError::Type { port: "output", name: name.to_owned(), found })
        }
    }
}

fn ints<T: Copy + Into<i64>>(name: &str, tensor: Tensor<T>) -> Result<ArrayD<i64>, EngineError> {
    let shape = tensor.shape().to_vec();
    check::array(name, shape, &tensor.into_data(), T::into)
}

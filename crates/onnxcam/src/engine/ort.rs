//! ONNX Runtime, from a shared library found at run time.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use half::f16;
use ndarray::{ArrayD, CowArray, IxDyn};
use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{OutputSelector, RunOptions, Session as OrtInner, SessionInputValue};
use ort::value::{DynValue, Outlet, PrimitiveTensorElementType, Tensor, TensorElementType, TensorRef, ValueType};

use super::check::{self, Port};
use super::error::LibraryFault;
use super::library::Library;
use super::value::{Kind, Value};
use super::{Engine, EngineError, Session, Source, guard, threads};

const NAME: &str = "ort";

/// The one ONNX Runtime of this process. The `ort` crate holds a library and an environment for good once it has them;
/// so do we.
static LOADED: Mutex<Option<(PathBuf, Environment)>> = Mutex::new(None);

/// ONNX Runtime behind [`Engine`].
#[derive(Clone, Debug)]
pub struct Ort {
    library: Library,
    environment: Environment,
}

impl Ort {
    /// Checks a library file, then loads it into this process. Opening the same file again is cheap; a process cannot
    /// have two different ones.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        let library = Library::open(path).map_err(|fault| fault.at(path))?;
        Self::set_up(library)
    }

    pub(super) fn set_up(library: Library) -> Result<Self, EngineError> {
        let real = library.path.canonicalize().unwrap_or_else(|_| library.path.clone());
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((held, environment)) = loaded.as_ref() {
            return if *held == real {
                Ok(Self { library, environment: environment.clone() })
            } else {
                Err(EngineError::OtherLibraryLoaded { loaded: held.clone(), wanted: library.path })
            };
        }
        let environment = guard(
            NAME,
            || format!("setting up {}", library.path.display()),
            || {
                let fault = |e: &dyn fmt::Display| LibraryFault::Setup(e.to_string()).at(&library.path);
                let builder = ort::init_from(&library.path).map_err(|e| fault(&e))?;
                builder.with_name("onnxcam").with_telemetry(false).build().map_err(|e| fault(&e))
            },
        )?;
        environment.set_log_level(LogLevel::Fatal); // errors come back as values
        *loaded = Some((real, environment.clone()));
        Ok(Self { library, environment })
    }
}

impl Engine for Ort {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> String {
        format!("ONNX Runtime {}", self.library.version)
    }

    fn location(&self) -> Option<&Path> {
        Some(&self.library.path)
    }

    /// One protobuf message; the weights of a file may lie beside it.
    fn largest_in_memory(&self) -> usize {
        i32::MAX as usize
    }

    fn load(&self, model: Source<'_>, threads: Option<usize>) -> Result<Box<dyn Session>, EngineError> {
        let name = model.in_words();
        let fault = |reason: String| EngineError::Load {
            engine: NAME,
            model: name.clone(),
            node: node_in(&reason).map(str::to_owned),
            reason,
        };
        let session = guard(
            NAME,
            || format!("loading {name}"),
            || {
                if let Source::File(path) = &model {
                    // The crate's own answer to a missing file is good, to a folder or an unreadable file less so.
                    std::fs::File::open(path)
                        .and_then(|f| f.metadata())
                        .map_err(|source| EngineError::Read { path: path.to_path_buf(), source })?;
                }
                let mut builder = self.builder(threads::resolve(threads)).map_err(&fault)?;
                match &model {
                    Source::File(path) => builder.commit_from_file(path),
                    Source::Bytes(bytes) => builder.commit_from_memory(bytes),
                }
                .map_err(|e| fault(e.to_string()))
            },
        )?;
        let (inputs, input_types) = session.inputs().iter().map(port).unzip();
        let (outputs, _): (Vec<Port>, Vec<_>) = session.outputs().iter().map(port).unzip();
        Ok(Box::new(OrtSession { session, inputs, input_types, outputs }))
    }
}

impl Ort {
    /// Threads of a session spin while they wait for its next run. Stopped at the end of each run, they leave the cores to
    /// the session that runs next: two sessions in turn on two cores otherwise take more than twice their time.
    fn builder(&self, threads: usize) -> Result<SessionBuilder, String> {
        let text = |e: ort::Error<SessionBuilder>| e.to_string();
        OrtInner::builder(&self.environment)
            .map_err(|e| e.to_string())?
            .with_optimization_level(GraphOptimizationLevel::All)
            .map_err(text)?
            .with_intra_threads(threads)
            .map_err(text)?
            .with_config_entry("session.force_spinning_stop", "1")
            .map_err(text)?
            .with_log_level(LogLevel::Fatal)
            .map_err(text)
    }
}

/// The declaration, and the element type that inputs must be converted to.
fn port(outlet: &Outlet) -> (Port, Option<TensorElementType>) {
    let (element, shape) = match outlet.dtype() {
        // A scalar and a tensor of unknown rank look alike here.
        ValueType::Tensor { ty, shape, .. } if shape.is_empty() => (Some(*ty), None),
        ValueType::Tensor { ty, shape, .. } => {
            (Some(*ty), Some(shape.iter().map(|d| usize::try_from(*d).ok()).collect()))
        }
        _ => (None, None),
    };
    (Port { name: outlet.name().to_owned(), kind: element.and_then(kind), shape }, element)
}

fn kind(element: TensorElementType) -> Option<Kind> {
    use TensorElementType as T;
    match element {
        T::Float16 | T::Float32 | T::Float64 => Some(Kind::Float),
        T::Int8 | T::Uint8 | T::Int16 | T::Uint16 | T::Int32 | T::Uint32 | T::Int64 | T::Bool => Some(Kind::Int),
        _ => None,
    }
}

/// ONNX Runtime writes `… Name:'conv1' …` or `… node with name 'conv1' …` somewhere into its messages.
fn node_in(message: &str) -> Option<&str> {
    let after = ["Name:'", "with name '"].iter().find_map(|mark| Some(message.split_once(mark)?.1))?;
    after.split_once('\'').map(|(name, _)| name).filter(|name| !name.is_empty())
}

struct OrtSession {
    session: OrtInner,
    inputs: Vec<Port>,
    input_types: Vec<Option<TensorElementType>>,
    outputs: Vec<Port>,
}

impl fmt::Debug for OrtSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrtSession").field("inputs", &self.inputs).field("outputs", &self.outputs).finish()
    }
}

impl Session for OrtSession {
    fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    fn run(&mut self, inputs: &[(&str, &Value)], outputs: &[&str]) -> Result<Vec<Value>, EngineError> {
        let values = check::inputs(&self.inputs, inputs)?;
        let wanted = check::Wanted::new(&self.outputs, outputs)?;
        if wanted.places.is_empty() {
            return Ok(Vec::new()); // ONNX Runtime refuses to run for nothing
        }
        let found = guard(NAME, || "running the model".to_owned(), || self.run_checked(&values, &wanted.places))?;
        Ok(wanted.restore(found))
    }
}

impl OrtSession {
    /// `values` in the order of the inputs, `places` in the list of outputs.
    fn run_checked(&mut self, values: &[&Value], places: &[usize]) -> Result<Vec<Value>, EngineError> {
        let held: Vec<Held<'_>> = values.iter().map(|v| Held::new(v)).collect();
        let mut fed = Vec::with_capacity(held.len());
        for ((port, element), held) in self.inputs.iter().zip(&self.input_types).zip(&held) {
            fed.push((port.name.clone(), held.to_ort(port, *element)?));
        }
        let names = || places.iter().map(|p| self.outputs[*p].name.as_str());
        let selected = names().fold(OutputSelector::no_default(), OutputSelector::with);
        let options = RunOptions::new().map_err(run_fault)?.with_outputs(selected);
        let results = self.session.run_with_options(fed, &options).map_err(run_fault)?;
        names()
            .map(|name| {
                let value = results.get(name).ok_or_else(|| EngineError::Run {
                    engine: NAME,
                    node: None,
                    reason: format!("no value came back for output {name:?}"),
                })?;
                from_ort(name, value)
            })
            .collect()
    }
}

fn run_fault(e: ort::Error) -> EngineError {
    let reason = e.to_string();
    EngineError::Run { engine: NAME, node: node_in(&reason).map(str::to_owned), reason }
}

/// A value in standard layout, borrowed where it already is.
enum Held<'v> {
    F32(CowArray<'v, f32, IxDyn>),
    I64(CowArray<'v, i64, IxDyn>),
}

impl<'v> Held<'v> {
    fn new(value: &'v Value) -> Self {
        match value {
            Value::F32(a) => Held::F32(a.as_standard_layout()),
            Value::I64(a) => Held::I64(a.as_standard_layout()),
        }
    }

    /// float32 and int64 are lent, all other declared types are made.
    fn to_ort<'h>(
        &'h self,
        port: &Port,
        declared: Option<TensorElementType>,
    ) -> Result<SessionInputValue<'h>, EngineError> {
        use TensorElementType as T;
        match (self, declared) {
            (Held::F32(a), Some(T::Float32)) => Ok(TensorRef::from_array_view(a).map_err(run_fault)?.into()),
            (Held::F32(a), Some(T::Float64)) => made(a.mapv(f64::from)),
            (Held::F32(a), Some(T::Float16)) => made(a.mapv(f16::from_f32)),
            (Held::I64(a), Some(T::Int64)) => Ok(TensorRef::from_array_view(a).map_err(run_fault)?.into()),
            (Held::I64(a), Some(T::Int32)) => made(narrow::<i32>(a, port, "int32")?),
            (Held::I64(a), Some(T::Uint32)) => made(narrow::<u32>(a, port, "uint32")?),
            (Held::I64(a), Some(T::Int16)) => made(narrow::<i16>(a, port, "int16")?),
            (Held::I64(a), Some(T::Uint16)) => made(narrow::<u16>(a, port, "uint16")?),
            (Held::I64(a), Some(T::Int8)) => made(narrow::<i8>(a, port, "int8")?),
            (Held::I64(a), Some(T::Uint8)) => made(narrow::<u8>(a, port, "uint8")?),
            (Held::I64(a), Some(T::Bool)) => made(a.mapv(|x| x != 0)),
            (_, other) => {
                let found = other.map_or_else(|| "no tensor".to_owned(), |t| t.to_string());
                Err(EngineError::Type { port: "input", name: port.name.clone(), found })
            }
        }
    }
}

fn made<'h, T>(array: ArrayD<T>) -> Result<SessionInputValue<'h>, EngineError>
where
    T: PrimitiveTensorElementType + fmt::Debug + Clone + 'static,
{
    Ok(Tensor::from_array(array).map_err(run_fault)?.into())
}

fn narrow<T: TryFrom<i64>>(
    a: &CowArray<'_, i64, IxDyn>,
    port: &Port,
    into: &'static str,
) -> Result<ArrayD<T>, EngineError> {
    let fit = |x: &i64| {
        T::try_from(*x).map_err(|_| EngineError::InputRange { name: port.name.clone(), value: *x, engine: NAME, into })
    };
    let data: Vec<T> = a.iter().map(fit).collect::<Result<_, _>>()?;
    Ok(ArrayD::from_shape_vec(a.raw_dim(), data).expect("as many elements as before"))
}

fn from_ort(name: &str, value: &DynValue) -> Result<Value, EngineError> {
    use TensorElementType as T;
    let unknown = || EngineError::Type { port: "output", name: name.to_owned(), found: value.dtype().to_string() };
    match value.dtype().tensor_type().ok_or_else(unknown)? {
        T::Float32 => array(name, value, |x: f32| x).map(Value::F32),
        T::Float64 => array(name, value, |x: f64| x as f32).map(Value::F32),
        T::Float16 => array(name, value, f16::to_f32).map(Value::F32),
        T::Int64 => array(name, value, |x: i64| x).map(Value::I64),
        T::Int32 => array::<i32, _>(name, value, i64::from).map(Value::I64),
        T::Uint32 => array::<u32, _>(name, value, i64::from).map(Value::I64),
        T::Int16 => array::<i16, _>(name, value, i64::from).map(Value::I64),
        T::Uint16 => array::<u16, _>(name, value, i64::from).map(Value::I64),
        T::Int8 => array::<i8, _>(name, value, i64::from).map(Value::I64),
        T::Uint8 => array::<u8, _>(name, value, i64::from).map(Value::I64),
        T::Bool => array::<bool, _>(name, value, i64::from).map(Value::I64),
        _ => Err(unknown()),
    }
}

fn array<T, U>(name: &str, value: &DynValue, convert: impl Fn(T) -> U) -> Result<ArrayD<U>, EngineError>
where
    T: PrimitiveTensorElementType + Copy,
{
    let shape: Vec<usize> = value.shape().iter().map(|d| usize::try_from(*d).unwrap_or(0)).collect();
    // An empty tensor may come without data, and the crate would make a slice of a null pointer.
    let data = if shape.contains(&0) { &[] } else { value.try_extract_tensor::<T>().map_err(run_fault)?.1 };
    check::array(name, shape, data, convert)
}

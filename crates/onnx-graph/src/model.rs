//! A model file: its protobuf message, whole, with every weight within reach.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use prost::Message as _;

use crate::constant::{Constant, ConstantError};
use crate::crowd;
use crate::dtype::DataType;
use crate::emit::EmitError;
use crate::external::{self, ExternalError};
use crate::proto::{DataLocation, GraphProto, ModelProto, StringStringEntryProto, TensorProto};
use crate::text::printable;

/// Why a file is no model that we can read. One variant a malformed case.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ModelError {
    #[error("cannot read {}: {error}", .path.display())]
    Read { path: PathBuf, error: std::io::Error },
    #[error("{} is no ONNX model, or damaged: {}\nhint: was the download or copy complete?", .path.display(), brief(error))]
    Decode { path: PathBuf, error: prost::DecodeError },
    #[error("{} has more nodes and attributes than memory is given to\nhint: no image classifier needs so many; is the file damaged?", .path.display())]
    Crowded { path: PathBuf },
    #[error("{} holds no graph\nhint: it may be another kind of file; ONNX files usually end in .onnx", .path.display())]
    NoGraph { path: PathBuf },
    #[error(
        "the model uses opset {opset}; opsets {oldest} to {newest} can be read\nhint: convert it with `onnx.version_converter`, or export it anew"
    )]
    Opset { opset: i64, oldest: i64, newest: i64 },
    #[error("the model does not say which opset it uses\nhint: it may be damaged; export it anew")]
    NoOpset,
    #[error(
        "{node} is written in opset {opset}, and {reason}\nhint: convert it with `onnx.version_converter`, or export it anew"
    )]
    Ancient { node: String, opset: i64, reason: String },
    #[error("tensor \"{tensor}\" is read by {reader}, but nothing makes it: no node, input or initializer")]
    NeverMade { tensor: String, reader: String },
    #[error("tensor \"{tensor}\" is made twice: by {first} and by {second}")]
    MadeTwice { tensor: String, first: String, second: String },
    #[error("initializer \"{tensor}\" stands in the file twice")]
    InitializerTwice { tensor: String },
    #[error("the graph has a cycle through {node}")]
    Cycle { node: String },
    #[error("local functions call each other too deeply, in `{function}`")]
    FunctionDepth { function: String },
    #[error("calls of local functions become more than {most} nodes, in `{function}`")]
    FunctionSize { function: String, most: usize },
    #[error("{node} has {given} inputs, its local function takes {taken}")]
    FunctionInputs { node: String, given: usize, taken: usize },
    #[error("{node} is too large: {reason}\nhint: no image classifier needs that; is the file damaged?")]
    TooLarge { node: String, reason: String },
    #[error("initializer \"{tensor}\": {error}")]
    Constant { tensor: String, error: ConstantError },
    #[error("tensor \"{tensor}\" has element type {number}, which no classifier computes with")]
    ElementType { tensor: String, number: i32 },
    #[error("tensor \"{tensor}\" has a negative size in its shape {dims:?}")]
    NegativeSize { tensor: String, dims: Vec<i64> },
    #[error("weight \"{tensor}\": {error}")]
    External { tensor: String, error: ExternalError },
    #[error("the model has no input to feed\nhint: every input has a default value")]
    NoInput,
    #[error("input \"{input}\" is {what}\nhint: images come as tensors of 4 axes")]
    Input { input: String, what: String },
    #[error("the model has no input \"{input}\" that a value could be given to\nhint: its inputs are {inputs}")]
    NoSuchInput { input: String, inputs: String },
    #[error("input \"{input}\" is given two values")]
    TwoValues { input: String },
    #[error("input \"{input}\" is {signature}: {what}")]
    InputValue { input: String, signature: String, what: String },
    #[error("{0}")]
    Emit(EmitError),
    #[error(
        "{} cannot share the weights of {}: they are not in one folder\nhint: external data lies beside a model; name a file in {}", .path.display(), .original.display(), .original.parent().unwrap_or(Path::new(".")).display()
    )]
    OtherFolder { path: PathBuf, original: PathBuf },
    #[error("cannot write {}: {error}", .path.display())]
    Write { path: PathBuf, error: std::io::Error },
    #[error(
        "cannot write {}: without its weights the model still has {rest} bytes, {limit} at most fit into one file", .path.display()
    )]
    TooLargeForOneFile { path: PathBuf, rest: usize, limit: usize },
}

/// What is wrong, without the path to it where that is long.
fn brief(error: &prost::DecodeError) -> String {
    const LONG: usize = 160;
    let text = error.to_string();
    match text.rsplit_once(": ") {
        Some((path, what)) if path.len() > LONG => format!("{what}, deep inside"),
        _ => text,
    }
}

/// A model as its file has it: nothing dropped, nothing renamed. Weights are slices of the mapped file (or of the
/// files beside it), not copies.
#[derive(Clone, Debug)]
pub struct Model {
    proto: ModelProto,
    path: PathBuf,
}

impl Model {
    /// Reads a file, with its external data. The file is mapped: it must not be changed while the model lives.
    pub fn open(path: impl AsRef<Path>) -> Result<Model, ModelError> {
        let path = path.as_ref();
        let bytes = external::map(path).map_err(|error| ModelError::Read { path: path.into(), error })?;
        Model::read(bytes, path)
    }

    /// Reads bytes; external data, if any, is looked for beside `path`, which messages also name.
    pub fn read(bytes: Bytes, path: &Path) -> Result<Model, ModelError> {
        if !crowd::fits(&bytes) {
            return Err(ModelError::Crowded { path: path.into() });
        }
        let proto = ModelProto::decode(bytes).map_err(|error| ModelError::Decode { path: path.into(), error })?;
        Model::from_proto(proto, path)
    }

    /// A model made by us.
    pub fn from_proto(mut proto: ModelProto, path: &Path) -> Result<Model, ModelError> {
        let graph = proto.graph.as_mut().ok_or_else(|| ModelError::NoGraph { path: path.into() })?;
        if graph.node.is_empty() && graph.output.is_empty() {
            return Err(ModelError::NoGraph { path: path.into() });
        }
        let mut seen = HashSet::new();
        for initializer in &graph.initializer {
            let name = initializer.name.as_deref().unwrap_or("");
            if !seen.insert(name) {
                return Err(ModelError::InitializerTwice { tensor: printable(name) });
            }
        }
        let mut files = external::Files::beside(path);
        for tensor in tensors_mut(graph) {
            load_external(tensor, &mut files)?;
        }
        for function in &mut proto.functions {
            for tensor in function.node.iter_mut().flat_map(node_tensors_mut) {
                load_external(tensor, &mut files)?;
            }
        }
        Ok(Model { proto, path: path.into() })
    }

    /// Another message for the same file, every weight within reach.
    pub(crate) fn with_proto(&self, proto: ModelProto) -> Model {
        Model { proto, path: self.path.clone() }
    }

    /// The message, external data loaded into `raw_data`.
    pub fn proto(&self) -> &ModelProto {
        &self.proto
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The graph as the file has it.
    pub fn graph(&self) -> &GraphProto {
        self.proto.graph.as_ref().expect("checked when it was read")
    }

    /// Operator sets by domain.
    pub fn opsets(&self) -> Vec<(String, i64)> {
        let import = self.proto.opset_import.iter();
        import.map(|o| (o.domain.clone().unwrap_or_default(), o.version.unwrap_or(0))).collect()
    }

    /// Version of the standard operator set; 0 where the file names none. Before IR version 3 there was only the first.
    pub fn opset(&self) -> i64 {
        let standard = |d: &str| d.is_empty() || d == "ai.onnx";
        let named = self.opsets().iter().filter(|(d, _)| standard(d)).map(|(_, v)| *v).max();
        named.unwrap_or(if matches!(self.proto.ir_version, Some(1 | 2)) { 1 } else { 0 })
    }

    /// Writes the model: one file where the format allows that (below 2 GiB), else the weights beside it in
    /// `{file}.data`. A file appears whole or not at all.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), ModelError> {
        self.save_with_limit(path.as_ref(), LARGEST_MESSAGE)
    }

    /// The file beside `path` that [`save`](Model::save) would put the weights into, where one file does not hold them.
    pub fn data_file(&self, path: impl AsRef<Path>) -> Option<PathBuf> {
        let path = path.as_ref();
        (self.proto.encoded_len() > LARGEST_MESSAGE).then(|| path.with_file_name(data_name(path)))
    }

    fn save_with_limit(&self, path: &Path, limit: usize) -> Result<(), ModelError> {
        let failed = |error| ModelError::Write { path: path.into(), error };
        if self.proto.encoded_len() <= limit {
            return external::write_whole(path, |file| file.write_all(&self.proto.encode_to_vec())).map_err(failed);
        }
        let location = data_name(path);
        let mut proto = self.proto.clone();
        let weights = move_out(&mut proto, &location);
        let rest = proto.encoded_len();
        if rest > limit {
            return Err(ModelError::TooLargeForOneFile { path: path.into(), rest, limit });
        }
        external::write_whole(&path.with_file_name(&location), |file| write_padded(file, &weights)).map_err(failed)?;
        external::write_whole(path, |file| file.write_all(&proto.encode_to_vec())).map_err(failed)
    }

    /// The same with an entry more in its metadata, behind all others.
    pub fn with_metadata(mut self, key: &str, value: &str) -> Model {
        self.proto.metadata_props.extend(entries(&[(key, value.to_owned())]));
        self
    }

    /// The same without the last entry of this key.
    pub fn without_metadata(mut self, key: &str) -> Model {
        if let Some(i) = self.proto.metadata_props.iter().rposition(|e| e.key.as_deref() == Some(key)) {
            self.proto.metadata_props.remove(i);
        }
        self
    }

    /// How many bytes [`to_bytes`](Model::to_bytes) has.
    pub fn byte_count(&self) -> usize {
        self.proto.encoded_len()
    }

    /// The model as bytes.
    pub fn to_bytes(&self) -> Bytes {
        self.proto.encode_to_vec().into()
    }
}

/// What the data file beside a model is called.
fn data_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!("{}.data", name.replace(['\\', ':'], "_")) // Those are no part of a location.
}

/// Protobuf's limit, less room for the message around the weights.
const LARGEST_MESSAGE: usize = (2 << 30) - (1 << 20);

/// Where external tensors begin: at a multiple of this many bytes, so that they can be mapped.
const PAGE: u64 = 4096;

/// Takes the large weights out of a model and leaves references to the file `location`; answers them with the offsets
/// they have there.
fn move_out(proto: &mut ModelProto, location: &str) -> Vec<(u64, Bytes)> {
    const SMALLEST: usize = 1024;
    let mut moved: Vec<(u64, Bytes)> = Vec::new();
    let mut end = 0;
    for tensor in proto.graph.iter_mut().flat_map(tensors_mut) {
        let Some(data) = tensor.raw_data.take_if(|data| data.len() >= SMALLEST) else { continue };
        let offset = u64::next_multiple_of(end, PAGE);
        tensor.external_data = entries(&[
            ("location", location.to_owned()),
            ("offset", offset.to_string()),
            ("length", data.len().to_string()),
        ]);
        tensor.data_location = Some(DataLocation::External as i32);
        end = offset + data.len() as u64;
        moved.push((offset, data));
    }
    moved
}

fn write_padded(file: &mut File, weights: &[(u64, Bytes)]) -> std::io::Result<()> {
    let mut writer = std::io::BufWriter::new(file);
    let mut at = 0;
    for (offset, data) in weights {
        let gap = usize::try_from(offset - at).unwrap_or(0); // Below a page.
        writer.write_all(&[0; PAGE as usize][..gap])?;
        writer.write_all(data)?;
        at = offset + data.len() as u64;
    }
    writer.flush()
}

pub(crate) fn entries(pairs: &[(&str, String)]) -> Vec<StringStringEntryProto> {
    let entry = |(key, value): &(&str, String)| StringStringEntryProto {
        key: Some((*key).to_owned()),
        value: Some(value.clone()),
    };
    pairs.iter().map(entry).collect()
}

/// Every tensor of a graph that may hold data: initializers, and attributes of nodes, subgraphs included.
fn tensors_mut(graph: &mut GraphProto) -> Vec<&mut TensorProto> {
    let mut tensors: Vec<&mut TensorProto> = graph.initializer.iter_mut().collect();
    for sparse in &mut graph.sparse_initializer {
        tensors.extend(sparse.values.iter_mut().chain(&mut sparse.indices));
    }
    tensors.extend(graph.node.iter_mut().flat_map(node_tensors_mut));
    tensors
}

fn node_tensors_mut(node: &mut crate::proto::NodeProto) -> Vec<&mut TensorProto> {
    let mut tensors = Vec::new();
    for attribute in &mut node.attribute {
        tensors.extend(attribute.t.iter_mut().chain(&mut attribute.tensors));
        for graph in attribute.g.iter_mut().chain(&mut attribute.graphs) {
            tensors.extend(tensors_mut(graph));
        }
    }
    tensors
}

fn load_external(tensor: &mut TensorProto, files: &mut external::Files) -> Result<(), ModelError> {
    if tensor.data_location != Some(DataLocation::External as i32) {
        return Ok(());
    }
    let name = printable(tensor.name.as_deref().unwrap_or(""));
    let number = tensor.data_type.unwrap_or(0);
    let bits = bits(number).ok_or_else(|| ModelError::ElementType { tensor: name.clone(), number })?;
    let dims = sizes(tensor)?;
    let size = dims.iter().try_fold(bits, |n, d| n.checked_mul(*d)).map(|bits| bits.div_ceil(8));
    let size =
        size.ok_or_else(|| ModelError::Constant { tensor: name.clone(), error: ConstantError::TooLarge(dims) })?;
    let data = files.slice(&tensor.external_data, size);
    tensor.raw_data = Some(data.map_err(|error| ModelError::External { tensor: name, error })?);
    tensor.external_data.clear();
    tensor.data_location = None;
    Ok(())
}

/// Bits of one element of any type that may lie in an external file, ours or not.
fn bits(number: i32) -> Option<usize> {
    const COMPLEX64: i32 = 14;
    const COMPLEX128: i32 = 15;
    match number {
        COMPLEX64 => Some(64),
        COMPLEX128 => Some(128),
        17..=20 | 24 => Some(8), // FLOAT8*
        21..=23 => Some(4),      // UINT4, INT4, FLOAT4E2M1
        25..=26 => Some(2),      // UINT2, INT2
        _ => DataType::from_number(number).map(|t| 8 * t.size()),
    }
}

fn sizes(tensor: &TensorProto) -> Result<Vec<usize>, ModelError> {
    let sizes = tensor.dims.iter().map(|d| usize::try_from(*d)).collect::<Result<_, _>>();
    sizes.map_err(|_| ModelError::NegativeSize {
        tensor: printable(tensor.name.as_deref().unwrap_or("")),
        dims: tensor.dims.iter().copied().take(8).collect(),
    })
}

/// The elements of a file's tensor, whichever field they are in.
pub(crate) fn constant_of(tensor: &TensorProto) -> Result<Constant, ModelError> {
    let name = || printable(tensor.name.as_deref().unwrap_or(""));
    let dims = sizes(tensor)?;
    let number = tensor.data_type.unwrap_or(0);
    let dtype = DataType::from_number(number).ok_or_else(|| ModelError::ElementType { tensor: name(), number })?;
    let data = match tensor.raw_data.as_ref().filter(|raw| !raw.is_empty()) {
        Some(raw) => raw.clone(),
        None => typed_data(dtype, tensor).into(),
    };
    Constant::new(dtype, dims, data).map_err(|error| ModelError::Constant { tensor: name(), error })
}

/// Little-endian elements from the typed fields; narrow types are kept in `int32_data`.
fn typed_data(dtype: DataType, tensor: &TensorProto) -> Vec<u8> {
    let size = dtype.size();
    let narrow = |values: &[i32]| values.iter().flat_map(|v| v.to_le_bytes().into_iter().take(size)).collect();
    match dtype {
        DataType::F32 => tensor.float_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DataType::F64 => tensor.double_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DataType::I64 => tensor.int64_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DataType::U64 | DataType::U32 => {
            tensor.uint64_data.iter().flat_map(|v| v.to_le_bytes().into_iter().take(size)).collect()
        }
        _ => narrow(&tensor.int32_data),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{NodeProto, ValueInfoProto};

    /// Two weights of 600 floats, and a small one, which stays in the file.
    fn model() -> Model {
        let weight = |name: &str, values: Vec<f32>| TensorProto {
            name: Some(name.to_owned()),
            dims: vec![values.len() as i64],
            data_type: Some(DataType::F32 as i32),
            raw_data: Some(values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>().into()),
            ..Default::default()
        };
        let ramp = |from: f32| (0..600).map(|i| from + i as f32).collect();
        let graph = GraphProto {
            node: vec![NodeProto { op_type: Some("Relu".to_owned()), ..Default::default() }],
            initializer: vec![weight("w", ramp(0.0)), weight("small", vec![1.0]), weight("v", ramp(0.5))],
            output: vec![ValueInfoProto::default()],
            ..Default::default()
        };
        let proto = ModelProto { ir_version: Some(8), graph: Some(graph), ..Default::default() };
        Model::from_proto(proto, Path::new("made")).unwrap()
    }

    fn files(folder: &Path) -> Vec<String> {
        let names = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn one_file_below_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.onnx");
        model().save(&path).unwrap();
        assert_eq!(files(folder.path()), ["a.onnx"]);
        assert_eq!(Model::open(&path).unwrap().proto(), model().proto());
    }

    /// Above it the large weights go beside it, at pages; the model may be renamed, and saved over itself.
    #[test]
    fn weights_beside_it_above_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let name = if cfg!(unix) { "a:b.onnx" } else { "a_b.onnx" }; // Elsewhere a colon is no part of a name.
        let (path, renamed) = (folder.path().join(name), folder.path().join("renamed.onnx"));
        model().save_with_limit(&path, 1000).unwrap();
        assert_eq!(files(folder.path()), [name, "a_b.onnx.data"], "no half-written file stays");
        std::fs::rename(&path, &renamed).unwrap();
        let stored = ModelProto::decode(std::fs::read(&renamed).unwrap().as_slice()).unwrap().graph.unwrap();
        let entry = |i: usize, j: usize| stored.initializer[i].external_data.get(j).and_then(|e| e.value.clone());
        let text = |t: &str| Some(t.to_owned());
        assert_eq!([entry(0, 0), entry(0, 1), entry(0, 2)], [text("a_b.onnx.data"), text("0"), text("2400")]);
        assert_eq!([entry(1, 0), entry(2, 1)], [None, text("4096")]);
        let back = Model::open(&renamed).unwrap();
        assert_eq!(back.proto(), model().proto());
        if cfg!(unix) {
            back.save_with_limit(&renamed, 1000).unwrap(); // Its weights are still mapped; elsewhere that locks them.
            assert_eq!(Model::open(&renamed).unwrap().proto(), model().proto());
        }
    }

    #[test]
    fn what_cannot_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.onnx");
        let error = model().save_with_limit(&path, 10).unwrap_err().to_string();
        assert!(error.contains("10 at most fit into one file"), "{error}");
        assert_eq!(files(folder.path()), [""; 0]);
        let error = model().save(folder.path().join("none/a.onnx")).unwrap_err().to_string();
        assert!(error.contains("cannot write ") && error.contains("a.onnx"), "{error}");
        std::fs::create_dir(&path).unwrap();
        assert!(model().save(&path).is_err(), "a folder is in the way");
        assert_eq!(files(folder.path()), ["a.onnx"], "the temporary file is gone");
    }
}

//! What an explained file says of itself: one JSON object in its metadata, under [`KEY`].

use onnx_graph::proto::ValueInfoProto;
use onnx_graph::{Added, DataType, Dim, Graph, Tensor};
use prost::Message as _;
use serde_json::{Map as Object, Value, json};

use super::{Certificate, ExportOptions};
use crate::classifier::{Model, Settled};
use crate::digest::Digest;
use crate::explain::{PlannedMap, Rival};
use crate::picture::{Fit, Preprocess};

/// The key of the metadata entry.
pub(super) const KEY: &str = "onnxcam";

/// Why a file's document cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum DocumentError {
    #[error("{file} is no explained model: its metadata has no entry `{KEY}`\nhint: `onnxcam export` makes one")]
    None { file: String },
    #[error("{file}: its metadata entry `{KEY}` cannot be read: {what}")]
    Unreadable { file: String, what: String },
}

/// What an explained file is.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The version of onnxcam that wrote it.
    pub version: String,
    /// What it explains.
    pub original: Original,
    /// The picture.
    pub input: Port,
    /// The class asked for; −1 stands for the predicted one. None where every class is explained.
    pub target: Option<Port>,
    /// The class explained, or the predicted one where every class is; none where it is given.
    pub class: Option<Port>,
    /// The class that each is contrasted with.
    pub rival: Option<Rival>,
    /// The maps, one an output.
    pub maps: Vec<ExplainedMap>,
    /// How a picture becomes the input, as JSON; none where the input can be no picture.
    pub preprocessing: Option<Value>,
    /// What was assumed; sentences for people.
    pub notes: Vec<String>,
    /// What was found on the engines of the machine that wrote it.
    pub certificates: Vec<Certificate>,
    /// How to take away what was added; none where a part of the original is missing.
    pub added: Option<Added>,
}

/// The classifier that a file explains.
#[derive(Clone, Debug, PartialEq)]
pub struct Original {
    /// Its file's name.
    pub file: String,
    /// SHA-256 of that file; weights that lie beside it are not in it.
    pub sha256: Digest,
    /// The output with the class scores.
    pub output: String,
    /// How many classes there are.
    pub classes: usize,
    /// How scores become probabilities: softmax, sigmoid or none.
    pub activation: String,
}

/// An input or output.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Its element type, `float32` or `int64`.
    pub dtype: String,
    /// Its sizes; a text where it depends on the batch N.
    pub shape: Vec<Value>,
}

/// An output that is a map.
#[derive(Clone, Debug, PartialEq)]
pub struct ExplainedMap {
    /// The output's name.
    pub output: String,
    /// Its sizes; a text where it depends on the batch N.
    pub shape: Vec<Value>,
    /// The method, as `onnxcam methods` lists it.
    pub method: String,
    /// The method's name for people.
    pub title: String,
    /// Which of its formulas.
    pub variant: String,
    /// The formula.
    pub equation: String,
    /// Where it is from.
    pub source: String,
    /// The target layer: the tensor of the file.
    pub layer: String,
    /// The module that made it, where the exporter kept that.
    pub module: String,
    /// Whether it may be negative.
    pub signed: bool,
    /// Whether it is as large as the input rather than the layer.
    pub resized: bool,
    /// What has to be said of it; sentences for people.
    pub notes: Vec<String>,
}

/// What a document is made of.
pub(super) struct Facts<'a> {
    pub model: &'a Model,
    pub settled: &'a Settled,
    pub options: &'a ExportOptions,
    pub input: Port,
    pub target: Option<Port>,
    pub class: Option<Port>,
    pub maps: Vec<Port>,
    pub added: Option<Added>,
}

impl Port {
    pub(super) fn of(graph: &Graph, t: Tensor, name: &str) -> Port {
        let info = graph.tensor(t);
        let dtype = match info.dtype {
            Some(DataType::F32) => "float32".to_owned(),
            Some(DataType::I64) => "int64".to_owned(),
            other => other.map_or_else(String::new, |t| t.to_string()),
        };
        let size = |d: &Dim| d.known().map_or_else(|| json!(d.to_string()), |n| json!(n));
        Port { name: name.to_owned(), dtype, shape: info.shape.iter().flatten().map(size).collect() }
    }

    fn to_json(&self) -> Value {
        json!({ "name": self.name, "type": self.dtype, "shape": self.shape })
    }

    fn read(value: &Value) -> Result<Port, String> {
        Ok(Port { name: text(value, "name")?, dtype: text(value, "type")?, shape: list(value, "shape")?.to_vec() })
    }
}

/// `[N,7,7]`.
fn shape_in_words(shape: &[Value]) -> String {
    let sizes: Vec<String> = shape.iter().map(|d| d.as_str().map_or_else(|| d.to_string(), str::to_owned)).collect();
    format!("[{}]", onnx_graph::printable(&sizes.join(",")))
}

impl Port {
    /// Its sizes as `[N,3,224,224]`.
    pub fn shape_in_words(&self) -> String {
        shape_in_words(&self.shape)
    }
}

impl ExplainedMap {
    /// Its sizes as `[N,7,7]`.
    pub fn shape_in_words(&self) -> String {
        shape_in_words(&self.shape)
    }
}

impl Document {
    pub(super) fn new(facts: Facts<'_>) -> Document {
        let Facts { model, settled, options, input, target, class, maps, added } = facts;
        let (plan, subject) = (settled.plan(), settled.subject());
        let file = model.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let map = |(port, planned): (Port, &PlannedMap)| {
            let (equation, source) = equation_and_source(planned.method.description());
            let caveat = planned.caveat.map(|caveat| format!("of some pictures: {}", caveat.note));
            ExplainedMap {
                output: port.name,
                shape: port.shape,
                method: planned.method.name().to_owned(),
                title: planned.method.title().to_owned(),
                variant: planned.method.variant().to_owned(),
                equation,
                source,
                layer: plan.layer.name.clone(),
                module: plan.layer.module.clone(),
                signed: settled.is_signed() || planned.method.is_signed(),
                resized: options.resize_to_input,
                notes: planned.notes.iter().cloned().chain(caveat).collect(),
            }
        };
        let notes = plan.notes.iter().cloned().chain(subject.preprocessing_note().map(str::to_owned));
        Document {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            original: Original {
                file,
                sha256: model.digest(),
                output: plan.head.output.clone(),
                classes: plan.head.classes,
                activation: plan.head.activation.to_string(),
            },
            input,
            target,
            class,
            rival: plan.rival.map(|(rival, _)| rival),
            maps: maps.into_iter().zip(&plan.maps).map(map).collect(),
            preprocessing: subject.preprocess().ok().map(preprocessing_json),
            notes: notes.collect(),
            certificates: Vec::new(),
            added,
        }
    }

    /// The document of an explained file.
    ///
    /// # Errors
    /// [`DocumentError::None`] where it has none.
    pub fn of(file: &onnx_graph::Model) -> Result<Document, DocumentError> {
        let name = || file.path().display().to_string();
        let entry = file.proto().metadata_props.iter().rfind(|e| e.key.as_deref() == Some(KEY));
        let entry = entry.ok_or_else(|| DocumentError::None { file: name() })?;
        let unreadable = |what: String| DocumentError::Unreadable { file: name(), what };
        let value: Value = serde_json::from_str(entry.value.as_deref().unwrap_or_default())
            .map_err(|error| unreadable(error.to_string()))?;
        Document::read(&value).map_err(unreadable)
    }

    /// The methods and the layer, in one line.
    pub fn in_short(&self) -> String {
        let maps: Vec<&str> = self.maps.iter().map(|m| m.title.as_str()).collect();
        let layer = self.maps.first().map_or("", |m| m.layer.as_str());
        format!("{} at \"{}\"", onnx_graph::printable(&maps.join(", ")), onnx_graph::printable(layer))
    }

    /// As JSON.
    pub fn to_json(&self) -> Value {
        let map = |m: &ExplainedMap| {
            json!({
                "output": m.output, "shape": m.shape, "method": m.method, "title": m.title, "variant": m.variant,
                "equation": m.equation, "source": m.source, "layer": m.layer, "module": m.module, "signed": m.signed,
                "resized": m.resized, "notes": m.notes,
            })
        };
        let o = &self.original;
        json!({
            "version": self.version,
            "original": {
                "file": o.file, "sha256": o.sha256.to_string(), "output": o.output, "classes": o.classes,
                "activation": o.activation,
            },
            "input": self.input.to_json(),
            "target": self.target.as_ref().map(Port::to_json),
            "class": self.class.as_ref().map(Port::to_json),
            "rival": self.rival.map(rival_json),
            "maps": self.maps.iter().map(map).collect::<Vec<_>>(),
            "preprocessing": self.preprocessing,
            "notes": self.notes,
            "certificates": self.certificates.iter().map(Certificate::to_json).collect::<Vec<_>>(),
            "added": self.added.as_ref().map(added_json),
        })
    }

    pub(super) fn to_text(&self) -> String {
        self.to_json().to_string()
    }

    fn read(value: &Value) -> Result<Document, String> {
        let original = &value["original"];
        let digest = text(original, "sha256")?;
        let map = |m: &Value| {
            Ok(ExplainedMap {
                output: text(m, "output")?,
                shape: list(m, "shape")?.to_vec(),
                method: text(m, "method")?,
                title: text(m, "title")?,
                variant: text(m, "variant")?,
                equation: text(m, "equation")?,
                source: text(m, "source")?,
                layer: text(m, "layer")?,
                module: text(m, "module")?,
                signed: m["signed"].as_bool().unwrap_or_default(),
                resized: m["resized"].as_bool().unwrap_or_default(),
                notes: texts(m, "notes")?,
            })
        };
        let present = |key: &str| Some(&value[key]).filter(|v| !v.is_null());
        Ok(Document {
            version: text(value, "version")?,
            original: Original {
                file: text(original, "file")?,
                sha256: Digest::from_hex(&digest).ok_or("`sha256` is no digest")?,
                output: text(original, "output")?,
                classes: count(original, "classes")?,
                activation: text(original, "activation")?,
            },
            input: Port::read(&value["input"])?,
            target: present("target").map(Port::read).transpose()?,
            class: present("class").map(Port::read).transpose()?,
            rival: present("rival").map(read_rival).transpose()?,
            maps: list(value, "maps")?.iter().map(map).collect::<Result<_, String>>()?,
            preprocessing: present("preprocessing").cloned(),
            notes: texts(value, "notes")?,
            certificates: list(value, "certificates")?.iter().map(Certificate::read).collect::<Result<_, _>>()?,
            added: present("added").map(read_added).transpose()?,
        })
    }
}

/// `second`, or the class's number.
fn rival_json(rival: Rival) -> Value {
    match rival {
        Rival::RunnerUp => json!("second"),
        Rival::Class(class) => json!(class),
    }
}

fn read_rival(value: &Value) -> Result<Rival, String> {
    let class = value.as_u64().and_then(|class| usize::try_from(class).ok());
    match (value.as_str(), class) {
        (Some("second"), _) => Ok(Rival::RunnerUp),
        (_, Some(class)) => Ok(Rival::Class(class)),
        _ => Err("`rival` is no class".to_owned()),
    }
}

/// The indented formula of a method's description, and where it is published: what the paragraph behind it begins with.
fn equation_and_source(description: &str) -> (String, String) {
    let paragraphs: Vec<&str> = description.split("\n\n").collect();
    let formula = paragraphs.iter().position(|p| p.starts_with("  "));
    let joined = |i: Option<usize>| {
        let lines = i.and_then(|i| paragraphs.get(i)).map(|p| p.lines().map(str::trim).collect::<Vec<_>>().join(" "));
        lines.unwrap_or_default()
    };
    (joined(formula), citation(&joined(formula.map(|i| i + 1))).to_owned())
}

/// A text up to its first full stop or colon that stands in no title, `et al.` and `Eq.` aside.
fn citation(text: &str) -> &str {
    let ends = text.match_indices(['.', ':']).map(|(at, _)| at).find(|at| {
        let (before, behind) = (&text[..*at], &text[at + 1..]);
        let in_title = before.matches('"').count() % 2 == 1;
        !in_title
            && !["et al", "Eq"].iter().any(|short| before.ends_with(short))
            && (behind.is_empty() || behind.starts_with(' '))
    });
    &text[..ends.unwrap_or(text.len())]
}

/// out = (x · scale − mean) / std, x in 0..=255, of the picture resized and cut as `resize` and `size` say.
fn preprocessing_json(p: &Preprocess) -> Value {
    let resize = match p.fit {
        Fit::ShortSide { side } => json!({ "short_side": side }),
        Fit::Cover { height, width } => json!({ "cover": [height, width] }),
        Fit::Stretch => json!("stretch"),
    };
    let number = |v: &f32| json!(v.to_string().parse::<f64>().unwrap_or_else(|_| f64::from(*v))); // As it is written.
    json!({
        "text": p.describe(),
        "size": [p.size.0, p.size.1],
        "resize": resize,
        "filter": p.filter.to_string(),
        "scale": number(&p.scale),
        "mean": p.mean.iter().map(number).collect::<Vec<_>>(),
        "std": p.std.iter().map(number).collect::<Vec<_>>(),
        "channels": p.order.to_string(),
        "layout": p.layout.to_string(),
    })
}

fn added_json(added: &Added) -> Value {
    let hex = |v: &ValueInfoProto| v.encode_to_vec().iter().map(|b| format!("{b:02x}")).collect::<String>();
    let mut object = Object::new();
    for (key, count) in [
        ("nodes", added.nodes),
        ("initializers", added.initializers),
        ("inputs", added.inputs),
        ("outputs", added.outputs),
    ] {
        object.insert(key.to_owned(), count.into());
    }
    if let Some(opset) = added.opset {
        object.insert("opset_before".to_owned(), opset.into());
    }
    let declared: Vec<Value> = added.declared.iter().map(|(i, v)| json!([i, hex(v)])).collect();
    if !declared.is_empty() {
        object.insert("inputs_before".to_owned(), declared.into());
    }
    object.into()
}

fn read_added(value: &Value) -> Result<Added, String> {
    let declared = |entry: &Value| {
        let index = entry[0].as_u64().and_then(|i| usize::try_from(i).ok());
        let hex = entry[1].as_str().filter(|hex| hex.is_ascii());
        let byte = |i: usize| hex.and_then(|hex| u8::from_str_radix(hex.get(2 * i..2 * i + 2)?, 16).ok());
        let bytes: Option<Vec<u8>> = (0..hex.map_or(0, str::len) / 2).map(byte).collect();
        let declared = bytes.and_then(|bytes| ValueInfoProto::decode(bytes.as_slice()).ok());
        index.zip(declared).ok_or_else(|| "`inputs_before` holds no input".to_owned())
    };
    Ok(Added {
        nodes: count(value, "nodes")?,
        initializers: count(value, "initializers")?,
        inputs: count(value, "inputs")?,
        outputs: count(value, "outputs")?,
        opset: value["opset_before"].as_i64(),
        declared: value["inputs_before"].as_array().into_iter().flatten().map(declared).collect::<Result<_, _>>()?,
    })
}

fn text(value: &Value, key: &str) -> Result<String, String> {
    value[key].as_str().map(str::to_owned).ok_or_else(|| format!("`{key}` is no text"))
}

fn texts(value: &Value, key: &str) -> Result<Vec<String>, String> {
    list(value, key)?
        .iter()
        .map(|v| v.as_str().map(str::to_owned).ok_or_else(|| format!("`{key}` are no texts")))
        .collect()
}

fn count(value: &Value, key: &str) -> Result<usize, String> {
    value[key].as_u64().and_then(|n| usize::try_from(n).ok()).ok_or_else(|| format!("`{key}` is no number"))
}

fn list<'v>(value: &'v Value, key: &str) -> Result<&'v [Value], String> {
    value[key].as_array().map(Vec::as_slice).ok_or_else(|| format!("`{key}` is no list"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::method::every_formula;

    #[test]
    fn every_method_has_an_equation_and_a_source() {
        // What is made of many runs is not exported.
        for method in every_formula().filter(|m| m.runs().is_none()) {
            let (equation, source) = equation_and_source(method.description());
            assert!(equation.contains('=') && !equation.contains('\n'), "{}: {equation:?}", method.name());
            let said = source.chars().any(|c| c.is_ascii_digit()) && source.chars().count() < 130;
            assert!(said, "{}, {}: {source:?}", method.name(), method.variant());
        }
    }

    #[test]
    fn a_citation_ends_where_its_sentence_does() {
        assert_eq!(
            citation("Zhou et al. 2016; Eq. 1 of Chattopadhyay et al. 2017."),
            "Zhou et al. 2016; Eq. 1 of Chattopadhyay et al. 2017"
        );
        assert_eq!(
            citation("Li 2020 (\"CAM: a title. Or two\"), section 2.4. It is"),
            "Li 2020 (\"CAM: a title. Or two\"), section 2.4"
        );
        assert_eq!(citation("Li 2020, with Y = exp(S): there"), "Li 2020, with Y = exp(S)");
    }

    #[test]
    fn what_was_added_comes_back() {
        let before = ValueInfoProto { name: Some("é".to_owned()), ..Default::default() };
        let added =
            Added { nodes: 1, initializers: 2, inputs: 3, outputs: 4, opset: Some(9), declared: vec![(1, before)] };
        assert_eq!(read_added(&added_json(&added)), Ok(added));
        let plain = Added { nodes: 1, ..Default::default() };
        assert_eq!(read_added(&added_json(&plain)), Ok(plain));
        assert!(read_added(&json!({ "nodes": 1, "initializers": -2 })).is_err());
    }
}

//! Networks with reference values: PyTorch's in `golden/networks`, other frameworks' in `golden/exporters`, and the
//! full-size ones that `references/export_networks.py` makes.

#![allow(dead_code)] // Each test program takes what it needs.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::{Array1, ArrayD, Axis, Slice, Zip};
use onnx_graph::{Constant, DataType, Emit, ImportOptions, Model, import};
use onnxcam::engine::{Engine, EngineError, Source};
use onnxcam::explain::{Explained, Plan, PlanOptions};
use onnxcam::target::{HeadOptions, automatic_layer, find_head};
use serde_json::Value as Json;
use testkit::{npy, npz};

use super::both::{explain, explainer, outputs, picture, plan, run, run_session};

/// A network, its exports, and what its framework computes in float64.
pub struct Network {
    pub name: String,
    /// Path of the target layer's module; none where a function makes the layer.
    pub module: Option<String>,
    pub classes: Vec<i64>,
    /// Whether CAM is defined for it.
    pub cam: bool,
    pub exports: Vec<Export>,
    pub input: ArrayD<f32>,
    pub arrays: BTreeMap<String, ArrayD<f64>>,
}

/// The cells of a layer.
pub struct Cells {
    /// Rows and columns.
    pub grid: Vec<i64>,
    /// Class and register tokens before them and behind them.
    pub extras: (i64, i64),
}

/// A file of a network.
pub struct Export {
    pub file: PathBuf,
    /// Names of the tensors that hold the feature maps.
    pub features: Vec<String>,
}

impl Network {
    /// The networks of `golden/networks`.
    pub fn golden() -> Vec<Network> {
        let folder = golden();
        let networks = json(&folder.join("networks.json"));
        let input = npy(folder.join("input.npy"));
        let read = |description: &Json| Network::read(&folder, description, Some(&input));
        networks.as_array().unwrap().iter().map(read).collect()
    }

    /// The networks of `golden/quantised`, each with a picture of its own.
    pub fn quantised() -> Vec<Network> {
        let folder = golden().with_file_name("quantised");
        let pictures = npy(golden().join("input.npy")).mapv(|v| v as f32);
        let mut files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
        files.retain(|f| f.extension().is_some_and(|e| e == "onnx"));
        files.sort();
        let read = |file: PathBuf| {
            let arrays = npz(file.with_extension("npz"));
            let factor = arrays["factor"][[]] as f32;
            let layer = fs::read_to_string(file.with_extension("txt")).unwrap().trim_end().to_owned();
            Network {
                name: file.file_stem().unwrap().to_string_lossy().into_owned(),
                module: None,
                classes: arrays["classes"].iter().map(|c| *c as i64).collect(),
                cam: false,
                exports: vec![Export { file, features: vec![layer] }],
                input: picture(&pictures, arrays["picture"][[]] as usize).mapv(|v| v * factor),
                arrays,
            }
        };
        files.into_iter().map(read).collect()
    }

    /// The networks of `golden/exporters`, a JSON for each framework: by exporters other than PyTorch's.
    pub fn by_others() -> Vec<Network> {
        let folder = golden().with_file_name("exporters");
        let descriptions = json_files(&folder).into_iter().flat_map(|file| json(&file).as_array().unwrap().clone());
        descriptions.map(|description| Network::read(&folder, &description, None)).collect()
    }

    /// The networks of `golden/tokens`, and where each layer's cells are.
    pub fn tokens() -> Vec<(Network, Cells)> {
        let folder = golden().with_file_name("tokens");
        let input = npy(folder.join("input.npy"));
        let read = |description: &Json| {
            let number = |value: &Json| value.as_i64().unwrap();
            let cells = Cells {
                grid: description["grid"].as_array().unwrap().iter().map(number).collect(),
                extras: (number(&description["before"]), number(&description["after"])),
            };
            (Network::read(&folder, description, Some(&input)), cells)
        };
        json(&folder.join("networks.json")).as_array().unwrap().iter().map(read).collect()
    }

    /// The networks of a folder of full-size ones.
    pub fn full_size(folder: &Path) -> impl Iterator<Item = Network> {
        let (files, folder) = (json_files(folder), folder.to_owned());
        files.into_iter().map(move |file| Network::read(&folder, &json(&file), None))
    }

    fn read(folder: &Path, description: &Json, input: Option<&ArrayD<f64>>) -> Network {
        let text = |value: &Json| value.as_str().map(str::to_owned);
        let name = text(&description["name"]).unwrap();
        let arrays = npz(folder.join(format!("{name}.npz")));
        let exports = description["exports"].as_object().unwrap().iter().map(|(variant, export)| Export {
            file: folder.join(format!("{name}.{variant}.onnx")),
            features: export["feature_tensors"].as_array().unwrap().iter().map(|t| text(&t[0]).unwrap()).collect(),
        });
        Network {
            module: text(&description["module"]),
            classes: arrays["classes"].iter().map(|c| *c as i64).collect(),
            cam: description["cam"].as_bool().unwrap(),
            exports: exports.collect(),
            input: input.unwrap_or_else(|| &arrays["input"]).mapv(|v| v as f32),
            name,
            arrays,
        }
    }

    /// Methods that are defined for it, with the keys of their reference values.
    pub fn methods(&self) -> Vec<(&'static str, &'static str)> {
        let cam = self.cam.then_some(("cam", "cam"));
        [("grad-cam", "grad_cam"), ("grad-cam++", "grad_cam_pp")].into_iter().chain(cam).collect()
    }

    /// Reference values for a class (by place) and a picture.
    fn reference(&self, key: String, class: usize, image: usize) -> ArrayD<f64> {
        self.arrays[&key].index_axis(Axis(0), class).index_axis(Axis(0), image).to_owned()
    }

    /// max_ij Σ_k |w_k A^k_ij|: what errors of a map are measured against.
    pub fn scale(&self, key: &str, class: usize, image: usize) -> f64 {
        self.arrays[&format!("{key}_scale")][[class, image]]
    }

    /// Names of its methods.
    pub fn method_names(&self) -> Vec<&'static str> {
        self.methods().iter().map(|(method, _)| *method).collect()
    }
}

pub fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/networks")
}

fn json_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "json"));
    files.sort();
    assert!(!files.is_empty(), "no network in {}", folder.display());
    files
}

fn json(file: &Path) -> Json {
    let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

impl Export {
    pub fn open(&self) -> Model {
        Model::open(&self.file).unwrap()
    }
}

impl fmt::Display for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file.file_stem().unwrap().to_string_lossy())
    }
}

/// The worst errors by what they are errors of.
#[derive(Default)]
pub struct Errors(BTreeMap<String, f64>);

impl Errors {
    /// Notes an error. NaN is the worst.
    pub fn add(&mut self, of: impl Into<String>, error: f64) {
        let worst = self.0.entry(of.into()).or_insert(0.0);
        if error > *worst || error.is_nan() {
            *worst = error;
        }
    }

    /// Those errors on average that are not at most `limit`.
    pub fn beyond_on_average(&self, limit: f64) -> Vec<String> {
        let mut averages = Errors::default();
        self.0.iter().filter(|(of, _)| of.ends_with("on average")).for_each(|(of, e)| averages.add(of, *e));
        averages.beyond(limit)
    }

    /// Those that are not at most `limit`.
    ///
    /// Feature maps are held to ten times that: behind a hundred layers in float32 they are what the rest is made of.
    pub fn beyond(&self, limit: f64) -> Vec<String> {
        let limit = |of: &str| if of == "features" { 10.0 * limit } else { limit };
        self.0.iter().filter(|(of, e)| e.is_nan() || **e > limit(of)).map(|(of, e)| format!("{of} {e:.1e}")).collect()
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errors: Vec<String> = self.0.iter().map(|(of, e)| format!("{of} {e:.1e}")).collect();
        f.write_str(&errors.join(", "))
    }
}

/// Exports that are wrong on an engine, and in what.
#[derive(Default)]
pub struct Failures(Vec<String>);

impl Failures {
    /// Prints the errors of an export, and notes those that are too large.
    pub fn note(&mut self, export: &Export, engine: &Arc<dyn Engine>, errors: &Errors, beyond: Vec<String>) {
        let place = format!("{export} on {}", engine.name());
        println!("{place}: {errors}");
        if !beyond.is_empty() {
            self.0.push(format!("{place}: {}", beyond.join(", ")));
        }
    }

    /// That there are none.
    #[track_caller]
    pub fn are_none(self) {
        assert!(self.0.is_empty(), "{}", self.0.join("\n"));
    }
}

/// Greatest difference, as a part of `scale`.
pub fn apart<A, B>(found: &ArrayD<A>, expected: &ArrayD<B>, scale: f64) -> f64
where
    A: Copy + Into<f64>,
    B: Copy + Into<f64>,
{
    assert_eq!(found.shape(), expected.shape());
    let mut worst = 0.0;
    Zip::from(found).and(expected).for_each(|a, b| {
        let difference = ((*a).into() - (*b).into()).abs();
        worst = if difference <= worst { worst } else { difference };
    });
    worst / scale
}

/// Largest magnitude.
pub fn most<A: Copy + Into<f64>>(values: &ArrayD<A>) -> f64 {
    values.iter().fold(0.0, |most: f64, v| most.max((*v).into().abs()))
}

/// The automatic layer is the recorded one, and so is what its module's path stands for.
pub fn check_layer(network: &Network, export: &Export) {
    let model = export.open();
    let automatic = plan(&model, &["grad-cam"], &PlanOptions::default()).unwrap();
    assert!(export.features.contains(&automatic.layer.name), "{export}: \"{}\" is taken", automatic.layer.name);
    for name in network.module.iter().chain(&export.features) {
        let named = PlanOptions { layer: Some(name.clone()), ..PlanOptions::default() };
        let named = plan(&model, &["grad-cam"], &named).unwrap_or_else(|e| panic!("{export}, --layer {name}: {e}"));
        assert_eq!(named.layer, automatic.layer, "{export}, --layer {name}");
    }
}

/// Scores, feature maps, weights and maps, signed and not, for each class, against the reference: errors of w_k as parts
/// of max |w_k|, of maps as parts of their scale, of scores and feature maps as parts of their largest.
pub fn reference_errors(network: &Network, export: &Export, engine: &Arc<dyn Engine>) -> Errors {
    let model = export.open();
    let x = &network.input;
    let mut errors = Errors::default();
    for signed in [false, true] {
        let options = PlanOptions { signed, ..PlanOptions::default() };
        let plan = plan(&model, &network.method_names(), &options).unwrap_or_else(|e| panic!("{export}: {e}"));
        if !signed {
            add_feature_errors(network, &plan, engine, &mut errors);
        }
        let mut explainer = explainer(&plan, engine, x.len_of(Axis(0)));
        for (c, class) in network.classes.iter().enumerate() {
            for (i, found) in run(&mut explainer, x, *class).iter().enumerate() {
                assert_eq!(found.class as i64, *class, "{export}");
                let logits = network.arrays["logits"].index_axis(Axis(0), i).to_owned();
                let scores = Array1::from(found.scores.clone()).into_dyn();
                errors.add("logits", apart(&scores, &logits, most(&network.arrays["logits"])));
                add_map_errors(network, found, c, i, signed, &mut errors);
            }
        }
    }
    errors
}

fn add_feature_errors(network: &Network, plan: &Plan, engine: &Arc<dyn Engine>, errors: &mut Errors) {
    let mut graph = plan.graph.clone();
    graph.inputs = vec![plan.input];
    graph.outputs = vec![plan.features];
    let expected = &network.arrays["features"];
    let at_once = plan.fixed_batch().unwrap_or(network.input.len_of(Axis(0)));
    let pairs = network.input.axis_chunks_iter(Axis(0), at_once).zip(expected.axis_chunks_iter(Axis(0), at_once));
    for (x, expected) in pairs {
        let found = outputs(&graph, engine, &x.to_owned()).remove(0);
        errors.add("features", apart(&found, &expected.to_owned(), most(&expected.to_owned())));
    }
}

fn add_map_errors(network: &Network, found: &Explained, c: usize, i: usize, signed: bool, errors: &mut Errors) {
    for (m, (method, key)) in network.methods().into_iter().enumerate() {
        let weights = network.reference(format!("{key}_weights"), c, i);
        let found_weights = Array1::from(found.weights[m].clone()).into_dyn();
        errors.add(format!("{method} w"), apart(&found_weights, &weights, most(&weights)));
        let which = if signed || method == "cam" { "signed" } else { "map" };
        let map = network.reference(format!("{key}_{which}"), c, i);
        let error = apart(&found.maps[m].clone().into_dyn(), &map, network.scale(key, c, i));
        errors.add(format!("{method} {which}"), error);
    }
}

/// ∂S_c/∂A and, where the input is of floats, ∂S_c/∂input (of small networks every fifth row and column) for each class:
/// the largest error as a part of the largest gradient, and the average one of the average.
pub fn gradient_errors(network: &Network, export: &Export, engine: &Arc<dyn Engine>) -> Errors {
    let mut errors = Errors::default();
    for (c, class) in network.classes.iter().enumerate() {
        let mut graph = import(&export.open(), &ImportOptions::default()).unwrap().graph;
        let head = find_head(&mut graph, &HeadOptions::default()).unwrap();
        let layer = automatic_layer(&graph, &head).unwrap().tensor;
        let e = Emit::new(&mut graph);
        let one_hot: Vec<f32> = (0..head.classes as i64).map(|k| f32::from(u8::from(k == *class))).collect();
        let seed = e.expand(e.constant(Constant::f32s(&[1, head.classes], &one_hot)), e.shape(head.scores));
        e.finish().unwrap();
        let input = graph.inputs[0];
        let wanted = if graph.tensor(input).dtype == Some(DataType::F32) { &[layer, input][..] } else { &[layer] };
        let gradients = onnx_autodiff::gradient(&mut graph, &[(head.scores, seed)], wanted);
        graph.outputs = gradients.unwrap_or_else(|e| panic!("{export}: {e}")).into_iter().flatten().collect();
        let [of_layer, of_input] = ["gradient", "input_gradient"].map(|key| network.arrays[key].index_axis(Axis(0), c));
        let at_once = graph.shape(input).unwrap()[0].known().map_or(network.input.len_of(Axis(0)), |n| n as usize);
        let expected = of_layer.axis_chunks_iter(Axis(0), at_once).zip(of_input.axis_chunks_iter(Axis(0), at_once));
        for (x, (of_layer, of_input)) in network.input.axis_chunks_iter(Axis(0), at_once).zip(expected) {
            let found = outputs(&graph, engine, &x.to_owned());
            let step = |axis: usize| if x.shape()[axis] == of_input.shape()[axis] { 1 } else { 5 };
            let sampled = found.get(1).map(|f| f.slice_each_axis(|a| Slice::new(0, None, step(a.axis.index()))));
            let pairs = [("layer", found[0].view(), of_layer)].into_iter();
            for (of, found, expected) in pairs.chain(sampled.map(|sampled| ("input", sampled, of_input))) {
                let expected = expected.to_owned();
                let found = found.to_owned();
                let (sum, off) = found.iter().zip(&expected).fold((0.0, 0.0), |(sum, off), (found, expected)| {
                    (sum + expected.abs(), off + (f64::from(*found) - expected).abs())
                });
                errors.add(format!("{of} on average"), off / sum);
                errors.add(of, apart(&found, &expected, most(&expected)));
            }
        }
    }
    errors
}

/// What a picture's explanation must not depend on: its neighbours in the batch (not by a bit, where its place is the
/// same), its place there, the batch's size, the methods beside it and their order. Differences as parts of the scale.
pub fn dependence(network: &Network, export: &Export, engine: &Arc<dyn Engine>) -> Errors {
    let model = export.open();
    let (x, class) = (&network.input, network.classes[0]);
    let names = network.method_names();
    let options = PlanOptions::default();
    let together = plan(&model, &names, &options).unwrap();
    let mut in_batch = explainer(&together, engine, x.len_of(Axis(0)));
    let expected = run(&mut in_batch, x, class);
    let mut errors = Errors::default();
    let mut compare = |of: &str, i: usize, m: usize, found: &Explained, at: usize| {
        let found = found.maps[at].clone().into_dyn();
        let scale = network.scale(network.methods()[m].1, 0, i);
        errors.add(of, apart(&found, &expected[i].maps[m].clone().into_dyn(), scale));
    };
    for i in 0..x.len_of(Axis(0)) {
        let padded = run(&mut in_batch, &picture(x, i), class).remove(0);
        let beside_others = x.select(Axis(0), &[i, 0][..in_batch.batch().min(2)]);
        assert!(run(&mut in_batch, &beside_others, class)[0] == padded, "{export}: picture {i} beside others");
        (0..names.len()).for_each(|m| compare("place", i, m, &padded, m));
        let alone = explain(&together, engine, &picture(x, i), class).remove(0);
        (0..names.len()).for_each(|m| compare("batch of 1", i, m, &alone, m));
    }
    let reversed: Vec<&str> = names.iter().rev().copied().collect();
    let reversed = explain(&plan(&model, &reversed, &options).unwrap(), engine, x, class);
    for (i, found) in reversed.iter().enumerate() {
        (0..names.len()).for_each(|m| compare("order", i, m, found, names.len() - 1 - m));
    }
    for (m, name) in names.iter().enumerate() {
        let single = explain(&plan(&model, &[name], &options).unwrap(), engine, x, class);
        single.iter().enumerate().for_each(|(i, found)| compare("one method", i, m, found, 0));
    }
    errors
}

/// Loads a file and writes it back: the message is the same, and so are an engine's outputs, to the bit.
///
/// Whether rten takes the file as it is, is another matter; before and after it is the same.
pub fn check_copy(file: &Path, engine: &Arc<dyn Engine>, x: &ArrayD<f32>) {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.onnx");
    let model = Model::open(file).unwrap();
    model.save(&copy).unwrap();
    assert!(Model::open(&copy).unwrap().proto() == model.proto(), "{}: another message", file.display());
    match (as_it_is(file, engine, x), as_it_is(&copy, engine, x)) {
        (Ok(before), Ok(after)) => assert!(!before.is_empty() && before == after, "{}: other outputs", file.display()),
        (Err(_), Err(_)) => assert!(engine.name() == "rten", "{} takes every file", engine.name()),
        (Err(e), Ok(_)) | (Ok(_), Err(e)) => panic!("{}: before or after only: {e}", file.display()),
    }
}

/// How far the first output of the canonical view is from the expected one, as a part of the largest; where it is no
/// tensor, the one that a ZipMap pairs with names.
pub fn canonical_error(file: &Path, engine: &Arc<dyn Engine>, x: &ArrayD<f32>, expected: &ArrayD<f64>) -> f64 {
    let mut graph = import(&Model::open(file).unwrap(), &ImportOptions::default()).unwrap().graph;
    let paired = graph.nodes().iter().find(|n| &*n.op == "ZipMap").and_then(|n| n.inputs[0]);
    graph.outputs = paired.map_or(graph.outputs, |t| vec![t]);
    let at_once = graph.shape(graph.inputs[0]).unwrap()[0].known().map_or(x.len_of(Axis(0)), |n| n as usize);
    let pairs = x.axis_chunks_iter(Axis(0), at_once).zip(expected.axis_chunks_iter(Axis(0), at_once));
    pairs.fold(0.0, |worst: f64, (x, expected)| {
        let found = outputs(&graph, engine, &x.to_owned()).remove(0);
        worst.max(apart(&found, &expected.to_owned(), most(&expected.to_owned())))
    })
}

/// What an engine makes of a file as it is, at most as many pictures at a time as the file allows.
fn as_it_is(file: &Path, engine: &Arc<dyn Engine>, x: &ArrayD<f32>) -> Result<Vec<Vec<ArrayD<f32>>>, EngineError> {
    let mut session = engine.load(Source::File(file), None)?;
    let fixed = session.inputs()[0].shape.as_ref().and_then(|s| s[0]);
    let chunks = x.axis_chunks_iter(Axis(0), fixed.unwrap_or(x.len_of(Axis(0))));
    chunks.map(|chunk| run_session(&mut *session, &chunk.to_owned())).collect()
}

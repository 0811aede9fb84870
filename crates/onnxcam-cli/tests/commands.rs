//! `layers`, `methods`, `bench` and `doctor`, as a user runs them.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::{Program, text};
use testkit::models::{Maker, tiny_cnn};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../onnxcam/tests/golden/networks")
}

// layers

/// In every network of both exporters: the tensor that PyTorch's hook on the reference module saw.
#[test]
fn the_automatic_layer_is_the_reference_layer() {
    let program = Program::new();
    let networks: Value = serde_json::from_slice(&fs::read(golden().join("networks.json")).unwrap()).unwrap();
    for network in networks.as_array().unwrap() {
        for (export, facts) in network["exports"].as_object().unwrap() {
            let name = format!("{}.{export}", text(&network["name"]));
            let file = golden().join(format!("{name}.onnx"));
            let listed = program.alone(&["layers", file.to_str().unwrap(), "--json"]).json();
            let layers = listed["layers"].as_array().unwrap();
            let automatic: Vec<&Value> = layers.iter().filter(|l| l["automatic"] == true).collect();
            let [layer] = automatic.as_slice() else { panic!("{name}: {automatic:?}") };
            let expected: Vec<&Value> = facts["feature_tensors"].as_array().unwrap().iter().map(|t| &t[0]).collect();
            assert!(expected.contains(&&layer["tensor"]), "{name}: {layer}");
            assert_eq!(layer["shape"].as_array().unwrap()[1..], network["features"].as_array().unwrap()[1..], "{name}");
            assert!(listed["refusal"].is_null(), "{name}");
        }
    }
}

#[test]
fn layers_as_text() {
    let program = Program::new();
    let net = program.model("net.onnx", tiny_cnn(17, 5));
    let answer = program.alone(&["layers", &net]);
    let expected = "\
output \"logits\", 5 classes, softmax (assumed)
   tensor    module  operator  shape
   conv1     conv1   Conv      [N,8,16,16]
   relu1     relu1   Relu      [N,8,16,16]
   pool      pool    MaxPool   [N,8,8,8]
   conv2     conv2   Conv      [N,12,8,8]
*  features  relu2   Relu      [N,12,8,8]
* is taken when no --layer is named
";
    assert_eq!((answer.status, answer.out.as_str()), (0, expected), "{}", answer.err);
    assert_eq!(program.alone(&["layers", "--model", &net]).out, expected);
}

/// Patches [N, 12, 4, 6], a class token before them.
fn tiny_tokens() -> Maker {
    Maker::new(17)
        .input("x", "f32[1,3,16,24]")
        .weights("patch.weight", &[12, 3, 4, 4])
        .node("Conv", &["x", "patch.weight"], &["patches"])
        .with("kernel_shape", [4, 4])
        .with("strides", [4, 4])
        .integers("list", &[3], &[0, 12, 24])
        .node("Reshape", &["patches", "list"], &["columns"])
        .node("Transpose", &["columns"], &["tokens"])
        .with("perm", [0, 2, 1])
        .weights("class", &[1, 1, 12])
        .node("Concat", &["class", "tokens"], &["all"])
        .with("axis", 1)
        .node("Relu", &["all"], &["rectified"])
        .node("Transpose", &["rectified"], &["turned"])
        .with("perm", [0, 2, 1])
        .node("MatMul", &["rectified", "turned"], &["likeness"])
        .node("Softmax", &["likeness"], &["attention"])
        .with("axis", 2)
        .node("MatMul", &["attention", "rectified"], &["mixed"])
        .integers("first", &[], &[0])
        .node("Gather", &["mixed", "first"], &["chosen"])
        .with("axis", 1)
        .weights("fc.weight", &[12, 5])
        .node("MatMul", &["chosen", "fc.weight"], &["logits"])
        .output("logits", "f32[1,5]")
}

#[test]
fn layers_of_tokens() {
    let program = Program::new();
    let net = program.model("vit.onnx", tiny_tokens());
    let listed = program.alone(&["layers", &net, "--json"]).json();
    let layers = listed["layers"].as_array().unwrap();
    let taken = layers.iter().find(|l| l["automatic"] == true).unwrap();
    assert_eq!(text(&taken["tensor"]), "rectified");
    assert_eq!(taken["maps"], serde_json::json!([1, 12, 4, 6]));
    assert_eq!(taken["other_tokens"], serde_json::json!([1, 0]));
    assert!(layers.iter().all(|l| text(&l["tensor"]) != "mixed"), "{listed}");
    let answer = program.alone(&["layers", &net]);
    assert_eq!(answer.status, 0);
    assert!(answer.out.contains("  [1,25,12]: 4×6 behind 1 token"), "{}", answer.out);
}

/// Cells that two linear layers mix, and nothing that keeps them in their places.
#[test]
fn a_mixer_has_candidates_and_a_reason_why_none_is_automatic() {
    let program = Program::new();
    let net = Maker::new(17)
        .input("x", "f32[N,3,16,16]")
        .weights("patch.weight", &[12, 3, 4, 4])
        .node("Conv", &["x", "patch.weight"], &["patches"])
        .with("kernel_shape", [4, 4])
        .with("strides", [4, 4])
        .integers("list", &[3], &[0, 12, 16])
        .node("Reshape", &["patches", "list"], &["columns"])
        .weights("w1", &[16, 20])
        .node("MatMul", &["columns", "w1"], &["hidden"])
        .weights("w2", &[20, 16])
        .node("MatMul", &["hidden", "w2"], &["mixed"])
        .node("ReduceMean", &["mixed"], &["mean"])
        .with("axes", [2])
        .with("keepdims", 0)
        .weights("fc.weight", &[12, 5])
        .node("MatMul", &["mean", "fc.weight"], &["logits"])
        .output("logits", "f32[N,5]");
    let net = program.model("mixer.onnx", net);
    let listed = program.alone(&["layers", &net, "--json"]).json();
    let layers = listed["layers"].as_array().unwrap();
    assert_eq!(text(&layers[0]["tensor"]), "patches");
    assert!(layers.iter().all(|l| l["automatic"] == false), "{listed}");
    assert!(text(&listed["refusal"]).contains("mixed with itself behind it"), "{listed}");
    let answer = program.alone(&["layers", &net]);
    assert_eq!(answer.status, 0);
    assert!(answer.out.contains("  patches "), "{}", answer.out);
    assert!(answer.out.contains("none is taken unless --layer names it"), "{}", answer.out);
}

#[test]
fn a_network_without_layers() {
    let program = Program::new();
    let net = Maker::new(17)
        .input("x", "f32[N,3,8,8]")
        .integers("flat", &[2], &[0, -1])
        .node("Reshape", &["x", "flat"], &["vector"])
        .weights("w", &[192, 5])
        .node("MatMul", &["vector", "w"], &["logits"])
        .output("logits", "f32[N,5]");
    let net = program.model("perceptron.onnx", net);
    let out = program.alone(&["layers", &net]).out;
    assert!(out.contains("\nthere is none: ") && !out.contains("tensor"), "{out}");
}

#[test]
fn a_missing_or_broken_model_is_named() {
    let program = Program::new();
    for command in ["layers", "bench"] {
        let message = program.alone(&[command, "no such.onnx"]);
        assert!(message.failure().contains("no such.onnx"), "{command}: {}", message.err);
        for (name, content) in broken_models() {
            fs::write(program.path(name), content).unwrap();
            let answer = program.alone(&[command, name]);
            assert!(!answer.failure().is_empty(), "{command} {name}");
        }
    }
}

fn broken_models() -> Vec<(&'static str, Vec<u8>)> {
    let whole = fs::read(golden().join("vgg.new.onnx")).unwrap();
    let cycle = Maker::new(17)
        .input("x", "f32[N,3,8,8]")
        .node("Add", &["x", "b"], &["a"])
        .node("Relu", &["a"], &["b"])
        .output("b", "f32[N,3,8,8]");
    vec![
        ("empty.onnx", Vec::new()),
        ("text.onnx", b"no model at all".to_vec()),
        ("half.onnx", whole[..whole.len() / 2].to_vec()),
        ("cycle.onnx", cycle.bytes().to_vec()),
    ]
}

// methods

/// Without a comparison there is no network, and nothing is to be said of one.
#[test]
fn options_of_a_comparison_alone_are_refused() {
    let program = Program::new();
    for (options, named) in [
        (&["--model", "net.onnx"][..], "--model"),
        (&["--engine", "rten"], "--engine"),
        (&["--labels", "names.txt"], "--labels"),
        (&["--fit", "stretch"], "--fit"),
    ] {
        for name in [&["methods"][..], &["methods", "grad-cam++"]] {
            let ran = program.alone(&[name, options].concat());
            let expected =
                format!("{named} plays no part here: methods are told of without a network\nhint: with --compare");
            assert!(ran.failure().contains(&expected), "{}", ran.err);
        }
    }
}

#[test]
fn methods_as_text_and_json() {
    let program = Program::new();
    let all: Value = program.alone(&["methods", "--json"]).json();
    let names: Vec<&str> = all.as_array().unwrap().iter().map(|m| text(&m["name"])).collect();
    let known: Vec<&str> = onnxcam::method::METHODS.iter().map(|m| m.name()).collect();
    assert_eq!((&names[..3], &names), (&["grad-cam++", "grad-cam", "cam"][..], &known));
    let list = program.alone(&["methods"]).out;
    for method in all.as_array().unwrap() {
        let name = text(&method["name"]);
        assert!(list.lines().any(|line| line.starts_with(&format!("{name} "))), "{list}");
        assert_eq!(&program.alone(&["methods", name, "--json"]).json(), method);
        assert_eq!(program.alone(&["methods", name]).out, text(&method["description"]));
        for key in ["title", "variant", "description"] {
            assert!(!text(&method[key]).is_empty(), "{name}: {key}");
        }
    }
    let unknown = program.alone(&["methods", "grad-cam+++"]);
    assert!(unknown.failure().contains("hint: the methods are grad-cam++, grad-cam, cam, "), "{}", unknown.err);
}

#[test]
fn a_method_by_another_formula() {
    let program = Program::new();
    let method = program.alone(&["methods", "grad-cam++", "--json"]).json();
    let variants: Vec<&str> = method["variants"].as_array().unwrap().iter().map(text).collect();
    let expected = ["paper", "literal", "authors", "pytorch-grad-cam", "torch-cam", "tf-keras-vis", "xplique"];
    assert_eq!(variants, expected);
    for variant in variants {
        let told = program.alone(&["methods", "grad-cam++", "--variant", variant, "--json"]).json();
        assert_eq!(text(&told["variant"]), variant);
        assert!(variant == "paper" || text(&told["description"]).contains(&format!("(variant {variant})")));
    }
    let unknown = program.alone(&["methods", "cam", "--variant", "authors"]);
    assert!(
        unknown.failure().contains("cam has no variant \"authors\"\nhint: its only one is paper"),
        "{}",
        unknown.err
    );
    assert_eq!(program.alone(&["methods", "--variant", "authors"]).status, 2, "a variant of no method");
}

/// A picture of 16 × 16 with some structure.
fn photograph(program: &Program) {
    let rgb = image::RgbImage::from_fn(16, 16, |x, y| image::Rgb([16 * x as u8, 16 * y as u8, (x * y) as u8]));
    onnxcam::heatmap::write_png(&program.path("photo.png"), &rgb, &[]).unwrap();
}

#[test]
fn formulas_are_compared() {
    let program = Program::new();
    let net = program.model("net.onnx", tiny_cnn(17, 5));
    photograph(&program);
    let common = ["methods", "grad-cam++", "--compare", "photo.png", "--model", &net, "--class", "3"];
    let compared = program.alone(&[&common[..], &["--json"]].concat()).json();
    assert_eq!((&compared["class"], text(&compared["layer"])), (&Value::from(3), "features"));
    let name = |m: &Value| format!("{} {}", text(&m["method"]), text(&m["variant"]));
    let methods: Vec<String> = compared["methods"].as_array().unwrap().iter().map(name).collect();
    assert_eq!(methods.len(), 9);
    assert_eq!((&*methods[0], &*methods[8]), ("grad-cam++ paper", "grad-cam+ paper"));
    let pairs = compared["pairs"].as_array().unwrap();
    assert_eq!(pairs.len(), 9 * 8 / 2);
    let pair = |first: &str, second: &str| {
        pairs.iter().find(|p| name(&p["first"]) == first && name(&p["second"]) == second).unwrap()
    };
    // Behind pooling the authors' α cancels; after a ReLU the paper's equation to the letter is the paper's.
    for same in [pair("grad-cam++ authors", "grad-cam+ paper"), pair("grad-cam++ paper", "grad-cam++ literal")] {
        for of in ["maps", "weights"] {
            let [correlation, difference] = ["correlation", "difference"].map(|k| same[of][k].as_f64().unwrap());
            assert!((correlation - 1.0).abs() < 1e-9 && difference < 1e-5, "{same}");
        }
    }
    assert!(pair("grad-cam++ paper", "grad-cam++ torch-cam")["weights"]["difference"].as_f64().unwrap() > 1e-2);

    let told = program.alone(&common).out;
    for method in &methods {
        assert!(told.contains(method.as_str()), "{method} is not in {told}");
    }
    assert!(told.starts_with("photo.png, class 3 class 3, layer \"features\", "), "{told}");
    let several = program.alone(&[&common[..6], &["--class", "top2"]].concat());
    assert!(several.failure().contains("top2 names several classes"), "{}", several.err);
    // What is no sum over the feature maps of one run would be left out of the table, or all dashes.
    for name in ["rise", "ablation-cam", "gradient", "guided-grad-cam++"] {
        let other = program.alone(&["methods", name, "--compare", "photo.png", "--model", &net]);
        assert!(other.failure().contains("is no weighted sum of feature maps of one run"), "{}", other.err);
    }
    let missing = program.alone(&["methods", "grad-cam++", "--compare", "no such.png", "--model", &net]);
    assert!(missing.failure().contains("no such.png"), "{}", missing.err);
}

// bench

fn positive(value: &Value) -> f64 {
    let number = value.as_f64().unwrap_or_else(|| panic!("{value} is no number"));
    assert!(number > 0.0, "{number}");
    number
}

#[test]
fn bench_measures_each_method_and_all_in_one() {
    let program = Program::new();
    let net = program.model("net.onnx", tiny_cnn(17, 5));
    let common = ["bench", &net, "--rounds", "3", "--threads", "1", "--engine", "rten"];
    let found =
        program.alone(&[&common[..], &["--json", "--method", "grad-cam++,cam", "--layer", "features"]].concat());
    let found = found.json();
    assert_eq!((text(&found["engine"]), &found["threads"], &found["rounds"]), ("rten", &1.into(), &3.into()));
    assert_eq!((text(&found["layer"]), &found["plain_as_given"]), ("features", &true.into()));
    let plain = positive(&found["plain_ms"]);
    assert!(positive(&found["plain_min_ms"]) <= plain && plain <= positive(&found["plain_max_ms"]));
    let explained = found["explained"].as_array().unwrap();
    let methods: Vec<&str> = explained.iter().map(|e| text(&e["method"])).collect();
    assert_eq!(methods, ["grad-cam++", "cam", "grad-cam++,cam"]);
    for run in explained {
        let median = positive(&run["median_ms"]);
        assert!(positive(&run["min_ms"]) <= median && median <= positive(&run["max_ms"]));
        positive(&run["ratio"]);
    }
    let answer = program.alone(&common);
    let rows: Vec<Vec<&str>> = answer.out.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["ms", "min", "median", "max", "ratio"]);
    assert_eq!((rows[1][0], rows[1].len(), rows[2][0], rows[2].len()), ("plain", 4, "grad-cam++", 5), "{}", answer.out);
}

/// rten has no Dropout: then, and only then, plain is the network as we write it, and that is said.
#[test]
fn bench_says_when_the_file_as_given_cannot_run() {
    let program = Program::new();
    let file = golden().join("alexnet.old-opset9-dropout.onnx");
    let common = ["bench", file.to_str().unwrap(), "--rounds", "1", "--engine", "rten"];
    let found = program.alone(&[&common[..], &["--json"]].concat()).json();
    assert_eq!(found["plain_as_given"], false);
    assert!(text(&found["plain_objection"]).contains("Dropout"), "{found}");
    let answer = program.alone(&common);
    assert!(answer.out.contains("\nplain, rewritten "), "{}", answer.out);
    assert!(answer.out.contains("does not run the file as given"), "{}", answer.out);
}

#[test]
fn bench_refuses_what_it_cannot_do() {
    let program = Program::new();
    let net = program.model("net.onnx", tiny_cnn(17, 5));
    let message = |more: &[&str]| program.alone(&[&["bench", &net], more].concat()).failure().to_owned();
    assert!(message(&["--method", "gradcam"]).contains("hint: the methods are"));
    assert!(message(&["--layer", "featurs"]).contains("nearest are features"));
    assert!(message(&["--output", "prob"]).contains("no output \"prob\""));
}

/// Where ONNX Runtime is found it runs every file as given; `ONNXCAM_REQUIRE_ORT=1` says that it must be found.
#[test]
fn bench_on_onnx_runtime() {
    let program = Program::new();
    let file = golden().join("alexnet.old-opset9-dropout.onnx");
    let answer = program.run(&mut program.command(&[
        "bench",
        file.to_str().unwrap(),
        "--rounds",
        "1",
        "--engine",
        "ort",
        "--json",
    ]));
    let required = std::env::var_os("ONNXCAM_REQUIRE_ORT").is_some_and(|v| v == "1");
    if answer.status != 0 && !required {
        assert!(answer.failure().contains("ONNX Runtime"), "{}", answer.err);
        return;
    }
    let found = answer.json();
    assert_eq!((text(&found["engine"]), &found["plain_as_given"]), ("ort", &true.into()));
    positive(&found["explained"][0]["ratio"]);
}

// engines

#[test]
fn a_library_that_is_none_is_named_and_auto_goes_on_with_rten() {
    let program = Program::new();
    let net = program.model("net.onnx", tiny_cnn(17, 5));
    let library = program.path("library.txt");
    fs::write(&library, "not a library").unwrap();
    let bench = ["bench", &net, "--rounds", "1", "--json"];

    let refused = program.with_library(&library, &[&bench[..], &["--engine", "ort"]].concat());
    let message = refused.failure();
    assert!(message.contains("library.txt") && message.contains("\nhint: "), "{message}");

    let fallen_back = program.with_library(&library, &bench);
    assert_eq!(text(&fallen_back.json()["engine"]), "rten");
    assert_eq!(fallen_back.err.lines().count(), 1, "{}", fallen_back.err);
    assert!(fallen_back.err.contains("rten") && fallen_back.err.contains("library.txt"), "{}", fallen_back.err);

    let unknown = program.alone(&[&bench[..], &["--engine", "tensorrt"]].concat());
    assert!(unknown.err.contains("auto, rten, ort"), "{}", unknown.err);
}

// doctor

#[test]
fn doctor_tells_versions_places_and_what_is_taken() {
    let program = Program::new();
    let cache = program.path("cache");
    fs::create_dir_all(cache.join("engines")).unwrap();
    fs::write(cache.join("engines").join("note"), "12345").unwrap();
    let answer = program.run(program.command(&["doctor", "--json", "--engine", "rten"]).env_remove("ORT_DYLIB_PATH"));
    let found = answer.json();
    assert_eq!(text(&found["version"]), env!("CARGO_PKG_VERSION"));
    assert!(text(&found["rten"]).starts_with("rten 0."));
    assert_eq!(text(&found["taken"]["engine"]), "rten");
    assert!(found["threads"].as_u64().unwrap() >= 1);
    let places: Vec<&str> = found["onnx_runtime"].as_array().unwrap().iter().map(|c| text(&c["place"])).collect();
    assert!(places.iter().any(|p| p.starts_with("cache ")), "{places:?}");
    assert_eq!(text(&found["cache"]["path"]), cache.to_str().unwrap());
    assert_eq!(text(&found["cache"]["models"][0]["state"]), "absent");
    assert_eq!(found["cache"]["files"][0]["bytes"], 5);
    let commands: Vec<&str> = found["clients"].as_array().unwrap().iter().map(|c| text(&c["command"])).collect();
    assert!(commands.contains(&"uv pip install") && commands.contains(&"pip download"), "{commands:?}");
    assert_eq!(found["broken"], Value::Array(vec![]));
}

#[test]
fn doctor_fails_only_where_something_asked_for_is_broken() {
    let program = Program::new();
    let library = program.path("library.txt");
    fs::write(&library, "not a library").unwrap();
    let answer = program.with_library(&library, &["doctor"]);
    assert_eq!(answer.status, 1);
    assert!(answer.err.contains("library.txt"), "{}", answer.err);
    assert!(answer.out.contains("taken: rten"), "{}", answer.out);
    assert!(answer.out.contains("not a whole shared library"), "{}", answer.out);

    let none = |more: &[&str]| {
        let mut command = program.command(&[&["doctor"], more].concat());
        let nowhere = program.path("no engines");
        program.run(command.env("ORT_DYLIB_PATH", "").env("PATH", nowhere).env_remove("VIRTUAL_ENV"))
    };
    assert_eq!(none(&["--engine", "rten"]).status, 0);
    fs::write(program.path("file"), "").unwrap();
    let answer = none(&["--engine", "rten", "--cache-dir", "file"]);
    assert_eq!(answer.status, 1);
    assert!(answer.err.contains("the cache folder file is no folder"), "{}", answer.err);
}

#[test]
fn doctor_sees_a_damaged_default_model() {
    let program = Program::new();
    let state = |program: &Program| {
        let found = program.alone(&["doctor", "--json"]);
        let found: Value = serde_json::from_str(&found.out).unwrap();
        let model = &found["cache"]["models"][0];
        (text(&model["state"]).to_owned(), text(&model["path"]).to_owned())
    };
    let (absent, path) = state(&program);
    assert_eq!(absent, "absent");
    fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
    fs::write(&path, "half").unwrap();
    assert_eq!(state(&program).0, "damaged");
}

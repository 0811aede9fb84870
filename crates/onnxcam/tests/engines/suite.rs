//! What every engine must do: one table of cases, each a function over `dyn Engine`.

use std::fmt::Debug;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use ndarray::{Array, ArrayD, arr0, arr1, arr2, array};
use onnxcam::engine::{Engine, EngineError, Kind, Session, Source, Value};

use crate::nets::{ANY, BOOL, DOUBLE, FLOAT, FLOAT16, INT32, INT64, Net, UINT8};

/// `Err` says how the engine differs from the standard; a panic is a bug.
pub type Case = fn(&dyn Engine) -> Result<(), String>;

pub const CASES: &[(&str, Case)] = &[
    ("floats of any batch", floats_of_any_batch),
    ("negative int64 in and out", negative_int64),
    ("int64 beyond 32 bits", wide_int64),
    ("bool in and out", bools),
    ("float16, float64, int32 and uint8 at the border", other_types),
    ("scalars", scalars),
    ("empty dimensions", empty_dimensions),
    ("a transposed array", transposed),
    ("outputs in the order asked for", outputs_in_order),
    ("declared outputs survive fusion", declared_outputs_survive),
    ("runs repeat exactly", runs_repeat),
    ("one and two threads", threads),
    ("NaN through arithmetic", nan_through_arithmetic),
    ("NaN through Relu", nan_through_relu),
    ("the first maximum wins", first_maximum),
    ("Cast to bool asks for zero", cast_to_bool),
    ("the sign of zero", sign_of_zero),
    ("rank 4 times vector", rank_4_times_vector),
    ("ports", ports),
    ("weights listed as inputs", weights_listed_as_inputs),
    ("wrong inputs", wrong_inputs),
    ("unknown outputs", unknown_outputs),
    ("a failing node is named", failing_node),
    ("an unknown operator is named", unknown_operator),
    ("no model", no_model),
    ("files", files),
    ("external data", external_data),
    #[cfg(unix)]
    ("a hub cache", hub_cache),
];

fn load(engine: &dyn Engine, net: Net) -> Result<Box<dyn Session>, String> {
    engine.load(Source::Bytes(net.bytes()), None).map_err(|e| e.to_string())
}

fn run(session: &mut dyn Session, inputs: &[(&str, &Value)], outputs: &[&str]) -> Result<Vec<Value>, String> {
    session.run(inputs, outputs).map_err(|e| e.to_string())
}

/// Loads, runs with one input `x`, returns the one output `y`.
fn y_of(engine: &dyn Engine, net: Net, x: impl Into<Value>) -> Result<Value, String> {
    let mut session = load(engine, net)?;
    let mut found = run(&mut *session, &[("x", &x.into())], &["y"])?;
    found.pop().ok_or_else(|| "no output".to_owned())
}

fn same<T: PartialEq + Debug>(what: &str, got: T, wanted: T) -> Result<(), String> {
    if got == wanted { Ok(()) } else { Err(format!("{what}: got {got:?}, wanted {wanted:?}")) }
}

/// NaN equals NaN here.
fn same_floats(what: &str, got: &Value, wanted: impl Into<Value>) -> Result<(), String> {
    let wanted = wanted.into();
    let bits = |v: &Value| {
        v.as_f32().map(|a| a.iter().map(|x| if x.is_nan() { "nan".into() } else { x.to_string() }).collect())
    };
    let bits: (Option<Vec<String>>, Option<Vec<String>>) = (bits(got), bits(&wanted));
    same(what, (got.shape(), &bits.0), (wanted.shape(), &bits.1))
}

fn floats_of_any_batch(engine: &dyn Engine) -> Result<(), String> {
    let net = Net::new()
        .input("x", FLOAT, &[ANY, 2])
        .weight("w", &[2, 2], &[1.0, 2.0, 3.0, 4.0])
        .node("MatMul", &["x", "w"], &["y"], &[])
        .output("y", FLOAT);
    let mut session = load(engine, net)?;
    for (x, y) in [
        (arr2(&[[1.0f32, -1.0]]), arr2(&[[-2.0f32, -2.0]])),
        (arr2(&[[1.0, 0.0], [0.5, 0.25]]), arr2(&[[1.0, 2.0], [1.25, 2.0]])),
    ] {
        let found = run(&mut *session, &[("x", &x.into())], &["y"])?;
        same("y", found, vec![y.into()])?;
    }
    Ok(())
}

fn negative_int64(engine: &dyn Engine) -> Result<(), String> {
    let net = Net::new()
        .input("x", INT64, &[3])
        .ints("one", &[], &[1])
        .node("Sub", &["x", "one"], &["y"], &[])
        .output("y", INT64);
    same("y", y_of(engine, net, arr1(&[-5i64, 0, 7]))?, arr1(&[-6i64, -1, 6]).into())
}

fn wide_int64(engine: &dyn Engine) -> Result<(), String> {
    let net = Net::new().input("x", INT64, &[1]).node("Neg", &["x"], &["y"], &[]).output("y", INT64);
    same("y", y_of(engine, net, arr1(&[3_000_000_000i64]))?, arr1(&[-3_000_000_000i64]).into())
}

fn bools(engine: &dyn Engine) -> Result<(), String> {
    let net = Net::new().input("x", BOOL, &[2]).node("Not", &["x"], &["y"], &[]).output("y", BOOL);
    same("y", y_of(engine, net, arr1(&[1i64, 0]))?, arr1(&[0i64, 1]).into())
}

fn other_types(engine: &dyn Engine) -> Result<(), String> {
    for element in [FLOAT16, DOUBLE] {
        let net = Net::new().input("x", element, &[2]).node("Neg", &["x"], &["y"], &[]).output("y", element);
        same("halves and doubles", y_of(engine, net, arr1(&[0.5f32, -3.0]))?, arr1(&[-0.5f32, 3.0]).into())?;
    }
    for element in [INT32, UINT8] {
        let net = Net::new()
            .input("x", element, &[2])
            .node("Cast", &["x"], &["y"], &[("to", &[i64::from(FLOAT)])])
            .output("y", FLOAT);
        same("integers", y_of(engine, net.clone(), arr1(&[0i64, 255]))?, arr1(&[0.0f32, 255.0]).into())?;
        let mut session = load(engine, net)?;
        match session.run(&[("x", &arr1(&[0i64, i64::MAX]).into())], &["y"]) {
            Err(EngineError::InputRange { value: i64::MAX, .. }) => {}
            other => return Err(format!("i64::MAX was not refused: {other:?}")),
        }
    }
    let net = Net::new()
        .input("x", FLOAT, &[2])
        .node("Cast", &["x"], &["y"], &[("to", &[i64::from(UINT8)])])
        .output("y", UINT8);
    same("to uint8", y_of(engine, net, arr1(&[1.0f32, 254.0]))?, arr1(&[1i64, 254]).into())
}

fn scalars(engine: &dyn Engine) -> Result<(), String> {
    let net = Net::new().input("x", FLOAT, &[]).node("Neg", &["x"], &["y"], &[]).output("y", FLOAT);
    same("y", y_of(engine, net, 2.0f32)?, arr0(-2.0f32).into())
}

fn empty_dimensions(engine: &dyn Engine) -> Result<(), String> {
    let net = Net::new().input("x", FLOAT, &[ANY, 3]).node("Neg", &["x"], &["y"], &[]).output("y", FLOAT);
    let none: Value = Array::<f32, _>::zeros((0, 3)).into();
    same("floats", y_of(engine, net, none.clone())?, none)?;
    let net = Net::new().input("x", INT64, &[ANY, 3]).node("Identity", &["x"], &["y"], &[]).output("y", INT64);
    let none: Value = Array::<i64, _>::zeros((0, 3)).into();
    same("integers", y_of(engine, net, none.clone())?, none)
}

fn transposed(engine: &dyn Engine) -> Result<(), String> {
    let net = Net::new().input("x", FLOAT, &[3, 2]).node("Neg", &["x"], &["y"], &[]).output("y", FLOAT);
    let x = array![[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]].reversed_axes();
    same("y", y_of(engine, net, x.clone())?, (-x).into())
}

/// `a = -x`, `b = |x|`, `c = 2x`.
fn three_outputs() -> Net {
    Net::new()
        .input("x", FLOAT, &[2])
        .node("Neg", &["x"], &["a"], &[])
        .node("Abs", &["x"], &["b"], &[])
        .node("Add", &["x", "x"], &["c"], &[])
        .output("a", FLOAT)
        .output("b", FLOAT)
        .output("c", FLOAT)
}

fn outputs_in_order(engine: &dyn Engine) -> Result<(), String> {
    let mut session = load(engine, three_outputs())?;
    let x = arr1(&[-1.0f32, 2.0]).into();
    let of = |name: &str| match name {
        "a" => arr1(&[1.0f32, -2.0]).into(),
        "b" => arr1(&[1.0f32, 2.0]).into(),
        _ => arr1(&[-2.0f32, 4.0]).into(),
    };
    for wanted in [&["a", "b", "c"][..], &["c", "a"], &["b"], &["c", "c", "a", "c"], &[]] {
        let found = run(&mut *session, &[("x", &x)], wanted)?;
        same("values", found, wanted.iter().map(|n| of(n)).collect())?;
    }
    Ok(())
}

/// Tensors that fusion likes to swallow: between Conv, BatchNormalization and Relu, and x inside x · sigmoid(x).
fn declared_outputs_survive(engine: &dyn Engine) -> Result<(), String> {
    let net = Net::new()
        .input("x", FLOAT, &[1, 1, 2, 2])
        .weight("w", &[1, 1, 1, 1], &[2.0])
        .weight("two", &[1], &[2.0])
        .weight("one", &[1], &[1.0])
        .weight("zero", &[1], &[0.0])
        .node(
            "Conv",
            &["x", "w"],
            &["conv"],
            &[
                ("kernel_shape", &[1, 1]),
                ("strides", &[1, 1]),
                ("pads", &[0, 0, 0, 0]),
                ("dilations", &[1, 1]),
                ("group", &[1]),
            ],
        )
        .node("BatchNormalization", &["conv", "two", "one", "zero", "one"], &["norm"], &[])
        .node("Relu", &["norm"], &["relu"], &[])
        .node("Sigmoid", &["relu"], &["gate"], &[])
        .node("Mul", &["relu", "gate"], &["silu"], &[])
        .output("silu", FLOAT)
        .output("conv", FLOAT)
        .output("norm", FLOAT)
        .output("relu", FLOAT)
        .output("gate", FLOAT);
    let mut session = load(engine, net)?;
    let x = Array::from_shape_vec((1, 1, 2, 2), vec![-1.0f32, 0.0, 1.0, 2.0]).expect("four elements");
    let found = run(&mut *session, &[("x", &x.clone().into())], &["conv", "norm", "relu", "gate", "silu"])?;
    let conv = x.mapv(|x| 2.0 * x);
    let norm = conv.mapv(|c| 2.0 * c / (1.0f32 + 1e-5).sqrt() + 1.0);
    let relu = norm.mapv(|n| n.max(0.0));
    let gate = relu.mapv(|r| 1.0 / (1.0 + (-r).exp()));
    let silu = &relu * &gate;
    for (name, (got, wanted)) in
        ["conv", "norm", "relu", "gate", "silu"].into_iter().zip(found.iter().zip([conv, norm, relu, gate, silu]))
    {
        close(name, got, &wanted.into_dyn(), 1e-5)?;
    }
    Ok(())
}

fn close(what: &str, got: &Value, wanted: &ArrayD<f32>, within: f32) -> Result<(), String> {
    let got = got.as_f32().ok_or("integers")?;
    let near = got.shape() == wanted.shape() && got.iter().zip(wanted).all(|(a, b)| (a - b).abs() <= within);
    if near { Ok(()) } else { Err(format!("{what}: got {got}, wanted {wanted}")) }
}

/// Two convolutions of 8 × 24 × 24, weights and pictures made of sines.
fn small_network() -> (Net, Value) {
    let wave = |n: usize, step: f32| (0..n).map(|i| (i as f32 * step).sin()).collect::<Vec<f32>>();
    let same_size = [
        ("kernel_shape", &[3, 3][..]),
        ("strides", &[1, 1]),
        ("pads", &[1, 1, 1, 1]),
        ("dilations", &[1, 1]),
        ("group", &[1]),
    ];
    let net = Net::new()
        .input("x", FLOAT, &[ANY, 3, 24, 24])
        .weight("w1", &[8, 3, 3, 3], &wave(216, 0.7))
        .weight("w2", &[8, 8, 3, 3], &wave(576, 0.3))
        .node("Conv", &["x", "w1"], &["c1"], &same_size)
        .node("Relu", &["c1"], &["r1"], &[])
        .node("Conv", &["r1", "w2"], &["c2"], &same_size)
        .node("GlobalAveragePool", &["c2"], &["y"], &[])
        .output("y", FLOAT);
    let x = Array::from_shape_vec((2, 3, 24, 24), wave(2 * 3 * 24 * 24, 0.01)).expect("the size of the shape");
    (net, x.into())
}

fn runs_repeat(engine: &dyn Engine) -> Result<(), String> {
    let (net, x) = small_network();
    let mut session = load(engine, net)?;
    let first = run(&mut *session, &[("x", &x)], &["y"])?;
    for _ in 0..5 {
        same("a later run", run(&mut *session, &[("x", &x)], &["y"])?, first.clone())?;
    }
    Ok(())
}

fn threads(engine: &dyn Engine) -> Result<(), String> {
    let (net, x) = small_network();
    let bytes = net.bytes();
    let result = |threads| -> Result<Value, String> {
        let mut session = engine.load(Source::Bytes(bytes.clone()), threads).map_err(|e| e.to_string())?;
        Ok(run(&mut *session, &[("x", &x)], &["y"])?.remove(0))
    };
    let one = result(Some(1))?;
    for other in [Some(2), None, Some(0)] {
        close("threads", &result(other)?, one.as_f32().ok_or("integers")?, 1e-5)?;
    }
    Ok(())
}

fn nan_through_arithmetic(engine: &dyn Engine) -> Result<(), String> {
    for op in ["Neg", "Sigmoid", "Exp", "Tanh", "Abs", "LeakyRelu"] {
        let net = Net::new().input("x", FLOAT, &[2]).node(op, &["x"], &["y"], &[]).output("y", FLOAT);
        let y = y_of(engine, net, arr1(&[0.0, f32::NAN]))?;
        let nans: Vec<bool> = y.as_f32().into_iter().flatten().map(|x| x.is_nan()).collect();
        same(op, nans, vec![false, true])?;
    }
    for op in ["Add", "Mul", "Sub", "Div", "Max"] {
        let net = Net::new().input("x", FLOAT, &[2]).node(op, &["x", "x"], &["y"], &[]).output("y", FLOAT);
        let y = y_of(engine, net, arr1(&[1.0, f32::NAN]))?;
        let nans: Vec<bool> = y.as_f32().into_iter().flatten().map(|x| x.is_nan()).collect();
        same(op, nans, vec![false, true])?;
    }
    Ok(())
}

fn nan_through_relu(engine: &dyn Engine) -> Result<(), String> {
    let net = Net::new().input("x", FLOAT, &[3]).node("Relu", &["x"], &["y"], &[]).output("y", FLOAT);
    same_floats("y", &y_of(engine, net, arr1(&[1.0, f32::NAN, -1.0]))?, arr1(&[1.0, f32::NAN, 0.0]))
}

fn first_maximum(engine: &dyn Engine) -> Result<(), String> {
    let net = Net::new().input("x", FLOAT, &[4]).node("ArgMax", &["x"], &["y"], &[("axis", &[0])]).output("y", INT64);
    same("y", y_of(engine, net, arr1(&[1.0f32, 3.0, 3.0, 0.0]))?, arr1(&[1i64]).into())
}

fn cast_to_bool(engine: &dyn Engine) -> Result<(), String> {
    let net = Net::new()
        .input("x", FLOAT, &[4])
        .node("Cast", &["x"], &["y"], &[("to", &[i64::from(BOOL)])])
        .output("y", BOOL);
    same("y", y_of(engine, net, arr1(&[0.5f32, 0.0, 2.0, -0.25]))?, arr1(&[1i64, 0, 1, 1]).into())
}

fn sign_of_zero(engine: &dyn Engine) -> Result<(), String> {
    let net = Net::new().input("x", FLOAT, &[3]).node("Sign", &["x"], &["y"], &[]).output("y", FLOAT);
    same("y", y_of(engine, net, arr1(&[-2.0f32, 0.0, 3.0]))?, arr1(&[-1.0f32, 0.0, 1.0]).into())
}

fn rank_4_times_vector(engine: &dyn Engine) -> Result<(), String> {
    let net = Net::new()
        .input("x", FLOAT, &[1, 2, 1, 2])
        .weight("v", &[2], &[1.0, 10.0])
        .node("MatMul", &["x", "v"], &["y"], &[])
        .output("y", FLOAT);
    same("y", y_of(engine, net, array![[[[1.0f32, 2.0]], [[3.0, 4.0]]]])?, array![[[21.0f32], [43.0]]].into())
}

fn ports(engine: &dyn Engine) -> Result<(), String> {
    let net = Net::new()
        .input("x", FLOAT, &[ANY, 3])
        .input("which", INT64, &[1])
        .node("Gather", &["x", "which"], &["y"], &[])
        .output("y", FLOAT)
        .output("which", INT64);
    let session = load(engine, net)?;
    let inputs: Vec<_> = session.inputs().iter().map(|p| (p.name.as_str(), p.kind, p.shape.clone())).collect();
    same(
        "inputs",
        inputs,
        vec![("x", Some(Kind::Float), Some(vec![None, Some(3)])), ("which", Some(Kind::Int), Some(vec![Some(1)]))],
    )?;
    let outputs: Vec<_> = session.outputs().iter().map(|p| (p.name.as_str(), p.kind)).collect();
    same("outputs", outputs, vec![("y", Some(Kind::Float)), ("which", Some(Kind::Int))])
}

/// Files of IR version 3 list their weights among the inputs.
fn weights_listed_as_inputs(engine: &dyn Engine) -> Result<(), String> {
    let net = Net::new()
        .input("x", FLOAT, &[1])
        .input("w", FLOAT, &[1])
        .weight("w", &[1], &[3.0])
        .node("Mul", &["x", "w"], &["y"], &[])
        .output("y", FLOAT);
    let session = load(engine, net.clone())?;
    same("inputs", session.inputs().iter().map(|p| p.name.as_str()).collect(), vec!["x"])?;
    same("y", y_of(engine, net, arr1(&[2.0f32]))?, arr1(&[6.0f32]).into())
}

fn wrong_inputs(engine: &dyn Engine) -> Result<(), String> {
    let net = Net::new().input("x", FLOAT, &[ANY, 2]).node("Neg", &["x"], &["y"], &[]).output("y", FLOAT);
    let mut session = load(engine, net)?;
    let fine: Value = arr2(&[[1.0f32, 2.0]]).into();
    let wide: Value = arr2(&[[1.0f32, 2.0, 3.0]]).into();
    let flat: Value = arr1(&[1.0f32, 2.0]).into();
    let ints: Value = arr2(&[[1i64, 2]]).into();
    let mut refused = |inputs: &[(&str, &Value)], by: fn(&EngineError) -> bool| match session.run(inputs, &["y"]) {
        Err(e) if by(&e) => Ok(()),
        other => Err(format!("{inputs:?} gave {other:?}")),
    };
    refused(&[("z", &fine)], |e| matches!(e, EngineError::UnknownInput { name, .. } if name == "z"))?;
    refused(&[("x", &fine), ("z", &fine)], |e| matches!(e, EngineError::UnknownInput { .. }))?;
    refused(&[], |e| matches!(e, EngineError::InputCount { name, times: 0 } if name == "x"))?;
    refused(&[("x", &fine), ("x", &fine)], |e| matches!(e, EngineError::InputCount { times: 2, .. }))?;
    refused(&[("x", &wide)], |e| matches!(e, EngineError::InputShape { expected, .. } if expected == "[?, 2]"))?;
    refused(&[("x", &flat)], |e| matches!(e, EngineError::InputShape { given, .. } if given == &[2]))?;
    refused(&[("x", &ints)], |e| matches!(e, EngineError::InputKind { expected: Kind::Float, .. }))?;
    same("afterwards", run(&mut *session, &[("x", &fine)], &["y"])?, vec![arr2(&[[-1.0f32, -2.0]]).into()])
}

fn unknown_outputs(engine: &dyn Engine) -> Result<(), String> {
    let net = Net::new()
        .input("x", FLOAT, &[1])
        .node("Neg", &["x"], &["inner"], &[])
        .node("Abs", &["inner"], &["y"], &[])
        .output("y", FLOAT);
    let mut session = load(engine, net)?;
    match session.run(&[("x", &arr1(&[1.0f32]).into())], &["y", "inner"]) {
        Err(EngineError::UnknownOutput { name, known }) => {
            same("error", (name, known), ("inner".into(), vec!["y".into()]))
        }
        other => Err(format!("got {other:?}")),
    }
}

fn failing_node(engine: &dyn Engine) -> Result<(), String> {
    let net = Net::new()
        .input("x", INT64, &[1])
        .weight("table", &[2], &[1.0, 2.0])
        .node("Gather", &["table", "x"], &["y"], &[])
        .output("y", FLOAT);
    let mut session = load(engine, net)?;
    match session.run(&[("x", &arr1(&[7i64]).into())], &["y"]) {
        Err(EngineError::Run { node, .. }) => same("node", node.as_deref(), Some("the_gather_of_y")),
        other => Err(format!("got {other:?}")),
    }
}

fn unknown_operator(engine: &dyn Engine) -> Result<(), String> {
    let net = Net::new().input("x", FLOAT, &[1]).node("Frobnicate", &["x"], &["y"], &[]).output("y", FLOAT);
    match engine.load(Source::Bytes(net.bytes()), None) {
        Err(e @ EngineError::Load { .. }) if e.to_string().contains("Frobnicate") => Ok(()),
        other => Err(format!("got {other:?}")),
    }
}

fn no_model(engine: &dyn Engine) -> Result<(), String> {
    let whole = three_outputs().bytes();
    for bytes in [Bytes::from_static(b"not a model"), Bytes::new(), whole.slice(..whole.len() / 2)] {
        match engine.load(Source::Bytes(bytes.clone()), None) {
            Err(EngineError::Load { .. }) => {}
            other => return Err(format!("{} bytes gave {other:?}", bytes.len())),
        }
    }
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    for path in [folder.path().to_path_buf(), folder.path().join("missing.onnx"), folder.path().join("missing")] {
        match engine.load(Source::File(&path), None) {
            Err(e) if e.to_string().contains(&path.display().to_string()) => {}
            other => return Err(format!("{} gave {other:?}", path.display())),
        }
    }
    Ok(())
}

fn files(engine: &dyn Engine) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    for name in ["model.onnx", "디버그 ñ.onnx", "model.ONNX", "model", "model.bin"] {
        let path = folder.path().join(name);
        fs::write(&path, three_outputs().bytes()).map_err(|e| e.to_string())?;
        let mut session = engine.load(Source::File(&path), None).map_err(|e| e.to_string())?;
        let found = run(&mut *session, &[("x", &arr1(&[-1.0f32, 2.0]).into())], &["b"])?;
        same(name, found, vec![arr1(&[1.0f32, 2.0]).into()])?;
    }
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::ffi::OsStrExt;
        let path = folder.path().join(std::ffi::OsStr::from_bytes(b"not UTF-8 \xff.onnx"));
        fs::write(&path, three_outputs().bytes()).map_err(|e| e.to_string())?;
        engine.load(Source::File(&path), None).map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// `y = x · w`, with w in `weights` from byte 8 on.
fn times_weights(weights: &str) -> Net {
    Net::new()
        .input("x", FLOAT, &[2])
        .weight_in("w", &[2], weights, 8)
        .node("Mul", &["x", "w"], &["y"], &[])
        .output("y", FLOAT)
}

fn weights() -> Vec<u8> {
    [9.0f32, 9.0, 2.0, 3.0].iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn multiplies(engine: &dyn Engine, model: &Path) -> Result<(), String> {
    let mut session = engine.load(Source::File(model), None).map_err(|e| e.to_string())?;
    let found = run(&mut *session, &[("x", &arr1(&[1.0f32, 2.0]).into())], &["y"])?;
    same("y", found, vec![arr1(&[2.0f32, 6.0]).into()])
}

fn external_data(engine: &dyn Engine) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let places = [("model.onnx", "model.onnx.data"), ("other.onnx", "weights.bin"), ("bare", "inner/w.data")];
    for (model, data) in places {
        let (path, data_path) = (folder.path().join(model), folder.path().join(data));
        fs::write(&path, times_weights(data).bytes()).map_err(|e| e.to_string())?;
        match engine.load(Source::File(&path), None) {
            Err(e @ EngineError::Load { .. }) if e.to_string().contains(model) => {}
            other => return Err(format!("without its weights {model} gave {other:?}")),
        }
        fs::create_dir_all(data_path.parent().ok_or("no folder")?).map_err(|e| e.to_string())?;
        fs::write(&data_path, weights()).map_err(|e| e.to_string())?;
        multiplies(engine, &path).map_err(|e| format!("{model}: {e}"))?;
    }
    Ok(())
}

/// Model-hub caches keep both files under the names of their hashes, and links to them elsewhere.
#[cfg(unix)]
fn hub_cache(engine: &dyn Engine) -> Result<(), String> {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let [blobs, snapshot] = ["blobs", "snapshots"].map(|f| folder.path().join(f));
    for f in [&blobs, &snapshot] {
        fs::create_dir(f).map_err(|e| e.to_string())?;
    }
    fs::write(blobs.join("0a1b"), times_weights("model.onnx.data").bytes()).map_err(|e| e.to_string())?;
    fs::write(blobs.join("2c3d"), weights()).map_err(|e| e.to_string())?;
    symlink("../blobs/0a1b", snapshot.join("model.onnx")).map_err(|e| e.to_string())?;
    symlink("../blobs/2c3d", snapshot.join("model.onnx.data")).map_err(|e| e.to_string())?;
    multiplies(engine, &snapshot.join("model.onnx"))
}

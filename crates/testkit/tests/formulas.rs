//! Operators that are formulas, and what they compute by definition.

use ndarray::{ArrayD, Axis, Dimension as _, IxDyn};
use onnx_graph::{ImportOptions, Model, import};
use testkit::models::Maker;
use testkit::{Draw, evaluate};

/// What a model computes, every node of it understood.
#[track_caller]
fn outputs(model: &Model, x: &[ArrayD<f64>]) -> Vec<ArrayD<f64>> {
    let graph = import(model, &ImportOptions::default()).unwrap().graph;
    if let Some(carried) = graph.nodes().iter().find_map(|n| n.carried.as_ref()) {
        panic!("{}", carried.reason);
    }
    let fed: Vec<_> = graph.inputs.iter().copied().zip(x.iter().cloned()).collect();
    evaluate(&graph, 1, &fed, &graph.outputs).unwrap()
}

/// Of one operator on x, with the attributes that `with` adds.
#[track_caller]
fn of(opset: i64, op: &str, x: &ArrayD<f64>, with: impl Fn(Maker) -> Maker) -> ArrayD<f64> {
    let sizes: Vec<String> = x.shape().iter().map(usize::to_string).collect();
    let maker = Maker::new(opset).input("x", &format!("f32[{}]", sizes.join(","))).node(op, &["x"], &["y"]);
    outputs(&with(maker).output("y", "f32[?]").model(), std::slice::from_ref(x)).remove(0)
}

/// Within 10⁻⁷ of max(1, |expected|): attributes are float32. Equal where it is infinite.
#[track_caller]
fn assert_close(found: &ArrayD<f64>, expected: &ArrayD<f64>, what: &str) {
    assert_eq!(found.shape(), expected.shape(), "{what}");
    for ((index, f), e) in found.indexed_iter().zip(expected) {
        assert!(f == e || (f - e).abs() <= 1e-7 * e.abs().max(1.0), "{what} at {index:?}: {f}, expected {e}");
    }
}

fn vector(values: &[f64]) -> ArrayD<f64> {
    ArrayD::from_shape_vec(IxDyn(&[values.len()]), values.to_vec()).unwrap()
}

/// A statistic of a lane, and its elements in order.
type Statistic = fn(&[f64]) -> f64;

const SUMS: &[(&str, Statistic)] = &[
    ("ReduceL1", |v| v.iter().map(|v| v.abs()).sum()),
    ("ReduceL2", |v| v.iter().map(|v| v * v).sum::<f64>().sqrt()),
    ("ReduceSumSquare", |v| v.iter().map(|v| v * v).sum()),
    ("ReduceLogSum", |v| v.iter().sum::<f64>().ln()),
    ("ReduceLogSumExp", |v| v.iter().map(|v| v.exp()).sum::<f64>().ln()),
];

#[test]
fn sums() {
    let x = Draw::new(4).positive(&[2, 3, 4]);
    let lanes = |along: usize, f: Statistic| x.map_axis(Axis(along), |lane| f(&lane.to_vec()));
    for (op, statistic) in SUMS {
        let attribute = of(13, op, &x, |m| m.with("axes", vec![-2i64]).with("keepdims", 0));
        assert_close(&attribute, &lanes(1, *statistic), op);
        let model =
            Maker::new(18).input("x", "f32[2,3,4]").integers("axes", &[1], &[2]).node(op, &["x", "axes"], &["y"]);
        let input = outputs(&model.output("y", "f32[?]").model(), std::slice::from_ref(&x)).remove(0);
        assert_close(&input, &lanes(2, *statistic).insert_axis(Axis(2)), op);
        let all = statistic(x.as_slice().unwrap());
        assert_close(&of(18, op, &x, |m| m), &ArrayD::from_elem(IxDyn(&[1, 1, 1]), all), op);
        let none = of(18, op, &x, |m| m.with("noop_with_empty_axes", 1));
        assert_close(&none, &x.mapv(|v| statistic(&[v])), op);
    }
}

#[test]
fn logarithms_of_sums_of_exponentials_do_not_overflow() {
    for (x, expected) in [
        (vec![1000.0, 1000.0], 1000.0 + 2f64.ln()),
        (vec![-2000.0, -2000.0], -2000.0 + 2f64.ln()),
        (vec![f64::NEG_INFINITY; 2], f64::NEG_INFINITY),
        (vec![f64::INFINITY, 1.0], f64::INFINITY),
    ] {
        let found = of(18, "ReduceLogSumExp", &vector(&x), |m| m.with("keepdims", 0));
        assert_close(&found, &ndarray::arr0(expected).into_dyn(), &format!("{x:?}"));
    }
}

#[test]
fn places_of_extrema() {
    let x = ArrayD::from_shape_vec(IxDyn(&[2, 4]), vec![1.0, 3.0, 3.0, 2.0, 0.0, -5.0, 4.0, -5.0]).unwrap();
    for (op, last, expected) in
        [("ArgMax", 0, [1.0, 2.0]), ("ArgMax", 1, [2.0, 2.0]), ("ArgMin", 0, [0.0, 1.0]), ("ArgMin", 1, [0.0, 3.0])]
    {
        let found = of(13, op, &x, |m| m.with("axis", -1).with("keepdims", 0).with("select_last_index", last));
        assert_close(&found, &vector(&expected), op);
    }
    let last = of(13, "ArgMin", &vector(&[2.0, 1.0, 1.0]), |m| m.with("select_last_index", 1));
    assert_close(&last, &vector(&[2.0]), "kept");
}

#[test]
fn activations() {
    let x = vector(&[-1e4, -2.0, -1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0, 2.0, 1e4]);
    let celu = |v: f64| v.max(0.0) + (0.5 * ((v / 0.5).exp() - 1.0)).min(0.0);
    assert_close(&of(12, "Celu", &x, |m| m.with("alpha", 0.5f32)), &x.mapv(celu), "Celu");
    let elu = |v: f64| if v < 0.0 { 0.5 * (v.exp() - 1.0) } else { v };
    assert_close(&of(22, "Elu", &x, |m| m.with("alpha", 0.5f32)), &x.mapv(elu), "Elu");
    let thresholded = x.mapv(|v| if v > 1.0 { v } else { 0.0 });
    assert_close(&of(22, "ThresholdedRelu", &x, |m| m), &thresholded, "ThresholdedRelu");
    let shrunk = |v: f64| match v {
        _ if v < -0.5 => v + 0.25,
        _ if v > 0.5 => v - 0.25,
        _ => 0.0,
    };
    assert_close(&of(9, "Shrink", &x, |m| m.with("bias", 0.25f32)), &x.mapv(shrunk), "Shrink");
    let softplus = |v: f64| if v > 30.0 { v } else { v.exp().ln_1p() };
    assert_close(&of(22, "Softplus", &x, |m| m), &x.mapv(softplus), "Softplus");
    assert_close(&of(22, "Mish", &x, |m| m), &x.mapv(|v| v * softplus(v).tanh()), "Mish");
}

#[test]
fn rounding_and_signs() {
    let x = vector(&[-2.5, -1.5, -0.75, -0.5, -0.25, 0.0, 0.25, 0.499_999_97, 0.5, 1.5, 2.5, 3.5, 3.2, 8_388_609.0]);
    assert_close(&of(22, "Round", &x, |m| m), &x.mapv(f64::round_ties_even), "Round");
    assert_close(&of(13, "Sign", &x, |m| m), &x.mapv(|v| if v == 0.0 { 0.0 } else { v.signum() }), "Sign");
    assert_close(&of(22, "Sin", &x, |m| m), &x.mapv(f64::sin), "Sin");
    assert_close(&of(22, "Cos", &x, |m| m), &x.mapv(f64::cos), "Cos");
}

#[test]
fn of_several() {
    let x = [vector(&[1.0, 2.0]), vector(&[4.0, -3.0]), ndarray::arr0(2.5).into_dyn()];
    let maker = ["f32[2]", "f32[2]", "f32[]"].into_iter().zip(["a", "b", "c"]);
    let maker = maker.fold(Maker::new(13), |m, (signature, name)| m.input(name, signature));
    let mean = outputs(&maker.node("Mean", &["a", "b", "c"], &["y"]).output("y", "f32[2]").model(), &x).remove(0);
    assert_close(&mean, &vector(&[2.5, 0.5]), "Mean");
    let maker = Maker::new(7).input("a", "bool[4]").input("b", "bool[4]").node("Xor", &["a", "b"], &["y"]);
    let x = [vector(&[0.0, 0.0, 1.0, 1.0]), vector(&[0.0, 1.0, 0.0, 1.0])];
    assert_close(&outputs(&maker.output("y", "bool[4]").model(), &x)[0], &vector(&[0.0, 1.0, 1.0, 0.0]), "Xor");
}

#[test]
fn c_remainders() {
    for (signature, a, b) in [
        ("i64[4]", [-7.0, 7.0, -7.0, 7.0], [3.0, -3.0, -3.0, 3.0]),
        ("f32[4]", [-4.5, 4.5, -0.5, 6.0], [2.0, -2.0, -2.0, 3.0]),
    ] {
        let maker = Maker::new(13).input("a", signature).input("b", signature).node("Mod", &["a", "b"], &["y"]);
        let found = outputs(&maker.with("fmod", 1).output("y", signature).model(), &[vector(&a), vector(&b)]).remove(0);
        let expected: Vec<f64> = a.iter().zip(b).map(|(a, b)| a % b).collect();
        assert_close(&found, &vector(&expected), signature);
    }
}

#[test]
fn divided_by_norms() {
    let mut x = Draw::new(6).uniform(&[2, 3, 4]);
    x.index_axis_mut(Axis(1), 1).fill(0.0);
    for (p, axis) in [(1, 2), (2, 2), (2, 0)] {
        let norm = x.map_axis(Axis(axis), |lane| match p {
            1 => lane.iter().map(|v| v.abs()).sum::<f64>(),
            _ => lane.iter().map(|v| v * v).sum::<f64>().sqrt(),
        });
        let divisor = norm.mapv(|v| if v == 0.0 { 1.0 } else { v }).insert_axis(Axis(axis));
        let found = of(22, "LpNormalization", &x, |m| m.with("p", p).with("axis", axis as i64));
        assert_close(&found, &(&x / &divisor), "LpNormalization");
    }
    let root =
        x.map_axis(Axis(2), |lane| (lane.iter().map(|v| v * v).sum::<f64>() / 4.0 + 0.5).sqrt()).insert_axis(Axis(2));
    let scale = [1.0f32, -2.0, 0.5, 3.0];
    let maker = Maker::new(23).input("x", "f32[2,3,4]").floats("scale", &[4], &scale);
    let maker = maker.node("RMSNormalization", &["x", "scale"], &["y"]).with("epsilon", 0.5f32);
    let found = outputs(&maker.output("y", "f32[2,3,4]").model(), std::slice::from_ref(&x)).remove(0);
    assert_close(&found, &(&x / &root * vector(&scale.map(f64::from))), "RMSNormalization");
}

#[test]
fn moments() {
    let x = Draw::new(6).uniform(&[2, 3, 4, 5]);
    let mean =
        |t: &ArrayD<f64>| [0, 2, 3].iter().fold(t.clone(), |t, a| t.mean_axis(Axis(*a)).unwrap().insert_axis(Axis(*a)));
    let centred = &x - &mean(&x);
    let expected = &centred / &mean(&(&centred * &centred)).mapv(|v| v.sqrt() + 1e-9);
    assert_close(&of(13, "MeanVarianceNormalization", &x, |m| m), &expected, "MeanVarianceNormalization");

    let maker = Maker::new(17).input("x", "f32[2,3,4,5]").floats("scale", &[5], &[1.0; 5]);
    let maker = maker.node("LayerNormalization", &["x", "scale"], &["y", "mean", "inverse"]).with("epsilon", 0.5f32);
    let maker = ["y", "mean", "inverse"].iter().fold(maker, |m, name| m.output(name, "f32[?]"));
    let found = outputs(&maker.model(), std::slice::from_ref(&x));
    let last = |t: &ArrayD<f64>| t.mean_axis(Axis(3)).unwrap().insert_axis(Axis(3));
    let centred = &x - &last(&x);
    let inverse = last(&(&centred * &centred)).mapv(|v| 1.0 / (v + 0.5).sqrt());
    for ((found, expected), what) in
        found.iter().zip([&centred * &inverse, last(&x), inverse]).zip(["y", "mean", "inverse"])
    {
        assert_close(found, &expected, what);
    }
}

/// Each window's cells, those of the padding 0, one after the other.
#[test]
fn pooling_by_norms() {
    let x = Draw::new(6).uniform(&[2, 7]);
    let x = x.into_shape_with_order(IxDyn(&[1, 2, 7])).unwrap();
    // Kernel, stride, dilation, pads, ceil, p, and how many windows these make of 7 cells.
    for (kernel, stride, dilation, pads, ceil, p, count) in [
        (3, 1, 1, [0, 0], 0, 2, 5),
        (3, 2, 1, [1, 1], 0, 1, 4),
        (2, 2, 2, [1, 0], 0, 3, 3),
        (3, 3, 1, [0, 0], 1, 2, 3),
        (4, 2, 1, [0, 1], 1, 2, 3),
    ] {
        let found = of(18, "LpPool", &x, |m| {
            let m =
                m.with("kernel_shape", vec![kernel]).with("strides", vec![stride]).with("dilations", vec![dilation]);
            m.with("pads", pads.to_vec()).with("ceil_mode", ceil).with("p", p)
        });
        let window = |c: usize, o: usize| {
            let cells = (0..kernel).map(|k| o as i64 * stride + k * dilation - pads[0]);
            let values = cells.map(|i| if (0..7).contains(&i) { x[[0, c, i as usize].as_slice()].abs() } else { 0.0 });
            values.map(|v| v.powi(p)).sum::<f64>().powf(1.0 / f64::from(p))
        };
        let expected = ArrayD::from_shape_fn(IxDyn(&[1, 2, count]), |i| window(i[1], i[2]));
        assert_close(&found, &expected, &format!("kernel {kernel}, stride {stride}"));
    }
    let all = x.map_axis(Axis(2), |lane| lane.iter().map(|v| v.abs().powi(3)).sum::<f64>().cbrt()).insert_axis(Axis(2));
    assert_close(&of(22, "GlobalLpPool", &x, |m| m.with("p", 3)), &all, "GlobalLpPool");
}

/// Its mask keeps everything.
#[test]
fn dropout() {
    for (opset, mask) in [(7, "f32[2]"), (13, "bool[2]")] {
        let maker = Maker::new(opset).input("x", "f32[2]").node("Dropout", &["x"], &["y", "mask"]);
        let found = outputs(&maker.output("y", "f32[2]").output("mask", mask).model(), &[vector(&[3.0, -1.0])]);
        assert_close(&found[0], &vector(&[3.0, -1.0]), "y");
        assert_close(&found[1], &vector(&[1.0, 1.0]), mask);
    }
}

#[test]
fn triangles_and_diagonals() {
    let mut x = Draw::new(6).uniform(&[2, 3, 4]);
    x[[0, 2, 0].as_slice()] = f64::NEG_INFINITY;
    for (upper, k) in [(1, 0), (1, 2), (1, -1), (0, 0), (0, 1), (0, -2)] {
        let maker = Maker::new(14).input("x", "f32[2,3,4]").integers("k", &[], &[k]).node("Trilu", &["x", "k"], &["y"]);
        let model = maker.with("upper", upper).output("y", "f32[2,3,4]").model();
        let expected = ArrayD::from_shape_fn(x.raw_dim(), |i| {
            let off = i[2] as i64 - i[1] as i64;
            if upper == 1 && off >= k || upper == 0 && off <= k { x[i] } else { 0.0 }
        });
        assert_close(&outputs(&model, std::slice::from_ref(&x))[0], &expected, &format!("upper {upper}, k {k}"));
    }
    let x = x.index_axis(Axis(0), 0).to_owned();
    for k in [0, 1, -2] {
        let diagonal = |i: ndarray::IxDyn| f64::from(u8::from(i[1] as i64 - i[0] as i64 == k));
        assert_close(
            &of(9, "EyeLike", &x, |m| m.with("k", k)),
            &ArrayD::from_shape_fn(x.raw_dim(), diagonal),
            "EyeLike",
        );
    }
}

#[test]
fn one_of_several() {
    let indices = ArrayD::from_shape_vec(IxDyn(&[2, 2]), vec![0.0, -1.0, 2.0, 7.0]).unwrap();
    for axis in [0, 1, 2] {
        let maker = Maker::new(11).input("i", "i64[2,2]").integers("depth", &[], &[3]);
        let maker = maker.floats("values", &[2], &[-1.0, 5.0]).node("OneHot", &["i", "depth", "values"], &["y"]);
        let model = maker.with("axis", axis as i64 - 3).output("y", "f32[?]").model();
        let mut shape = vec![2, 2];
        shape.insert(axis, 3);
        let expected = ArrayD::from_shape_fn(IxDyn(&shape), |place| {
            let mut outer = place.slice().to_vec();
            let at = outer.remove(axis) as f64;
            let index = indices[outer.as_slice()];
            if index == at || index + 3.0 == at { 5.0 } else { -1.0 }
        });
        assert_close(&outputs(&model, std::slice::from_ref(&indices))[0], &expected, &format!("axis {axis}"));
    }
}

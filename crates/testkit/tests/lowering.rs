//! Lowered operators compute what the operators do.

use std::path::Path;

use ndarray::{ArrayD, IxDyn};
use onnx_graph::{Attributes, DataType, Dim, Emit, Graph, ImportOptions, Model, import, lower};
use testkit::models::Maker;
use testkit::{Draw, cases, evaluate};

/// What a model of one output computes, every node of it understood.
#[track_caller]
fn computed(model: &Model, x: &[ArrayD<f64>]) -> ArrayD<f64> {
    let graph = import(model, &ImportOptions::default()).unwrap().graph;
    if let Some(carried) = graph.nodes().iter().find_map(|n| n.carried.as_ref()) {
        panic!("{}: {}", model.path().display(), carried.reason);
    }
    let fed: Vec<_> = graph.inputs.iter().copied().zip(x.iter().cloned()).collect();
    evaluate(&graph, 1, &fed, &graph.outputs).unwrap().remove(0)
}

#[track_caller]
fn assert_close(found: &ArrayD<f64>, expected: &ArrayD<f64>, tolerance: f64, what: &str) {
    assert_eq!(found.shape(), expected.shape(), "{what}");
    for ((index, f), e) in found.indexed_iter().zip(expected) {
        assert!((f - e).abs() <= tolerance * e.abs().max(1.0), "{what} at {index:?}: {f}, expected {e}");
    }
}

/// The operators of ONNX Runtime's own domain against what it computes, in float32.
#[test]
fn vendor_operators() {
    for case in cases(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vendor")) {
        // FastGelu is allowed an approximation of tanh.
        let tolerance = if case.name.starts_with("fastgelu") { 1e-5 } else { 2e-6 };
        assert_close(&computed(&case.model, &case.x), &case.y[0], tolerance, &case.name);
    }
}

/// The experimental operators by their definitions.
#[test]
fn experimental_operators() {
    let x = Draw::new(3).uniform(&[2, 3, 4, 5]);
    let run = |op: &str, with: fn(Maker) -> Maker| {
        let maker = with(Maker::new(2).input("x", "f32[2,3,4,5]").node(op, &["x"], &["y"]));
        computed(&maker.output("y", "f32").model(), std::slice::from_ref(&x))
    };
    let both = |m: Maker| m.with("alpha", 2.0f32).with("beta", 0.5f32);
    let scaler = run("ImageScaler", |m| m.with("scale", 2.0f32).with("bias", vec![1.0f32, -3.0, 0.25]));
    let bias = ArrayD::from_shape_vec(IxDyn(&[1, 3, 1, 1]), vec![1.0, -3.0, 0.25]).unwrap();
    assert_close(&scaler, &(&x * 2.0 + bias), 1e-12, "ImageScaler");
    assert_close(&run("Affine", both), &x.mapv(|v| 2.0 * v + 0.5), 1e-12, "Affine");
    assert_close(&run("Scale", |m| m.with("scale", 0.25f32)), &(&x * 0.25), 1e-12, "Scale");
    assert_close(&run("ScaledTanh", both), &x.mapv(|v| 2.0 * (0.5 * v).tanh()), 1e-12, "ScaledTanh");
    let softplus = x.mapv(|v| 2.0 * (0.5 * v).exp().ln_1p());
    assert_close(&run("ParametricSoftplus", both), &softplus, 1e-12, "ParametricSoftplus");
    let cropped = run("Crop", |m| m.with("border", [1, 0, 2, 1]));
    assert_close(&cropped, &x.slice(ndarray::s![.., .., 0..3, 1..3]).to_owned().into_dyn(), 0.0, "Crop");
}

#[test]
fn lrn() {
    // Odd and even windows, one wider than the channels, 1-D and 2-D.
    for (size, shape) in [(5, vec![2, 7, 3, 2]), (4, vec![1, 6, 5]), (3, vec![2, 2, 2, 2]), (1, vec![1, 3, 4])] {
        let attributes = Attributes::none().with("size", size).with("alpha", 0.5).with("beta", 0.75).with("bias", 2.0);
        let mut graph = Graph::new();
        let mut dims: Vec<Dim> = shape.iter().map(|n: &usize| Dim::from(*n)).collect();
        dims[0] = Dim::BATCH;
        let x = graph.add_input("x", DataType::F32, dims);
        let e = Emit::new(&mut graph);
        let direct = e.node("LRN", &[x], attributes.clone());
        let lowered = lower::lrn(&e, x, &attributes);
        e.finish().unwrap();
        let fed = [(x, Draw::new(1).uniform(&shape))];
        let values = evaluate(&graph, shape[0], &fed, &[direct, lowered]).unwrap();
        let off = (&values[0] - &values[1]).iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        assert!(off < 1e-12, "size {size} over {shape:?}: off by {off:e}");
    }
}

/// The places that MaxPool names hold its maxima, the first of equal ones, whatever the windows, the batch left open.
#[test]
fn places_of_maxima() {
    let values = Draw::new(5).uniform(&[2, 3, 7, 6]).mapv(|v| (v * 2.0).round()); // Many are equal.
    let case = |columns: bool, with: fn(Maker) -> Maker| {
        let maker = Maker::new(17).input("x", "f32[N,3,7,6]").node("MaxPool", &["x"], &["y", "places"]);
        let maker = with(maker).with("storage_order", i64::from(columns));
        let model = maker.output("y", "f32").output("places", "i64").model();
        let graph = import(&model, &ImportOptions::default()).unwrap().graph;
        let fed = [(graph.inputs[0], values.clone())];
        let made = evaluate(&graph, 2, &fed, &graph.outputs).unwrap();
        for (index, (y, place)) in made[0].iter().zip(&made[1]).enumerate() {
            let (plane, cell) = (*place as usize / 42, *place as usize % 42);
            let (row, column) = if columns { (cell % 7, cell / 7) } else { (cell / 6, cell % 6) };
            assert_eq!(plane, index / (made[0].len() / 6), "its own picture and channel");
            assert_eq!(values[[plane / 3, plane % 3, row, column]], *y, "{place}");
        }
        made[1].iter().map(|place| *place as usize).collect::<Vec<_>>()
    };
    let kernel = |m: Maker| m.with("kernel_shape", vec![3i64, 2]).with("strides", vec![2i64, 2]);
    let places = case(false, kernel);
    // The first window's cells are 0 1, 6 7, 12 13 of the first plane, in this order.
    let window: Vec<f64> = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)].map(|(r, c)| values[[0, 0, r, c]]).to_vec();
    let most = window.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let first = window.iter().position(|v| *v == most).unwrap();
    assert_eq!(places[0], [0, 1, 6, 7, 12, 13][first]);
    case(true, kernel);
    case(false, |m| {
        m.with("kernel_shape", vec![3i64, 3]).with("pads", vec![1i64, 1, 2, 0]).with("dilations", vec![2i64, 1])
    });
    case(true, |m| m.with("kernel_shape", vec![2i64, 2]).with("strides", vec![3i64, 4]).with("ceil_mode", 1i64));
}

/// Every product of elements whose labels agree, added up: the definition.
fn einsum_by_hand(terms: &[&str], right: &str, x: &[ArrayD<f64>]) -> ArrayD<f64> {
    let letters: Vec<char> = terms.concat().chars().collect::<std::collections::BTreeSet<_>>().into_iter().collect();
    let size = |letter: &char| {
        let of = |(term, x): (&&str, &ArrayD<f64>)| term.chars().position(|c| c == *letter).map(|i| x.shape()[i]);
        terms.iter().zip(x).filter_map(of).max().unwrap()
    };
    let sizes: Vec<usize> = letters.iter().map(size).collect();
    let shape: Vec<usize> = right.chars().map(|c| size(&c)).collect();
    let mut y = ArrayD::zeros(IxDyn(&shape));
    for at in ndarray::indices(IxDyn(&sizes)) {
        let place = |term: &str, shape: &[usize]| -> Vec<usize> {
            let at = |c: char| at[letters.iter().position(|l| *l == c).unwrap()];
            term.chars().zip(shape).map(|(c, size)| if *size == 1 { 0 } else { at(c) }).collect()
        };
        let product: f64 = terms.iter().zip(x).map(|(term, x)| x[IxDyn(&place(term, x.shape()))]).product();
        y[IxDyn(&place(right, &shape))] += product;
    }
    y
}

#[test]
fn einsum() {
    // equation, shapes, and the same with a letter for each axis
    let cases: &[(&str, &[&[usize]], &str)] = &[
        ("ij,jk->ik", &[&[2, 3], &[3, 4]], "ij,jk->ik"),
        ("ij,jk", &[&[2, 3], &[3, 4]], "ij,jk->ik"),
        ("ji", &[&[2, 3]], "ji->ij"),
        (" b i j , b j k -> b k i ", &[&[2, 3, 4], &[2, 4, 5]], "bij,bjk->bki"),
        ("bhqd,bhkd->bhqk", &[&[2, 2, 3, 4], &[2, 2, 5, 4]], "bhqd,bhkd->bhqk"),
        ("nchw,cd->ndhw", &[&[2, 3, 2, 4], &[3, 5]], "nchw,cd->ndhw"),
        ("ij->", &[&[3, 4]], "ij->"),
        ("ii->i", &[&[4, 4]], "ii->i"),
        ("iij->j", &[&[3, 3, 2]], "iij->j"),
        ("ii", &[&[3, 3]], "ii->"),
        ("i,j->ij", &[&[3], &[4]], "i,j->ij"),
        ("bi,bi->b", &[&[2, 3], &[2, 3]], "bi,bi->b"),
        ("bi,bi->bi", &[&[2, 3], &[2, 3]], "bi,bi->bi"),
        ("bc,bchw->bchw", &[&[2, 3], &[2, 3, 2, 2]], "bc,bchw->bchw"),
        ("ij,jk,kl->il", &[&[2, 3], &[3, 4], &[4, 2]], "ij,jk,kl->il"),
        ("ij,kj,lj->ikl", &[&[2, 3], &[2, 3], &[4, 3]], "ij,kj,lj->ikl"),
        ("...ij,...jk->...ik", &[&[2, 3, 4, 2], &[2, 3, 2, 3]], "xyij,xyjk->xyik"),
        ("...i,ij", &[&[2, 2, 3], &[3, 4]], "xyi,ij->xyj"),
        ("...ij,jk->...ik", &[&[4, 2], &[2, 3]], "ij,jk->ik"),
        ("...ij,...jk->...ik", &[&[1, 3, 4, 2], &[3, 2, 3]], "xyij,yjk->xyik"),
        ("b...,b...->...", &[&[2, 3, 4], &[2, 1, 4]], "bxy,bxy->xy"),
        ("bij,bjk->bik", &[&[1, 2, 3], &[4, 3, 2]], "bij,bjk->bik"),
    ];
    for (equation, shapes, explicit) in cases {
        let x: Vec<_> = shapes.iter().enumerate().map(|(i, s)| Draw::new(i as u64 + 1).uniform(s)).collect();
        let names: Vec<String> = (0..shapes.len()).map(|i| format!("x{i}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let maker = names.iter().zip(*shapes).fold(Maker::new(12), |maker, (name, shape)| {
            let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
            maker.input(name, &format!("f32[{}]", sizes.join(",")))
        });
        let model = maker.node("Einsum", &names, &["y"]).with("equation", *equation).output("y", "f32").model();
        let (terms, right) = explicit.split_once("->").unwrap();
        let expected = einsum_by_hand(&terms.split(',').collect::<Vec<_>>(), right, &x);
        assert_close(&computed(&model, &x), &expected, 1e-12, equation);
    }
}

#[test]
fn einsum_that_is_none() {
    let cases = [
        ("ij,jk->ik", "for 2 inputs, it has 1"),
        ("i", "for another number of axes than 2"),
        ("ij->ik", "behind the arrow"),
        ("ij->ii", "behind the arrow"),
        ("i1->i", "is not understood"),
        ("ii->i", "of two sizes"),
    ];
    for (equation, reason) in cases {
        let maker = Maker::new(12).input("x", "f32[2,3]").node("Einsum", &["x"], &["y"]).with("equation", equation);
        let graph = import(&maker.output("y", "f32").model(), &ImportOptions::default()).unwrap().graph;
        let carried = graph.nodes()[0].carried.as_ref().unwrap_or_else(|| panic!("{equation} is taken"));
        assert!(carried.reason.contains(reason), "{equation}: {}", carried.reason);
    }
}

/// A product that no memory would hold, with more behind it: an error, not a panic.
#[test]
fn einsum_that_is_too_large() {
    let maker = Maker::new(12).input("x", "f32[65536]").node("Einsum", &["x", "x", "x"], &["y"]);
    let model = maker.with("equation", "a,b,c->abc").output("y", "f32").model();
    let error = import(&model, &ImportOptions::default()).map(|i| i.notes).unwrap_err().to_string();
    assert!(error.contains("`Einsum` (the node that makes \"y\") is too large"), "{error}");
}

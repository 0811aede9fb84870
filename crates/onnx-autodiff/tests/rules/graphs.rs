//! More than one operator: what the sweep does.

use onnx_autodiff::gradient;
use onnx_graph::{Attributes, Constant, DataType, Dim, Emit, Graph, Tensor};

use crate::{a, distinct, graph, n, x};

fn split(e: &Emit, t: Tensor, axis: i64, sizes: &[i64]) -> Vec<Tensor> {
    e.nodes("Split", &[Some(t)], a().with("axis", axis).with("split", sizes.to_vec()))
}

#[test]
fn a_tensor_used_twice() {
    graph("x · x", vec![n([2, 3])], None, |e, x| e.mul(x[0], x[0]));
    graph("x + x", vec![n([2, 3])], None, |e, x| e.add(x[0], x[0]));
    graph("x − x/2", vec![n([2, 3])], None, |e, x| e.sub(x[0], e.scale(x[0], 0.5)));
    graph("x · xᵀ", vec![x([3, 4])], None, |e, x| e.matmul(x[0], e.swap_last(x[0])));
    graph("[x, x]", vec![n([2, 3])], None, |e, x| e.concat(&[x[0], x[0]], 1));
}

#[test]
fn a_diamond() {
    graph("σ(x) · tanh(x) + x", vec![n([2, 3])], None, |e, x| {
        let gate = e.sigmoid(x[0]);
        let tanh = e.node("Tanh", &[x[0]], Attributes::none());
        e.add(e.mul(gate, tanh), x[0])
    });
    graph("squeeze and excitation", vec![n([2, 3, 4, 4])], None, |e, x| {
        let gate = e.sigmoid(e.mean_spatial(e.exp(x[0])));
        e.mul(x[0], gate)
    });
    graph("residuals upon residuals", vec![n([2, 4])], None, |e, x| {
        (0..5).fold(x[0], |y, _| e.add(y, e.node("Tanh", &[y], Attributes::none())))
    });
}

#[test]
fn outputs_that_nobody_uses() {
    for used in 0..3 {
        graph(&format!("part {used}"), vec![n([2, 6, 3])], None, |e, x| split(e, x[0], 1, &[1, 2, 3])[used]);
    }
    graph("channel shuffle", vec![n([2, 4, 3])], None, |e, x| {
        let halves = split(e, x[0], 1, &[2, 2]);
        e.concat(&[e.relu(e.exp(halves[1])), halves[0], halves[1]], 1)
    });
}

#[test]
fn zero_paths_beside_others() {
    // d/dx of x [x > u] is [x > u]; nothing goes through the comparison.
    graph("x · [x > u]", vec![n([2, 3]), n([2, 3])], None, |e, x| e.mul(x[0], e.mask("Greater", x[0], x[1])));
    graph("x + ⌊x⌋", vec![x([2, 3])], None, |e, x| e.add(x[0], e.node("Floor", &[x[0]], Attributes::none())));
    graph("x · argmax x, through integer arithmetic", vec![distinct([2, 4])], None, |e, x| {
        let first = e.node("ArgMax", &[x[0]], a().with("axis", 1i64).with("keepdims", true));
        let next = e.add(first, e.constant(Constant::i64s(&[], &[1])));
        e.mul(x[0], e.cast(next, DataType::F32))
    });
    graph("gathered by a computed index", vec![distinct([2, 4])], None, |e, x| {
        let first = e.node("ArgMax", &[x[0]], a().with("axis", 0i64).with("keepdims", false));
        e.node("Gather", &[x[0], first], a().with("axis", 1i64))
    });
}

#[test]
fn casts_there_and_back() {
    graph("through float64", vec![n([2, 3])], None, |e, x| {
        let wide = e.cast(x[0], DataType::F64);
        e.cast(e.mul(wide, wide), DataType::F32)
    });
    graph("through integers: only the other path counts", vec![x([2, 3])], None, |e, x| {
        e.add(x[0], e.cast(e.cast(x[0], DataType::I32), DataType::F32))
    });
}

/// x [N, 3] → h = 2x → y = h².
fn chain() -> (Graph, [Tensor; 3]) {
    let mut graph = Graph::new();
    let x = graph.add_input("x", DataType::F32, vec![Dim::BATCH, Dim::new(3)]);
    let e = Emit::new(&mut graph);
    let h = e.scale(x, 2.0);
    let y = e.mul(h, h);
    e.finish().unwrap();
    (graph, [x, h, y])
}

fn evaluate(graph: &Graph, feeds: &[(Tensor, [f64; 3])], wanted: &[Tensor]) -> Vec<Vec<f64>> {
    let feeds: Vec<_> =
        feeds.iter().map(|(t, v)| (*t, ndarray::ArrayD::from_shape_vec(vec![1, 3], v.to_vec()).unwrap())).collect();
    let values = testkit::evaluate(graph, 1, &feeds, wanted).unwrap();
    values.into_iter().map(|v| v.into_raw_vec_and_offset().0).collect()
}

#[test]
fn gradients_of_several_tensors_and_from_several_seeds() {
    let (mut graph, [x, h, y]) = chain();
    let [dy, dh] = ["dy", "dh"].map(|n| graph.add_input(n, DataType::F32, vec![Dim::BATCH, Dim::new(3)]));
    let made = gradient(&mut graph, &[(y, dy), (h, dh), (h, dh)], &[x, h, y, dy]).unwrap();
    assert_eq!((made[2], made[3]), (Some(dy), None));
    let wanted = [made[0].unwrap(), made[1].unwrap()];
    let found = evaluate(&graph, &[(x, [1.0, 2.0, 3.0]), (dy, [1.0, 10.0, 100.0]), (dh, [5.0, 6.0, 7.0])], &wanted);
    // dh = 2h dy + 2dh, h = 2x; dx = 2 dh.
    assert_eq!(found[1], [4.0 + 10.0, 80.0 + 12.0, 1200.0 + 14.0]);
    assert_eq!(found[0], [28.0, 184.0, 2428.0]);
}

#[test]
fn only_what_lies_between_is_swept() {
    let (mut graph, [_, h, y]) = chain();
    let dy = graph.add_input("dy", DataType::F32, vec![Dim::BATCH, Dim::new(3)]);
    let before = graph.nodes().len();
    gradient(&mut graph, &[(y, dy)], &[h]).unwrap();
    let added: Vec<&str> = graph.nodes()[before..].iter().map(|n| &*n.op).collect();
    assert_eq!(added, ["Mul", "Mul", "Add"]);
    assert_eq!(gradient(&mut graph, &[(h, dy)], &[y]), Ok(vec![None]));
}

/// The gradient of a gradient: d²/dx² x³ = 6x.
#[test]
fn a_gradient_can_be_differentiated() {
    let mut graph = Graph::new();
    let x = graph.add_input("x", DataType::F32, vec![Dim::BATCH, Dim::new(3)]);
    let one = graph.add_input("one", DataType::F32, vec![Dim::BATCH, Dim::new(3)]);
    let e = Emit::new(&mut graph);
    let y = e.mul(e.mul(x, x), x);
    e.finish().unwrap();
    let first = gradient(&mut graph, &[(y, one)], &[x]).unwrap()[0].unwrap();
    let second = gradient(&mut graph, &[(first, one)], &[x]).unwrap()[0].unwrap();
    let found = evaluate(&graph, &[(x, [1.0, -2.0, 3.0]), (one, [1.0; 3])], &[first, second]);
    assert_eq!(found, [[3.0, 12.0, 27.0], [6.0, -12.0, 18.0]]);
}

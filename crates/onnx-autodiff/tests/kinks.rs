//! At kinks the gradient is a convention. One line a convention; `docs/gradients.md` lists them.

use ndarray::{ArrayD, IxDyn};
use onnx_graph::{Attributes, Constant, Emit, Tensor};
use testkit::Check;

/// The gradients of an operator at these inputs, `dy` sent back.
fn gradients(
    build: impl Fn(&Emit, &[Tensor]) -> Tensor,
    inputs: &[(&[usize], &[f64])],
    dy: (&[usize], &[f64]),
) -> Vec<Vec<f64>> {
    let array = |(shape, values): (&[usize], &[f64])| ArrayD::from_shape_vec(IxDyn(shape), values.to_vec()).unwrap();
    let inputs: Vec<ArrayD<f64>> = inputs.iter().copied().map(array).collect();
    let vjp = |graph: &mut _, y, dy, wrt: &[Tensor]| onnx_autodiff::gradient(graph, &[(y, dy)], wrt).unwrap();
    let (_, dx) = Check::default().gradients(build, &inputs, &array(dy), vjp).unwrap();
    dx.into_iter().map(|dx| dx.into_iter().collect()).collect()
}

/// The gradient of an element-by-element operator where 1 is sent back.
fn slopes(op: &'static str, attributes: Attributes, x: &[f64]) -> Vec<f64> {
    let ones = vec![1.0; x.len()];
    let build = |e: &Emit, x: &[Tensor]| e.node(op, x, attributes.clone());
    gradients(build, &[(&[x.len()], x)], (&[x.len()], &ones)).remove(0)
}

fn near(found: &[f64], expected: &[f64]) {
    let close = found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6);
    assert!(close, "{found:?}, expected {expected:?}");
}

fn none() -> Attributes {
    Attributes::none()
}

#[test]
fn nothing_at_the_edges_of_flat_parts() {
    near(&slopes("Relu", none(), &[-1.0, 0.0, 1.0]), &[0.0, 0.0, 1.0]);
    near(&slopes("Abs", none(), &[-1.0, 0.0, 1.0]), &[-1.0, 0.0, 1.0]);
    let clip = none().with("min", 0.0f32).with("max", 6.0f32);
    near(&slopes("Clip", clip, &[-1.0, 0.0, 3.0, 6.0, 7.0]), &[0.0, 0.0, 1.0, 0.0, 0.0]);
    let hard = none().with("alpha", 0.25f32).with("beta", 0.5f32);
    near(&slopes("HardSigmoid", hard, &[-3.0, -2.0, 0.0, 2.0, 3.0]), &[0.0, 0.0, 0.25, 0.0, 0.0]);
}

#[test]
fn the_left_slope_of_leaky_relu() {
    near(&slopes("LeakyRelu", none().with("alpha", 0.25f32), &[-1.0, 0.0, 1.0]), &[0.25, 0.25, 1.0]);
}

#[test]
fn hard_swish_is_x_times_hard_sigmoid() {
    near(&slopes("HardSwish", none(), &[-4.0, -3.0, 0.0, 3.0, 4.0]), &[0.0, 0.0, 0.5, 1.0, 1.0]);
}

fn max_pool(kernel: i64, stride: i64, pad: i64) -> Attributes {
    none()
        .with("kernel_shape", vec![kernel; 2])
        .with("strides", vec![stride; 2])
        .with("dilations", vec![1; 2])
        .with("pads", vec![pad; 4])
        .with("ceil_mode", false)
}

#[test]
fn max_pool_takes_the_first_maximum_in_row_major_order() {
    let pool = |attributes: Attributes| move |e: &Emit, x: &[Tensor]| e.node("MaxPool", x, attributes.clone());
    // One window of equal cells.
    let dx = gradients(pool(max_pool(2, 2, 0)), &[(&[1, 1, 2, 2], &[0.0; 4])], (&[1, 1, 1, 1], &[5.0]));
    near(&dx[0], &[5.0, 0.0, 0.0, 0.0]);
    // The maximum twice, the upper right one first.
    let tied = [1.0, 7.0, 7.0, 2.0];
    let dx = gradients(pool(max_pool(2, 2, 0)), &[(&[1, 1, 2, 2], &tied)], (&[1, 1, 1, 1], &[5.0]));
    near(&dx[0], &[0.0, 5.0, 0.0, 0.0]);
    // Overlapping windows of a 3×3 picture of equal cells: each its own first cell, where they meet gradients add.
    let dx = gradients(pool(max_pool(2, 1, 0)), &[(&[1, 1, 3, 3], &[0.0; 9])], (&[1, 1, 2, 2], &[1.0, 2.0, 3.0, 4.0]));
    near(&dx[0], &[1.0, 2.0, 0.0, 3.0, 4.0, 0.0, 0.0, 0.0, 0.0]);
    // Padding never wins: the one cell is the maximum of all four windows.
    let dx = gradients(pool(max_pool(2, 1, 1)), &[(&[1, 1, 1, 1], &[-3.0])], (&[1, 1, 2, 2], &[1.0, 2.0, 3.0, 4.0]));
    near(&dx[0], &[10.0]);
}

/// A window of zeros behind a ReLU: the first cell gets the gradient, and the ReLU, at its own kink, sends nothing on.
#[test]
fn a_dead_window_sends_nothing_back() {
    let build = |e: &Emit, x: &[Tensor]| e.node("MaxPool", &[e.relu(x[0])], max_pool(2, 2, 0));
    let x = [-1.0, -2.0, 0.0, -4.0, /* another window, alive */ -1.0, 3.0, 3.0, -4.0];
    let dx = gradients(build, &[(&[1, 2, 2, 2], &x)], (&[1, 2, 1, 1], &[5.0, 7.0]));
    near(&dx[0], &[0.0, 0.0, 0.0, 0.0, 0.0, 7.0, 0.0, 0.0]);
}

#[test]
fn global_max_pool_takes_the_first_maximum_in_row_major_order() {
    let build = |e: &Emit, x: &[Tensor]| e.node("GlobalMaxPool", x, none());
    let x = [1.0, 4.0, 4.0, 4.0, /* the second channel */ 0.0, 0.0, 0.0, 0.0];
    let dx = gradients(build, &[(&[1, 2, 2, 2], &x)], (&[1, 2, 1, 1], &[3.0, 5.0]));
    near(&dx[0], &[0.0, 3.0, 0.0, 0.0, 5.0, 0.0, 0.0, 0.0]);
}

#[test]
fn reductions_share_equally() {
    for (op, x) in [("ReduceMax", [4.0, 1.0, 4.0, 4.0]), ("ReduceMin", [-4.0, 1.0, -4.0, -4.0])] {
        let build = |e: &Emit, x: &[Tensor]| e.reduce(op, x[0], &[1], false);
        let dx = gradients(build, &[(&[1, 4], &x)], (&[1], &[6.0]));
        near(&dx[0], &[2.0, 0.0, 2.0, 2.0]);
    }
}

#[test]
fn the_larger_and_the_smaller_of_two_share_equally() {
    for (op, a, b) in [("Max", [2.0, 1.0], [2.0, 0.0]), ("Min", [2.0, 0.0], [2.0, 1.0])] {
        let build = |e: &Emit, x: &[Tensor]| e.node(op, x, none());
        let dx = gradients(build, &[(&[2], &a), (&[2], &b)], (&[2], &[6.0, 6.0]));
        near(&dx[0], &[3.0, 6.0]);
        near(&dx[1], &[3.0, 0.0]);
    }
}

/// Of an element and two updates at its place the two greatest are equal; at the other place the element is the greatest.
#[test]
fn scattered_extrema_share_equally() {
    for (reduction, sign) in [("max", 1.0), ("min", -1.0)] {
        let build = |e: &Emit, x: &[Tensor]| {
            let indices = e.constant(Constant::i64s(&[3], &[0, 0, 1]));
            let attributes = none().with("axis", 0i64).with("reduction", reduction);
            e.node("ScatterElements", &[x[0], indices, x[1]], attributes)
        };
        let (x, updates) = ([2.0 * sign, 5.0 * sign], [2.0 * sign, 1.0 * sign, 4.0 * sign]);
        let dx = gradients(build, &[(&[2], &x), (&[3], &updates)], (&[2], &[6.0, 8.0]));
        near(&dx[0], &[3.0, 8.0]);
        near(&dx[1], &[3.0, 0.0, 0.0]);
    }
}

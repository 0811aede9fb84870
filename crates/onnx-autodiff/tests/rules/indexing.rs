use onnx_graph::{Attributes, Constant, DataType, Emit};

use crate::{a, check, distinct, graph, ints, n, x};

fn along(axis: i64) -> Attributes {
    a().with("axis", axis)
}

fn scatter(axis: i64, reduction: &str) -> Attributes {
    along(axis).with("reduction", reduction)
}

check! {
    // Places once and several times, counted from either end, along the first, a middle and the last axis.
    GatherElements: [x([2, 4]), ints([2, 3], &[0, 3, -1, 2, 2, -4])] {along(1)}, [x([3, 2]), ints([4, 2], &[0, 1, 2, 2, 0, -3, -1, 1])] {along(0)},
        [x([2, 3, 2]), ints([2, 1, 2], &[2, 0, -1, 1])] {along(1)}, [x([5]), ints([2], &[4, 4])] {along(0)};
    ScatterElements:
        [x([2, 4]), ints([2, 2], &[0, 3, -1, 1]), x([2, 2])] {scatter(1, "none")},
        [x([3, 2]), ints([2, 2], &[2, -3, 0, 1]), x([2, 2])] {scatter(0, "none")},
        [x([2, 4]), ints([2, 3], &[0, 3, -1, 1, 1, 1]), x([2, 3])] {scatter(1, "add")},
        [x([2, 3, 2]), ints([2, 1, 2], &[2, 0, -1, 1]), x([2, 1, 2])] {scatter(1, "add")},
        [x([2, 4]), ints([2, 2], &[0, 3, -1, 1]), x([2, 2])] {scatter(1, "mul")},
        [x([3, 2]), ints([2, 2], &[2, -3, 0, 1]), x([2, 2])] {scatter(0, "mul")},
        [x([2, 4]), ints([2, 3], &[0, 3, -1, 1, 1, 1]), x([2, 3])] {scatter(1, "max")},
        [x([2, 4]), ints([2, 3], &[0, 3, -1, 1, 1, 1]), x([2, 3])] {scatter(1, "min")};
}

/// Several factors at one place: those of data's gradient are multiplied; theirs are refused (tests/rules/states.rs).
#[test]
fn factors_at_one_place() {
    graph("scattered factors", vec![x([2, 4])], None, |e, x| {
        let indices = e.constant(Constant::i64s(&[2, 3], &[0, 3, -1, 1, 1, 1]));
        let factors = e.constant(Constant::f32s(&[2, 3], &[0.5, 2.0, -1.5, 3.0, 0.25, -0.5]));
        e.node("ScatterElements", &[x[0], indices, factors], scatter(1, "mul"))
    });
}

/// Indices that the network computes: the order of other elements of it.
#[test]
fn computed_indices() {
    for largest in [true, false] {
        graph("the best three", vec![distinct([2, 5])], None, |e, x| {
            let best = e.node("TopK", &[x[0]], along(1).with("k", 3i64).with("largest", largest));
            let values = e.node("GatherElements", &[x[0], best], along(1));
            e.mul(values, weights(e))
        });
    }
    graph("put where others are best", vec![distinct([2, 5]), n([2, 3])], None, |e, x| {
        let best = e.node("TopK", &[x[0]], along(1).with("k", 3i64).with("largest", true));
        e.node("ScatterElements", &[x[0], e.cast(best, DataType::I64), x[1]], scatter(1, "none"))
    });
}

fn weights(e: &Emit) -> onnx_graph::Tensor {
    e.constant(Constant::f32s(&[3], &[1.0, -2.0, 0.5]))
}

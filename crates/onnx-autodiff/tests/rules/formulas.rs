//! Operators that are read as formulas of others: the gradient of the whole, also where a formula has kinks of its own.

use ndarray::{ArrayD, IxDyn};
use onnx_graph::{Graph, ImportOptions, Tensor, import};
use testkit::models::Maker;
use testkit::{Draw, evaluate};

/// Writes one operator's attributes.
type With = fn(Maker) -> Maker;

/// The graph of one operator on x, all of it understood, and the gradient of ⟨y, dy⟩.
fn differentiated(opset: i64, op: &str, shape: &[usize], with: With) -> (Graph, [Tensor; 4]) {
    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    let maker = Maker::new(opset).input("x", &format!("f32[{}]", sizes.join(","))).node(op, &["x"], &["y"]);
    let mut graph = import(&with(maker).output("y", "f32[?]").model(), &ImportOptions::default()).unwrap().graph;
    let (x, y) = (graph.inputs[0], graph.outputs[0]);
    let (dtype, shape) = (graph.tensor(y).dtype.unwrap(), graph.shape(y).unwrap().to_vec());
    let dy = graph.add_input("dy", dtype, shape);
    let dx = onnx_autodiff::gradient(&mut graph, &[(y, dy)], &[x]).unwrap_or_else(|e| panic!("{op}: {e}"))[0];
    (graph, [x, y, dy, dx.unwrap_or_else(|| panic!("{op} has a gradient"))])
}

/// Against central differences at x, element by element.
#[track_caller]
fn check(opset: i64, op: &str, x: ArrayD<f64>, with: With) {
    let (graph, [input, y, dy, dx]) = differentiated(opset, op, x.shape(), with);
    let value = |x: &ArrayD<f64>| evaluate(&graph, 1, &[(input, x.clone())], &[y]).unwrap().remove(0);
    let seed = Draw::new(2).between(-1.0, 1.0, value(&x).shape());
    let found = evaluate(&graph, 1, &[(input, x.clone()), (dy, seed.clone())], &[dx]).unwrap().remove(0);
    let step = 1e-5;
    for (index, found) in found.indexed_iter() {
        let moved = |by: f64| {
            let mut x = x.clone();
            x[&index] += by;
            (value(&x) * &seed).sum()
        };
        let expected: f64 = (moved(step) - moved(-step)) / (2.0 * step);
        let off = (found - expected).abs();
        assert!(off <= 2e-7 * expected.abs().max(1.0), "{op} at {index:?}: {found}, expected {expected}");
    }
}

/// Operators of several inputs and outputs: Σ ⟨y, dy⟩ over the outputs `y0`, `y1`, …, against central differences at every
/// element of the inputs.
#[track_caller]
fn check_all(maker: Maker, outputs: usize, x: &[ArrayD<f64>]) {
    let maker = (0..outputs).fold(maker, |m, i| m.output(&format!("y{i}"), "f32"));
    let mut graph = import(&maker.model(), &ImportOptions::default()).unwrap().graph;
    let (inputs, y) = (graph.inputs.clone(), graph.outputs.clone());
    assert_eq!((inputs.len(), y.len()), (x.len(), outputs));
    let at = |x: &[ArrayD<f64>]| inputs.iter().copied().zip(x.iter().cloned()).collect::<Vec<_>>();
    let mut draw = Draw::new(2);
    let values = evaluate(&graph, 1, &at(x), &y).unwrap();
    let seeds: Vec<ArrayD<f64>> = values.iter().map(|v| draw.between(-1.0, 1.0, v.shape())).collect();
    let total = |graph: &Graph, x: &[ArrayD<f64>]| -> f64 {
        evaluate(graph, 1, &at(x), &y).unwrap().iter().zip(&seeds).map(|(value, seed)| (value * seed).sum()).sum()
    };
    let plain = graph.clone();
    let mut pairs = Vec::new();
    for (i, y) in y.iter().enumerate() {
        let (dtype, shape) = (graph.tensor(*y).dtype.unwrap(), graph.shape(*y).unwrap().to_vec());
        pairs.push((*y, graph.add_input(&format!("dy{i}"), dtype, shape)));
    }
    let gradients = onnx_autodiff::gradient(&mut graph, &pairs, &inputs).unwrap_or_else(|e| panic!("{e}"));
    let gradients: Vec<Tensor> = gradients.into_iter().map(|g| g.expect("every input has a gradient")).collect();
    let feeds = at(x).into_iter().chain(pairs.iter().map(|(_, dy)| *dy).zip(seeds.iter().cloned())).collect::<Vec<_>>();
    let step = 1e-5;
    for (i, found) in evaluate(&graph, 1, &feeds, &gradients).unwrap().iter().enumerate() {
        assert!(found.iter().any(|v| *v != 0.0), "input {i} matters");
        for (index, found) in found.indexed_iter() {
            let moved = |by: f64| {
                let mut x = x.to_vec();
                x[i][&index] += by;
                total(&plain, &x)
            };
            let expected = (moved(step) - moved(-step)) / (2.0 * step);
            let off = (found - expected).abs();
            assert!(off <= 2e-7 * expected.abs().max(1.0), "input {i} at {index:?}: {found}, expected {expected}");
        }
    }
}

/// The slopes at single places, where 1 is sent back.
#[track_caller]
fn slopes(opset: i64, op: &str, x: &[f64], expected: &[f64], with: With) {
    let (graph, [input, _, dy, dx]) = differentiated(opset, op, &[x.len()], with);
    let x = ArrayD::from_shape_vec(IxDyn(&[x.len()]), x.to_vec()).unwrap();
    let made: Vec<usize> = graph.shape(dy).unwrap().iter().map(|d| d.at(1) as usize).collect();
    let feeds = [(input, x.clone()), (dy, ArrayD::ones(IxDyn(&made)))];
    let found = evaluate(&graph, 1, &feeds, &[dx]).unwrap().remove(0);
    let close = found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-6);
    assert!(close, "{op} at {x}: {found}, expected {expected:?}");
}

fn plain(maker: Maker) -> Maker {
    maker
}

#[test]
fn reductions() {
    let x = Draw::new(1).positive(&[2, 3, 4]);
    for op in ["ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp"] {
        check(13, op, x.clone(), |m| m.with("axes", vec![1i64, 2]).with("keepdims", 0));
        check(13, op, x.clone(), plain);
    }
    check(13, "ReduceLogSumExp", Draw::new(1).between(-900.0, 900.0, &[2, 3]), |m| m.with("axes", vec![1i64]));
}

/// A norm of zeros has none of its own; 0 is what PyTorch answers.
#[test]
fn norms_of_zeros() {
    slopes(13, "ReduceL2", &[0.0, 0.0], &[0.0, 0.0], |m| m.with("keepdims", 1).with("axes", vec![0i64]));
    slopes(13, "ReduceL1", &[0.0, 2.0], &[0.0, 1.0], |m| m.with("keepdims", 1).with("axes", vec![0i64]));
}

#[test]
fn activations() {
    let away = || Draw::new(1).away_from(&[0.0, 0.5, -0.5, 1.0], &[30]);
    check(12, "Celu", away(), |m| m.with("alpha", 2.0f32));
    check(22, "Elu", away(), |m| m.with("alpha", 0.5f32));
    check(22, "Selu", away(), plain);
    check(22, "ThresholdedRelu", away(), |m| m.with("alpha", 0.5f32));
    check(9, "Shrink", away(), |m| m.with("lambd", 0.5f32).with("bias", 0.25f32));
    check(22, "Softplus", away(), plain);
    check(22, "Mish", away(), plain);
}

/// PyTorch's conventions: the slope from below, but none below a threshold; where there is a derivative, that.
#[test]
fn activations_at_their_kinks() {
    slopes(22, "Elu", &[-0.0, 0.0, 1.0], &[0.5, 0.5, 1.0], |m| m.with("alpha", 0.5f32));
    slopes(22, "Selu", &[0.0], &[1.050_701 * 1.673_263_2], plain);
    slopes(12, "Celu", &[0.0, 3.0], &[1.0, 1.0], |m| m.with("alpha", 2.0f32));
    slopes(22, "ThresholdedRelu", &[0.5, 0.75], &[0.0, 1.0], |m| m.with("alpha", 0.5f32));
    slopes(9, "Shrink", &[-0.5, 0.0, 0.5], &[0.0; 3], plain);
    slopes(22, "Softplus", &[-1e4, 0.0, 1e4], &[0.0, 0.5, 1.0], plain);
    slopes(22, "Mish", &[-1e4, 0.0, 1e4], &[0.0, 0.6, 1.0], plain);
    let prelu: With = |m| m.floats("slope", &[1], &[0.25]);
    let maker = prelu(Maker::new(16).input("x", "f32[3]")).node("PRelu", &["x", "slope"], &["y"]);
    let mut graph = import(&maker.output("y", "f32[3]").model(), &ImportOptions::default()).unwrap().graph;
    let (x, y) = (graph.inputs[0], graph.outputs[0]);
    let dx = onnx_autodiff::gradient(&mut graph, &[(y, x)], &[x]).unwrap()[0].unwrap();
    let values = ArrayD::from_shape_vec(IxDyn(&[3]), vec![-2.0, 0.0, 2.0]).unwrap();
    assert_eq!(evaluate(&graph, 1, &[(x, values)], &[dx]).unwrap()[0].as_slice().unwrap(), [-0.5, 0.0, 2.0]);
}

#[test]
fn normalisations() {
    let x = Draw::new(1).away_from(&[0.0], &[2, 3, 4, 5]);
    for p in [1, 2] {
        let with: With = if p == 1 { |m| m.with("p", 1).with("axis", 1) } else { |m| m.with("axis", 1) };
        check(22, "LpNormalization", x.clone(), with);
    }
    check(13, "MeanVarianceNormalization", x.clone(), plain);
    check(13, "MeanVarianceNormalization", x, |m| m.with("axes", vec![1i64]));
}

/// Scale and bias have gradients, too; LayerNormalization's mean and 1 / √(var + ε) are outputs that may be read.
#[test]
fn normalisations_with_a_scale() {
    let x = || Draw::new(1).between(-2.0, 2.0, &[2, 3, 4]);
    for (axis, scale) in [(-1, vec![4]), (1, vec![3, 4]), (0, vec![2, 3, 4])] {
        let sizes: Vec<String> = scale.iter().map(usize::to_string).collect();
        let maker =
            |opset| Maker::new(opset).input("x", "f32[2,3,4]").input("scale", &format!("f32[{}]", sizes.join(",")));
        let weights = |seed| Draw::new(seed).between(0.5, 1.5, &scale);
        let root_mean_square = maker(23).node("RMSNormalization", &["x", "scale"], &["y0"]).with("epsilon", 0.1f32);
        check_all(root_mean_square.with("axis", axis), 1, &[x(), weights(3)]);
        let layer = maker(17).input("bias", &format!("f32[{}]", sizes.join(",")));
        let layer =
            layer.node("LayerNormalization", &["x", "scale", "bias"], &["y0", "y1", "y2"]).with("epsilon", 0.1f32);
        check_all(layer.with("axis", axis), 3, &[x(), weights(3), weights(4)]);
    }
    // Without a bias; of the outputs only the last is read.
    let layer = Maker::new(17).input("x", "f32[2,3,4]").floats("scale", &[4], &[1.0; 4]);
    check_all(layer.node("LayerNormalization", &["x", "scale"], &["y", "mean", "y0"]), 1, &[x()]);
}

#[test]
fn triangles_and_diagonals() {
    let x = || Draw::new(1).between(-2.0, 2.0, &[2, 3, 4]);
    for k in [-4, -1, 0, 2, 3] {
        for upper in [0, 1] {
            let nothing = (upper == 0 && k < -2) || (upper == 1 && k > 3);
            let maker = Maker::new(14).input("x", "f32[2,3,4]").integers("k", &[], &[k]);
            let maker = maker.node("Trilu", &["x", "k"], &["part"]).with("upper", upper);
            // Beside x itself, so that a part of nothing has a gradient as well.
            let maker = if nothing {
                maker.node("Add", &["part", "x"], &["y0"])
            } else {
                maker.node("Mul", &["part", "x"], &["y0"])
            };
            check_all(maker, 1, &[x()]);
        }
    }
    for k in [-1, 0, 2] {
        let maker = Maker::new(22).input("x", "f32[3,4]").node("EyeLike", &["x"], &["eye"]).with("k", k);
        check_all(maker.node("Mul", &["eye", "x"], &["y0"]), 1, &[Draw::new(1).between(-2.0, 2.0, &[3, 4])]);
    }
}

/// The two values that OneHot chooses between have a gradient; places that are none count for the first.
#[test]
fn one_of_several() {
    for axis in [-1, 0, 1] {
        let maker = Maker::new(11).input("values", "f32[2]").integers("places", &[2, 3], &[0, 3, -1, 2, 2, 7]);
        let maker = maker.integers("depth", &[], &[4]).node("OneHot", &["places", "depth", "values"], &["y0"]);
        let values = ArrayD::from_shape_vec(IxDyn(&[2]), vec![-0.5, 2.0]).unwrap();
        check_all(maker.with("axis", axis), 1, &[values]);
    }
}

#[test]
fn pooling_by_norms() {
    let x = Draw::new(1).away_from(&[0.0], &[1, 2, 5, 6]);
    let padded: With =
        |m| m.with("kernel_shape", vec![3i64, 2]).with("pads", vec![1i64, 0, 1, 1]).with("strides", vec![2i64, 2]);
    check(18, "LpPool", x.clone(), padded);
    check(18, "LpPool", x.clone(), |m| m.with("kernel_shape", vec![2i64, 2]).with("p", 1));
    check(18, "LpPool", x.clone(), |m| {
        m.with("kernel_shape", vec![2i64, 2]).with("p", 3).with("ceil_mode", 1).with("strides", vec![2i64, 4])
    });
    check(22, "GlobalLpPool", x.clone(), plain);
    check(22, "GlobalLpPool", x, |m| m.with("p", 3));
}

#[test]
fn remainders() {
    let maker = Maker::new(13).input("x", "f32[4]").floats("b", &[4], &[2.0, 2.0, -2.0, 0.75]);
    let maker = maker.node("Mod", &["x", "b"], &["y"]).with("fmod", 1).output("y", "f32[4]");
    let mut graph = import(&maker.model(), &ImportOptions::default()).unwrap().graph;
    let (x, y) = (graph.inputs[0], graph.outputs[0]);
    let dx = onnx_autodiff::gradient(&mut graph, &[(y, x)], &[x]).unwrap()[0].unwrap();
    let values = ArrayD::from_shape_vec(IxDyn(&[4]), vec![-3.5, 3.5, 3.5, -1.0]).unwrap();
    let found = evaluate(&graph, 1, &[(x, values.clone())], &[y, dx]).unwrap();
    assert_eq!(found[0].as_slice().unwrap(), [-1.5, 1.5, 1.5, -0.25]);
    assert_eq!(found[1], values, "what is sent back is what comes");
}

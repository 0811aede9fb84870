use ndarray::{ArrayD, arr1};
use onnx_graph::{Constant, DataType, Emit, Tensor};
use testkit::Check;

use crate::{a, bytes, check, gradients, positive, x};

check! {
    // The scale is a factor.
    DequantizeLinear: [bytes([2, 3], &[0, 7, 255, 128, 3, 90]), positive([])] {a().with("axis", 0i64)},
        [bytes([2, 3], &[0, 7, 255, 128, 3, 90]), x([3]), bytes([3], &[128, 0, 255])] {a().with("axis", 1i64)},
        [bytes([2, 3], &[0, 7, 255, 128, 3, 90]), x([2]), bytes([2], &[128, 3])] {a().with("axis", 0i64)};
}

/// Those whose gradient is no derivative: the tests below, and PyTorch's (tests/pytorch.rs).
pub const STRAIGHT_THROUGH: &[&str] = &["QuantizeLinear", "DynamicQuantizeLinear"];

fn constants(scales: &[f32], zeros: &[i64], to: DataType) -> [Constant; 2] {
    let dims = if scales.len() == 1 { vec![] } else { vec![scales.len()] };
    [Constant::f32s(&dims, scales), Constant::integers(to, &dims, zeros).unwrap()]
}

/// Rounded and back: the gradient is the seed's, where nothing is cut off.
#[track_caller]
fn passes(points: &[f64], scale: f32, zero: i64, to: DataType, inside: &[bool]) {
    let points = arr1(points).into_dyn();
    let seed: ArrayD<f64> = points.mapv(|v| v + 10.0);
    let round = |e: &Emit, x: &[Tensor]| {
        let [scale, zero] = constants(&[scale], &[zero], to).map(|c| e.constant(c));
        let attributes = a().with("axis", 0i64);
        let q = e.node("QuantizeLinear", &[x[0], scale, zero], attributes.clone().with("to", to as i64));
        e.node("DequantizeLinear", &[q, scale, zero], attributes)
    };
    let (_, found) = Check::default().gradients(round, std::slice::from_ref(&points), &seed, gradients).unwrap();
    let expected: Vec<f64> = seed.iter().zip(inside).map(|(dy, inside)| if *inside { *dy } else { 0.0 }).collect();
    assert_eq!(found[0].iter().copied().collect::<Vec<f64>>(), expected);
}

/// Inside is what rounds into the type's range, and the half step beyond it.
#[test]
fn rounding_is_passed_where_nothing_is_cut_off() {
    passes(
        &[-2.0, -0.3, -0.25, 0.0, 0.3, 127.5, 127.75, 128.0],
        0.5,
        0,
        DataType::U8,
        &[false, false, true, true, true, true, true, false],
    );
    passes(&[-69.0, -60.0, 0.1, 59.75, 60.1], 0.5, 8, DataType::I8, &[false, true, true, true, false]);
    passes(&[-40.0, 1e4, 3e4, 4e4], 1.0, -32768, DataType::I16, &[false, true, true, true]);
}

/// The range that it measures counts as constant: what it makes of x passes x's gradient, whichever element is the extreme.
#[test]
fn a_measured_range_is_constant() {
    let points = arr1(&[-1.0, 0.25, 3.0, 0.7]).into_dyn();
    let seed = arr1(&[1.0, -2.0, 0.5, 4.0]).into_dyn();
    let round = |e: &Emit, x: &[Tensor]| {
        let made = e.nodes("DynamicQuantizeLinear", &[Some(x[0])], a());
        e.node("DequantizeLinear", &[made[0], made[1], made[2]], a().with("axis", 0i64))
    };
    let (_, found) = Check::default().gradients(round, std::slice::from_ref(&points), &seed, gradients).unwrap();
    found[0].iter().zip(&seed).for_each(|(g, dy)| assert!((g - dy).abs() < 1e-6, "{g} instead of {dy}"));
}

/// A MaxPool of bytes sends back what one of floats does: padding holds no maximum, also where that is stored as 0.
#[test]
fn bytes_are_pooled_as_floats_are() {
    let points =
        ndarray::arr2(&[[-1.0, 0.0, 0.4], [0.0, -2.0, -0.3], [0.9, 0.1, -1.0]]).into_shape_with_order((1, 1, 3, 3));
    let points = points.unwrap().into_dyn();
    let pool = |of_bytes: bool| {
        move |e: &Emit, x: &[Tensor]| {
            let [scale, zero] = constants(&[0.1], &[0], DataType::U8).map(|c| e.constant(c));
            let axis = a().with("axis", 0i64);
            let windows = a()
                .with("kernel_shape", vec![2, 2])
                .with("strides", vec![2, 2])
                .with("dilations", vec![1, 1])
                .with("pads", vec![1, 1, 0, 0])
                .with("ceil_mode", false);
            let q = e.node("QuantizeLinear", &[x[0], scale, zero], axis.clone().with("to", DataType::U8 as i64));
            let back = |q: Tensor| e.node("DequantizeLinear", &[q, scale, zero], axis.clone());
            let pooled = |x: Tensor| e.node("MaxPool", &[x], windows.clone());
            if of_bytes { back(pooled(q)) } else { pooled(back(q)) }
        }
    };
    let seed = ndarray::arr2(&[[1.0, 2.0], [3.0, 5.0]]).into_shape_with_order((1, 1, 2, 2)).unwrap().into_dyn();
    let of = |of_bytes| {
        let check = Check::default();
        check.gradients(pool(of_bytes), std::slice::from_ref(&points), &seed, gradients).unwrap().1.remove(0)
    };
    assert_eq!(of(true), of(false));
    assert!(of(true).sum() > 0.0);
}

//! The checker itself: right gradients pass, wrong ones are told.

use onnx_graph::Attributes;

use super::*;

/// dx of y = x², right or (with another factor) wrong.
fn square(factor: f32) -> impl Fn(&mut Graph, Tensor, Tensor, &[Tensor]) -> Vec<Option<Tensor>> {
    move |graph, _, dy, wrt| {
        let e = Emit::new(graph);
        let dx = e.scale(e.mul(wrt[0], dy), factor);
        e.finish().unwrap();
        vec![Some(dx)]
    }
}

#[test]
fn a_right_gradient_passes_and_a_wrong_one_is_told() {
    let x = [Draw::new(1).uniform(&[2, 3])];
    let build = |e: &Emit, x: &[Tensor]| e.mul(x[0], x[0]);
    check_vjp(build, &x, square(2.0)).unwrap();
    let batched = Check { batched: vec![0], ..Check::default() };
    batched.vjp(build, &x, square(2.0)).unwrap();
    let error = check_vjp(build, &x, square(2.00001)).unwrap_err();
    assert!(error.starts_with("gradient of input 0 at [0, 0] (element 0, x = "), "{error}");
    assert!(error.contains("expected") && error.contains("found"), "{error}");
}

#[test]
fn one_wrong_element_is_found_by_its_coordinate() {
    let x = [Draw::new(2).away_from(&[0.0], &[5])];
    let build = |e: &Emit, x: &[Tensor]| e.relu(x[0]);
    let wrong = |graph: &mut Graph, y: Tensor, dy: Tensor, _: &[Tensor]| {
        let e = Emit::new(graph);
        let last = e.constant(onnx_graph::Constant::f32s(&[5], &[0.0, 0.0, 0.0, 0.0, 1.0]));
        let dx = e.add(e.mul(dy, e.positive(y)), last);
        e.finish().unwrap();
        vec![Some(dx)]
    };
    let error = check_vjp(build, &x, wrong).unwrap_err();
    assert!(error.starts_with("gradient of input 0 at [4] (element 4"), "{error}");
}

#[test]
fn no_gradient_stands_for_zero() {
    let x = [Draw::new(3).uniform(&[4])];
    let floor = |e: &Emit, x: &[Tensor]| e.node("Floor", &[x[0]], Attributes::none());
    check_vjp(floor, &x, |_, _, _, _| vec![None]).unwrap();
    let neg = |e: &Emit, x: &[Tensor]| e.neg(x[0]);
    assert!(check_vjp(neg, &x, |_, _, _, _| vec![None]).unwrap_err().contains("found 0"));
}

#[test]
fn a_gradient_of_another_shape_is_told() {
    let x = [Draw::new(4).uniform(&[3]), Draw::new(5).uniform(&[2, 3])];
    let build = |e: &Emit, x: &[Tensor]| e.add(x[0], x[1]);
    let unsummed = |_: &mut Graph, _: Tensor, dy: Tensor, wrt: &[Tensor]| vec![Some(dy); wrt.len()];
    let error = check_vjp(build, &x, unsummed).unwrap_err();
    assert_eq!(error, "gradient of input 0 is [2, 3], the input [3]");
}

#[test]
fn a_gradient_that_depends_on_what_else_is_asked_for_is_told() {
    let x = [Draw::new(6).uniform(&[3]), Draw::new(7).uniform(&[3])];
    let build = |e: &Emit, x: &[Tensor]| e.add(x[0], x[1]);
    let careless = |_: &mut Graph, _: Tensor, dy: Tensor, wrt: &[Tensor]| match wrt {
        [_] => vec![None],
        _ => vec![Some(dy), Some(dy)],
    };
    let error = check_vjp(build, &x, careless).unwrap_err();
    assert!(error.starts_with("input 0: its gradient is another"), "{error}");
}

#[test]
fn gradients_at_a_kink() {
    let x = [ArrayD::from_shape_vec(vec![2], vec![0.0, 1.0]).unwrap()];
    let dy = ArrayD::from_shape_vec(vec![2], vec![5.0, 7.0]).unwrap();
    let masked = |graph: &mut Graph, y: Tensor, dy: Tensor, _: &[Tensor]| {
        let e = Emit::new(graph);
        let dx = e.mul(dy, e.positive(y));
        e.finish().unwrap();
        vec![Some(dx)]
    };
    let (y, dx) = Check::default().gradients(|e, x| e.relu(x[0]), &x, &dy, masked).unwrap();
    assert_eq!((y.as_slice().unwrap(), dx[0].as_slice().unwrap()), (&[0.0, 1.0][..], &[0.0, 7.0][..]));
}

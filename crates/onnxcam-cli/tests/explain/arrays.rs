//! `.npy` files as input.

use ndarray::{ArrayD, IxDyn};
use onnxcam::picture::{Fit, Picture, Preprocess, Preset};

use crate::desk::Desk;

fn array(shape: &[usize]) -> ArrayD<f32> {
    let mut n = 0.0f32;
    ArrayD::from_shape_simple_fn(IxDyn(shape), || {
        n += 1.0;
        (n * 0.37).sin()
    })
}

#[test]
fn an_array_is_fed_as_it_is() {
    let desk = Desk::with(&["a.png"]);
    let preprocess = Preprocess::preset(Preset::Tf, 16, 16).with_fit(Fit::Stretch);
    let (fed, _) = preprocess.apply(&Picture::open(desk.path("a.png")).unwrap()).unwrap();
    desk.array("fed.npy", &fed.into_dyn());
    let of_picture = desk.explain(&["a.png", "--preset", "tf", "--fit", "stretch", "--save", "map", "--json"]).well();
    let of_array = desk.explain(&["fed.npy", "--save", "map", "--json"]).well();
    assert_eq!(of_picture.json()[0]["top"], of_array.json()[0]["top"]);
    assert_eq!(desk.read_map("a.grad-cam++.map.npy"), desk.read_map("fed.grad-cam++.map.npy"));
    assert!(!of_array.err.contains("preprocessing"), "{of_array:?}");
}

#[test]
fn images_of_an_array_are_counted() {
    let desk = Desk::new();
    desk.array("three.npy", &array(&[3, 3, 16, 16]));
    let ran = desk.explain(&["three.npy", "--save", "map", "--class", "0,1", "--json"]).well();
    let expected = ["three.0", "three.1", "three.2"]
        .map(|stem| [0, 1].map(|class| format!("{stem}.class{class}.grad-cam++.map.npy")))
        .concat();
    assert_eq!(desk.made("."), expected);
    assert_eq!(ran.json().len(), 3);
    desk.array("one.npy", &array(&[1, 3, 16, 16]));
    desk.explain(&["one.npy", "--save", "map", "-o", "one"]).well();
    assert_eq!(desk.made("one"), ["one.grad-cam++.map.npy"]);
}

#[test]
fn without_a_picture_the_heatmap_is_drawn_and_that_is_said() {
    let desk = Desk::new();
    desk.array("a.npy", &array(&[1, 3, 16, 16]));
    let ran = desk.explain(&["a.npy", "--save", "overlay,panel"]).well();
    assert!(ran.err.contains("a.npy holds no picture to draw on"), "{ran:?}");
    assert_eq!(desk.made("."), ["a.grad-cam++.heatmap.png"]);
    assert_eq!(desk.read_picture("a.grad-cam++.heatmap.png").dimensions(), (16, 16));
    desk.explain(&["a.npy", "-o", "x.png"]).well();
    assert!(desk.path("x.png").is_file());
}

#[test]
fn another_layout_is_a_clear_error() {
    let desk = Desk::with(&["good.png"]);
    let cases: [(&[usize], &str); 5] = [
        (&[1, 16, 16, 3], "channels before height and width"),
        (&[3, 16, 16], "first axis counts pictures"),
        (&[0, 3, 16, 16], "no picture in it"),
        (&[2, 3, 8, 8], "network's own layout"),
        (&[], "network's own layout"),
    ];
    for (shape, hint) in cases {
        desk.array("bad.npy", &array(shape));
        let ran =
            desk.explain(&["bad.npy", "good.png"]).badly(&["bad.npy", &format!("{shape:?}"), "[N, 3, 16, 16]", hint]);
        assert!(ran.out.starts_with("good.png\n"), "{ran:?}");
    }
    std::fs::write(desk.path("bad.npy"), b"\x93NUMPY\x01\x00\x02\x00{}").unwrap();
    desk.explain(&["bad.npy"]).badly(&["bad.npy", "hint"]);
}

#[test]
fn what_is_no_number_in_an_array_is_said() {
    let desk = Desk::new();
    let mut odd = array(&[1, 3, 16, 16]);
    desk.array("whole.npy", &odd);
    odd[[0, 1, 2, 3]] = f32::NAN;
    desk.array("odd.npy", &odd);
    let said = "odd.npy: the array holds NaN or infinity";
    assert!(desk.explain(&["odd.npy", "--save", "map"]).well().err.contains(said));
    assert!(!desk.explain(&["whole.npy", "--save", "map"]).well().err.contains("the array holds"));
}

//! `--variant`.

use serde_json::{Value, json};

use crate::desk::Desk;

#[test]
fn another_formula_of_grad_cam_plus_plus() {
    let desk = Desk::with(&["a.png"]);
    let explained = |variant: &[&str]| {
        let arguments = ["a.png", "--json", "--class", "2", "--method", "grad-cam,grad-cam++", "--save", "map"];
        let ran = desk.explain(&[&arguments[..], variant].concat()).well();
        let said: Vec<Value> = ran.json()[0]["explanations"].as_array().unwrap().clone();
        let said: Vec<Value> = said.iter().map(|e| json!([e["method"], e["variant"]])).collect();
        let name = match variant {
            [_, variant] if *variant != "paper" => format!("a.grad-cam++-{variant}.map.npy"),
            _ => "a.grad-cam++.map.npy".to_owned(),
        };
        (said, desk.read_map("a.grad-cam.map.npy"), desk.read_map(&name))
    };
    let paper = explained(&[]);
    assert_eq!(paper.0, [json!(["grad-cam", "paper"]), json!(["grad-cam++", "paper"])]);
    assert_eq!(explained(&["--variant", "paper"]), paper);
    let mut maps = vec![paper.2.clone()];
    for variant in ["authors", "pytorch-grad-cam", "torch-cam", "tf-keras-vis", "xplique"] {
        let (said, grad_cam, map) = explained(&["--variant", variant]);
        assert_eq!(said, [json!(["grad-cam", "paper"]), json!(["grad-cam++", variant])]);
        assert_eq!(grad_cam, paper.1, "only Grad-CAM++ has this formula");
        // Of two that divide by a sum of α, behind pooling one is the other.
        let known = maps
            .iter()
            .any(|other| (other - &map).iter().all(|d| d.abs() <= 1e-6 * other.fold(0.0, |m: f32, v| m.max(*v))));
        assert_eq!(known, variant == "tf-keras-vis", "{variant}");
        maps.push(map);
    }
}

#[test]
fn drawings_name_the_formula() {
    let desk = Desk::with(&["a.png"]);
    desk.explain(&["a.png", "--variant", "torch-cam"]).well();
    let text = onnxcam::heatmap::read_png_text(&desk.path("a.grad-cam++-torch-cam.overlay.png")).unwrap();
    assert!(text.contains(&("variant".to_owned(), "torch-cam".to_owned())), "{text:?}");
}

#[test]
fn unknown_formulas_are_named() {
    let desk = Desk::with(&["a.png"]);
    let badly = |arguments: &[&str], words: &[&str]| {
        desk.explain(&[&["a.png"], arguments].concat()).badly(words);
        assert!(desk.made(".").is_empty());
    };
    badly(&["--variant", "captum"], &["grad-cam++ has no variant \"captum\"", "literal, authors, pytorch-grad-cam"]);
    badly(&["--variant", "authors", "--method", "grad-cam"], &["grad-cam has no variant", "its only one is paper"]);
}

//! What may be replaced, and what not.

use std::fs;

use onnxcam::digest::Digest;
use onnxcam::heatmap::read_png_text;

use crate::desk::Desk;

#[test]
fn a_command_can_be_repeated() {
    let desk = Desk::with(&["a.png", "b.png"]);
    let all = ["a.png", "b.png", "--save", "overlay,heatmap,map,panel", "--class", "top2", "-o", "o"];
    let first = desk.explain(&all).well();
    let second = desk.explain(&all).well();
    assert_eq!(first.out, second.out);
    desk.explain(&["a.png", "-o", "x.png"]).well();
    desk.explain(&["a.png", "-o", "x.png"]).well();
}

#[test]
fn another_file_is_an_error_before_any_work() {
    let desk = Desk::with(&["a.png", "b.png"]);
    let foreign = desk.path("b.grad-cam++.overlay.png");
    fs::write(&foreign, "my notes").unwrap();
    let ran = desk.explain(&["a.png", "b.png"]).badly(&["b.grad-cam++.overlay.png exists", "--overwrite"]);
    assert_eq!((ran.out.as_str(), desk.made(".").len()), ("", 1));
    assert_eq!(fs::read(&foreign).unwrap(), b"my notes");

    desk.explain(&["a.png", "b.png", "--overwrite"]).well();
    assert_eq!(desk.read_picture("b.grad-cam++.overlay.png").dimensions(), (31, 20));
}

#[test]
fn another_picture_is_not_taken_for_ours() {
    let desk = Desk::with(&["a.png", "a.grad-cam++.overlay.png", "x.png"]);
    desk.explain(&["a.png"]).badly(&["exists"]);
    desk.explain(&["a.png", "-o", "x.png"]).badly(&["x.png exists"]);
    assert_eq!(desk.read_picture("x.png").dimensions(), (32, 20));
}

#[test]
fn of_open_classes_every_name_is_checked_before_any_work() {
    let desk = Desk::with(&["a.png"]);
    fs::write(desk.path("a.class5.grad-cam++.overlay.png"), "mine").unwrap();
    let ran = desk.explain(&["a.png", "--class", "top6"]).badly(&["a.class5.grad-cam++.overlay.png exists"]);
    assert_eq!((ran.out.as_str(), desk.made(".").len()), ("", 1));
}

#[test]
fn an_input_is_never_overwritten() {
    let desk = Desk::with(&["a.png"]);
    let before = fs::read(desk.path("a.png")).unwrap();
    for path in ["a.png", "./a.png", "net.onnx/../a.png"] {
        let ran = desk.explain(&["a.png", "-o", path, "--overwrite"]);
        assert_eq!(ran.status, Some(1), "{ran:?}");
    }
    desk.explain(&["a.png", "-o", "./a.png", "--overwrite"]).badly(&["is an input"]);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("a.png", desk.path("soft.png")).unwrap();
        fs::hard_link(desk.path("a.png"), desk.path("hard.png")).unwrap();
        for link in ["soft.png", "hard.png"] {
            desk.explain(&["a.png", "-o", link, "--overwrite"]).badly(&["is an input"]);
            desk.explain(&[link, "-o", "a.png", "--overwrite"]).badly(&["is an input"]);
        }
    }
    assert_eq!(fs::read(desk.path("a.png")).unwrap(), before);
}

#[test]
fn a_model_or_a_folder_is_not_replaced_either() {
    let desk = Desk::with(&["a.png"]);
    fs::copy(desk.path("net.onnx"), desk.path("net.png")).unwrap();
    desk.explain(&["a.png", "--model", "net.png", "-o", "net.png", "--overwrite"]).badly(&["net.png is an input"]);
    fs::create_dir(desk.path("a.grad-cam++.overlay.png")).unwrap();
    desk.explain(&["a.png", "--overwrite"]).badly(&["in the way"]);
}

#[test]
fn drawings_say_how_they_were_made() {
    let desk = Desk::with(&["a.png"]);
    desk.explain(&["a.png", "--class", "2", "--method", "grad-cam,grad-cam++", "--save", "overlay,heatmap,panel"])
        .well();
    let hash = Digest::of(&fs::read(desk.path("net.onnx")).unwrap()).to_string();
    let said = |file: &str| {
        let text = read_png_text(&desk.path(file)).unwrap();
        let of = |keyword: &str| text.iter().find(|(k, _)| k == keyword).map(|(_, v)| v.clone()).unwrap_or_default();
        ["method", "variant", "layer", "class", "model"].map(of)
    };
    for kind in ["overlay", "heatmap"] {
        assert_eq!(said(&format!("a.grad-cam++.{kind}.png")), ["grad-cam++", "paper", "features", "2", &hash]);
    }
    assert_eq!(said("a.panel.png"), ["grad-cam, grad-cam++", "paper", "features", "2", &hash]);
}

#[test]
fn nothing_half_written_stays() {
    let desk = Desk::with(&["a.png"]);
    desk.explain(&["a.png", "--save", "overlay,map,panel", "-o", "o"]).well();
    let names = fs::read_dir(desk.path("o")).unwrap().count();
    assert_eq!(names, 3);
    fs::write(desk.path("file"), "").unwrap();
    desk.explain(&["a.png", "-o", "file/below"]).badly(&["file"]);
    desk.explain(&["a.png", "-o", "file"]).badly(&["file is a file"]);
}

//! Which files are explained: names, folders, globs.

use std::fs;

use onnx_graph::proto::DimensionValue;
use testkit::models::tiny_cnn;

use crate::desk::{CLASSES, Desk, Ran, declaring};

fn files(ran: &Ran) -> Vec<String> {
    ran.json().iter().map(|line| line["file"].as_str().unwrap().replace('\\', "/")).collect()
}

#[test]
fn a_folder_is_sorted_and_what_is_no_picture_is_left_out() {
    let desk = Desk::with(&["in/c.png", "in/a.png", "in/.hidden.png", "in/deep/d.png"]);
    fs::write(desk.path("in/readme.txt"), "text").unwrap();
    fs::copy(desk.path("in/a.png"), desk.path("in/b")).unwrap();
    let ran = desk.explain(&["in", "--json", "-o", "o"]).well();
    assert_eq!(files(&ran), ["in/a.png", "in/b", "in/c.png"]);
    assert!(ran.err.contains("1 file is left out"), "{ran:?}");
    let all = desk.explain(&["in", "--json", "-o", "o", "--recursive"]).well();
    assert_eq!(files(&all), ["in/a.png", "in/b", "in/c.png", "in/deep/d.png"]);
}

#[test]
fn our_own_drawings_are_not_explained_again() {
    let desk = Desk::with(&["in/a.png", "in/b.png"]);
    let explain = || desk.explain(&["in", "--json", "-o", "in", "--save", "overlay,panel"]).well();
    assert_eq!(files(&explain()), ["in/a.png", "in/b.png"]);
    assert_eq!(files(&explain()), ["in/a.png", "in/b.png"]);
    assert_eq!(files(&desk.explain(&["in/*.png", "--json", "-o", "o"]).well()), ["in/a.png", "in/b.png"]);
}

#[test]
fn globs_are_expanded_by_the_program() {
    let desk = Desk::with(&["a1.png", "a2.png", "b.png", "in/a3.png"]);
    assert_eq!(files(&desk.explain(&["a*.png", "--json"]).well()), ["a1.png", "a2.png"]);
    assert_eq!(files(&desk.explain(&["**/a?.png", "--json", "-o", "o"]).well()), ["a1.png", "a2.png", "in/a3.png"]);
    desk.explain(&["*.gif"]).badly(&["no file matches *.gif", "hint"]);
}

#[test]
fn brackets_in_a_name_that_exists_are_brackets() {
    let desk = Desk::with(&["a[1].png", "a1.png", "디버그 ñ/b.png"]);
    assert_eq!(files(&desk.explain(&["a[1].png", "--json"]).well()), ["a[1].png"]);
    assert_eq!(files(&desk.explain(&["디버그 ñ/b.png", "--json", "-o", "디버그 ñ"]).well()), ["디버그 ñ/b.png"]);
    assert_eq!(desk.made("디버그 ñ"), ["b.grad-cam++.overlay.png"]);
}

#[cfg(target_os = "linux")]
#[test]
fn names_need_not_be_utf8() {
    use std::os::unix::ffi::OsStrExt;
    let name = |bytes: &'static [u8]| std::ffi::OsStr::from_bytes(bytes);
    let desk = Desk::new();
    desk.picture(name(b"caf\xE9.png"), (30, 20));
    for argument in [name(b"caf\xE9.png"), name(b"caf*.png")] {
        let ran = desk.explain(&[argument, "-o".as_ref(), "o".as_ref()]).well();
        assert!(ran.out.starts_with("caf\u{fffd}.png\n"), "{ran:?}");
        assert!(desk.path("o").join(name(b"caf\xE9.grad-cam++.overlay.png")).is_file());
    }
}

#[test]
fn nothing_to_explain_is_a_clear_error() {
    let desk = Desk::new();
    fs::create_dir(desk.path("empty")).unwrap();
    desk.explain(&["empty"]).badly(&["no picture in folder empty"]);
    desk.explain(&["missing.png"]).badly(&["missing.png"]);
    assert_eq!(desk.explain::<&str>(&[]).status, Some(2));
}

#[test]
fn a_picture_is_known_by_its_content() {
    let desk = Desk::with(&["a.png"]);
    fs::rename(desk.path("a.png"), desk.path("a.jpg")).unwrap();
    desk.explain(&["a.jpg"]).well();
    fs::write(desk.path("b.png"), "no picture").unwrap();
    desk.explain(&["b.png"]).badly(&["b.png is not a picture"]);
}

#[test]
fn batches_do_not_change_results() {
    let names: Vec<String> = (0..7).map(|i| format!("in/{i}.png")).collect();
    let desk = Desk::with(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let run = |batch: &str| {
        let ran =
            desk.explain(&["in", "--json", "--batch", batch, "--save", "map", "--class", "top2,0", "-o", batch]).well();
        let map = |e: &serde_json::Value| desk.read_map(e["files"][0].as_str().unwrap());
        let lines = ran.json();
        let of =
            |line: &serde_json::Value| line["explanations"].as_array().unwrap().iter().map(map).collect::<Vec<_>>();
        lines.iter().map(of).collect::<Vec<_>>()
    };
    let single = run("1");
    for batch in ["2", "3", "7", "16"] {
        for (a, b) in single.iter().flatten().zip(run(batch).iter().flatten()) {
            let scale = a.iter().fold(1e-6f32, |most, v| most.max(v.abs()));
            assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-5 * scale), "batch {batch}");
        }
    }
}

#[test]
fn a_batch_size_that_the_file_fixes_is_kept() {
    let desk = Desk::with(&["a.png", "b.png", "c.png"]);
    for batch in [1, 2] {
        let sizes = [batch, 3, 16, 16].map(|size| Some(DimensionValue::DimValue(size)));
        desk.net_of("fixed.onnx", declaring(tiny_cnn(17, CLASSES), sizes));
        let of = |net: &str| {
            let ran = desk.explain(&["a.png", "b.png", "c.png", "--json", "--model", net]).well();
            ran.json().iter().map(|line| line["top"][0]["class"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(of("fixed.onnx"), of("net.onnx"), "{batch}");
    }
}

//! What the files are called.

use crate::desk::Desk;

#[test]
fn one_overlay_in_the_current_folder_unless_told_otherwise() {
    let desk = Desk::with(&["photo.png"]);
    let ran = desk.explain(&["photo.png"]).well();
    assert_eq!(desk.made("."), ["photo.grad-cam++.overlay.png"]);
    assert_eq!(desk.read_picture("photo.grad-cam++.overlay.png").dimensions(), (30, 20));

    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines[0], "photo.png");
    assert_eq!(lines[1..6].iter().filter(|line| line.contains(" %  ")).count(), 5, "{ran:?}");
    assert_eq!(lines[6..], ["  wrote photo.grad-cam++.overlay.png"]);
}

#[test]
fn one_file_can_be_named() {
    let desk = Desk::with(&["photo.png"]);
    desk.explain(&["photo.png", "-o", "x.png"]).well();
    assert!(desk.path("x.png").is_file());
    desk.explain(&["photo.png", "-o", "new/folder/x.npy", "--save", "map", "--class", "top1"]).well();
    assert_eq!(desk.read_map("new/folder/x.npy").dim(), (8, 8));
    assert!(desk.made(".").is_empty());
    desk.explain(&["photo.png", "-o", "x.jpg"]).badly(&["x.jpg", "png"]);
    desk.explain(&["photo.png", "-o", "x.png", "--save", "map"]).badly(&["x.png", "npy"]);
}

#[test]
fn otherwise_o_is_a_folder() {
    let desk = Desk::with(&["a.png", "b.png"]);
    desk.explain(&["a.png", "-o", "one"]).well();
    assert_eq!(desk.made("one"), ["a.grad-cam++.overlay.png"]);
    desk.explain(&["a.png", "b.png", "-o", "two"]).well();
    assert_eq!(desk.made("two"), ["a.grad-cam++.overlay.png", "b.grad-cam++.overlay.png"]);
    desk.explain(&["a.png", "--method", "grad-cam,cam", "-o", "three/"]).well();
    assert_eq!(desk.made("three"), ["a.cam.overlay.png", "a.grad-cam.overlay.png"]);
    std::fs::create_dir(desk.path("four.png")).unwrap();
    desk.explain(&["a.png", "-o", "four.png"]).well();
    assert_eq!(desk.made("four.png"), ["a.grad-cam++.overlay.png"]);
}

#[test]
fn several_files_do_not_fit_into_one() {
    let desk = Desk::with(&["a.png", "b.png"]);
    let several: [&[&str]; 4] = [
        &["a.png", "b.png"],
        &["a.png", "--method", "cam,grad-cam"],
        &["a.png", "--class", "top2"],
        &["a.png", "--save", "overlay,heatmap"],
    ];
    for arguments in several {
        let ran = desk.explain(&[arguments, &["-o", "x.png"]].concat()).badly(&["x.png", "hint: -o names a folder"]);
        assert_eq!(ran.out, "");
        assert!(!desk.path("x.png").exists());
    }
}

#[test]
fn every_kind_has_its_name() {
    let desk = Desk::with(&["a.b.png"]);
    let kinds = "overlay,heatmap,map,panel";
    let ran = desk.explain(&["a.b.png", "--save", kinds, "--method", "grad-cam,grad-cam++", "-o", "o"]).well();
    let expected = [
        "a.b.grad-cam++.heatmap.png",
        "a.b.grad-cam++.map.npy",
        "a.b.grad-cam++.overlay.png",
        "a.b.grad-cam.heatmap.png",
        "a.b.grad-cam.map.npy",
        "a.b.grad-cam.overlay.png",
        "a.b.panel.png",
    ];
    assert_eq!(desk.made("o"), expected);
    assert_eq!(ran.out.matches("  wrote ").count(), expected.len());
}

#[test]
fn classes_are_in_the_name_where_several_were_asked_for() {
    let desk = Desk::with(&["a.png"]);
    desk.explain(&["a.png", "--class", "4,1", "--save", "map,panel", "-o", "two"]).well();
    assert_eq!(desk.made("two"), ["a.class1.grad-cam++.map.npy", "a.class4.grad-cam++.map.npy", "a.panel.png"]);
    desk.explain(&["a.png", "--class", "top3", "-o", "top"]).well();
    assert_eq!(desk.made("top").len(), 3);
    assert!(desk.made("top").iter().all(|name| name.starts_with("a.class")));
    desk.explain(&["a.png", "--class", "4,4", "-o", "one"]).well();
    assert_eq!(desk.made("one"), ["a.grad-cam++.overlay.png"]);
}

#[test]
fn equal_stems_are_counted() {
    let desk = Desk::with(&["x/a.png", "y/a.png", "z/a.png", "b.png"]);
    let ran = desk.explain(&["x/a.png", "y/a.png", "b.png", "z/a.png", "-o", "o"]).well();
    let expected = [
        "a-2.grad-cam++.overlay.png",
        "a-3.grad-cam++.overlay.png",
        "a.grad-cam++.overlay.png",
        "b.grad-cam++.overlay.png",
    ];
    assert_eq!(desk.made("o"), expected);
    // In the order in which they were named; each overlay is as large as its picture.
    let sizes = ["a", "a-2", "a-3"].map(|stem| desk.read_picture(&format!("o/{stem}.grad-cam++.overlay.png")).width());
    assert_eq!(sizes, [30, 31, 32]);
    assert_eq!(ran.out.matches('\n').count(), 4 * 7);
}

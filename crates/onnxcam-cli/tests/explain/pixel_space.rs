//! Explanation maps, and methods in the space of the picture.

use image::Rgb;
use ndarray::{ArrayD, Axis};
use onnxcam::heatmap::read_npy;
use onnxcam::picture::{Fit, Picture, Preprocess, Preset};
use testkit::models::{tiny_cnn, tiny_nhwc};

use crate::desk::{CLASSES, Desk};

/// E = L ∘ I on the photograph: each pixel times the map, which is the grey heatmap.
#[test]
fn explanation_maps_are_the_picture_times_the_map() {
    let desk = Desk::with(&["a.png"]);
    desk.explain(&["a.png", "--fit", "stretch", "--colormap", "grey", "--save", "heatmap,explanation"]).well();
    let [picture, map, explanation] =
        ["a.png", "a.grad-cam++.heatmap.png", "a.grad-cam++.explanation.png"].map(|name| desk.read_picture(name));
    for ((x, y, Rgb(p)), Rgb(m)) in picture.enumerate_pixels().zip(map.pixels()) {
        let expected = p.map(|p| f64::from(p) * f64::from(m[0]) / 255.0);
        let found = explanation.get_pixel(x, y).0;
        assert!((0..3).all(|c| (f64::from(found[c]) - expected[c]).abs() <= 1.0), "{x}, {y}: {found:?}, {expected:?}");
    }
    assert!(map.pixels().any(|p| p.0[0] == 255) && map.pixels().any(|p| p.0[0] == 0));
}

/// The same as the network is fed it: mask in pixels, then normalised. Where the map is 0 that is black, not grey.
#[test]
fn explanation_inputs_are_the_masked_picture_preprocessed() {
    let desk = Desk::with(&["a.png"]);
    let save = ["--fit", "stretch", "--save", "map,explanation-input"];
    desk.explain(&[&["a.png"], &save[..]].concat()).well();
    let found = read_npy(&desk.path("a.grad-cam++.explanation-input.npy")).unwrap();
    assert_eq!(found.shape(), [1, 3, 16, 16]);
    let map = desk.read_map("a.grad-cam++.map.npy").mapv(|v| v.max(0.0));
    let (rows, columns) = map.dim();
    let between = |at: usize, cells: usize| {
        let at = ((at as f32 + 0.5) * cells as f32 / 16.0 - 0.5).clamp(0.0, (cells - 1) as f32);
        (at as usize, (at as usize + 1).min(cells - 1), at.fract())
    };
    let up = ndarray::Array2::from_shape_fn((16, 16), |(y, x)| {
        let ((top, bottom, v), (left, right, u)) = (between(y, rows), between(x, columns));
        (map[(top, left)] * (1.0 - u) + map[(top, right)] * u) * (1.0 - v)
            + (map[(bottom, left)] * (1.0 - u) + map[(bottom, right)] * u) * v
    });
    let (low, high) = up.iter().fold((f32::MAX, 0f32), |(low, high), v| (low.min(*v), high.max(*v)));
    let mask = up.mapv(|v| (v - low) / (high - low));
    let plain = Preprocess::preset(Preset::Torchvision, 16, 16).with_fit(Fit::Stretch);
    let (x, _) = plain.apply(&Picture::open(desk.path("a.png")).unwrap()).unwrap();
    for ((_, c, y, x_), value) in x.indexed_iter() {
        let (mean, std) = ([0.485, 0.456, 0.406][c], [0.229, 0.224, 0.225][c]);
        let expected = ((value * std + mean) * mask[(y, x_)] - mean) / std;
        let at = found[[0, c, y, x_]];
        assert!((at - expected).abs() < 1e-4, "{c}, {y}, {x_}: {at}, not {expected}");
    }
    // It is an input: the network takes it, and so is what came of an array.
    let fed = desk.explain(&["a.grad-cam++.explanation-input.npy", "--save", "explanation-input", "--json"]).well();
    assert!(fed.out.contains("explanation-input.grad-cam++.explanation-input.npy"), "{fed:?}");
}

/// The raw result is of the input's shape; its heatmap is in colours about grey, whatever the colour map.
#[test]
fn attributions_are_written_and_shown_in_colours() {
    let desk = Desk::with(&["a.png"]);
    desk.net("behind.onnx", tiny_nhwc(17, CLASSES));
    for (net, shape, channel) in [("net.onnx", [3, 16, 16], 0), ("behind.onnx", [16, 16, 3], 2)] {
        let method =
            ["--method", "guided-grad-cam++,gradient", "--fit", "stretch", "--save", "map,heatmap,overlay,panel"];
        let ran = desk.explain(&[&["a.png", "--model", net, "--overwrite"], &method[..]].concat()).well();
        assert!(ran.err.contains("guided-grad-cam++: what it shows hardly changes"), "{ran:?}");
        let map: ArrayD<f32> = read_npy(&desk.path("a.guided-grad-cam++.map.npy")).unwrap();
        assert_eq!(map.shape(), shape);
        let heatmap = desk.read_picture("a.guided-grad-cam++.heatmap.png");
        let strongest = map.iter().fold(0f32, |most, v| most.max(v.abs()));
        assert!(strongest > 0.0);
        // Red is red: where red speaks for the class most, it is brighter than grey.
        let red = map.index_axis(Axis(channel), 0);
        let (at, _) = red.indexed_iter().max_by(|a, b| a.1.total_cmp(b.1)).unwrap();
        let (w, h) = heatmap.dimensions();
        let pixel = |at: usize, size: u32| ((at as f32 + 0.5) / 16.0 * size as f32) as u32;
        let Rgb([red, ..]) = *heatmap.get_pixel(pixel(at[1], w), pixel(at[0], h));
        assert!(red > 140, "{net}: {red}");
        assert!(desk.path("a.gradient.overlay.png").exists() && desk.path("a.panel.png").exists());
    }
}

/// It needs no target layer, so `--layer` plays no part; and JSON names the input.
#[test]
fn the_input_is_the_layer() {
    let desk = Desk::with(&["a.png"]);
    desk.net("net.onnx", tiny_cnn(17, CLASSES));
    let ran = desk.explain(&["a.png", "--method", "gradient,grad-cam", "--json"]).well();
    let found: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let layers: Vec<&str> =
        found["explanations"].as_array().unwrap().iter().map(|e| e["layer"].as_str().unwrap()).collect();
    assert_ne!(layers[0], layers[1], "{layers:?}");
    let alone = desk.explain(&["a.png", "--method", "gradient", "--layer", "features"]).well();
    assert!(
        alone.err.contains("--layer \"features\" plays no part: no method asked for takes feature maps"),
        "{alone:?}"
    );
}

/// Of a network that takes blue first, red is red all the same: with the picture's red and blue changed over it sees the same.
#[test]
fn colours_are_the_pictures_whatever_the_order_of_channels() {
    let desk = Desk::with(&["a.png"]);
    let mut turned = desk.read_picture("a.png");
    turned.pixels_mut().for_each(|Rgb([red, _, blue])| std::mem::swap(red, blue));
    onnxcam::heatmap::write_png(&desk.path("turned.png"), &turned, &[]).unwrap();
    let even = ["--method", "gradient", "--mean", "0.5", "--std", "0.5", "--fit", "stretch", "--save", "heatmap"];
    desk.explain(&[&["a.png"], &even[..]].concat()).well();
    desk.explain(&[&["turned.png", "--channels", "bgr"], &even[..]].concat()).well();
    let [rgb, bgr] = ["a", "turned"].map(|stem| desk.read_picture(&format!("{stem}.gradient.heatmap.png")));
    assert!(rgb.pixels().any(|p| p.0[0] != p.0[2]));
    assert!(rgb.pixels().zip(bgr.pixels()).all(|(Rgb([r, g, b]), Rgb(turned))| *turned == [*b, *g, *r]));
}

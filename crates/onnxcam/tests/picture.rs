//! Pictures as files: good ones, malformed ones, and what torchvision makes of them.
//!
//! `pictures/` and `bad/` come from `pictures/make.py`, `golden/preprocess/` from `references/make_preprocess.py`.

use std::{fs, path::PathBuf};

use image::RgbImage;
use onnxcam::{
    heatmap::read_npy,
    picture::{ChannelOrder, Fit, Layout, MAX_PIXELS, Picture, PictureError, Preprocess, Preset},
};
use png::{BitDepth, ColorType};

fn fixture(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join(path)
}

fn open(path: &str) -> Picture {
    Picture::open(fixture(path)).unwrap()
}

/// Largest difference of two pictures of one size, in levels.
fn difference(a: &RgbImage, b: &RgbImage) -> u8 {
    assert_eq!(a.dimensions(), b.dimensions());
    a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

/// The scene of `make.py`: red, green / blue, white.
fn scene() -> RgbImage {
    RgbImage::from_fn(48, 32, |x, y| {
        image::Rgb(match (x < 24, y < 16) {
            (true, true) => [200, 30, 30],
            (false, true) => [30, 180, 60],
            (true, false) => [40, 60, 210],
            (false, false) => [240, 240, 240],
        })
    })
}

/// A PNG of one colour type and depth.
fn png(size: (u32, u32), color: ColorType, depth: BitDepth, samples: &[u8]) -> Vec<u8> {
    png_with(size, color, depth, samples, |_| {})
}

fn png_with(
    (width, height): (u32, u32),
    color: ColorType,
    depth: BitDepth,
    samples: &[u8],
    more: impl Fn(&mut png::Encoder<&mut Vec<u8>>),
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(color);
    encoder.set_depth(depth);
    more(&mut encoder);
    encoder.write_header().unwrap().write_image_data(samples).unwrap();
    bytes
}

fn pixels(bytes: &[u8]) -> (Vec<[u8; 3]>, Vec<String>) {
    let picture = Picture::decode(bytes, "test").unwrap();
    (picture.rgb().pixels().map(|p| p.0).collect(), picture.notes().to_vec())
}

#[test]
fn every_exif_orientation_comes_out_upright() {
    for value in 1..=8 {
        let picture = open(&format!("pictures/orientation-{value}.jpg"));
        assert!(difference(picture.rgb(), &scene()) <= 3, "orientation {value}");
    }
    assert_eq!(open("pictures/orientation-6.png").rgb(), &scene());
}

#[test]
fn every_kind_of_jpeg_shows_the_scene() {
    for name in ["progressive", "restarts", "rgb", "thumbnail"] {
        let picture = open(&format!("pictures/{name}.jpg"));
        assert!(difference(picture.rgb(), &scene()) <= 4, "{name}");
        assert_eq!(picture.notes(), [""; 0], "{name}");
    }
    // Colours at half resolution run into each other at the edges.
    let subsampled = open("pictures/baseline.jpg");
    for (x, y, pixel) in scene().enumerate_pixels() {
        if x.abs_diff(24) > 2 && y.abs_diff(16) > 2 {
            let found = subsampled.rgb().get_pixel(x, y);
            assert!(found.0.iter().zip(pixel.0).all(|(a, b)| a.abs_diff(b) <= 4), "{x} {y}: {found:?}");
        }
    }
    let grey = open("pictures/grey.jpg");
    for (ours, scene) in grey.rgb().pixels().zip(scene().pixels()) {
        let [r, g, b] = scene.0.map(f32::from);
        let expected = 0.299 * r + 0.587 * g + 0.114 * b;
        assert!(ours.0.iter().all(|&v| (f32::from(v) - expected).abs() < 4.0));
    }
}

/// Pillow takes four channels for Adobe's inverted inks, marker or not; its pixels are the PNGs.
#[test]
fn cmyk_is_as_pillow_has_it() {
    for name in ["cmyk", "cmyk-no-marker", "ycck"] {
        let (ours, pillow) = (open(&format!("pictures/{name}.jpg")), open(&format!("pictures/{name}.png")));
        assert!(difference(ours.rgb(), pillow.rgb()) <= 2, "{name}");
    }
}

#[test]
fn sixteen_bits_are_scaled_not_clipped() {
    let ramp: Vec<u16> = (0..=255).map(|v| v * 257).chain([128, 129, 65_406, 65_407]).collect();
    let samples: Vec<u8> = ramp.iter().flat_map(|v| v.to_be_bytes()).collect();
    let (pixels, notes) = pixels(&png((260, 1), ColorType::Grayscale, BitDepth::Sixteen, &samples));
    let expected: Vec<[u8; 3]> = (0..=255).chain([0, 1, 254, 255]).map(|v| [v; 3]).collect();
    assert_eq!(pixels, expected);
    assert_eq!(notes, ["16-bit samples scaled to 8 bits"]);
}

#[test]
fn alpha_is_composed_over_white_and_said() {
    let note = ["alpha composed over white"];
    // Transparent red, half blue, opaque green.
    let rgba = [255, 0, 0, 0, 0, 0, 255, 128, 0, 255, 0, 255];
    let found = pixels(&png((3, 1), ColorType::Rgba, BitDepth::Eight, &rgba));
    assert_eq!(found, (vec![[255; 3], [127, 127, 255], [0, 255, 0]], note.map(str::to_owned).to_vec()));

    // A transparent digit: black on nothing.
    let found = pixels(&png((2, 1), ColorType::GrayscaleAlpha, BitDepth::Eight, &[0, 255, 0, 0]));
    assert_eq!(found, (vec![[0; 3], [255; 3]], note.map(str::to_owned).to_vec()));

    let palette = png_with((2, 1), ColorType::Indexed, BitDepth::Eight, &[0, 1], |encoder| {
        encoder.set_palette(&[9, 8, 7, 6, 5, 4][..]);
        encoder.set_trns(&[255, 0][..]);
    });
    assert_eq!(pixels(&palette), (vec![[9, 8, 7], [255; 3]], note.map(str::to_owned).to_vec()));

    let key = png_with((2, 1), ColorType::Rgb, BitDepth::Eight, &[1, 2, 3, 4, 5, 6], |encoder| {
        encoder.set_trns(&[0, 1, 0, 2, 0, 3][..]);
    });
    assert_eq!(pixels(&key), (vec![[255; 3], [4, 5, 6]], note.map(str::to_owned).to_vec()));

    // An alpha channel that is opaque throughout needs no word.
    let opaque = png((1, 1), ColorType::Rgba, BitDepth::Eight, &[1, 2, 3, 255]);
    assert_eq!(pixels(&opaque), (vec![[1, 2, 3]], vec![]));
}

#[test]
fn few_bits_per_pixel_are_spread() {
    let one_bit = png((4, 1), ColorType::Grayscale, BitDepth::One, &[0b0101_0000]);
    assert_eq!(pixels(&one_bit).0, [[0; 3], [255; 3], [0; 3], [255; 3]]);
    let two_bits = png((4, 1), ColorType::Grayscale, BitDepth::Two, &[0b0001_1011]);
    assert_eq!(pixels(&two_bits).0, [[0; 3], [85; 3], [170; 3], [255; 3]]);
    let palette = png_with((2, 1), ColorType::Indexed, BitDepth::Four, &[0x10], |encoder| {
        encoder.set_palette(&[9, 8, 7, 6, 5, 4][..]);
    });
    assert_eq!(pixels(&palette).0, [[6, 5, 4], [9, 8, 7]]);
}

/// Every malformed file is refused, as what it is, by name; and nothing panics.
#[test]
fn malformed_files_are_refused() {
    type Check = fn(&PictureError) -> bool;
    let truncated: Check = |e| matches!(e, PictureError::Truncated { .. });
    let damaged: Check = |e| matches!(e, PictureError::Damaged { .. });
    let large: Check = |e| matches!(e, PictureError::TooManyPixels { .. });
    let empty: Check = |e| matches!(e, PictureError::Empty { .. });
    let unknown: Check = |e| matches!(e, PictureError::UnknownFormat { .. });
    let expected = [
        ("claims-16384.jpg", truncated),
        ("claims-16384.png", truncated),
        ("claims-2-to-the-30.png", large),
        ("claims-65535.jpg", large),
        ("cut-after-thumbnail.jpg", truncated),
        ("cut-progressive.jpg", truncated),
        ("cut.jpg", truncated),
        ("cut.png", truncated),
        ("empty.jpg", empty),
        ("few-rows.png", damaged),
        ("gif-inside.jpg", truncated),
        ("no-end.jpg", truncated),
        ("no-end.png", truncated),
        ("no-palette.png", damaged),
        ("no-picture.jpg", damaged),
        ("no-width.png", empty),
        ("text.png", unknown),
        ("webp-inside.png", truncated),
        ("wrong-checksum.png", damaged),
    ];
    let mut found: Vec<String> = fs::read_dir(fixture("bad"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".jpg") || name.ends_with(".png"))
        .collect();
    found.sort();
    assert_eq!(found, expected.map(|(name, _)| name), "every picture in bad/ has its line here");
    for (name, check) in expected {
        let error = Picture::open(fixture("bad").join(name)).unwrap_err();
        assert!(check(&error), "{name}: {error:?}");
        assert!(error.to_string().contains(name), "{name}: {error}");
    }
}

#[test]
fn what_is_not_a_file_is_refused() {
    let folder = fixture("bad");
    assert!(matches!(Picture::open(&folder), Err(PictureError::NotAFile { .. })));
    let error = Picture::open(folder.join("none.jpg")).unwrap_err();
    assert!(matches!(error, PictureError::Io { .. }) && error.to_string().contains("none.jpg"));
    assert!(error.to_string().lines().count() == 1 || error.to_string().contains("hint:"));
}

#[test]
fn no_prefix_of_a_picture_is_a_picture() {
    for name in ["baseline.jpg", "progressive.jpg", "restarts.jpg", "thumbnail.jpg", "cmyk.jpg", "orientation-6.png"] {
        let bytes = fs::read(fixture("pictures").join(name)).unwrap();
        for length in 0..bytes.len() {
            assert!(Picture::decode(&bytes[..length], name).is_err(), "{name}, {length} of {} bytes", bytes.len());
        }
        // What follows the end does not matter.
        let long = [&bytes[..], b"\xFF\xD8 and more"].concat();
        assert_eq!(Picture::decode(&long, name).unwrap().rgb(), Picture::decode(&bytes, name).unwrap().rgb(), "{name}");
    }
}

/// Whatever one flipped bit does, it is a picture or an error.
#[test]
fn no_flipped_bit_panics() {
    for name in ["baseline.jpg", "progressive.jpg", "ycck.jpg", "orientation-6.png"] {
        let good = fs::read(fixture("pictures").join(name)).unwrap();
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(picture) = Picture::decode(&bytes, name) {
                let (width, height) = picture.size();
                assert!(u64::from(width) * u64::from(height) <= MAX_PIXELS);
            }
        }
    }
}

/// A damaged JPEG that can still be shown is, and says so.
#[test]
fn a_jpeg_with_rubbish_between_its_headers_is_noted() {
    let good = fs::read(fixture("pictures/baseline.jpg")).unwrap();
    let first = 4 + usize::from(u16::from_be_bytes([good[4], good[5]]));
    let bytes = [&good[..first], &[0; 8], &good[first..]].concat();
    let picture = Picture::decode(&bytes, "rubbish").unwrap();
    assert_eq!(picture.rgb(), open("pictures/baseline.jpg").rgb());
    assert!(picture.notes()[0].starts_with("the JPEG is not clean"), "{:?}", picture.notes());
}

#[test]
fn names_lose_their_control_characters() {
    let error = Picture::decode(b"", "evil\x1B[2J\n.png").unwrap_err();
    assert_eq!(error.to_string(), "picture evil\u{FFFD}[2J\u{FFFD}.png is empty");
}

/// Whole tensors against torchvision on Pillow's pixels. The bound asked for is 1e-2; one level of 255 is 0.017, so
/// anything below means that every sample is the same.
#[test]
fn tensors_are_torchvisions() {
    let folder = fixture("golden/preprocess");
    let cases: serde_json::Value = serde_json::from_slice(&fs::read(folder.join("cases.json")).unwrap()).unwrap();
    let cases = cases.as_array().unwrap();
    assert!(cases.len() >= 16);
    for case in cases {
        let text = |key: &str| case[key].as_str().unwrap();
        let shape: Vec<usize> =
            case["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();
        let fit = match text("fit") {
            "stretch" => Fit::Stretch,
            _ => Fit::ShortSide { side: case["size"].as_u64().unwrap() as u32 },
        };
        let preprocess = Preprocess::preset(text("preset").parse().unwrap(), shape[1], shape[2])
            .with_fit(fit)
            .with_filter(text("filter").parse().unwrap());
        let picture = Picture::open(folder.join(text("picture"))).unwrap();
        let (input, _) = preprocess.apply(&picture).unwrap();
        let expected = read_npy(&folder.join(text("expected"))).unwrap();
        assert_eq!(&input.shape()[1..], expected.shape());
        let worst = input.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        // Caffe's values reach 150: rounding there is 1e-5.
        assert!(worst < 3e-5, "{case}: off by {worst}");
    }
}

#[test]
fn layouts_and_orders_rearrange_the_same_numbers() {
    let picture = open("pictures/orientation-6.png");
    let plain = Preprocess::preset(Preset::Torchvision, 14, 18);
    let (nchw, placement) = plain.apply(&picture).unwrap();
    assert_eq!(nchw.shape(), [1, 3, 14, 18]);
    let (nhwc, again) = plain.clone().with_layout(Layout::Nhwc).apply(&picture).unwrap();
    assert_eq!(nhwc.shape(), [1, 14, 18, 3]);
    assert_eq!(nhwc.view().permuted_axes([0, 3, 1, 2]), nchw);
    assert_eq!(placement, again);
    let (bgr, _) = plain.clone().with_order(ChannelOrder::Bgr).apply(&picture).unwrap();
    for (channel, swapped) in [(0, 2), (1, 1), (2, 0)] {
        assert_eq!(bgr.index_axis(ndarray::Axis(1), channel), nchw.index_axis(ndarray::Axis(1), swapped));
    }
    let (grey, _) = Preprocess::preset(Preset::Unit, 14, 18).with_order(ChannelOrder::Grey).apply(&picture).unwrap();
    assert_eq!(grey.shape(), [1, 1, 14, 18]);
    // The corner is plain red: 0.299 · 200 + 0.587 · 30 + 0.114 · 30.
    assert_eq!(grey[(0, 0, 0, 0)], 81.0 / 255.0);
}

/// torchvision fills a crop that is larger than the resized picture with black.
#[test]
fn a_small_resize_is_padded_with_black() {
    let white = Picture::from_rgb(RgbImage::from_pixel(40, 30, image::Rgb([255; 3])), "white");
    let preprocess = Preprocess::preset(Preset::Unit, 21, 21).with_fit(Fit::ShortSide { side: 10 });
    let (input, placement) = preprocess.apply(&white).unwrap();
    // 13 × 10 in 21 × 21: 4 columns before, 4 after; 5 rows before, 6 after.
    for ((_, _, y, x), &value) in input.indexed_iter() {
        let inside = (4..17).contains(&x) && (5..15).contains(&y);
        assert_eq!(value, if inside { 1.0 } else { 0.0 }, "{x} {y}");
    }
    assert_eq!(placement.covered().top, -15.0);
    assert_eq!(placement.seen(), (0..40, 0..30));
}

#[test]
fn preprocessing_that_makes_no_sense_is_refused() {
    let picture = Picture::from_rgb(RgbImage::new(4, 4), "black");
    let plain = Preprocess::preset(Preset::Unit, 8, 8);
    let bad = [
        Preprocess::preset(Preset::Unit, 0, 8),
        Preprocess::preset(Preset::Unit, 1 << 20, 1 << 20),
        plain.clone().with_fit(Fit::ShortSide { side: 0 }),
        plain.clone().with_fit(Fit::Cover { height: 3, width: 0 }),
        plain.clone().with_std([1.0, 0.0, 1.0]),
        plain.clone().with_mean([f32::NAN; 3]),
        plain.clone().with_scale(f32::INFINITY),
    ];
    for preprocess in bad {
        assert!(matches!(preprocess.apply(&picture), Err(PictureError::Preprocess { .. })), "{preprocess:?}");
    }
    let nothing = Picture::from_rgb(RgbImage::new(0, 3), "nothing");
    assert!(matches!(plain.apply(&nothing), Err(PictureError::Empty { .. })));
}

/// A 4000-pixel checkerboard of single pixels is grey to a network, not stripes.
#[test]
fn a_large_checkerboard_turns_grey() {
    let board = RgbImage::from_fn(4000, 3000, |x, y| image::Rgb([if (x + y) % 2 == 0 { 255 } else { 0 }; 3]));
    let picture = Picture::from_rgb(board, "board");
    for preset in [Preset::Torchvision, Preset::EfficientNetLite] {
        let (input, _) = Preprocess::preset(preset, 224, 224).apply(&picture).unwrap();
        let plain = Picture::from_rgb(RgbImage::from_pixel(224, 224, image::Rgb([128; 3])), "grey");
        let (grey, _) = Preprocess::preset(preset, 224, 224).apply(&plain).unwrap();
        let worst = input.iter().zip(&grey).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 0.02, "{preset}: {worst}");
    }
}

//! Every kind of picture against Pillow's pixels, or, where we differ on purpose, against the definition.
//!
//! `golden/pictures/` comes from `references/make_pictures.py`.

use std::{fs, path::PathBuf};

use image::RgbImage;
use onnxcam::picture::{Picture, PictureError};
use serde_json::Value;

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pictures").join(name)
}

/// What `cases.json` tells of each file.
fn cases() -> Vec<Value> {
    let cases: Vec<Value> = serde_json::from_slice(&fs::read(golden("cases.json")).unwrap()).unwrap();
    assert!(cases.len() > 100);
    cases
}

/// The files, by name, and their bytes.
fn files() -> impl Iterator<Item = (String, Vec<u8>)> {
    cases().into_iter().map(|case| {
        let name = case["file"].as_str().unwrap().to_owned();
        let bytes = fs::read(golden(&name)).unwrap();
        (name, bytes)
    })
}

/// The expected pixels, without our decoder.
fn expected(name: &str) -> RgbImage {
    let bytes = fs::read(golden(name)).unwrap();
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    let mut samples = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut samples).unwrap();
    assert_eq!((frame.color_type, frame.bit_depth), (png::ColorType::Rgb, png::BitDepth::Eight));
    RgbImage::from_raw(frame.width, frame.height, samples).unwrap()
}

/// Largest and mean difference, in levels.
fn difference(a: &RgbImage, b: &RgbImage) -> (u8, f64) {
    assert_eq!(a.dimensions(), b.dimensions());
    let differences = a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| a.abs_diff(*b));
    let mean = differences.clone().map(f64::from).sum::<f64>() / a.as_raw().len() as f64;
    (differences.max().unwrap(), mean)
}

/// Exactly, but for JPEG, where decoders may round: 3 levels, 0.34 on average.
#[test]
fn every_kind_has_its_pixels() {
    for case in cases() {
        let file = case["file"].as_str().unwrap();
        let picture = Picture::open(golden(file)).unwrap();
        let (largest, mean) = difference(picture.rgb(), &expected(case["expected"].as_str().unwrap()));
        let (most, on_average) = match file {
            _ if file.contains("jp") => (3, 0.34),
            // Five bits to eight: rounded, where Pillow cuts off.
            "15-bit.bmp" | "16-bit.bmp" => (1, 0.5),
            _ => (0, 0.0),
        };
        assert!(largest <= most && mean <= on_average, "{file}: off by {largest}, {mean} on average");
        let said = match case["differs"].as_str() {
            Some("alpha") => Some("alpha composed over white"),
            Some("deep") => Some("16-bit samples scaled to 8 bits"),
            _ if file.contains("frames.") || file.contains("pages") => Some(match file {
                "frames.png" => "the first of 2 frames",
                "still-and-frames.png" => "the still picture, not one of 2 frames",
                "pages.tif" => "the first of 3 pages",
                _ => "the first of 3 frames",
            }),
            _ if file == "empty-alpha.bmp" => Some("empty alpha ignored"),
            _ => None,
        };
        assert_eq!(picture.notes().first().map(String::as_str), said, "{file}");
    }
}

/// What a file is, its content says.
#[test]
fn suffixes_do_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["alpha.webp", "grey.tif", "frames.gif", "rgb.bmp", "ycck.jpg", "turned.png"] {
        let wrong = folder.path().join("picture.txt");
        fs::copy(golden(name), &wrong).unwrap();
        assert_eq!(Picture::open(&wrong).unwrap().rgb(), Picture::open(golden(name)).unwrap().rgb(), "{name}");
    }
}

/// A cut-off file is never filled up.
#[test]
fn no_prefix_of_a_picture_is_a_picture() {
    for (name, bytes) in files() {
        let whole = Picture::decode(&bytes, &name).unwrap();
        // Behind the first picture there is another; and a run-length code's end mark tells nothing new.
        let enough = match name.as_str() {
            "two-pictures.jpg" => fs::metadata(golden("baseline.jpg")).unwrap().len() as usize,
            "pages.tif" => bytes.len() - 5, // padding
            "run-lengths.bmp" | "run-lengths-4-bit.bmp" => bytes.len() - 2,
            _ => bytes.len(),
        };
        for length in 0..bytes.len() {
            match Picture::decode(&bytes[..length], &name) {
                Ok(picture) => {
                    assert!(length >= enough, "{name}: {length} of {} bytes", bytes.len());
                    assert_eq!(picture.rgb(), whole.rgb(), "{name}: {length} of {} bytes", bytes.len());
                }
                // Few bytes do not say yet what they are.
                Err(PictureError::Truncated { .. }) => {}
                Err(error) => assert!(length < 12, "{name}: {length} of {} bytes: {error:?}", bytes.len()),
            }
        }
        let long = [&bytes[..], b"\xFF\xD8 and more, \0\0\0\0"].concat();
        assert_eq!(Picture::decode(&long, &name).unwrap().rgb(), whole.rgb(), "{name}, with more after it");
    }
}

/// Whatever one wrong byte does, it is a picture or an error.
#[test]
fn no_wrong_byte_panics() {
    for (name, mut bytes) in files() {
        for at in 0..bytes.len() {
            // All of the headers, some of the pixels.
            if at < 300 || at % 11 == 0 {
                let good = bytes[at];
                for wrong in [0, 0xFF, good ^ 1, good ^ 0x80] {
                    bytes[at] = wrong;
                    let _ = Picture::decode(&bytes, &name);
                }
                bytes[at] = good;
            }
        }
    }
}

/// A few bytes that claim more pixels than anybody would believe.
#[test]
fn what_cannot_be_is_not_unpacked() {
    let patched = |name: &str, at: usize, with: &[u8]| {
        let mut bytes = fs::read(golden(name)).unwrap();
        bytes[at..at + with.len()].copy_from_slice(with);
        Picture::decode(&bytes, name).unwrap_err()
    };
    let offset_of = |name: &str, pattern: &[u8]| {
        fs::read(golden(name)).unwrap().windows(pattern.len()).position(|window| window == pattern).unwrap()
    };
    let bomb = |error: &PictureError| matches!(error, PictureError::Bomb { .. });
    let large = |error: &PictureError| matches!(error, PictureError::TooManyPixels { .. });
    assert!(bomb(&patched("plain.gif", 6, &[0, 60, 0, 60])));
    assert!(large(&patched("plain.gif", 6, &[0xFF; 4])));
    let at = offset_of("lossless.webp", b"VP8L") + 9;
    assert!(bomb(&patched("lossless.webp", at, &[0xFF, 0xEF, 0xFF, 0x0B])));
    assert!(matches!(patched("lossless.webp", at, &[0xFF; 3]), PictureError::Unsupported { .. }));
    assert!(bomb(&patched("run-lengths.bmp", 18, &[0, 60, 0, 0, 0, 60, 0, 0])));
    assert!(matches!(patched("rgb.bmp", 18, &[0, 60, 0, 0]), PictureError::Truncated { .. }));
    assert!(large(&patched("rgb.bmp", 18, &[0xFF, 0xFF, 0xFF, 0x7F])));
    // One strip of LZW that claims to be 15,360 rows of 15,360 pixels, in 12-byte entries: tag, type, count, value.
    let mut bytes = fs::read(golden("rgb-lzw.tif")).unwrap();
    for tag in [256_u16, 257, 278] {
        let entry = bytes.windows(4).position(|w| w[..2] == tag.to_le_bytes() && matches!(w[2..], [3 | 4, 0])).unwrap();
        bytes[entry + 2..entry + 12].copy_from_slice(&[4, 0, 1, 0, 0, 0, 0, 60, 0, 0]);
    }
    let error = Picture::decode(&bytes, "rgb-lzw.tif").unwrap_err();
    assert!(bomb(&error) && error.to_string().contains("15360 × 15360"), "{error}");
}

#[test]
fn pages_that_do_not_end_are_refused() {
    let mut bytes = fs::read(golden("big-endian.tif")).unwrap();
    let directory = u32::from_be_bytes(bytes[4..8].try_into().unwrap()) as usize;
    let entries = usize::from(u16::from_be_bytes(bytes[directory..directory + 2].try_into().unwrap()));
    let next = directory + 2 + entries * 12;
    bytes[next..next + 4].copy_from_slice(&(directory as u32).to_be_bytes());
    assert!(matches!(Picture::decode(&bytes, "circle"), Err(PictureError::Damaged { .. })));
    bytes[next..next + 4].copy_from_slice(&u32::MAX.to_be_bytes());
    assert!(matches!(Picture::decode(&bytes, "nowhere"), Err(PictureError::Truncated { .. })));
}

/// What is known but not read is refused by its name, with a way on.
#[test]
fn other_formats_are_refused_by_name() {
    let brand = |brand: &str| [b"\0\0\0\x20ftyp", brand.as_bytes(), b"\0\0\0\0mif1heic"].concat();
    let jpeg = |change: &dyn Fn(&mut Vec<u8>, usize)| {
        let mut bytes = fs::read(golden("baseline.jpg")).unwrap();
        let frame = bytes.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
        change(&mut bytes, frame);
        bytes
    };
    let tiff = |tag: u16, value: u16| {
        let mut bytes = fs::read(golden("eight-byte-offsets.tif")).unwrap();
        let entry = bytes.windows(4).position(|w| w[..2] == tag.to_le_bytes() && w[2..] == [3, 0]).unwrap();
        bytes[entry + 4..entry + 14].copy_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0, value as u8, (value >> 8) as u8]);
        bytes
    };
    let cases: &[(Vec<u8>, &str)] = &[
        (brand("heic"), "a HEIC file"),
        (brand("mif1"), "a HEIC file"),
        (brand("avif"), "an AVIF file"),
        (brand("crx "), "a camera raw file"),
        (brand("isom"), "a video"),
        (b"\xFF\x0A\xFA\x1F".to_vec(), "a JPEG XL file"),
        (b"\0\0\0\x0CJXL \r\n\x87\n".to_vec(), "a JPEG XL file"),
        (b"\xEF\xBB\xBF<?xml version=\"1.0\"?>\n<!-- drawn -->\n<svg width=\"1\"/>".to_vec(), "an SVG file"),
        (b"  <svg xmlns=\"\">".to_vec(), "an SVG file"),
        (b"%PDF-1.7\n".to_vec(), "a PDF file"),
        (b"<!DOCTYPE html><html><title>404".to_vec(), "a web page"),
        (b"version https://git-lfs.example/spec/v1\noid".to_vec(), "a Git LFS pointer"),
        (b"P6\n2 2 255\n".to_vec(), "a PNM file"),
        ([&[0; 128][..], b"DICM"].concat(), "a DICOM file"),
        (b"II*\0\x10\0\0\0CR\x02\0".to_vec(), "a camera raw file"),
        (jpeg(&|bytes, at| bytes[at + 1] = 0xC9), "an arithmetic-coded JPEG"),
        (jpeg(&|bytes, at| bytes[at + 1] = 0xC3), "a lossless JPEG"),
        (jpeg(&|bytes, at| bytes[at + 1] = 0xC5), "a hierarchical JPEG"),
        (jpeg(&|bytes, at| bytes[at + 4] = 12), "a JPEG of 12 bits per sample"),
        (tiff(259, 50000), "a TIFF compressed by Zstandard"),
        (tiff(259, 6), "a TIFF compressed by an early form of JPEG"),
        (tiff(259, 60000), "a TIFF compressed by method 60000"),
        (tiff(262, 8), "a TIFF in Lab colours"),
        (tiff(262, 6), "a TIFF of luma and chroma outside JPEG"),
        (tiff(262, 32803), "a camera raw file"),
        (tiff(258, 32), "a TIFF of 32 bits per sample"),
        (tiff(277, 1), "a TIFF of 1 samples per pixel"),
    ];
    for (bytes, format) in cases {
        let error = Picture::decode(bytes, "odd.jpg").unwrap_err();
        assert!(matches!(&error, PictureError::Unsupported { format: f, .. } if f == format), "{format}: {error:?}");
        let text = error.to_string();
        assert!(text.starts_with(&format!("picture odd.jpg is {format}")) && text.contains("\nhint: "), "{text}");
    }
}

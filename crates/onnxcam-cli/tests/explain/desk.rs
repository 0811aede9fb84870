//! A folder to work in, with a network in it, and the program.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use image::{Rgb, RgbImage};
use ndarray::{Array2, ArrayD};
use onnx_graph::Model;
use onnx_graph::proto::type_proto::Value;
use onnx_graph::proto::{Dimension, DimensionValue, ModelProto, TensorShapeProto};
use onnxcam::heatmap::{read_npy, write_png};
use onnxcam::picture::Picture;
use testkit::models::{Maker, tiny_cnn};

/// Classes of the network on the desk.
pub const CLASSES: usize = 6;

/// A folder in which `net.onnx` takes pictures of 16 × 16.
pub struct Desk(tempfile::TempDir);

/// What a run of the program left.
#[derive(Debug)]
pub struct Ran {
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Desk {
    pub fn new() -> Desk {
        let desk = Desk(tempfile::tempdir().unwrap());
        desk.net("net.onnx", tiny_cnn(17, CLASSES));
        desk
    }

    /// A desk with pictures on it.
    pub fn with(pictures: &[&str]) -> Desk {
        let desk = Desk::new();
        for (i, name) in pictures.iter().enumerate() {
            desk.picture(name, (30 + i as u32, 20));
        }
        desk
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn net(&self, name: &str, net: Maker) {
        self.net_of(name, net.build());
    }

    pub fn net_of(&self, name: &str, net: ModelProto) {
        Model::from_proto(net, Path::new(name)).unwrap().save(self.path(name)).unwrap();
    }

    /// Blobs of colour, others for each size.
    pub fn picture(&self, name: impl AsRef<Path>, size: (u32, u32)) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let (w, h) = (f64::from(size.0), f64::from(size.1));
        let level = |x: u32, y: u32, c: f64| {
            let (u, v) = (f64::from(x) / w, f64::from(y) / h);
            (127.0 + 120.0 * (7.0 * u + w / 5.0 + c).sin() * (5.0 * v - c).cos()) as u8
        };
        let rgb = RgbImage::from_fn(size.0, size.1, |x, y| Rgb([0.0, 1.0, 2.0].map(|c| level(x, y, c))));
        write_png(&path, &rgb, &[]).unwrap();
    }

    pub fn array(&self, name: &str, array: &ArrayD<f32>) {
        let shape: Vec<String> = array.shape().iter().map(|n| format!("{n},")).collect();
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}\n", shape.concat());
        let mut bytes = [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes()].concat();
        bytes.extend(array.iter().flat_map(|v| v.to_le_bytes()));
        fs::write(self.path(name), bytes).unwrap();
    }

    /// `onnxcam explain … --model net.onnx --engine rten`, in this folder. A later `--model` is left as it is.
    pub fn explain<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Ran {
        let named = arguments.iter().any(|a| a.as_ref() == "--model");
        let mut command = self.command();
        command.arg("explain").args(arguments).args(["--engine", "rten"]);
        if !named {
            command.args(["--model", "net.onnx"]);
        }
        Ran::from(command.output().unwrap())
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_onnxcam"));
        command.current_dir(self.0.path());
        command
    }

    /// Names in a folder of the desk, sorted, but for the networks and pictures that were put there.
    pub fn made(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).unwrap().map(|e| e.unwrap().file_name());
        let mut names: Vec<String> = entries.map(|n| n.to_string_lossy().into_owned()).collect();
        let made = |name: &str| {
            [".overlay.", ".heatmap.", ".map.", ".explanation", ".panel.", ".onnxcam"].iter().any(|k| name.contains(k))
        };
        names.retain(|name| made(name));
        names.sort();
        names
    }

    pub fn read_picture(&self, name: &str) -> RgbImage {
        Picture::open(self.path(name)).unwrap().rgb().clone()
    }

    pub fn read_map(&self, name: &str) -> Array2<f32> {
        read_npy(&self.path(name)).unwrap().into_dimensionality().unwrap()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { status: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Ran {
    /// That it went well.
    #[track_caller]
    pub fn well(self) -> Ran {
        assert_eq!(self.status, Some(0), "{self:?}");
        self
    }

    /// That it failed, with each of these in its error.
    #[track_caller]
    pub fn badly(self, words: &[&str]) -> Ran {
        assert_eq!(self.status, Some(1), "{self:?}");
        assert!(self.err.contains("error: "), "{self:?}");
        words.iter().for_each(|word| assert!(self.err.contains(word), "{word:?} is not in {self:?}"));
        self
    }

    /// The lines of standard output as JSON.
    pub fn json(&self) -> Vec<serde_json::Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// A network with each element of one weight changed; elements are counted from 0.
pub fn edited(net: Maker, weight: &str, change: impl Fn(usize, f32) -> f32) -> ModelProto {
    let mut model = net.build();
    let mut weights = model.graph.iter_mut().flat_map(|g| &mut g.initializer);
    let tensor = weights.find(|t| t.name.as_deref() == Some(weight)).unwrap();
    let elements = tensor.raw_data.as_ref().unwrap().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b));
    let changed: Vec<u8> = elements.enumerate().flat_map(|(i, v)| change(i, v).to_le_bytes()).collect();
    tensor.raw_data = Some(changed.into());
    model
}

/// A network whose input declares these sizes: a number, a symbol, or nothing.
pub fn declaring(net: Maker, sizes: [Option<DimensionValue>; 4]) -> ModelProto {
    let mut model = net.build();
    let input = model.graph.iter_mut().flat_map(|g| &mut g.input).next().unwrap();
    let Some(Value::TensorType(tensor)) = input.r#type.as_mut().and_then(|t| t.value.as_mut()) else { unreachable!() };
    let dim = sizes.map(|value| Dimension { value, denotation: None }).to_vec();
    tensor.shape = Some(TensorShapeProto { dim });
    model
}

//! Grad-CAM++ and its family for any ONNX image classifier.
//!
//! ```
//! use onnxcam::engine::Choice::Auto;
//! use onnxcam::heatmap::Colormap::Turbo;
//! use onnxcam::method::GradCamPlusPlus;
//! use onnxcam::picture::Picture;
//! use onnxcam::{Model, Target};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (photograph, folder) = (std::fs::canonicalize("../../examples/chelsea.jpg")?, tempfile::tempdir()?);
//! # std::env::set_current_dir(&folder)?;
//! # std::fs::copy(photograph, "cat.jpg")?;
//! # std::fs::write("net.onnx", testkit::models::tiny_cnn(17, 3).bytes())?;
//! let model = Model::open("net.onnx")?;
//! let mut explainer = model.explain_with(&[&GradCamPlusPlus]).build(Auto)?;
//! for note in explainer.notes() {
//!     eprintln!("{note}"); // What was assumed: classes, engine, the size of the input.
//! }
//! let picture = Picture::open("cat.jpg")?;
//! let result = explainer.run(&picture, Target::Predicted)?;
//! println!("{} {:.1} %", result.label(), 100.0 * result.probability().unwrap_or(f64::NAN));
//! result.map(0).overlay(&picture, Turbo, 0.5)?.save("cat.overlay.png")?;
//! # assert_eq!(Picture::open("cat.overlay.png")?.size(), picture.size());
//! # std::env::set_current_dir("/")?;
//! # Ok(())
//! # }
//! ```
//!
//! [`classifier`] is the way in; the modules below it, in the order that data takes, can be used by themselves:
//! [`source`] (files, folders, globs), [`picture`] (decode, resize, normalise), [`model`] (the default one, class names),
//! [`target`] (which score, which layer), [`method`], [`explain`] (the explained graph), [`engine`], [`heatmap`] (place
//! back, colour), [`output`] (names of files), [`export`] (the explained graph as a file), [`metric`] (measures of maps). What is fetched comes by [`package`] and lies in the [`cache`].

pub mod bench;
pub mod cache;
pub mod classifier;
pub mod compare;
pub mod digest;
pub mod doctor;
pub mod engine;
pub mod explain;
pub mod export;
pub mod heatmap;
pub mod method;
pub mod metric;
pub mod model;
pub mod output;
pub mod package;
pub mod picture;
pub mod source;
pub mod target;

pub use classifier::{Error, Explanation, Model, PictureExplainer, Target};
pub use onnx_graph::{Dim, ModelError, printable, show_shape};

/// The example in the project's README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

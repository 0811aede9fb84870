//! Grad-CAM++ and its family for any ONNX image classifier.

pub mod classifier;
pub mod engine;
pub mod explain;
pub mod heatmap;
pub mod method;
pub mod model;
pub mod output;
pub mod picture;
pub mod source;
pub mod target;

pub use classifier::{Error, Explanation, Model, PictureExplainer, Target};
pub use onnx_graph::{ModelError, printable, show_shape};

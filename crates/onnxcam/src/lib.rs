//! Grad-CAM++ and its family for any ONNX image classifier.

pub mod engine;
pub mod explain;
pub mod heatmap;
pub mod method;
pub mod model;
pub mod picture;
pub mod target;

pub use onnx_graph::{Model, ModelError, printable, show_shape};

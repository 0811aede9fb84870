//! Grad-CAM++ and its family for any ONNX image classifier.

pub mod engine;
pub mod heatmap;
pub mod model;
pub mod picture;

//! Grad-CAM++ and its family for any ONNX image classifier.

pub mod heatmap;
pub mod picture;

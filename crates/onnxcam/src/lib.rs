//! Grad-CAM++ and its family for any ONNX image classifier.

pub mod picture;

//! The program `onnxcam`.
fn main() {}

//! Reverse-mode differentiation of ONNX graphs, as more ONNX nodes.

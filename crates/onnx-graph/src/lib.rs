//! ONNX bytes to graph and back: import, canonical view, shape inference, builder, text dump, export.

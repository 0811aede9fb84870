//! Reads a model and writes it back as it is: `cargo run -p onnx-graph --example rewrite -- IN.onnx OUT.onnx`.

use onnx_graph::Model;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut paths = std::env::args_os().skip(1);
    let (Some(from), Some(to), None) = (paths.next(), paths.next(), paths.next()) else {
        return Err("two files are needed: IN.onnx OUT.onnx".into());
    };
    Model::open(from)?.save(to)?;
    Ok(())
}

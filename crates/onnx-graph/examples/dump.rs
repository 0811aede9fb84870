//! Prints the canonical view of a model: `cargo run -p onnx-graph --example dump -- model.onnx`.

use onnx_graph::{ImportOptions, Model, dump, import};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for path in std::env::args_os().skip(1) {
        let imported = import(&Model::open(path)?, &ImportOptions::default())?;
        for note in &imported.notes {
            eprintln!("note: {note}");
        }
        print!("{}", dump(&imported.graph));
    }
    Ok(())
}

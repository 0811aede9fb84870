//! Writes the canonical view of a model, spelled for one batch size:
//! `cargo run -p onnx-graph --example canonical -- IN.onnx OUT.onnx BATCH`.

use std::path::Path;

use onnx_graph::{ImportOptions, Model, Spelling, import, spell};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(from), Some(to), Some(batch), None) =
        (arguments.next(), arguments.next(), arguments.next(), arguments.next())
    else {
        return Err("three arguments are needed: IN.onnx OUT.onnx BATCH".into());
    };
    let batch: usize = batch.to_string_lossy().parse()?;
    let imported = import(&Model::open(from)?, &ImportOptions::default())?;
    for note in &imported.notes {
        eprintln!("note: {note}");
    }
    for node in imported.graph.nodes().iter().filter(|node| node.carried.is_some()) {
        let reason = node.carried.as_ref().map_or("", |c| c.reason.as_str());
        eprintln!("carried: {}: {reason}", imported.graph.describe(node));
    }
    let proto = spell(&imported.graph, &Spelling::for_graph(&imported.graph, batch))?;
    Model::from_proto(proto, Path::new(&to))?.save(to)?;
    Ok(())
}

//! A graph on an engine, for one batch size.

use std::sync::Arc;

use onnx_graph::{Graph, Model, Node, Spelling, Tensor, spell};
use tempfile::TempDir;

use super::explainer::RunError;
use super::legal::legal;
use crate::engine::{Engine, Lack, Session, Source, Value};

/// A graph, ready to run with one batch shape.
#[derive(Debug)]
pub(super) struct Piece {
    session: Box<dyn Session>,
    /// Holds the model where the engine had it from a file, which it may have mapped: dropped after the session.
    _folder: Option<TempDir>,
    inputs: Vec<String>,
    outputs: Vec<String>,
}

impl Piece {
    /// Loads the part of `graph` that computes `outputs`.
    pub fn load(
        graph: &Graph,
        outputs: &[Tensor],
        engine: &Arc<dyn Engine>,
        batch: usize,
        threads: Option<usize>,
    ) -> Result<Piece, RunError> {
        let graph = legal(graph, outputs, engine.lacks())?;
        if let Some(node) = of_volumes(&graph).filter(|_| engine.lacks().contains(&Lack::Volumes)) {
            return Err(RunError::Volumes { engine: engine.name(), node: graph.describe(node) });
        }
        let proto = spell(&graph, &Spelling::for_graph(&graph, batch))?;
        let values = |values: Vec<Option<String>>| values.into_iter().flatten().collect::<Vec<String>>();
        let file = proto.graph.as_ref();
        let inputs = values(file.iter().flat_map(|g| &g.input).map(|v| v.name.clone()).collect());
        let outputs = values(file.iter().flat_map(|g| &g.output).map(|v| v.name.clone()).collect());
        let model = Model::from_proto(proto, std::path::Path::new("explained"))?;
        let (session, folder) = load(&**engine, &model, threads)?;
        Ok(Piece { session, _folder: folder, inputs, outputs })
    }

    /// Runs it once: a value an input, in the graph's order; answers the outputs, in the order asked for.
    pub fn run(&mut self, inputs: &[Value]) -> Result<Vec<Value>, RunError> {
        let named: Vec<(&str, &Value)> = self.inputs.iter().map(String::as_str).zip(inputs).collect();
        let outputs: Vec<&str> = self.outputs.iter().map(String::as_str).collect();
        Ok(self.session.run(&named, &outputs)?)
    }
}

/// The first convolution or pool over three axes.
fn of_volumes(graph: &Graph) -> Option<&Node> {
    let slides = |n: &&Node| matches!(&*n.op, "Conv" | "ConvTranspose" | "MaxPool" | "AveragePool");
    let rank = |n: &Node| n.inputs[0].and_then(|t| graph.shape(t)).map_or(0, <[_]>::len);
    graph.nodes().iter().filter(slides).find(|n| rank(n) > 4)
}

/// Loads a model from memory, or where it is too large for that, from a temporary folder, its weights beside it.
pub(crate) fn load(
    engine: &dyn Engine,
    model: &Model,
    threads: Option<usize>,
) -> Result<(Box<dyn Session>, Option<TempDir>), RunError> {
    let size = model.byte_count();
    if size <= engine.largest_in_memory() {
        return Ok((engine.load(Source::Bytes(model.to_bytes()), threads)?, None));
    }
    let folder = tempfile::Builder::new().prefix("onnxcam-").tempdir();
    let folder = folder.map_err(|error| RunError::TemporaryFile { size, error })?;
    let path = folder.path().join("explained.onnx");
    model.save(&path)?;
    Ok((engine.load(Source::File(&path), threads)?, Some(folder)))
}

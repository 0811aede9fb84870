//! What could be explained: the layers of a model.

use onnx_graph::Model;

use super::plan::{PlanError, PlanOptions, only_input, read};
use crate::target::{Candidate, Head, LayerError, automatic_layer, candidates, find_head};

/// The layers of a model, as `onnxcam layers` lists them.
#[derive(Clone, Debug)]
pub struct Layers {
    /// The head whose scores would be explained.
    pub head: Head,
    /// Feature maps that every path from the picture to the scores passes through, first to last.
    pub candidates: Vec<Candidate>,
    /// Why none of them is taken unless it is named; `None` where one is.
    pub refusal: Option<LayerError>,
    /// What was assumed; sentences for the user.
    pub notes: Vec<String>,
}

impl Layers {
    /// The head of a model alone.
    ///
    /// # Errors
    /// As [`Layers::of`].
    pub(crate) fn head_of(model: &Model, options: &PlanOptions) -> Result<Head, PlanError> {
        let mut imported = read(model, options)?;
        find_head(&mut imported.graph, &options.head).map_err(|e| e.at(imported.assumed_size).into())
    }

    /// Lists the layers of a model; `options.layer` and `options.signed` play no part.
    ///
    /// # Errors
    /// A model that cannot be read, has several inputs, or no output that can be taken for class scores.
    pub fn of(model: &Model, options: &PlanOptions) -> Result<Layers, PlanError> {
        let imported = read(model, options)?;
        let mut graph = imported.graph;
        only_input(&graph)?;
        let head = find_head(&mut graph, &options.head).map_err(|e| e.at(imported.assumed_size))?;
        let candidates = candidates(&graph, &head);
        let refusal = automatic_layer(&graph, &head).err();
        Ok(Layers { head, candidates, refusal, notes: imported.notes })
    }
}

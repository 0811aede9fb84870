//! What is explained, and where: the class score and the target layer.

mod grid;
mod head;
mod last_linear;
mod layer;
mod picture;
mod reach;
mod score;
mod view;

pub use head::{Activation, Head, HeadOptions, find_head};
pub use last_linear::LastLinear;
pub use layer::{
    Candidate, Layer, LayerError, are_all_cells, automatic_layer, candidates, cells_reach_the_score, find_layer,
    first_curved, first_rounded, is_moved,
};
pub use picture::{channel_axis, layout_in, picture_in_floats};
pub use score::{AxisPart, Part, PartError, Score, Similarity};
pub use view::View;

/// Why no class score can be found.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs)]
pub enum HeadError {
    #[error(
        "the model has no output that looks like class scores\n{outputs}\nhint: scores are floats [N, classes]; of a detector or a segmentation network, name a part of an output with --score"
    )]
    NoCandidate { outputs: String },
    #[error("the shape of output \"{name}\" is not known, as {node} is not understood: {reason}\nhint: {hint}")]
    UnknownShape { name: String, node: String, reason: String, hint: &'static str },
    #[error("several outputs could be the class scores\n{candidates}\nhint: name one with --output")]
    Ambiguous { candidates: String },
    #[error("the model has no output \"{name}\"\n{outputs}")]
    Unknown { name: String, outputs: String },
    #[error("output \"{name}\" is {signature}, no class scores\nhint: scores are floats [N, classes]")]
    Shape { name: String, signature: String },
    #[error("{part} does not fit the output, {signature}: {reason}")]
    Part { part: String, signature: String, reason: String },
    #[error(
        "{file} cannot make the score: {reason}\nhint: its inputs are called like the model's outputs, and it makes scores [N, classes] or [N]"
    )]
    ScoreGraph { file: String, reason: String },
    #[error(
        "the embedding of {to} cannot be compared with: {reason}\nhint: an embedding is an output [N, K]; --output names it where there are several"
    )]
    Similarity { to: String, reason: String },
    #[error(
        "the score, {score}, is {signature}\nhint: scores are floats [N, classes], or one [N], of as many pictures as there are"
    )]
    Score { score: String, signature: String },
    #[error(transparent)]
    Emit(#[from] onnx_graph::EmitError),
}

impl HeadError {
    /// The same where the size of the input was assumed: then that is what shapes may not fit.
    pub(crate) fn at(self, assumed_size: bool) -> HeadError {
        match self {
            HeadError::UnknownShape { name, node, reason, .. } if assumed_size => {
                let hint = "the size of the input is assumed; --input-size gives the one that the network was made for";
                HeadError::UnknownShape { name, node, reason, hint }
            }
            other => other,
        }
    }
}

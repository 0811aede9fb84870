//! From a model to one that explains itself, and from pictures to maps.
//!
//! [`Layers`] lists what could be explained; [`Plan`] adds class, gradient and maps to the model's graph; [`Explainer`]
//! has an engine run it, [`SplitExplainer`] the part before the target layer once for several classes, and [`Runner`] the
//! methods that take many runs.

mod biases;
mod explainer;
mod gradients;
mod late_expand;
mod layers;
mod legal;
mod passes;
mod piece;
mod plan;
mod pooled_head;
mod split;

pub use explainer::{Explained, Explainer, Handed, RunError, SplitExplainer};
pub(crate) use late_expand::{before_expand, computed_before_expand};
pub use layers::Layers;
pub use legal::legal;
pub use onnx_graph::TARGET;
pub use passes::{Asked, Passes, Progress, Reading, RunSettings, Runner, Watch};
pub(crate) use piece::load;
pub use plan::{Plan, PlanError, PlanOptions, PlannedMap, PlannedRuns, Rival};
pub use split::Split;
pub(crate) use split::depending;

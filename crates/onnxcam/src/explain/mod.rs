//! From a model to one that explains itself, and from pictures to maps.
//!
//! [`Layers`] lists what could be explained; [`Plan`] adds class, gradient and maps to the model's graph; [`Explainer`]
//! has an engine run it.

mod explainer;
mod late_expand;
mod layers;
mod legal;
mod plan;
mod pooled_head;

pub(crate) use explainer::load;
pub use explainer::{Explained, Explainer, RunError};
pub(crate) use late_expand::computed_before_expand;
pub use layers::Layers;
pub use legal::legal;
pub use onnx_graph::TARGET;
pub use plan::{Plan, PlanError, PlanOptions, PlannedMap};

//! An image classifier and its explanations: the library as most users meet it.
//!
//! ```text
//! Model ─ explain_with(methods) ─► Setup ─ settle ─► Settled ─ load ─► PictureExplainer ─ run(picture, target) ─► Explanation
//! ```
//! A [`Setup`] collects what the user says; [`Settled`] has found head, layer, labels and preprocessing and says, in
//! [`Subject::notes`], what it assumed; a [`PictureExplainer`] has an engine behind it. Each [`Explanation`] is of one
//! picture and one class and holds a [`Map`] for each method.

mod class;
mod drawing;
mod error;
mod explainer;
mod explanation;
mod in_graph;
mod model;
mod preprocessing;
mod probability;
mod setup;
mod stream;
mod subject;

pub use class::{ClassError, Target, Targets};
pub use drawing::Drawing;
pub use error::Error;
pub use explainer::PictureExplainer;
pub use explanation::{Explanation, Map, Ranked, panel};
pub use model::Model;
pub use preprocessing::{Preprocessing, PreprocessingError};
pub use setup::{Settled, Setup};
pub use stream::{Outcome, Seen};
pub use subject::{Beyond, Input, Subject};

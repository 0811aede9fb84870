//! Test support for the workspace, not published.
//!
//! - [`evaluate()`] computes a graph by the definition of each canonical operator, slowly, literally and in f64.
//! - [`check_vjp`] compares a gradient with central differences of what [`evaluate()`] says; [`Draw`] makes its inputs.
//! - [`models`] makes tiny ONNX models.
//! - [`npz()`] reads reference values that scripts wrote, [`cases()`] whole folders of models with such values.
//! - [`conformance`] has the ONNX project's cases of single operators.

mod cases;
pub mod conformance;
mod draw;
mod eval;
pub mod models;
mod npz;
mod vjp;

pub use cases::{Case, cases};
pub use draw::Draw;
pub use eval::{evaluate, evaluate_named};
pub use npz::{npy, npz};
pub use vjp::{Check, check_vjp};

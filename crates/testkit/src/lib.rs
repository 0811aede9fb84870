//! Test support for the workspace, not published.
//!
//! - [`evaluate()`] computes a graph by the definition of each canonical operator, slowly, literally and in f64.
//! - [`check_vjp`] compares a gradient with central differences of what [`evaluate()`] says; [`Draw`] makes its inputs.

mod draw;
mod eval;
mod vjp;

pub use draw::Draw;
pub use eval::{evaluate, evaluate_named};
pub use vjp::{Check, check_vjp};

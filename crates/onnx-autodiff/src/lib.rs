//! Reverse-mode differentiation of ONNX graphs, as more ONNX nodes.
//!
//! [`gradient`] sweeps a [`Graph`] backwards from seeds and appends, for each node on the way, the nodes of its
//! vector-Jacobian product (VJP). One small rule an operator, in [`RULES`]; everything emitted is standard ONNX.
//! [`gradient_by`] does so with another rule for activations ([`ActivationRule`]).
//!
//! ```
//! use onnx_graph::{DataType, Dim, Emit, Graph, dump};
//!
//! let mut graph = Graph::new();
//! let x = graph.add_input("x", DataType::F32, vec![Dim::BATCH, Dim::new(3)]);
//! let y = Emit::new(&mut graph).relu(x);
//! let dy = graph.add_input("dy", DataType::F32, vec![Dim::BATCH, Dim::new(3)]);
//! let dx = onnx_autodiff::gradient(&mut graph, &[(y, dy)], &[x])?[0];
//! assert_eq!(graph.shape(dx.unwrap()), graph.shape(x));
//! # Ok::<(), onnx_autodiff::GradientError>(())
//! ```

mod activation;
mod rules;
mod sweep;
mod vjp;

pub use activation::{Activation, ActivationRule};
pub use rules::{RULES, Rule};
pub use sweep::{GradientError, activations_between, gradient, gradient_by};
pub use vjp::Vjp;

#[cfg(doc)]
use onnx_graph::Graph;

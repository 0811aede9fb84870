//! ONNX bytes to a graph and back.
//!
//! - [`Model`] is a file as it is: every message of the public schema ([`proto`]), weights mapped, nothing dropped.
//! - [`import()`] gives its *canonical view*, a [`Graph`]: a small set of operators ([`ops`]) with every default
//!   explicit, shapes inferred with the batch symbolic, shape arithmetic folded, the file's names kept.
//! - [`Emit`] adds nodes to a graph as one writes algebra.
//! - [`spell()`] writes a graph as ONNX again, in the form that an opset wants.
//! - [`dump()`] shows a graph as text, one node a line.

pub mod attributes;
mod carried;
pub mod constant;
mod crowd;
pub mod dim;
mod dtype;
mod dump;
mod emit;
mod external;
mod fold;
mod graph;
mod import;
pub mod lower;
mod model;
mod module_path;
pub mod ops;
pub mod proto;
mod rewrite;
mod share;
mod spell;
mod text;

pub use attributes::{Attribute, Attributes};
pub use constant::{Constant, ConstantError};
pub use dim::{Dim, Shape, show_shape};
pub use dtype::DataType;
pub use dump::dump;
pub use emit::{Emit, EmitError};
pub use external::ExternalError;
pub use graph::{Carried, Graph, Known, Node, PREFIX, TARGET, Tensor, TensorInfo};
pub use import::{ImportOptions, Imported, OPSETS, TRAINING_MODE, import, operators};
pub use model::{Model, ModelError};
pub use rewrite::{cut, rewrite};
pub use share::data_files;
pub use spell::{
    Added, AttachError, Attached, Attachment, SpellError, Spelling, attach, detach, keep_outputs, spell, tensor_names,
};
pub use text::printable;

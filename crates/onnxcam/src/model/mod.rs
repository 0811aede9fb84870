//! Models: the default one and where it comes from, and the names of classes.

pub mod arch;
pub mod cache;
pub mod catalogue;
pub mod checkpoint;
mod default_model;
pub mod digest;
pub mod fetch;
mod label_file;
mod labels;
mod metadata_labels;
pub mod pin;
pub mod program;
mod wheel;

pub use cache::Cache;
pub use default_model::{Kept, ProvideError, default_model, kept, provide};
pub use label_file::{LabelFileError, LabelFileProblem};
pub use labels::{LabelError, Labels};
pub(crate) use metadata_labels::labels_in;

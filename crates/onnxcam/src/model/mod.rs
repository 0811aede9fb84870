//! Models: those of the catalogue and where they come from, and the names of classes.

pub mod arch;
pub mod catalogue;
pub mod checkpoint;
mod label_file;
mod labels;
mod metadata_labels;
mod provide;

pub use label_file::{LabelFileError, LabelFileProblem};
pub use labels::{LabelError, Labels};
pub(crate) use metadata_labels::labels_in;
pub use provide::{Kept, ProvideError, default_model, kept, model, provide};

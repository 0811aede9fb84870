//! A classifier's file.

use std::path::Path;

use onnx_graph::ModelError;

use super::{Error, Setup};
use crate::digest::Digest;
use crate::method::Method;

/// An image classifier in an ONNX file.
#[derive(Clone, Debug)]
pub struct Model {
    file: onnx_graph::Model,
    digest: Digest,
}

impl Model {
    /// Opens an ONNX file, with its external data.
    ///
    /// # Errors
    /// [`Error::Model`] where the file cannot be read or is no ONNX model.
    pub fn open(path: impl AsRef<Path>) -> Result<Model, Error> {
        let path = path.as_ref();
        let failed = |error| Error::Model { path: path.to_owned(), error };
        let file = onnx_graph::Model::open(path).map_err(failed)?;
        let digest =
            Digest::of_file(path).map_err(|error| failed(ModelError::Read { path: path.to_owned(), error }))?.0;
        Ok(Model { file, digest })
    }

    /// The file's path as it was given.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// SHA-256 of the file. Weights that lie beside it are not in it.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The model as the file has it.
    pub fn file(&self) -> &onnx_graph::Model {
        &self.file
    }

    /// An entry of the file's metadata.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        let entry = self.file.proto().metadata_props.iter().find(|e| e.key.as_deref() == Some(key));
        entry.and_then(|e| e.value.as_deref())
    }

    /// Begins to explain it by these methods, which share one forward and one backward pass. Grad-CAM++ by another formula
    /// than the paper's is what [`find_variant`](crate::method::find_variant) answers.
    pub fn explain_with(&self, methods: &[&'static dyn Method]) -> Setup<'_> {
        Setup::new(self, methods)
    }
}

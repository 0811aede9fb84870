//! Weights from a PyTorch checkpoint, asked for by name and shape.
//!
//! The file's format (a legacy pickle stream or a zip archive) is `pytorch-reader`'s business.
//! A tensor is read only when its declared shape is the one that the caller asks for, so what the
//! file claims never decides how much memory is taken.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use pytorch_reader::{DType, PytorchError, PytorchReader, Tensor};

/// Why a checkpoint is of no use.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file is not a checkpoint, or a broken one.
    #[error("{} is not a readable PyTorch checkpoint: {source}", path.display())]
    Open {
        /// The checkpoint.
        path: PathBuf,
        /// What the reader met.
        source: PytorchError,
    },
    /// A tensor that the network needs is not there.
    #[error("{}: there is no tensor {name:?}", path.display())]
    Missing {
        /// The checkpoint.
        path: PathBuf,
        /// The tensor.
        name: String,
    },
    /// A tensor is not what the network needs.
    #[error(
        "{}: tensor {name:?} is {found:?} {found_shape:?}, where the network has F32 {shape:?}",
        path.display()
    )]
    Unlike {
        /// The checkpoint.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its element type in the file.
        found: DType,
        /// Its shape in the file.
        found_shape: Vec<usize>,
        /// The shape that the network has.
        shape: Vec<usize>,
    },
    /// A tensor's bytes cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The checkpoint.
        path: PathBuf,
        /// What the reader met; names the tensor.
        source: io::Error,
    },
    /// The file holds weights that the network has no place for.
    #[error("{}: tensor {name:?} has no place in the network", path.display())]
    Unused {
        /// The checkpoint.
        path: PathBuf,
        /// The first such tensor by name.
        name: String,
    },
}

/// An open checkpoint: a PyTorch state dictionary whose tensors are taken one by one.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    tensors: HashMap<String, Tensor>,
}

impl Checkpoint {
    /// Opens a `.pth` file and reads its table of tensors, not the tensors.
    ///
    /// # Errors
    /// [`CheckpointError::Open`] if it is not a checkpoint or its structure is broken.
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        let reader =
            PytorchReader::new(path).map_err(|source| CheckpointError::Open { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), tensors: reader.into_tensors() })
    }

    /// Takes a float32 tensor of exactly this shape out, elements in row-major order.
    ///
    /// # Errors
    /// If there is none of that name, type and shape, it was taken before, or its bytes are not
    /// in the file.
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, CheckpointError> {
        let Some(tensor) = self.tensors.remove(name) else {
            return Err(CheckpointError::Missing { path: self.path.clone(), name: name.to_owned() });
        };
        if tensor.dtype() != DType::F32 || tensor.shape() != shape {
            return Err(CheckpointError::Unlike {
                path: self.path.clone(),
                name: name.to_owned(),
                found: tensor.dtype(),
                found_shape: tensor.shape().to_vec(),
                shape: shape.to_vec(),
            });
        }
        let bytes = tensor.read().map_err(|source| CheckpointError::Read { path: self.path.clone(), source })?;
        let (elements, _) = bytes.as_chunks::<4>();
        Ok(elements.iter().map(|e| f32::from_ne_bytes(*e)).collect())
    }

    /// Makes sure that nothing was overlooked: every tensor was taken, but for the counters that
    /// batch normalization keeps while training.
    ///
    /// # Errors
    /// [`CheckpointError::Unused`] names the first tensor that is left.
    pub fn finish(self) -> Result<(), CheckpointError> {
        let left = self.tensors.into_keys();
        match left.filter(|name| !name.ends_with(".num_batches_tracked")).min() {
            None => Ok(()),
            Some(name) => Err(CheckpointError::Unused { path: self.path, name }),
        }
    }
}

//! A model whose weights stay where another file has them.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use prost::Message as _;

use crate::external;
use crate::model::{Model, ModelError, entries};
use crate::proto::{DataLocation, ModelProto, StringStringEntryProto, TensorProto};

/// Smaller weights are copied: an entry that says where they are is hardly shorter.
const SMALLEST: usize = 256;

impl Model {
    /// Writes the model with its weights referred to in the file that it was read from, or in the data files beside that:
    /// external data may lie anywhere in a file, within another model too. Weights that the file has as numbers rather than
    /// as bytes are copied. A file appears whole or not at all.
    ///
    /// # Errors
    /// [`ModelError::OtherFolder`] where `path` is not in the folder of that file: external data lies beside a model.
    pub fn save_sharing(&self, path: impl AsRef<Path>) -> Result<(), ModelError> {
        let (path, source) = (path.as_ref(), self.path());
        let unreadable = |error| ModelError::Read { path: source.into(), error };
        let source = source.canonicalize().map_err(unreadable)?;
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let elsewhere = || ModelError::OtherFolder { path: path.into(), original: source.clone() };
        if folder.canonicalize().ok().as_deref() != source.parent() {
            return Err(elsewhere());
        }
        let name = source.file_name().and_then(|name| name.to_str()).filter(|name| !name.contains(['\\', ':']));
        let places = places(external::map(&source).map_err(unreadable)?, name.ok_or_else(elsewhere)?, &source)?;
        let mut proto = self.proto().clone();
        for tensor in proto.graph.iter_mut().flat_map(|g| &mut g.initializer) {
            let place = tensor.name.as_deref().and_then(|name| places.get(name));
            let size = tensor.raw_data.as_ref().map_or(0, Bytes::len);
            let Some(place) = place.filter(|place| size >= SMALLEST && place.size == size) else { continue };
            tensor.raw_data = None;
            tensor.external_data = place.entries.clone();
            tensor.data_location = Some(DataLocation::External as i32);
        }
        let failed = |error| ModelError::Write { path: path.into(), error };
        external::write_whole(path, |file| file.write_all(&proto.encode_to_vec())).map_err(failed)
    }
}

/// The files beside a model that hold weights of it.
///
/// # Errors
/// Where the model cannot be read.
pub fn data_files(model: impl AsRef<Path>) -> Result<Vec<PathBuf>, ModelError> {
    let path = model.as_ref();
    let bytes = external::map(path).map_err(|error| ModelError::Read { path: path.into(), error })?;
    let decoded = ModelProto::decode(bytes).map_err(|error| ModelError::Decode { path: path.into(), error })?;
    let entries = decoded.graph.iter().flat_map(|g| &g.initializer).flat_map(|t| &t.external_data);
    let locations = entries.filter(|e| e.key.as_deref() == Some("location")).filter_map(|e| e.value.as_deref());
    let mut files: Vec<PathBuf> = locations.map(|location| path.with_file_name(location)).collect();
    files.sort();
    files.dedup();
    Ok(files)
}

/// Where a weight lies.
struct Place {
    entries: Vec<StringStringEntryProto>,
    size: usize,
}

/// Where the initializers of a file lie, by name: within the file `name`, or in the data file that it names.
fn places(bytes: Bytes, name: &str, source: &Path) -> Result<HashMap<String, Place>, ModelError> {
    let start = bytes.as_ptr() as usize;
    let decoded = ModelProto::decode(bytes).map_err(|error| ModelError::Decode { path: source.into(), error })?;
    let place = |tensor: TensorProto| {
        if tensor.data_location == Some(DataLocation::External as i32) {
            let length = tensor.external_data.iter().find(|e| e.key.as_deref() == Some("length"));
            let size = length.and_then(|e| e.value.as_deref()?.trim().parse().ok())?;
            return Some((tensor.name?, Place { entries: tensor.external_data, size }));
        }
        let data = tensor.raw_data?;
        // Decoded bytes are a part of those they were decoded from.
        let offset = (data.as_ptr() as usize).checked_sub(start)?;
        let entries = entries(&[
            ("location", name.to_owned()),
            ("offset", offset.to_string()),
            ("length", data.len().to_string()),
        ]);
        Some((tensor.name?, Place { entries, size: data.len() }))
    };
    Ok(decoded.graph.into_iter().flat_map(|g| g.initializer).filter_map(place).collect())
}

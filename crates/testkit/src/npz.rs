//! numpy's array files, as reference scripts write them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use ndarray::{ArrayD, IxDyn, ShapeBuilder as _};
use npyz::{DType, NpyFile, Order};

/// The arrays of an `.npz` file by name, as f64.
///
/// # Panics
///
/// Where the file cannot be read, or holds other than floats, integers and booleans.
pub fn npz(path: impl AsRef<Path>) -> BTreeMap<String, ArrayD<f64>> {
    let path = path.as_ref();
    let archive = File::open(path).map_err(|e| e.to_string()).and_then(|f| members(f).map_err(|e| e.to_string()));
    let archive = archive.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let read = |(name, bytes): (String, Vec<u8>)| {
        let values = array(&bytes[..]).unwrap_or_else(|e| panic!("{}, {name}: {e}", path.display()));
        (name.strip_suffix(".npy").unwrap_or(&name).to_owned(), values)
    };
    archive.into_iter().map(read).collect()
}

/// The array of an `.npy` file, as f64.
///
/// # Panics
///
/// As [`npz`].
pub fn npy(path: impl AsRef<Path>) -> ArrayD<f64> {
    let path = path.as_ref();
    let values = File::open(path).map_err(|e| e.to_string()).and_then(|f| array(std::io::BufReader::new(f)));
    values.unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn members(file: File) -> zip::result::ZipResult<Vec<(String, Vec<u8>)>> {
    let mut archive = zip::ZipArchive::new(file)?;
    let mut members = Vec::new();
    for i in 0..archive.len() {
        let mut member = archive.by_index(i)?;
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes)?;
        members.push((member.name()?.into_owned(), bytes));
    }
    Ok(members)
}

/// The array of an `.npy` file's bytes.
pub(crate) fn array(reader: impl Read) -> Result<ArrayD<f64>, String> {
    let file = NpyFile::new(reader).map_err(|e| e.to_string())?;
    let shape: Vec<usize> = file.shape().iter().map(|n| *n as usize).collect();
    let column_major = file.order() == Order::Fortran;
    let DType::Plain(dtype) = file.dtype() else { return Err("it is an array of records".to_owned()) };
    macro_rules! elements {
        ($type:ty) => {
            file.into_vec::<$type>().map_err(|e| e.to_string())?.into_iter().map(|v| v as f64).collect()
        };
    }
    let values: Vec<f64> = match dtype.to_string().trim_start_matches(['<', '>', '|']) {
        "f4" => elements!(f32),
        "f8" => elements!(f64),
        "i1" => elements!(i8),
        "i2" => elements!(i16),
        "i4" => elements!(i32),
        "i8" => elements!(i64),
        "u1" => elements!(u8),
        "u2" => elements!(u16),
        "u4" => elements!(u32),
        "u8" => elements!(u64),
        "b1" => {
            let values = file.into_vec::<bool>().map_err(|e| e.to_string())?;
            values.into_iter().map(|v| f64::from(u8::from(v))).collect()
        }
        other => return Err(format!("elements of type {other} are not read")),
    };
    ArrayD::from_shape_vec(IxDyn(&shape).set_f(column_major), values).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use zip::write::SimpleFileOptions;

    use super::*;

    /// An array file by the format's description: magic, version, header length, a Python dict, the elements.
    fn file(descr: &str, fortran: bool, shape: &str, elements: &[u8]) -> Vec<u8> {
        let order = if fortran { "True" } else { "False" };
        let header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(elements);
        bytes
    }

    fn bytes<const N: usize>(values: impl IntoIterator<Item = [u8; N]>) -> Vec<u8> {
        values.into_iter().flatten().collect()
    }

    #[test]
    fn element_types_orders_and_scalars() {
        let f32s = file("<f4", false, "(2, 2)", &bytes([1f32, 2.5, -3.0, 4.0].map(f32::to_le_bytes)));
        assert_eq!(array(&f32s[..]).unwrap(), ndarray::array![[1.0, 2.5], [-3.0, 4.0]].into_dyn());
        let columns = file("<f8", true, "(2, 2)", &bytes([1f64, 2.0, 3.0, 4.0].map(f64::to_le_bytes)));
        assert_eq!(array(&columns[..]).unwrap(), ndarray::array![[1.0, 3.0], [2.0, 4.0]].into_dyn());
        let scalar = file("<i8", false, "()", &(-7i64).to_le_bytes());
        assert_eq!(array(&scalar[..]).unwrap(), ndarray::arr0(-7.0).into_dyn());
        let flags = file("|b1", false, "(3,)", &[0, 1, 1]);
        assert_eq!(array(&flags[..]).unwrap(), ndarray::array![0.0, 1.0, 1.0].into_dyn());
        assert!(array(&file("<c8", false, "(1,)", &[0; 8])[..]).unwrap_err().contains("c8"));
    }

    #[test]
    fn archives_stored_and_compressed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        let mut archive = zip::ZipWriter::new(File::create(&path).unwrap());
        for (name, method) in [("x0", zip::CompressionMethod::Stored), ("y", zip::CompressionMethod::Deflated)] {
            archive.start_file(format!("{name}.npy"), SimpleFileOptions::default().compression_method(method)).unwrap();
            archive.write_all(&file("<f4", false, "(1,)", &(name.len() as f32).to_le_bytes())).unwrap();
        }
        archive.finish().unwrap();
        let arrays = npz(&path);
        assert_eq!(arrays.keys().collect::<Vec<_>>(), ["x0", "y"]);
        assert_eq!((arrays["x0"][[0]], arrays["y"][[0]]), (2.0, 1.0));
    }
}

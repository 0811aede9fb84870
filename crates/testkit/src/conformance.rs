//! The ONNX project's own cases of single operators, as `tests/make_conformance.py` packs them.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use ndarray::ArrayD;
use onnx_graph::Model;
use zip::ZipArchive;

use crate::cases::Case;
use crate::npz::array;

/// An operator of the standard domain.
#[derive(Clone, Debug)]
pub struct StandardOperator {
    /// Its name.
    pub name: String,
    /// Opsets that brought it or changed it, ascending.
    pub changed: Vec<i64>,
    /// The opset that took it back.
    pub ended: Option<i64>,
}

/// A case that the archives leave out.
#[derive(Clone, Debug)]
pub struct LeftOut {
    /// Its operator.
    pub operator: String,
    /// Its name.
    pub case: String,
    /// Why.
    pub reason: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance")
}

/// The rows of a file of tab-separated fields.
fn table<const N: usize>(name: &str) -> Vec<[String; N]> {
    let path = folder().join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let row = |line: &str| {
        let fields: Vec<String> = line.split('\t').map(str::to_owned).collect();
        fields.try_into().unwrap_or_else(|_| panic!("{}: {line:?} has other than {N} fields", path.display()))
    };
    text.lines().map(row).collect()
}

/// Every operator of the standard domain, by name.
pub fn standard_operators() -> Vec<StandardOperator> {
    let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("operators.tsv holds {text:?}"));
    let operator = |[name, changed, ended]: [String; 3]| StandardOperator {
        name,
        changed: changed.split(',').map(number).collect(),
        ended: Some(ended).filter(|e| !e.is_empty()).map(|e| number(&e)),
    };
    table("operators.tsv").into_iter().map(operator).collect()
}

/// The cases that the archives leave out.
pub fn left_out() -> Vec<LeftOut> {
    table("left_out.tsv").into_iter().map(|[operator, case, reason]| LeftOut { operator, case, reason }).collect()
}

/// The cases of an operator, by name; none where the ONNX project has none.
///
/// # Panics
///
/// Where its archive cannot be read.
pub fn operator_cases(operator: &str) -> Vec<Case> {
    all(operator).into_iter().filter(|case| !case.name.contains(BODY)).collect()
}

/// The cases of an operator that the standard defines by a function, with the function's body in the node's place.
///
/// # Panics
///
/// As [`operator_cases`].
pub fn function_bodies(operator: &str) -> Vec<Case> {
    all(operator).into_iter().filter(|case| case.name.contains(BODY)).collect()
}

/// In the name of a case of a function's body.
const BODY: &str = "/expanded";

fn all(operator: &str) -> Vec<Case> {
    let path = folder().join(format!("{operator}.zip"));
    let Ok(file) = File::open(&path) else { return Vec::new() };
    cases(file).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn cases(file: File) -> Result<Vec<Case>, String> {
    let mut archive = ZipArchive::new(file).map_err(|e| e.to_string())?;
    let mut names = Vec::new();
    for name in archive.file_names() {
        names.push(name.map_err(|e| e.to_string())?.into_owned());
    }
    names.sort_unstable();
    let mut cases = Vec::new();
    for path in names.iter().filter_map(|n| n.strip_suffix(".onnx")) {
        let model = member(&mut archive, &format!("{path}.onnx"))?.ok_or("a model is missing")?;
        let model = Model::read(model.into(), Path::new(path)).map_err(|e| e.to_string())?;
        let stem = path.split('/').next().unwrap_or(path);
        let (x, y) = (numbered(&mut archive, stem, 'x')?, numbered(&mut archive, stem, 'y')?);
        let name = path.strip_suffix("/model").unwrap_or(path).to_owned();
        cases.push(Case { name, model, x, y, dy: vec![], dx: vec![] });
    }
    Ok(cases)
}

/// `{case}/x0.npy`, `{case}/x1.npy`, … as far as there are any.
fn numbered(archive: &mut ZipArchive<File>, case: &str, letter: char) -> Result<Vec<ArrayD<f64>>, String> {
    let mut arrays = Vec::new();
    while let Some(bytes) = member(archive, &format!("{case}/{letter}{}.npy", arrays.len()))? {
        arrays.push(array(&bytes[..]).map_err(|e| format!("{case}, {letter}{}: {e}", arrays.len()))?);
    }
    Ok(arrays)
}

fn member(archive: &mut ZipArchive<File>, name: &str) -> Result<Option<Vec<u8>>, String> {
    let Some(index) = archive.index_for_name(name) else { return Ok(None) };
    let mut bytes = Vec::new();
    let mut member = archive.by_index(index).map_err(|e| e.to_string())?;
    member.read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_and_archives() {
        let operators = standard_operators();
        let of = |name: &str| operators.iter().find(|o| o.name == name).unwrap();
        assert_eq!((of("Relu").changed.as_slice(), of("Relu").ended), (&[1, 6, 13, 14][..], None));
        assert_eq!(of("Upsample").ended, Some(10));
        let [relu] = &operator_cases("Relu")[..] else { panic!("Relu has one case") };
        assert_eq!((relu.name.as_str(), relu.x[0].shape()), ("relu", &[3, 4, 5][..]));
        assert_eq!(relu.y[0], relu.x[0].mapv(|v| v.max(0.0)));
        assert!(operator_cases("NoSuchOperator").is_empty());
        assert!(left_out().iter().any(|l| l.operator == "Cast" && l.reason.contains("8 bits")));
    }
}

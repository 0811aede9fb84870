//! NumPy's `.npy`: raw maps out, tensors in. Little-endian float32 only.
//!
//! The format is six bytes of magic, a version, the length of a header, the header (a Python dictionary), and
//! the numbers (NumPy enhancement proposal 1).

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    ops::Range,
    path::{Path, PathBuf},
};

use ndarray::{Array, ArrayD, Axis, Dimension, IxDyn, ShapeBuilder};

use super::{HeatmapError, file, replace_file};

const MAGIC: &[u8] = b"\x93NUMPY";

/// Longest header that is read; NumPy's own are below 200 bytes for any rank.
const MAX_HEADER: u32 = 64 * 1024;

/// Most axes that are read; NumPy has at most 64.
const MAX_AXES: usize = 64;

/// Writes float32, little-endian, the last axis fastest; whole or not at all.
///
/// # Errors
/// [`HeatmapError::Write`].
pub fn write_npy<D: Dimension>(path: &Path, array: &Array<f32, D>) -> Result<(), HeatmapError> {
    let sizes: Vec<String> = array.shape().iter().map(usize::to_string).collect();
    let comma = if sizes.len() == 1 { "," } else { "" }; // A tuple of one.
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}{comma}), }}", sizes.join(", "));
    let prefix = MAGIC.len() + 4;
    let length = (prefix + header.len() + 1).next_multiple_of(64) - prefix;
    let mut bytes = Vec::with_capacity(prefix + length + 4 * array.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[1, 0]);
    bytes.extend_from_slice(&(length as u16).to_le_bytes());
    bytes.extend_from_slice(format!("{header:<width$}\n", width = length - 1).as_bytes());
    bytes.extend(array.iter().flat_map(|value| value.to_le_bytes()));
    replace_file(path, &bytes)
}

/// Reads a float32 array of any rank; Fortran order is turned round, so that the axes are the file's.
///
/// # Errors
/// As [`NpyReader::open`] and [`NpyReader::rows`].
pub fn read_npy(path: &Path) -> Result<ArrayD<f32>, HeatmapError> {
    NpyReader::open(path)?.all()
}

/// A float32 array in a file, read a few rows at a time.
#[derive(Debug)]
pub struct NpyReader {
    file: File,
    path: PathBuf,
    shape: Vec<usize>,
    fortran_order: bool,
    /// Where the numbers begin.
    start: u64,
    /// Everything, where the first axis is not the slowest.
    turned: Option<ArrayD<f32>>,
}

impl NpyReader {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// [`HeatmapError::Read`] where the file cannot be read, [`HeatmapError::NotNpy`] where it is none,
    /// [`HeatmapError::NpyType`] for other numbers, [`HeatmapError::NpyLength`] where the header lies. Nothing is
    /// allocated before the header agrees with the file's length.
    pub fn open(path: &Path) -> Result<NpyReader, HeatmapError> {
        let (mut file, length) = file::open(path)?;
        let failed = |source| HeatmapError::Read { path: path.to_owned(), source };
        let not_npy = |detail: &str| HeatmapError::NotNpy { path: path.to_owned(), detail: detail.to_owned() };

        let mut first = [0; 8];
        if length < 12 {
            return Err(not_npy("it is too short"));
        }
        file.read_exact(&mut first).map_err(failed)?;
        if !first.starts_with(MAGIC) {
            return Err(not_npy("it does not begin with NumPy's signature"));
        }
        let (header_length, before) = match first[6] {
            1 => {
                let mut bytes = [0; 2];
                file.read_exact(&mut bytes).map_err(failed)?;
                (u32::from(u16::from_le_bytes(bytes)), 10)
            }
            2 | 3 => {
                let mut bytes = [0; 4];
                file.read_exact(&mut bytes).map_err(failed)?;
                (u32::from_le_bytes(bytes), 12)
            }
            _ => return Err(not_npy("its version is none of 1, 2 and 3")),
        };
        if header_length > MAX_HEADER || before + u64::from(header_length) > length {
            return Err(not_npy("its header is too long"));
        }
        let mut header = vec![0; header_length as usize];
        file.read_exact(&mut header).map_err(failed)?;
        let header = String::from_utf8(header).map_err(|_| not_npy("its header is not text"))?;
        let Header { descr, fortran_order, shape } =
            Header::parse(&header).ok_or_else(|| not_npy("its header cannot be understood"))?;
        if descr != "'<f4'" {
            return Err(HeatmapError::NpyType { path: path.to_owned(), found: printable(&descr) });
        }
        let start = before + u64::from(header_length);
        let found = length - start;
        // Saturates far above any file's length.
        let needed = shape.iter().fold(4u128, |bytes, &n| bytes.saturating_mul(n as u128));
        if needed != u128::from(found) {
            return Err(HeatmapError::NpyLength { path: path.to_owned(), shape, needed, found });
        }
        // An empty array may still claim axes that no machine can count.
        let sizes =
            shape.iter().filter(|n| **n > 0).try_fold(4isize, |all, n| all.checked_mul(isize::try_from(*n).ok()?));
        if sizes.is_none() {
            return Err(not_npy("its shape is too large"));
        }
        Ok(NpyReader { file, path: path.to_owned(), shape, fortran_order, start, turned: None })
    }

    /// The array's shape.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Rows `range` along the first axis. Memory is needed for these rows only, in Fortran order for the whole array.
    ///
    /// # Errors
    /// [`HeatmapError::Read`] where the file has changed meanwhile or cannot be read.
    ///
    /// # Panics
    /// For rows that the array does not have.
    pub fn rows(&mut self, range: Range<usize>) -> Result<ArrayD<f32>, HeatmapError> {
        assert!(self.shape.first().is_some_and(|rows| range.end <= *rows), "no rows {range:?} in {:?}", self.shape);
        if self.fortran_order {
            if self.turned.is_none() {
                self.turned = Some(self.all()?);
            }
            let whole = self.turned.as_ref().expect("set above");
            return Ok(whole.slice_axis(Axis(0), range.into()).to_owned());
        }
        let row: usize = self.shape[1..].iter().product();
        let values = self.values(row * range.start, row * range.len())?;
        let shape = [&[range.len()], &self.shape[1..]].concat();
        Ok(ArrayD::from_shape_vec(shape, values).expect("as many numbers as the shape needs"))
    }

    fn all(&mut self) -> Result<ArrayD<f32>, HeatmapError> {
        let values = self.values(0, self.shape.iter().product())?;
        let shape = IxDyn(&self.shape).set_f(self.fortran_order);
        let array = ArrayD::from_shape_vec(shape, values).expect("as many numbers as the shape needs");
        Ok(if self.fortran_order { array.as_standard_layout().into_owned() } else { array })
    }

    /// `count` numbers from number `first` on.
    fn values(&mut self, first: usize, count: usize) -> Result<Vec<f32>, HeatmapError> {
        let mut bytes = vec![0; 4 * count];
        let position = SeekFrom::Start(self.start + 4 * first as u64);
        let read = self.file.seek(position).and_then(|_| self.file.read_exact(&mut bytes));
        read.map_err(|source| HeatmapError::Read { path: self.path.clone(), source })?;
        Ok(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
    }
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).take(80).collect()
}

/// The three entries of the dictionary.
struct Header {
    /// The type as written, quotes included: structured types are lists.
    descr: String,
    fortran_order: bool,
    shape: Vec<usize>,
}

impl Header {
    /// `{'descr': …, 'fortran_order': True|False, 'shape': (…), }` in any order, spaces anywhere.
    fn parse(text: &str) -> Option<Header> {
        let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        while !rest.is_empty() {
            let (key, after) = rest.strip_prefix(['\'', '"'])?.split_once(['\'', '"'])?;
            let after = after.trim_start().strip_prefix(':')?.trim_start();
            let (value, after) = split_value(after);
            match key {
                "descr" => descr = Some(value.replace('"', "'")),
                "fortran_order" => fortran_order = Some(parse_bool(value)?),
                "shape" => shape = Some(parse_shape(value)?),
                _ => return None,
            }
            rest = after.trim();
        }
        Some(Header { descr: descr?, fortran_order: fortran_order?, shape: shape? })
    }
}

/// Up to the next comma that no bracket encloses, and what follows it.
fn split_value(text: &str) -> (&str, &str) {
    let mut depth = 0i32;
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => return (text[..at].trim(), &text[at + 1..]),
            _ => {}
        }
    }
    (text.trim(), "")
}

fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "True" => Some(true),
        "False" => Some(false),
        _ => None,
    }
}

fn parse_shape(text: &str) -> Option<Vec<usize>> {
    let inner = text.strip_prefix('(')?.strip_suffix(')')?.trim();
    let inner = inner.strip_suffix(',').unwrap_or(inner);
    if inner.is_empty() {
        return Some(Vec::new());
    }
    let axes: Vec<usize> = inner.split(',').map(|n| n.trim().parse().ok()).collect::<Option<_>>()?;
    (axes.len() <= MAX_AXES).then_some(axes)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    /// A version 1 file with this header and these bytes behind it.
    fn file(header: &str, numbers: &[u8]) -> Vec<u8> {
        let mut bytes = [MAGIC, &[1, 0], &(header.len() as u16).to_le_bytes(), header.as_bytes()].concat();
        bytes.extend_from_slice(numbers);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<ArrayD<f32>, HeatmapError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("map.npy");
        std::fs::write(&path, bytes).unwrap();
        read_npy(&path)
    }

    fn floats(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    #[test]
    fn written_maps_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("map.npy");
        let cases =
            [array![[1.5, -2.0, f32::MIN_POSITIVE], [0.0, f32::MAX, -0.0]], Array2::zeros((0, 5)), array![[7.0]]];
        for map in cases {
            // A view with its axes swapped is not rows first in memory.
            for map in [map.clone(), map.reversed_axes()] {
                write_npy(&path, &map).unwrap();
                assert_eq!(read_npy(&path).unwrap(), map.into_dyn());
            }
        }
        for shape in [&[][..], &[3], &[2, 1, 3], &[1, 3, 2, 2]] {
            let array = ArrayD::from_shape_fn(shape, |at| at.slice().iter().fold(1.0, |sum, i| 3.0 * sum + *i as f32));
            write_npy(&path, &array).unwrap();
            assert_eq!(read_npy(&path).unwrap(), array);
        }
    }

    /// Byte for byte what `numpy.save` writes for this array.
    #[test]
    fn writes_as_numpy_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("map.npy");
        write_npy(&path, &array![[1.0, 2.0]]).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }";
        let expected =
            [b"\x93NUMPY\x01\x00\x76\x00", format!("{header:<117}\n").as_bytes(), &floats(&[1.0, 2.0])].concat();
        assert_eq!(bytes, expected);
    }

    #[test]
    fn orders_ranks_and_spellings_are_understood() {
        let numbers = floats(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let rows = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
        assert_eq!(read(&file(rows, &numbers)).unwrap(), array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]].into_dyn());
        let columns = "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }   \n";
        let turned = read(&file(columns, &numbers)).unwrap();
        assert_eq!(turned, array![[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]].into_dyn());
        assert!(turned.is_standard_layout());
        let odd = "{\"shape\":(6,),\"descr\":\"<f4\",\"fortran_order\":False}";
        assert_eq!(read(&file(odd, &numbers)).unwrap().shape(), [6]);
        let scalar = "{'descr': '<f4', 'fortran_order': False, 'shape': (), }";
        assert_eq!(read(&file(scalar, &numbers[..4])).unwrap().shape(), [0; 0]);
        let mut second = file(rows, &numbers);
        second.splice(6..8, [2, 0]);
        second.splice(10..10, [0, 0]);
        assert_eq!(read(&second).unwrap().shape(), [2, 3]);
    }

    #[test]
    fn rows_are_read_by_themselves() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.npy");
        for order in ["False", "True"] {
            let header = format!("{{'descr': '<f4', 'fortran_order': {order}, 'shape': (3, 2, 1), }}");
            std::fs::write(&path, file(&header, &floats(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))).unwrap();
            let whole = read_npy(&path).unwrap();
            let mut reader = NpyReader::open(&path).unwrap();
            assert_eq!(reader.shape(), [3, 2, 1]);
            for range in [1..2, 0..3, 2..3, 1..1] {
                let expected = whole.slice_axis(Axis(0), range.clone().into());
                assert_eq!(reader.rows(range).unwrap(), expected, "{order}");
            }
        }
    }

    #[test]
    fn other_numbers_are_named_with_a_hint() {
        for found in ["'<f8'", "'>f4'", "'|u1'", "[('a', '<f4'), ('b', '<i4')]", "'|O'"] {
            let header = format!("{{'descr': {found}, 'fortran_order': False, 'shape': (1,), }}");
            let error = read(&file(&header, &[0; 8])).unwrap_err();
            assert!(matches!(error, HeatmapError::NpyType { .. }), "{error:?}");
            assert!(error.to_string().contains(found) && error.to_string().contains("hint:"), "{error}");
        }
    }

    #[test]
    fn headers_that_lie_are_refused_before_anything_is_allocated() {
        let shapes = ["(3,)", "(1,)", "(1099511627776, 1099511627776)", "(18446744073709551615,)"];
        for shape in shapes {
            let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
            let error = read(&file(&header, &[0; 8])).unwrap_err();
            assert!(matches!(error, HeatmapError::NpyLength { found: 8, .. }), "{shape}: {error:?}");
        }
    }

    #[test]
    fn an_empty_array_of_impossible_shape_is_refused() {
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 1099511627776, 0), }";
        assert!(matches!(read(&file(header, &[])), Err(HeatmapError::NotNpy { .. })));
    }

    #[test]
    fn what_is_no_array_is_refused() {
        let header = |entries: &str| file(entries, &[0; 8]);
        let many = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", "1,".repeat(65));
        let bad = [
            b"".to_vec(),
            b"\x89PNG\r\n\x1A\nand so on".to_vec(),
            header(""),
            header("{}"),
            header("{'descr': '<f4', 'shape': (2,), }"),
            header("{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2,), }"),
            header("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }"),
            header("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 1}"),
            header("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)"),
            header("{'descr"),
            header("\u{e9}\u{e9}{:'(,)"),
            header(&many),
            [MAGIC, &[9, 0, 4, 0], b"{}  ", &[0; 8]].concat(),
            [MAGIC, &[2, 0, 255, 255, 255, 255], &[0; 8]].concat(),
            [MAGIC, &[1, 0, 255, 255], &[0; 8]].concat(),
        ];
        for bytes in bad {
            let error = read(&bytes).unwrap_err();
            assert!(matches!(error, HeatmapError::NotNpy { .. }), "{bytes:?}: {error:?}");
            assert!(error.to_string().contains("map.npy"), "{error}");
        }
    }

    #[test]
    fn no_prefix_and_no_flipped_bit_panics() {
        let good = file("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 1), }", &[0; 8]);
        for length in 0..good.len() {
            assert!(read(&good[..length]).is_err(), "{length}");
        }
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let _ = read(&bytes);
        }
    }
}

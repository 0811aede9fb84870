//! Constant tensors: weights and small folded values.

use std::fmt;

use bytes::Bytes;
use half::{bf16, f16};

use crate::dtype::DataType;
use crate::ops::MOST_AXES;

/// A constant tensor. Cheap to clone: the elements are shared, a *splat* (every element the same, as old files
/// write their weights with ConstantOfShape) holds one element only.
#[derive(Clone, PartialEq)]
pub struct Constant {
    dtype: DataType,
    dims: Vec<usize>,
    data: Data,
}

#[derive(Clone, PartialEq)]
enum Data {
    /// All elements, little-endian, row-major.
    Dense(Bytes),
    /// The bytes of the one element.
    Splat(Bytes),
}

/// Why elements do not make a constant.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConstantError {
    /// Shape and data differ in size.
    #[error("shape {dims:?} of {dtype} needs {expected} bytes, the data has {found}")]
    Length {
        #[allow(missing_docs)]
        dims: Vec<usize>,
        #[allow(missing_docs)]
        dtype: DataType,
        #[allow(missing_docs)]
        expected: usize,
        #[allow(missing_docs)]
        found: usize,
    },
    /// The number of elements overflows.
    #[error("shape {0:?} has more elements than memory can hold")]
    TooLarge(Vec<usize>),
    /// More axes than any classifier's tensor.
    #[error("{0} axes are too many")]
    Axes(usize),
    /// A splat that would have to be written out, beyond the folding budget.
    #[error("writing out {elements} equal elements of {dtype} is beyond the budget of {} MiB", FOLDING_BUDGET >> 20)]
    Budget {
        #[allow(missing_docs)]
        elements: usize,
        #[allow(missing_docs)]
        dtype: DataType,
    },
}

/// Folding may make this many bytes that the file does not hold.
pub const FOLDING_BUDGET: usize = 64 << 20;

impl Constant {
    /// A constant of these little-endian bytes.
    pub fn new(dtype: DataType, dims: Vec<usize>, data: Bytes) -> Result<Constant, ConstantError> {
        let count = count(&dims)?;
        let expected = count.checked_mul(dtype.size()).ok_or_else(|| ConstantError::TooLarge(dims.clone()))?;
        if expected != data.len() {
            return Err(ConstantError::Length { dims, dtype, expected, found: data.len() });
        }
        Ok(Constant { dtype, dims, data: Data::Dense(data) })
    }

    /// Every element equal to the one element of `element`.
    pub fn splat(element: &Constant, dims: Vec<usize>) -> Result<Constant, ConstantError> {
        count(&dims)?;
        let size = element.dtype.size();
        let one = match &element.data {
            Data::Dense(bytes) | Data::Splat(bytes) if bytes.len() >= size => bytes.slice(..size),
            _ => return Err(ConstantError::Length { dims, dtype: element.dtype, expected: size, found: 0 }),
        };
        Ok(Constant { dtype: element.dtype, dims, data: Data::Splat(one) })
    }

    /// Float32 elements in row-major order.
    pub fn f32s(dims: &[usize], values: &[f32]) -> Constant {
        Constant::of(DataType::F32, dims, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    /// Int64 elements in row-major order.
    pub fn i64s(dims: &[usize], values: &[i64]) -> Constant {
        Constant::of(DataType::I64, dims, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    /// Integers or booleans of any type, wrapped to its width; `None` for a float type.
    pub fn integers(dtype: DataType, dims: &[usize], values: &[i64]) -> Option<Constant> {
        (!dtype.is_float()).then(|| {
            let bytes = values.iter().flat_map(|v| v.to_le_bytes().into_iter().take(dtype.size())).collect();
            Constant::of(dtype, dims, bytes)
        })
    }

    /// Floats of any type, rounded to its precision; `None` for an integer type.
    pub fn floats(dtype: DataType, dims: &[usize], values: &[f64]) -> Option<Constant> {
        let bytes = match dtype {
            DataType::F64 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            DataType::F32 => values.iter().flat_map(|v| (*v as f32).to_le_bytes()).collect(),
            DataType::F16 => values.iter().flat_map(|v| f16::from_f64(*v).to_le_bytes()).collect(),
            DataType::BF16 => values.iter().flat_map(|v| bf16::from_f64(*v).to_le_bytes()).collect(),
            _ => return None,
        };
        Some(Constant::of(dtype, dims, bytes))
    }

    /// A float32 scalar.
    pub fn scalar(value: f32) -> Constant {
        Constant::f32s(&[], &[value])
    }

    fn of(dtype: DataType, dims: &[usize], bytes: Vec<u8>) -> Constant {
        assert_eq!(dims.iter().product::<usize>() * dtype.size(), bytes.len(), "values fill the shape");
        Constant { dtype, dims: dims.to_vec(), data: Data::Dense(bytes.into()) }
    }

    /// Element type.
    pub fn dtype(&self) -> DataType {
        self.dtype
    }

    /// Shape.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The one element of a splat, as a scalar constant.
    pub fn as_splat(&self) -> Option<Constant> {
        match &self.data {
            Data::Splat(one) => Some(Constant { dtype: self.dtype, dims: vec![], data: Data::Dense(one.clone()) }),
            Data::Dense(_) => None,
        }
    }

    /// The same elements in another shape of as many elements.
    pub fn reshaped(&self, dims: Vec<usize>) -> Result<Constant, ConstantError> {
        if count(&dims)? != self.len() {
            let (expected, found) = (count(&dims)? * self.dtype.size(), self.len() * self.dtype.size());
            return Err(ConstantError::Length { dims, dtype: self.dtype, expected, found });
        }
        Ok(Constant { dims, ..self.clone() })
    }

    /// All elements as little-endian bytes; a splat is written out, within the folding budget.
    pub fn bytes(&self) -> Result<Bytes, ConstantError> {
        match &self.data {
            Data::Dense(bytes) => Ok(bytes.clone()),
            Data::Splat(one) => {
                self.check_budget()?;
                Ok(one.repeat(self.len()).into())
            }
        }
    }

    fn check_budget(&self) -> Result<(), ConstantError> {
        let fits = self.len().checked_mul(8).is_some_and(|bytes| bytes <= 2 * FOLDING_BUDGET);
        match &self.data {
            Data::Splat(_) if !fits => Err(ConstantError::Budget { elements: self.len(), dtype: self.dtype }),
            _ => Ok(()),
        }
    }

    /// The elements as f64; 64-bit integers beyond 2⁵³ are rounded.
    pub fn to_f64(&self) -> Result<Vec<f64>, ConstantError> {
        self.convert(|b| match self.dtype {
            DataType::F32 => f64::from(f32::from_le_bytes(word(b))),
            DataType::F64 => f64::from_le_bytes(word(b)),
            DataType::F16 => f16::from_le_bytes(word(b)).to_f64(),
            DataType::BF16 => bf16::from_le_bytes(word(b)).to_f64(),
            DataType::U64 => u64::from_le_bytes(word(b)) as f64,
            _ => integer(self.dtype, b) as f64,
        })
    }

    /// The elements as f32.
    pub fn to_f32(&self) -> Result<Vec<f32>, ConstantError> {
        match self.dtype {
            DataType::F32 => self.convert(|b| f32::from_le_bytes(word(b))),
            DataType::F16 => self.convert(|b| f16::from_le_bytes(word(b)).to_f32()),
            DataType::BF16 => self.convert(|b| bf16::from_le_bytes(word(b)).to_f32()),
            _ => Ok(self.to_f64()?.into_iter().map(|v| v as f32).collect()),
        }
    }

    /// The elements as i64; `None` where they are not integers or booleans.
    pub fn to_i64(&self) -> Result<Option<Vec<i64>>, ConstantError> {
        if self.dtype.is_float() {
            return Ok(None);
        }
        self.convert(|b| integer(self.dtype, b)).map(Some)
    }

    fn convert<T: Clone>(&self, read: impl Fn(&[u8]) -> T) -> Result<Vec<T>, ConstantError> {
        self.check_budget()?;
        Ok(match &self.data {
            Data::Dense(bytes) => bytes.chunks_exact(self.dtype.size()).map(read).collect(),
            Data::Splat(one) => vec![read(one); self.len()],
        })
    }
}

fn count(dims: &[usize]) -> Result<usize, ConstantError> {
    const LONGEST: usize = isize::MAX as usize / 8;
    if dims.len() > MOST_AXES {
        return Err(ConstantError::Axes(dims.len()));
    }
    let count = dims.iter().try_fold(1usize, |n, d| n.checked_mul(*d).filter(|_| *d <= LONGEST));
    count.filter(|n| *n <= LONGEST).ok_or_else(|| ConstantError::TooLarge(dims.to_vec()))
}

fn word<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut word = [0; N];
    word.copy_from_slice(&bytes[..N]);
    word
}

fn integer(dtype: DataType, b: &[u8]) -> i64 {
    match dtype {
        DataType::U8 => i64::from(b[0]),
        DataType::Bool => i64::from(b[0] != 0),
        DataType::I8 => i64::from(b[0] as i8),
        DataType::U16 => i64::from(u16::from_le_bytes(word(b))),
        DataType::I16 => i64::from(i16::from_le_bytes(word(b))),
        DataType::I32 => i64::from(i32::from_le_bytes(word(b))),
        DataType::U32 => i64::from(u32::from_le_bytes(word(b))),
        DataType::I64 => i64::from_le_bytes(word(b)),
        DataType::U64 => i64::try_from(u64::from_le_bytes(word(b))).unwrap_or(i64::MAX),
        DataType::F32 | DataType::F64 | DataType::F16 | DataType::BF16 => 0,
    }
}

impl fmt::Debug for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.dtype, self.dims)
    }
}

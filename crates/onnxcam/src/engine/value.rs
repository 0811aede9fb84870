//! What a session takes and gives.

use ndarray::{Array, ArrayD, Dimension};

/// A tensor as it crosses the border to an engine: float32 or int64.
///
/// What a file declares otherwise is converted at that border: float16 and float64 to and from
/// [`Value::F32`]; int32, uint8, int8 and bool to and from [`Value::I64`]. (rten computes in f32 and i32
/// anyway, so nothing finer would survive on both engines.)
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// float32, any rank.
    F32(ArrayD<f32>),
    /// int64, any rank; false and true are 0 and 1.
    I64(ArrayD<i64>),
}

/// The two families of element types that a [`Value`] knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// float16, float32, float64.
    Float,
    /// Integers and booleans.
    Int,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Kind::Float => "float",
            Kind::Int => "int",
        })
    }
}

impl Value {
    /// Sizes, outermost first; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        match self {
            Value::F32(a) => a.shape(),
            Value::I64(a) => a.shape(),
        }
    }

    /// Whether the elements are floats or integers.
    pub fn kind(&self) -> Kind {
        match self {
            Value::F32(_) => Kind::Float,
            Value::I64(_) => Kind::Int,
        }
    }

    /// The floats, or `None` if these are integers.
    pub fn as_f32(&self) -> Option<&ArrayD<f32>> {
        match self {
            Value::F32(a) => Some(a),
            Value::I64(_) => None,
        }
    }

    /// The integers, or `None` if these are floats.
    pub fn as_i64(&self) -> Option<&ArrayD<i64>> {
        match self {
            Value::I64(a) => Some(a),
            Value::F32(_) => None,
        }
    }

    /// The floats by value, or `None` if these are integers.
    pub fn into_f32(self) -> Option<ArrayD<f32>> {
        match self {
            Value::F32(a) => Some(a),
            Value::I64(_) => None,
        }
    }

    /// The integers by value, or `None` if these are floats.
    pub fn into_i64(self) -> Option<ArrayD<i64>> {
        match self {
            Value::I64(a) => Some(a),
            Value::F32(_) => None,
        }
    }
}

impl<D: Dimension> From<Array<f32, D>> for Value {
    fn from(a: Array<f32, D>) -> Self {
        Value::F32(a.into_dyn())
    }
}

impl<D: Dimension> From<Array<i64, D>> for Value {
    fn from(a: Array<i64, D>) -> Self {
        Value::I64(a.into_dyn())
    }
}

impl From<f32> for Value {
    fn from(x: f32) -> Self {
        ndarray::arr0(x).into()
    }
}

impl From<i64> for Value {
    fn from(x: i64) -> Self {
        ndarray::arr0(x).into()
    }
}

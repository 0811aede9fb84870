//! Element types, `TensorProto.DataType`.

use std::fmt;

/// An ONNX element type. The discriminant is the number that files store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
#[allow(missing_docs)]
pub enum DataType {
    F32 = 1,
    U8 = 2,
    I8 = 3,
    U16 = 4,
    I16 = 5,
    I32 = 6,
    I64 = 7,
    Bool = 9,
    F16 = 10,
    F64 = 11,
    U32 = 12,
    U64 = 13,
    BF16 = 16,
}

impl DataType {
    const ALL: [DataType; 13] = [
        Self::F32,
        Self::U8,
        Self::I8,
        Self::U16,
        Self::I16,
        Self::I32,
        Self::I64,
        Self::Bool,
        Self::F16,
        Self::F64,
        Self::U32,
        Self::U64,
        Self::BF16,
    ];

    /// The type with this number; `None` for strings, complex numbers and the 8- and 4-bit floats, which
    /// no classifier computes with.
    pub fn from_number(number: i32) -> Option<DataType> {
        Self::ALL.into_iter().find(|t| *t as i32 == number)
    }

    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::U16 | Self::I16 | Self::F16 | Self::BF16 => 2,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
        }
    }

    /// Least and greatest integer of the type; `None` for floats and booleans.
    pub fn range(self) -> Option<(f64, f64)> {
        let bits = 8 * self.size() as i32;
        match self {
            Self::I8 | Self::I16 | Self::I32 | Self::I64 => Some((-2f64.powi(bits - 1), 2f64.powi(bits - 1) - 1.0)),
            Self::U8 | Self::U16 | Self::U32 | Self::U64 => Some((0.0, 2f64.powi(bits) - 1.0)),
            Self::Bool | Self::F16 | Self::BF16 | Self::F32 | Self::F64 => None,
        }
    }

    /// Whether gradients can flow through tensors of this type.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64 | Self::F16 | Self::BF16)
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::Bool => "bool",
            Self::F16 => "f16",
            Self::F64 => "f64",
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::BF16 => "bf16",
        })
    }
}

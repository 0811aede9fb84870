//! Attributes of a canonical node.

use std::fmt;

use crate::dim::{Dim, Shape, show_shape};

/// A typed attribute.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Attribute {
    Int(i64),
    Float(f32),
    Text(String),
    Ints(Vec<i64>),
    /// Sizes that may depend on the batch: Reshape's and Expand's shape.
    Dims(Shape),
}

/// The attributes of a node by name. In canonical form every attribute that an operator has is present, so the
/// accessors below answer without an `Option`; asking for one that is not there is a bug of the asker and panics.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attributes(Vec<(&'static str, Attribute)>);

impl Attributes {
    /// No attributes.
    pub const fn none() -> Attributes {
        Attributes(Vec::new())
    }

    /// Adds one.
    pub fn with(mut self, name: &'static str, value: impl Into<Attribute>) -> Attributes {
        self.0.push((name, value.into()));
        self
    }

    /// All of them, in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Attribute)> {
        self.0.iter().map(|(name, value)| (*name, value))
    }

    /// The attribute of this name.
    pub fn get(&self, name: &str) -> Option<&Attribute> {
        self.0.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    fn expect(&self, name: &str) -> &Attribute {
        self.get(name).unwrap_or_else(|| panic!("canonical form has attribute `{name}`: {self:?}"))
    }

    /// An integer.
    pub fn int(&self, name: &str) -> i64 {
        match self.expect(name) {
            Attribute::Int(value) => *value,
            other => panic!("attribute `{name}` is an integer: {other:?}"),
        }
    }

    /// An integer that is 0 or 1.
    pub fn flag(&self, name: &str) -> bool {
        self.int(name) != 0
    }

    /// A number.
    pub fn float(&self, name: &str) -> f32 {
        match self.expect(name) {
            Attribute::Float(value) => *value,
            other => panic!("attribute `{name}` is a float: {other:?}"),
        }
    }

    /// A text.
    pub fn text(&self, name: &str) -> &str {
        match self.expect(name) {
            Attribute::Text(value) => value,
            other => panic!("attribute `{name}` is a text: {other:?}"),
        }
    }

    /// A list of integers.
    pub fn ints(&self, name: &str) -> &[i64] {
        match self.expect(name) {
            Attribute::Ints(values) => values,
            other => panic!("attribute `{name}` is a list of integers: {other:?}"),
        }
    }

    /// A list of sizes.
    pub fn dims(&self, name: &str) -> &[Dim] {
        match self.expect(name) {
            Attribute::Dims(values) => values,
            other => panic!("attribute `{name}` is a list of sizes: {other:?}"),
        }
    }
}

impl From<i64> for Attribute {
    fn from(value: i64) -> Attribute {
        Attribute::Int(value)
    }
}

impl From<bool> for Attribute {
    fn from(value: bool) -> Attribute {
        Attribute::Int(value.into())
    }
}

impl From<f32> for Attribute {
    fn from(value: f32) -> Attribute {
        Attribute::Float(value)
    }
}

impl From<&str> for Attribute {
    fn from(value: &str) -> Attribute {
        Attribute::Text(value.to_owned())
    }
}

impl From<Vec<i64>> for Attribute {
    fn from(value: Vec<i64>) -> Attribute {
        Attribute::Ints(value)
    }
}

impl From<Shape> for Attribute {
    fn from(value: Shape) -> Attribute {
        Attribute::Dims(value)
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Attribute::Int(value) => write!(f, "{value}"),
            Attribute::Float(value) => write!(f, "{value}"),
            Attribute::Text(value) => write!(f, "{value:?}"),
            Attribute::Ints(values) => {
                let values: Vec<String> = values.iter().map(i64::to_string).collect();
                write!(f, "[{}]", values.join(","))
            }
            Attribute::Dims(values) => f.write_str(&show_shape(values)),
        }
    }
}

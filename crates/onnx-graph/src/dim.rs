//! Sizes that may depend on the batch: `a·N + b`.

use std::fmt;

/// A dimension, or an integer computed from dimensions: `per_batch · N + constant`.
///
/// `N` is the batch size, the one symbol that a graph keeps. The form is closed under what exporters do with
/// shapes: adding, multiplying by a constant, dividing exactly.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dim {
    per_batch: i64,
    constant: i64,
}

/// A tensor's shape.
pub type Shape = Vec<Dim>;

#[allow(clippy::should_implement_trait)] // Arithmetic here can fail, the traits' cannot.
impl Dim {
    /// The batch size itself.
    pub const BATCH: Dim = Dim { per_batch: 1, constant: 0 };

    /// A known size.
    pub const fn new(constant: i64) -> Dim {
        Dim { per_batch: 0, constant }
    }

    /// The value, where it does not depend on the batch.
    pub fn known(self) -> Option<i64> {
        (self.per_batch == 0).then_some(self.constant)
    }

    /// Whether the value depends on the batch size.
    pub fn is_symbolic(self) -> bool {
        self.per_batch != 0
    }

    /// The value for a batch of `n`.
    pub fn at(self, n: usize) -> i64 {
        self.per_batch.saturating_mul(n as i64).saturating_add(self.constant)
    }

    /// `self + other`; `None` on overflow.
    pub fn add(self, other: Dim) -> Option<Dim> {
        Some(Dim {
            per_batch: self.per_batch.checked_add(other.per_batch)?,
            constant: self.constant.checked_add(other.constant)?,
        })
    }

    /// `self − other`; `None` on overflow.
    pub fn sub(self, other: Dim) -> Option<Dim> {
        self.add(other.mul(Dim::new(-1))?)
    }

    /// `self · other`; `None` on overflow or where the product would have an `N²`.
    pub fn mul(self, other: Dim) -> Option<Dim> {
        let (scaled, by) = match (self.known(), other.known()) {
            (_, Some(by)) => (self, by),
            (Some(by), _) => (other, by),
            _ => return None,
        };
        Some(Dim { per_batch: scaled.per_batch.checked_mul(by)?, constant: scaled.constant.checked_mul(by)? })
    }

    /// `self / other`, where that is exact for every batch size, or both are known (rounded towards zero,
    /// as ONNX's Div on integers does).
    pub fn div(self, other: Dim) -> Option<Dim> {
        if let (Some(a), Some(b)) = (self.known(), other.known()) {
            return Some(Dim::new(a.checked_div(b)?));
        }
        if other.constant == 0 && self.constant == 0 && other.per_batch != 0 {
            return exact(self.per_batch, other.per_batch).map(Dim::new);
        }
        let by = other.known()?;
        Some(Dim { per_batch: exact(self.per_batch, by)?, constant: exact(self.constant, by)? })
    }
}

fn exact(a: i64, b: i64) -> Option<i64> {
    (a.checked_rem(b)? == 0).then(|| a / b)
}

impl From<i64> for Dim {
    fn from(value: i64) -> Dim {
        Dim::new(value)
    }
}

impl From<usize> for Dim {
    fn from(value: usize) -> Dim {
        Dim::new(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.per_batch, self.constant) {
            (0, b) => write!(f, "{b}"),
            (1, 0) => write!(f, "N"),
            (a, 0) => write!(f, "{a}N"),
            (1, b) => write!(f, "N{b:+}"),
            (a, b) => write!(f, "{a}N{b:+}"),
        }
    }
}

impl fmt::Debug for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Number of elements of a tensor of this shape; `None` on overflow.
pub fn element_count(shape: &[Dim]) -> Option<Dim> {
    shape.iter().try_fold(Dim::new(1), |count, dim| count.mul(*dim))
}

/// The shape as `[N, 512, 7, 7]` is printed.
pub fn show_shape(shape: &[Dim]) -> String {
    let dims: Vec<String> = shape.iter().map(Dim::to_string).collect();
    format!("[{}]", dims.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_keeps_the_batch() {
        let n = Dim::BATCH;
        let flat = n.mul(Dim::new(512)).unwrap();
        assert_eq!(flat.to_string(), "512N");
        assert_eq!(flat.div(Dim::new(512)), Some(n));
        assert_eq!(flat.div(n), Some(Dim::new(512)));
        assert_eq!(flat.div(Dim::new(5)), None);
        assert_eq!(flat.div(Dim::new(511)), None); // 1 is left over.
        assert_eq!(n.mul(n), None);
        assert_eq!(n.add(Dim::new(3)).unwrap().at(4), 7);
        assert_eq!(Dim::new(7).div(Dim::new(-2)), Some(Dim::new(-3)));
        assert_eq!(Dim::new(7).div(Dim::new(0)), None);
        assert_eq!(Dim::new(i64::MAX).add(Dim::new(1)), None);
        assert_eq!(Dim::new(i64::MIN).div(Dim::new(-1)), None);
    }
}

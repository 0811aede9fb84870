//! From a raw map to something a person looks at.
//!
//! ```text
//! raw map [h, w] ─ relu ─ half-pixel bilinear, onto the original picture ─ min–max ─ colours ─► heatmap, overlay, panel
//! ```
//! An [`Attribution`] has a value for every sample of the input, and is shown in colours about grey.
//! A [`Heatmap`] is what an engine returned, untouched; a [`Placed`] one lies on the original picture in 0..=1.
//! Files are written whole or not at all: [`write_png`], [`write_npy`], [`replace_file`].

mod attribution;
mod colormap;
mod error;
mod file;
mod npy;
mod panel;
mod placed;
mod png;
mod text;
mod up_sampling;

use ndarray::Array2;

use crate::picture::Placement;

pub use attribution::Attribution;
pub use colormap::Colormap;
pub use error::HeatmapError;
pub use file::replace_file;
pub use npy::{NpyReader, read_npy, write_npy};
pub use panel::{PanelColumn, panel};
pub use placed::Placed;
pub use png::{read_png_text, write_png};
pub(crate) use up_sampling::UpSampling;

/// A raw map `[h, w]`, as a method made it: before relu, scaling and normalisation.
#[derive(Clone, Debug)]
pub struct Heatmap {
    raw: Array2<f32>,
    flatness: Flatness,
}

/// Whether the positive part of a map shows anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flatness {
    /// It does.
    Varies,
    /// Nothing is above zero: no positive evidence.
    Zero,
    /// One value above zero everywhere, up to rounding.
    Constant,
    /// Some value is NaN or infinite.
    NotFinite,
}

/// Relative differences below this are rounding.
const ROUNDING: f32 = 1e-6;

impl Heatmap {
    /// Wraps a raw map `[h, w]`.
    pub fn new(raw: Array2<f32>) -> Heatmap {
        let flatness = Flatness::of(&raw);
        Heatmap { raw, flatness }
    }

    /// The map as it came, `[h, w]`.
    pub fn raw(&self) -> &Array2<f32> {
        &self.raw
    }

    /// Whether there is anything to see.
    pub fn flatness(&self) -> Flatness {
        self.flatness
    }

    /// The positive part, up-sampled onto the picture that `placement` speaks of, and stretched to 0..=1 over
    /// what the network saw. A map that does not vary becomes 0.
    pub fn placed(&self, placement: &Placement) -> Placed {
        Placed::new(self, placement)
    }
}

impl Flatness {
    /// Of a raw map.
    pub fn of(raw: &Array2<f32>) -> Flatness {
        if raw.iter().any(|v| !v.is_finite()) {
            return Flatness::NotFinite;
        }
        let positive = || raw.iter().map(|v| v.max(0.0));
        let (low, high) = (positive().fold(f32::INFINITY, f32::min), positive().fold(0.0, f32::max));
        if high == 0.0 {
            Flatness::Zero
        } else if high - low <= ROUNDING * high {
            Flatness::Constant
        } else {
            Flatness::Varies
        }
    }

    /// What to tell the user, for all but [`Flatness::Varies`].
    pub fn message(self) -> Option<&'static str> {
        match self {
            Flatness::Varies => None,
            Flatness::Zero => Some("the map is zero everywhere: no positive evidence"),
            Flatness::Constant => Some("the map is constant: it points nowhere"),
            Flatness::NotFinite => Some("the map holds NaN or infinity"),
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn flatness_looks_at_the_positive_part() {
        let of = |raw| Heatmap::new(raw).flatness();
        assert_eq!(of(array![[0.0, 1.0]]), Flatness::Varies);
        assert_eq!(of(array![[-2.0, 1.0]]), Flatness::Varies);
        assert_eq!(of(array![[1e-30, 2e-30]]), Flatness::Varies);
        assert_eq!(of(array![[0.0, 0.0]]), Flatness::Zero);
        assert_eq!(of(array![[-1.0, -3.0]]), Flatness::Zero);
        assert_eq!(of(Array2::zeros((0, 4))), Flatness::Zero);
        assert_eq!(of(array![[2.5]]), Flatness::Constant);
        assert_eq!(of(array![[1.0, 1.0 + f32::EPSILON]]), Flatness::Constant);
        assert_eq!(of(array![[1.0, f32::NAN]]), Flatness::NotFinite);
        assert_eq!(of(array![[0.0, f32::INFINITY]]), Flatness::NotFinite);
        assert_eq!(of(array![[0.0, f32::NEG_INFINITY]]), Flatness::NotFinite);
    }
}

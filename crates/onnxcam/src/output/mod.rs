//! The files that explanations go into: their names, what they may replace, and writing them.

mod name;
mod place;
mod write;

use std::fmt;
use std::str::FromStr;

use crate::picture::UnknownName;

pub use place::{OutputError, Outputs, Request, check_file};
pub use write::{Files, Style};

/// What is saved of an explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The picture with the map's colours over it, PNG.
    Overlay,
    /// The map in colours, as large as the picture, PNG.
    Heatmap,
    /// What the method made, float32, before any normalisation, `.npy`: the raw map `[h, w]`; of a method in the space of the
    /// picture what it says of every sample, of the input's shape.
    Map,
    /// The explanation map E = L ∘ I: the picture, each pixel times the map, PNG.
    Explanation,
    /// The explanation map as the network is fed it, float32, of the input's shape, `.npy`.
    ExplanationInput,
    /// The picture and every method's heatmap and overlay side by side, captioned, PNG.
    Panel,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 6] =
        [Kind::Overlay, Kind::Heatmap, Kind::Map, Kind::Explanation, Kind::ExplanationInput, Kind::Panel];

    /// Its name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Overlay => "overlay",
            Kind::Heatmap => "heatmap",
            Kind::Map => "map",
            Kind::Explanation => "explanation",
            Kind::ExplanationInput => "explanation-input",
            Kind::Panel => "panel",
        }
    }

    /// The suffix of its files, without the dot.
    pub fn suffix(self) -> &'static str {
        if matches!(self, Kind::Map | Kind::ExplanationInput) { "npy" } else { "png" }
    }

    /// What is saved instead where there is no picture to draw on: an array as input.
    fn without_picture(self) -> Kind {
        match self {
            Kind::Overlay | Kind::Explanation | Kind::Panel => Kind::Heatmap,
            kind => kind,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Kind {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Kind, UnknownName> {
        let known = Kind::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(text));
        known.ok_or_else(|| UnknownName::new("kind of file", text, Kind::ALL.map(Kind::name)))
    }
}

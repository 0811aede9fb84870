//! Measures of explanations, one file each: equation, citation, range, which way is better.
//!
//! They are taken of one image, one class and one method's map, and averaged afterwards ([`statistics`]). A map becomes a
//! [`Mask`] first, of the network's input: relu, half-pixel bilinear up-sampling, stretched to 0 … 1. Boxes become a [`Region`]
//! of the same pixels. Y is the class's confidence for the picture, O for its explanation map E = L ∘ I.
//!
//! What a measure cannot be taken of (no box inside the crop, a map that is zero everywhere where the measure divides by its
//! sum) is `None`: left out of means and counted, never a number.

mod adcc;
mod average_drop;
mod curve;
mod energy_pointing_game;
mod increase;
mod intersection;
mod localisation;
mod mask;
mod max_box_accuracy;
mod pointing_game;
mod region;
mod sparseness;
pub mod statistics;
mod win;

pub use adcc::{adcc, coherency, complexity};
pub use average_drop::{Below, drop_share};
pub use curve::{Curve, area_under};
pub use energy_pointing_game::energy_inside;
pub use increase::increases;
pub use intersection::intersection_over_union;
pub use localisation::localisation;
pub use mask::{Mask, Stretch};
pub use max_box_accuracy::{BOX_THRESHOLDS, largest_box_ious};
pub use pointing_game::{TOLERANCE, points_at};
pub use region::Region;
pub use sparseness::gini;
pub use win::{Outcome, Tally, compare};

/// Confidences nearer to each other than this are the same: what rounding makes of equal pictures in batches of other sizes.
pub const TIE: f64 = 1e-6;

/// A class whose confidence is lower than this has nothing that could drop.
pub const LEAST_CONFIDENCE: f64 = 1e-12;

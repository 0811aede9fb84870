//! Feature maps as masks.

use ndarray::ArrayViewMut2;

/// To 0..=1; all 0 where it is the same everywhere.
pub(super) fn min_max(mut map: ArrayViewMut2<f32>) {
    let least = map.iter().copied().fold(f32::INFINITY, f32::min);
    let most = map.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let range = most - least;
    map.mapv_inplace(|v| if range > 0.0 { (v - least) / range } else { 0.0 });
}

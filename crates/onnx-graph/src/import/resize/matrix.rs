//! The matrix of an axis that is resized: what the cells of X weigh in each cell of Y.

use std::ops::RangeInclusive;

/// How cells of Y are made of cells of X.
pub(super) struct Filter {
    pub mode: String,
    pub coordinates: String,
    pub rounding: Rounding,
    pub cubic: f64,
    pub exclude_outside: bool,
    pub antialias: bool,
}

/// The cell that is nearest to a coordinate.
#[derive(Clone, Copy)]
pub(super) enum Rounding {
    PreferFloor,
    PreferCeil,
    Floor,
    Ceil,
    /// Down where the picture grows, up where it shrinks: what the standard's cases of opset 10 hold.
    Opset10,
}

/// An axis that changes: old and new extent, the scale between, and where its ends lie in X's (0 to 1), if it is cropped.
#[derive(Clone, Copy)]
pub(super) struct Stretch {
    pub axis: usize,
    pub from: usize,
    pub to: usize,
    pub scale: f64,
    pub crop: Option<(f64, f64)>,
}

/// A, [to, from], row by row; and which rows lie outside of X, of an axis that is cropped.
pub(super) struct Matrix {
    pub rows: Vec<f64>,
    pub outside: Vec<bool>,
}

impl Matrix {
    pub fn new(stretch: Stretch, filter: &Filter) -> Result<Matrix, String> {
        let Stretch { from, to, .. } = stretch;
        let (mut rows, mut outside) = (vec![0.0; to * from], vec![false; to]);
        for (i, row) in rows.chunks_exact_mut(from).enumerate() {
            let at = coordinate(i as f64, stretch, &filter.coordinates)?;
            outside[i] = stretch.crop.is_some() && !(0.0..=from as f64 - 1.0).contains(&at);
            if outside[i] {
                continue;
            }
            for (cell, weight) in weights(at, stretch, filter)? {
                row[cell.clamp(0, from as i64 - 1) as usize] += weight;
            }
        }
        Ok(Matrix { rows, outside })
    }
}

/// Where cell `i` of Y lies in X.
fn coordinate(i: f64, Stretch { from, to, scale, crop, .. }: Stretch, mode: &str) -> Result<f64, String> {
    let (from, to) = (from as f64, to as f64);
    let half_pixel = (i + 0.5) / scale - 0.5;
    Ok(match mode {
        "half_pixel" => half_pixel,
        "half_pixel_symmetric" => from / 2.0 * (1.0 - to / (scale * from)) + half_pixel,
        "pytorch_half_pixel" if to > 1.0 => half_pixel,
        "align_corners" if to > 1.0 => i * (from - 1.0) / (to - 1.0),
        "pytorch_half_pixel" | "align_corners" => 0.0,
        "asymmetric" => i / scale,
        "tf_crop_and_resize" => {
            let (start, end) = crop.unwrap_or((0.0, 1.0));
            match to > 1.0 {
                true => start * (from - 1.0) + i * (end - start) * (from - 1.0) / (to - 1.0),
                false => 0.5 * (start + end) * (from - 1.0),
            }
        }
        other => return Err(format!("coordinate_transformation_mode {other:?} is not known")),
    })
}

/// The cells of X, which may lie outside, that make the value at a coordinate.
fn weights(at: f64, Stretch { from, scale, .. }: Stretch, filter: &Filter) -> Result<Vec<(i64, f64)>, String> {
    // Against aliasing, a kernel is as many times wider as the picture is smaller.
    let narrow = if filter.antialias { scale.min(1.0) } else { 1.0 };
    let reach = |support: f64| ((at - support / narrow).floor() as i64)..=((at + support / narrow).ceil() as i64);
    let weighed = |cells: RangeInclusive<i64>, kernel: &dyn Fn(f64) -> f64| -> Vec<(i64, f64)> {
        cells.map(|cell| (cell, kernel((cell as f64 - at).abs() * narrow))).filter(|(_, w)| *w != 0.0).collect()
    };
    let weights = match filter.mode.as_str() {
        "nearest" => {
            let cell = match filter.rounding {
                Rounding::PreferFloor => (at - 0.5).ceil(),
                Rounding::PreferCeil => (at + 0.5).floor(),
                Rounding::Floor => at.floor(),
                Rounding::Ceil => at.ceil(),
                Rounding::Opset10 => {
                    if scale < 1.0 {
                        at.ceil()
                    } else {
                        at.floor()
                    }
                }
            };
            return Ok(vec![(cell as i64, 1.0)]);
        }
        "linear" => weighed(reach(1.0), &|d| (1.0 - d).max(0.0)),
        "cubic" => weighed(reach(2.0), &|d| cubic(d, filter.cubic)),
        other => return Err(format!("mode {other:?} is not known")),
    };
    let inside = |cell: &i64| !filter.exclude_outside || (0..from as i64).contains(cell);
    let kept: Vec<(i64, f64)> = weights.into_iter().filter(|(cell, _)| inside(cell)).collect();
    let sum: f64 = kept.iter().map(|(_, weight)| weight).sum();
    Ok(kept.into_iter().map(|(cell, weight)| (cell, weight / sum)).collect())
}

/// The cubic convolution kernel of Keys (1981) at a distance of 0 to 2 cells.
fn cubic(d: f64, a: f64) -> f64 {
    if d <= 1.0 {
        ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0
    } else if d < 2.0 {
        (((d - 5.0) * d + 8.0) * d - 4.0) * a
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(stretch: Stretch, filter: &Filter, i: usize) -> Vec<f64> {
        Matrix::new(stretch, filter).unwrap().rows[i * stretch.from..][..stretch.from].to_vec()
    }

    fn stretch(from: usize, to: usize) -> Stretch {
        Stretch { axis: 0, from, to, scale: to as f64 / from as f64, crop: None }
    }

    fn filter(mode: &str, coordinates: &str) -> Filter {
        let text = |s: &str| s.to_owned();
        Filter {
            mode: text(mode),
            coordinates: text(coordinates),
            rounding: Rounding::Floor,
            cubic: -0.75,
            exclude_outside: false,
            antialias: false,
        }
    }

    /// Twice the size: cell 1 of four lies a quarter of a cell behind cell 0 of two.
    #[test]
    fn rows_by_hand() {
        let twice = stretch(2, 4);
        assert_eq!(row(twice, &filter("linear", "half_pixel"), 1), [0.75, 0.25]);
        assert_eq!(row(twice, &filter("linear", "half_pixel"), 0), [1.0, 0.0], "the edge is repeated");
        assert_eq!(row(twice, &filter("linear", "asymmetric"), 1), [0.5, 0.5]);
        assert_eq!(row(twice, &filter("nearest", "asymmetric"), 3), [0.0, 1.0]);
        let third = row(twice, &filter("linear", "align_corners"), 1);
        assert!((third[0] - 2.0 / 3.0).abs() < 1e-12 && (third[1] - 1.0 / 3.0).abs() < 1e-12);
    }

    /// Half the size: the triangle is two cells wide on either side, so cells at distances ½ and 3⁄2 weigh ¾ and ¼ of it.
    #[test]
    fn antialiased_rows_by_hand() {
        let half = Filter { antialias: true, ..filter("linear", "half_pixel") };
        assert_eq!(row(stretch(8, 4), &half, 1), [0.0, 0.125, 0.375, 0.375, 0.125, 0.0, 0.0, 0.0]);
        assert_eq!(row(stretch(8, 4), &half, 0)[..3], [0.5, 0.375, 0.125], "the edge is repeated");
        let inside = Filter { exclude_outside: true, ..half };
        let first = row(stretch(8, 4), &inside, 0);
        assert!((first[0] - 3.0 / 7.0).abs() < 1e-12 && (first[2] - 1.0 / 7.0).abs() < 1e-12, "{first:?}");
        let larger = Filter { antialias: true, ..filter("linear", "half_pixel") };
        assert_eq!(row(stretch(2, 4), &larger, 1), [0.75, 0.25], "a larger picture has no aliasing");
    }

    /// From a quarter before the middle of five cells to half an axis behind the last: what lies behind is outside.
    #[test]
    fn cropped_rows_by_hand() {
        let cropped = Stretch { crop: Some((0.25, 1.5)), ..stretch(5, 3) };
        let made = Matrix::new(cropped, &filter("linear", "tf_crop_and_resize")).unwrap();
        assert_eq!(made.outside, [false, false, true]);
        assert_eq!(made.rows[..10], [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.5]);
        assert_eq!(made.rows[10..], [0.0; 5]);
    }

    /// The standard's case of opset 10: 1 2 3 4 by 0.6 are 1 3.
    #[test]
    fn smaller_by_the_nearest_cell_before_opset_11() {
        let old = Filter { rounding: Rounding::Opset10, ..filter("nearest", "asymmetric") };
        let smaller = Stretch { scale: 0.6, ..stretch(4, 2) };
        assert_eq!(Matrix::new(smaller, &old).unwrap().rows, [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        assert_eq!(row(stretch(2, 4), &old, 1), [1.0, 0.0]);
    }

    #[test]
    fn every_row_sums_to_one() {
        for (from, to) in [(5, 8), (8, 5), (1, 3), (7, 1)] {
            let stretch = stretch(from, to);
            for mode in ["nearest", "linear", "cubic"] {
                for coordinates in ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"] {
                    for (exclude_outside, antialias) in [(false, false), (true, false), (false, true), (true, true)] {
                        let filter = Filter { exclude_outside, antialias, ..filter(mode, coordinates) };
                        for i in 0..to {
                            let sum: f64 = row(stretch, &filter, i).iter().sum();
                            assert!((sum - 1.0).abs() < 1e-12, "{mode}, {coordinates}, {from} to {to}: {sum}");
                        }
                    }
                }
            }
        }
    }
}

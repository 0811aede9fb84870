use ndarray::Array2;

use super::region::common;
use super::{Mask, Region};
use crate::picture::Rectangle;

/// The thresholds that a data set's best is chosen of: 0.00, 0.01 … 0.99.
pub const BOX_THRESHOLDS: usize = 100;

/// Box accuracy: for each threshold, how well the box around the largest part of the mask above it fits a box of the class.
///
/// Choe et al. 2020 (arXiv 2001.07437), MaxBoxAcc: intersection over union with the best-fitting box of the class, of the box of the
/// largest connected part, corners touching, of {L > t}; of equally large parts the first in row-major order. An image counts as
/// right at t where that is at least 0.5 (also 0.3 and 0.7); MaxBoxAcc is the largest share of right images over all t. Choose t
/// on other images than those it is reported on. 0 to 1, higher is better. `None` where the input shows nothing of the boxes.
pub fn largest_box_ious(mask: &Mask, region: &Region) -> Option<Vec<f64>> {
    if region.boxes().is_empty() {
        return None;
    }
    let threshold = |i: usize| i as f32 / BOX_THRESHOLDS as f32;
    let best = |found: Rectangle| region.boxes().iter().map(|b| overlap(b, &found)).fold(0.0, f64::max);
    Some((0..BOX_THRESHOLDS).map(|i| largest_part(mask.values(), threshold(i)).map_or(0.0, best)).collect())
}

/// The box around the largest 8-connected part of what is above a threshold.
fn largest_part(values: &Array2<f32>, threshold: f32) -> Option<Rectangle> {
    let (height, width) = values.dim();
    let mut seen = Array2::from_elem((height, width), false);
    let mut largest: Option<(usize, [usize; 4])> = None;
    let mut open = Vec::new();
    for (start, value) in values.indexed_iter() {
        if *value <= threshold || seen[start] {
            continue;
        }
        let (mut count, mut extent) = (0, [start.0, start.1, start.0, start.1]); // Top, left, bottom, right.
        seen[start] = true;
        open.push(start);
        while let Some((y, x)) = open.pop() {
            count += 1;
            extent = [extent[0].min(y), extent[1].min(x), extent[2].max(y), extent[3].max(x)];
            for row in y.saturating_sub(1)..(y + 2).min(height) {
                for column in x.saturating_sub(1)..(x + 2).min(width) {
                    if !seen[[row, column]] && values[[row, column]] > threshold {
                        seen[[row, column]] = true;
                        open.push((row, column));
                    }
                }
            }
        }
        if largest.is_none_or(|(most, _)| count > most) {
            largest = Some((count, extent));
        }
    }
    largest.map(|(_, [top, left, bottom, right])| Rectangle {
        left: left as f64,
        top: top as f64,
        right: (right + 1) as f64,
        bottom: (bottom + 1) as f64,
    })
}

fn overlap(a: &Rectangle, b: &Rectangle) -> f64 {
    let area = |r: &Rectangle| (r.right - r.left) * (r.bottom - r.top);
    let both = common(a, b).map_or(0.0, |both| area(&both));
    both / (area(a) + area(b) - both)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn the_largest_part_is_taken() {
        let mask = Mask::from_values(array![[1.0, 0.0, 0.0, 0.0], [0.0, 0.6, 0.0, 0.9], [0.0, 0.0, 0.0, 0.9]]);
        let of = |b: [f64; 4]| Region::of(&[Rectangle { left: b[0], top: b[1], right: b[2], bottom: b[3] }], (3, 4));
        let first = largest_box_ious(&mask, &of([0.0, 0.0, 2.0, 2.0])).unwrap();
        // Below 0.6 the diagonal pair is first of two parts of two; then the pair at the right is the larger.
        assert_eq!((first[0], first[59], first[60], first[99]), (1.0, 1.0, 0.0, 0.25));
        let right = largest_box_ious(&mask, &of([3.0, 1.0, 4.0, 3.0])).unwrap();
        assert_eq!((right[0], right[60], right[89], right[90]), (0.0, 1.0, 1.0, 0.0));
        assert_eq!(right.len(), BOX_THRESHOLDS);
    }

    #[test]
    fn nothing_fits_nothing() {
        let empty = Mask::from_values(Array2::zeros((3, 4)));
        let region = Region::of(&[Rectangle { left: 0.0, top: 0.0, right: 2.0, bottom: 2.0 }], (3, 4));
        assert_eq!(largest_box_ious(&empty, &region), Some(vec![0.0; BOX_THRESHOLDS]));
        assert_eq!(largest_box_ious(&empty, &Region::of(&[], (3, 4))), None);
    }
}

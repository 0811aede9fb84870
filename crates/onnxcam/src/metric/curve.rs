use ndarray::Array2;

use super::Mask;

/// The order in which deletion and insertion take pixels away or put them in: the strongest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Curve {
    order: Vec<u32>,
    width: usize,
    steps: usize,
    ties: usize,
}

impl Curve {
    /// Of a mask, in at most `steps` steps of equally many pixels, at least one. Equal ones are taken in row-major order.
    ///
    /// Petsiuk et al. 2018 (RISE, arXiv 1806.07421), section 4.1.
    pub fn of(mask: &Mask, steps: usize) -> Curve {
        let values = mask.values();
        let flat: Vec<f32> = values.iter().copied().collect();
        let mut order: Vec<u32> = (0..flat.len() as u32).collect();
        order.sort_by(|a, b| flat[*b as usize].total_cmp(&flat[*a as usize]));
        let ties = order.windows(2).filter(|pair| flat[pair[0] as usize] == flat[pair[1] as usize]).count();
        let steps = steps.clamp(1, flat.len().max(1));
        Curve { order, width: values.ncols(), steps, ties }
    }

    /// Points of the curve: the untouched picture, and one after each step.
    pub fn points(&self) -> usize {
        self.steps + 1
    }

    /// The share of pixels that are taken at a point, 0 to 1.
    pub fn share(&self, point: usize) -> f64 {
        self.taken(point) as f64 / self.order.len().max(1) as f64
    }

    /// Marks the pixels that are taken at a point in `into`, `[H, W]`, all of it written.
    pub fn mark(&self, point: usize, into: &mut Array2<bool>) {
        into.fill(false);
        for pixel in &self.order[..self.taken(point)] {
            let pixel = *pixel as usize;
            into[[pixel / self.width, pixel % self.width]] = true;
        }
    }

    /// The share of neighbours in the order that are equal, so that chance, or the order of rows, decides.
    pub fn tied(&self) -> f64 {
        self.ties as f64 / self.order.len().saturating_sub(1).max(1) as f64
    }

    fn taken(&self, point: usize) -> usize {
        (self.order.len() * point.min(self.steps)) / self.steps
    }
}

/// The area under a curve of confidences at these shares, by trapezoids, over the width that they span.
///
/// Of deletion lower is better, of insertion higher. `None` where a confidence is not a number, or there are fewer than two points.
pub fn area_under(shares: &[f64], confidences: &[f64]) -> Option<f64> {
    let (first, last) = (shares.first()?, shares.last()?);
    let sum: f64 =
        shares.windows(2).zip(confidences.windows(2)).map(|(x, y)| (x[1] - x[0]) * (y[0] + y[1]) / 2.0).sum();
    (last > first && !sum.is_nan()).then(|| sum / (last - first))
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn the_strongest_first_and_rows_among_equals() {
        let curve = Curve::of(&Mask::from_values(array![[0.5, 1.0, 0.5], [0.0, 0.5, 0.25]]), 3);
        let mut taken = Array2::from_elem((2, 3), true);
        let mut at = |point: usize| {
            curve.mark(point, &mut taken);
            taken.iter().map(|t| u8::from(*t)).collect::<Vec<_>>()
        };
        assert_eq!(at(0), [0, 0, 0, 0, 0, 0]);
        assert_eq!(at(1), [1, 1, 0, 0, 0, 0]);
        assert_eq!(at(2), [1, 1, 1, 0, 1, 0]);
        assert_eq!(at(3), [1; 6]);
        assert_eq!((curve.points(), curve.share(1), curve.tied()), (4, 1.0 / 3.0, 0.4));
    }

    #[test]
    fn more_steps_than_pixels() {
        let curve = Curve::of(&Mask::from_values(array![[1.0]]), 100);
        assert_eq!((curve.points(), curve.share(0), curve.share(1)), (2, 0.0, 1.0));
    }

    #[test]
    fn trapezoids() {
        assert_eq!(area_under(&[0.0, 0.5, 1.0], &[1.0, 0.5, 0.0]), Some(0.5));
        assert_eq!(area_under(&[0.0, 0.25, 1.0], &[1.0, 0.0, 0.0]), Some(0.125));
        assert_eq!(area_under(&[0.0, 1.0], &[1.0, f64::NAN]), None);
        assert_eq!(area_under(&[0.0], &[1.0]), None);
    }
}

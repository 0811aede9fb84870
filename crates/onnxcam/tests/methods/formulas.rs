//! w_k by the paper's equations, and by what goes by the same name elsewhere.

use ndarray::{Array3, ArrayView2};

/// w_k for feature maps A and gradients g = ∂S/∂A, both [K, h, w].
pub type Formula = fn(&Array3<f64>, &Array3<f64>) -> Vec<f64>;

fn channels(a: &Array3<f64>, g: &Array3<f64>, weight: impl Fn(ArrayView2<f64>, ArrayView2<f64>) -> f64) -> Vec<f64> {
    a.outer_iter().zip(g.outer_iter()).map(|(a, g)| weight(a, g)).collect()
}

fn relu(v: f64) -> f64 {
    v.max(0.0)
}

/// Eq. 9 for Y = exp(S), the common factor exp(S) of all derivatives left out: g² / (2 g² + ΣA g³) where g > 0, else 0.
fn alpha(sum: f64, g: f64) -> f64 {
    if g > 0.0 { g.powi(2) / (2.0 * g.powi(2) + sum * g.powi(3)) } else { 0.0 }
}

/// Eq. 5: w_k = Σ_ij α relu(g).
pub fn literal(a: &Array3<f64>, g: &Array3<f64>) -> Vec<f64> {
    channels(a, g, |a, g| g.iter().map(|v| alpha(a.sum(), *v) * relu(*v)).sum())
}

/// Other formulas in use under the name Grad-CAM++.
pub const OTHERS: [(&str, Formula); 8] = [
    ("α divided by its sum over cells of positive gradient", |a, g| {
        channels(a, g, |a, g| {
            let total: f64 = g.iter().map(|v| alpha(a.sum(), *v)).sum();
            g.iter().map(|v| alpha(a.sum(), *v) * relu(*v)).sum::<f64>() / if total == 0.0 { 1.0 } else { total }
        })
    }),
    ("α divided by its sum over all cells", |a, g| {
        channels(a, g, |a, g| {
            let any = |v: f64| if v == 0.0 { 0.0 } else { 1.0 / (2.0 + a.sum() * v) };
            let total: f64 = g.iter().map(|v| any(*v)).sum();
            g.iter().map(|v| any(*v) * relu(*v)).sum::<f64>() / total
        })
    }),
    ("the sum of third derivatives for ΣA, gradients normalised", |a, g| {
        let norm = g.iter().map(|v| v * v).sum::<f64>().sqrt();
        channels(a, &g.mapv(|v| v / norm), |_, g| {
            let third: f64 = g.iter().map(|v| v.powi(3)).sum();
            g.iter().map(|v| alpha(third, *v) * relu(*v)).sum()
        })
    }),
    ("1e-6 in the denominator", |a, g| {
        channels(a, g, |a, g| {
            let alpha = |v: f64| v.powi(2) / (2.0 * v.powi(2) + a.sum() * v.powi(3) + 1e-6);
            g.iter().map(|v| if *v == 0.0 { 0.0 } else { alpha(*v) * relu(*v) }).sum()
        })
    }),
    ("the division lost: α = g²", |a, g| channels(a, g, |_, g| g.iter().map(|v| v.powi(2) * relu(*v)).sum())),
    ("Σ (A g³) for (ΣA) g³", |a, g| {
        channels(a, g, |a, g| {
            let mixed: f64 = a.iter().zip(g).map(|(a, g)| a * g.powi(3)).sum();
            g.iter().map(|v| if *v == 0.0 { 0.0 } else { v.powi(2) / (2.0 * v.powi(2) + mixed) * relu(*v) }).sum()
        })
    }),
    ("Σ (A g³) for (ΣA) g³, and 1e-7", |a, g| {
        channels(a, g, |a, g| {
            let mixed: f64 = a.iter().zip(g).map(|(a, g)| a * g.powi(3)).sum();
            g.iter().map(|v| v.powi(2) / (2.0 * v.powi(2) + mixed + 1e-7) * relu(*v)).sum()
        })
    }),
    ("the mean of A for its sum, and of α relu(g)", |a, g| {
        channels(a, g, |a, g| {
            let mean = a.mean().expect("cells");
            g.iter().map(|v| alpha(mean, *v) * relu(*v)).sum::<f64>() / g.len() as f64
        })
    }),
];

//! From scores to probabilities.

use crate::target::{Activation, Head};

/// What the outputs are, where the graph does not end in an activation that we know.
const ALREADY: &str = "no final softmax was found, yet the outputs are probabilities: they are shown as they are, and what is \
                       explained is the probability, not the score before it";

/// How much the sum of float32 probabilities may be off.
const OFF: f64 = 1e-3;

/// How a network's scores become probabilities.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Probabilities {
    activation: Activation,
    /// Whether nobody said which activation it is, neither file nor user.
    assumed: bool,
}

impl Probabilities {
    pub(super) fn of(head: &Head, named: Option<Activation>) -> Probabilities {
        Probabilities { activation: head.activation, assumed: !head.found && named.is_none() }
    }

    /// Probabilities of one picture's scores, in float64, and what has to be said of them; none without an activation.
    pub(super) fn of_scores(self, scores: &[f32]) -> (Option<Vec<f64>>, Option<&'static str>) {
        let scores: Vec<f64> = scores.iter().map(|s| f64::from(*s)).collect();
        match self.activation {
            Activation::Softmax if self.assumed && are_probabilities(&scores) => (Some(scores), Some(ALREADY)),
            activation => (activation.probabilities(&scores), None),
        }
    }
}

fn are_probabilities(values: &[f64]) -> bool {
    values.iter().all(|v| (0.0..=1.0).contains(v)) && (values.iter().sum::<f64>() - 1.0).abs() < OFF
}

/// Class numbers by score, the best first, equal ones by number; NaN comes last.
pub(super) fn ranks(scores: &[f32]) -> Vec<usize> {
    let mut ranks: Vec<usize> = (0..scores.len()).collect();
    let key = |class: usize| if scores[class].is_nan() { f32::NEG_INFINITY } else { scores[class] };
    ranks.sort_by(|a, b| key(*b).total_cmp(&key(*a)));
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(activation: Activation, assumed: bool, scores: &[f32]) -> (Option<Vec<f64>>, Option<&'static str>) {
        Probabilities { activation, assumed }.of_scores(scores)
    }

    #[test]
    fn softmax_of_any_size() {
        let (p, note) = of(Activation::Softmax, true, &[1000.0, 1000.0 + 3f32.ln(), f32::NEG_INFINITY]);
        let p = p.unwrap();
        assert!((p[0] - 0.25).abs() < 1e-5 && (p[1] - 0.75).abs() < 1e-5 && p[2] == 0.0 && note.is_none());
    }

    #[test]
    fn a_sigmoid_head_shows_both_classes() {
        let p = of(Activation::Sigmoid, false, &[-3f32.ln(), 3f32.ln()]).0.unwrap();
        assert!((p[0] - 0.25).abs() < 1e-6 && (p[1] - 0.75).abs() < 1e-6);
        assert_eq!(of(Activation::Sigmoid, false, &[-2000.0, 2000.0]).0.unwrap(), [0.0, 1.0]);
    }

    #[test]
    fn no_softmax_of_a_softmax() {
        let outputs = [0.2, 0.5, 0.3];
        let (p, note) = of(Activation::Softmax, true, &outputs);
        assert!(p.unwrap().iter().zip(outputs).all(|(p, o)| *p == f64::from(o)) && note.is_some());
        // A softmax that the file or the user names is taken at its word.
        assert!((of(Activation::Softmax, false, &outputs).0.unwrap()[1] - 0.5).abs() > 0.05);
        // Scores that are no probabilities.
        for scores in [[0.2, 0.5, 0.4], [1.2, -0.5, 0.3], [f32::NAN, 0.5, 0.5]] {
            assert_eq!(of(Activation::Softmax, true, &scores).1, None);
        }
        assert_eq!(of(Activation::None, true, &outputs), (None, None));
    }

    #[test]
    fn the_best_come_first_and_nan_last() {
        assert_eq!(ranks(&[0.5, f32::NAN, 2.0, 0.5]), [2, 0, 3, 1]);
        assert_eq!(ranks(&[]), [0; 0]);
    }
}

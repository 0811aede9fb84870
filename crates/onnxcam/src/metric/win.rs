use std::ops::AddAssign;

use super::{Below, TIE};

/// Which of two methods keeps more of a picture's confidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The first.
    Win,
    /// The second.
    Loss,
    /// Neither, by more than [`TIE`].
    Tie,
}

/// How often each happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Images that the first method won.
    pub wins: usize,
    /// Images that the second won.
    pub losses: usize,
    /// Images that neither won.
    pub ties: usize,
}

/// Win: whether the first method's confidence falls less than the second's.
///
///   Y − O₁ < Y − O₂
///
/// Chattopadhyay et al. 2017, section 4.1.1, by more than [`TIE`]; the table's figure is the share of images, times 100. Falls below zero
/// count as they are, or with [`Below::Zero`] as none. `None` where a confidence is not a number.
pub fn compare(plain: f64, first: f64, second: f64, below: Below) -> Option<Outcome> {
    let fall = |masked: f64| if below == Below::Zero { (plain - masked).max(0.0) } else { plain - masked };
    let ahead = fall(second) - fall(first);
    if (plain - first).is_nan() || (plain - second).is_nan() {
        return None;
    }
    Some(match ahead {
        ahead if ahead > TIE => Outcome::Win,
        ahead if ahead < -TIE => Outcome::Loss,
        _ => Outcome::Tie,
    })
}

impl AddAssign<Outcome> for Tally {
    fn add_assign(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Win => self.wins += 1,
            Outcome::Loss => self.losses += 1,
            Outcome::Tie => self.ties += 1,
        }
    }
}

impl Tally {
    /// Wins as a share of all images, ties among them; `None` of no images.
    pub fn share(&self) -> Option<f64> {
        let all = self.wins + self.losses + self.ties;
        (all > 0).then(|| self.wins as f64 / all as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn falls_are_signed_unless_told_otherwise() {
        assert_eq!(compare(0.5, 0.4, 0.3, Below::Signed), Some(Outcome::Win));
        assert_eq!(compare(0.5, 0.3, 0.4, Below::Signed), Some(Outcome::Loss));
        assert_eq!(compare(0.5, 0.8, 0.7, Below::Signed), Some(Outcome::Win));
        assert_eq!(compare(0.5, 0.8, 0.7, Below::Zero), Some(Outcome::Tie));
        assert_eq!(compare(0.5, 0.4, 0.4 + 5e-7, Below::Signed), Some(Outcome::Tie));
        assert_eq!(compare(0.5, f64::NAN, 0.4, Below::Zero), None);
    }

    #[test]
    fn ties_are_images_too() {
        let mut tally = Tally::default();
        assert_eq!(tally.share(), None);
        [Outcome::Win, Outcome::Tie, Outcome::Tie, Outcome::Loss].into_iter().for_each(|o| tally += o);
        assert_eq!((tally, tally.share()), (Tally { wins: 1, losses: 1, ties: 2 }, Some(0.25)));
    }
}

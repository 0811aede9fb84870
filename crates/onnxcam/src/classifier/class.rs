//! Which class of a picture is explained.

use crate::model::{LabelError, Labels};

/// A class to explain, of each picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The class with the highest score.
    Predicted,
    /// This class, counted from 0.
    Class(usize),
    /// Each of so many classes, at least one, with the highest scores.
    Top(usize),
}

/// Classes to explain, one explanation each; a class that is named twice is explained once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets(Vec<Target>);

/// Why a text names no class.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClassError {
    /// It fits no class, or several.
    #[error(transparent)]
    Label(#[from] LabelError),
    /// The classes have no names.
    #[error(
        "the classes of this network have no names here, so none is called {query:?}\nhint: give a number from 0 to {}, or the names with --labels",
        classes.saturating_sub(1)
    )]
    NoLabels {
        /// The text.
        query: String,
        /// How many classes there are.
        classes: usize,
    },
    /// `top0`, or no text.
    #[error("{query:?} names no class\nhint: a number, a name, or top3")]
    Nothing {
        /// The text.
        query: String,
    },
}

impl Default for Targets {
    fn default() -> Targets {
        Targets(vec![Target::Predicted])
    }
}

impl From<Target> for Targets {
    fn from(target: Target) -> Targets {
        Targets(vec![target])
    }
}

impl Targets {
    /// Reads `281`, `tabby`, `top3`, or several of these with commas between.
    ///
    /// # Errors
    /// Where a part names no class of a network of `classes` classes, or several; the choices are listed.
    pub fn parse(text: &str, labels: &Labels, classes: usize) -> Result<Targets, ClassError> {
        let targets: Vec<Target> = match parse_one(text, labels, classes) {
            Err(ClassError::Label(LabelError::Unknown { .. }) | ClassError::NoLabels { .. }) if text.contains(',') => {
                text.split(',').map(|part| parse_one(part, labels, classes)).collect::<Result<_, _>>()?
            }
            one => vec![one?],
        };
        let mut distinct = Vec::new();
        for target in targets {
            if !distinct.contains(&target) {
                distinct.push(target);
            }
        }
        Ok(Targets(distinct))
    }

    /// The targets.
    pub fn as_slice(&self) -> &[Target] {
        &self.0
    }

    /// Whether more than one class was asked for.
    pub fn is_several(&self) -> bool {
        self.0.len() > 1 || matches!(self.0[..], [Target::Top(2..)])
    }

    /// The classes, where they do not depend on the picture.
    pub fn fixed(&self) -> Option<Vec<usize>> {
        let class = |t: &Target| if let Target::Class(class) = t { Some(*class) } else { None };
        self.0.iter().map(class).collect()
    }

    /// The classes of a picture with these ranks: class numbers, the best first.
    pub(super) fn of(&self, ranks: &[usize]) -> Vec<usize> {
        let mut classes: Vec<usize> = Vec::new();
        for target in &self.0 {
            let wanted = match target {
                Target::Predicted => &ranks[..ranks.len().min(1)],
                Target::Class(class) => std::slice::from_ref(class),
                Target::Top(count) => &ranks[..ranks.len().min((*count).max(1))],
            };
            wanted.iter().for_each(|class| {
                if !classes.contains(class) {
                    classes.push(*class);
                }
            });
        }
        classes
    }
}

fn parse_one(text: &str, labels: &Labels, classes: usize) -> Result<Target, ClassError> {
    let text = text.trim();
    let nothing = || ClassError::Nothing { query: onnx_graph::printable(text) };
    if let Ok(index) = text.parse::<usize>() {
        let inside = index < classes;
        return if inside {
            Ok(Target::Class(index))
        } else {
            Err(LabelError::OutOfRange { index, count: classes }.into())
        };
    }
    let lower = text.to_ascii_lowercase();
    if let Some(count) = lower.strip_prefix("top").and_then(|digits| digits.parse::<usize>().ok()) {
        return if count == 0 { Err(nothing()) } else { Ok(Target::Top(count)) };
    }
    match text {
        "" => Err(nothing()),
        _ if labels.is_empty() => Err(ClassError::NoLabels { query: onnx_graph::printable(text), classes }),
        _ => Ok(Target::Class(labels.find(text)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Labels {
        Labels::new(["tench", "crane", "tiger cat", "crane", "salt, pepper"].map(str::to_owned))
    }

    fn parse(text: &str) -> Result<Vec<Target>, ClassError> {
        Targets::parse(text, &labels(), 5).map(|targets| targets.0)
    }

    #[test]
    fn numbers_names_and_ranks() {
        assert_eq!(parse("2"), Ok(vec![Target::Class(2)]));
        assert_eq!(parse("Tiger_Cat"), Ok(vec![Target::Class(2)]));
        assert_eq!(parse("top3"), Ok(vec![Target::Top(3)]));
        assert_eq!(parse("0, tiger,TOP2,0"), Ok(vec![Target::Class(0), Target::Class(2), Target::Top(2)]));
        assert_eq!(parse("salt, pepper"), Ok(vec![Target::Class(4)]));
    }

    #[test]
    fn what_names_no_class_says_so() {
        assert!(matches!(parse("5"), Err(ClassError::Label(LabelError::OutOfRange { index: 5, count: 5 }))));
        assert!(matches!(parse("crane"), Err(ClassError::Label(LabelError::Ambiguous { .. }))));
        assert!(matches!(parse("0,dog"), Err(ClassError::Label(LabelError::Unknown { .. }))));
        for text in ["", "0,", "top0"] {
            assert!(matches!(parse(text), Err(ClassError::Nothing { .. })), "{text}");
        }
        let error = Targets::parse("dog", &Labels::new([]), 5).unwrap_err().to_string();
        assert!(error.contains("\"dog\"") && error.contains("0 to 4"), "{error}");
    }

    #[test]
    fn each_class_of_a_picture_comes_once() {
        let of = |text: &str| Targets::parse(text, &labels(), 5).unwrap().of(&[3, 1, 0, 2, 4]);
        assert_eq!(of("top3"), [3, 1, 0]);
        assert_eq!(of("top2,0,1"), [3, 1, 0]);
        assert_eq!(of("top9"), [3, 1, 0, 2, 4]);
        assert_eq!(Targets::default().of(&[3, 1]), [3]);
    }

    #[test]
    fn several_is_more_than_one() {
        let several = |text: &str| Targets::parse(text, &labels(), 5).unwrap().is_several();
        assert!(several("top2") && several("0,1") && several("top1,0"));
        assert!(!several("top1") && !several("0,tench"));
    }
}

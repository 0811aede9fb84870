//! Class names, and from what a person types to a class.

use std::borrow::Cow;
use std::sync::LazyLock;

use onnx_graph::printable;

/// The 1,000 classes of ImageNet in the order of ILSVRC 2012, one a line, as torchvision names
/// them (see THIRD-PARTY.md); after a tab, a name that WordNet gives a class as well as another.
const IMAGENET: &str = include_str!("imagenet.txt");

/// How many choices an error spells out.
const SHOWN: usize = 12;

/// Names of the classes, by index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    names: Vec<String>,
    /// Further names, and whose they are.
    further: Vec<(String, usize)>,
}

/// A class as an error lists it.
pub type Choice = (usize, String);

/// Why a text does not name one class.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// A number that is no class.
    #[error("there is no class {index}: the classes are 0 to {}", count.saturating_sub(1))]
    OutOfRange {
        /// The number.
        index: usize,
        /// How many classes there are.
        count: usize,
    },
    /// A text that fits several classes.
    #[error("{query:?} fits {} classes: {}\nhint: give the number", choices.len(), listed(choices))]
    Ambiguous {
        /// The text.
        query: String,
        /// The classes that it fits, by index.
        choices: Vec<Choice>,
    },
    /// A text that fits none.
    #[error("no class is called {query:?}\nhint: the nearest are {}", listed(nearest))]
    Unknown {
        /// The text.
        query: String,
        /// Classes whose names are spelt most alike, the nearest first.
        nearest: Vec<Choice>,
    },
}

fn listed(choices: &[Choice]) -> String {
    let shown = choices.iter().take(SHOWN);
    let mut texts: Vec<String> = shown.map(|(index, name)| format!("{index} {name}")).collect();
    if choices.len() > SHOWN {
        texts.push(format!("and {} more", choices.len() - SHOWN));
    }
    texts.join(", ")
}

impl Labels {
    /// Names by index, made fit to be printed.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self { names: names.into_iter().map(|name| printable(&name)).collect(), further: Vec::new() }
    }

    /// The 1,000 classes of ImageNet (ILSVRC 2012).
    pub fn imagenet() -> &'static Self {
        static LABELS: LazyLock<Labels> = LazyLock::new(|| {
            let lines = || IMAGENET.lines().map(|line| line.split_once('\t').unwrap_or((line, "")));
            let mut labels = Labels::new(lines().map(|(name, _)| name.to_owned()));
            let further = lines().enumerate().filter(|(_, (_, further))| !further.is_empty());
            labels.further = further.map(|(index, (_, name))| (name.to_owned(), index)).collect();
            labels
        });
        &LABELS
    }

    /// How many classes have names.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The name of a class, if it has one.
    pub fn label(&self, index: usize) -> Option<&str> {
        self.names.get(index).map(String::as_str)
    }

    /// What to call a class so that nobody takes it for another: its name, with the number where
    /// several classes have that name; `class 7` where it has none.
    pub fn display(&self, index: usize) -> Cow<'_, str> {
        match self.label(index) {
            None | Some("") => Cow::Owned(format!("class {index}")),
            Some(name) if self.names.iter().filter(|other| *other == name).count() > 1 => {
                Cow::Owned(format!("{name} ({index})"))
            }
            Some(name) => Cow::Borrowed(name),
        }
    }

    /// The class that a text names: by its number; by its name; by its name but for case,
    /// hyphens and underscores; by whole words of its name; by a part of its name. The first of
    /// these that fits any class decides, and must fit only one.
    ///
    /// # Errors
    /// If the text fits several classes or none, with the choices.
    pub fn find(&self, query: &str) -> Result<usize, LabelError> {
        let query = query.trim();
        if let Ok(index) = query.parse::<usize>() {
            let count = self.len();
            return if index < count { Ok(index) } else { Err(LabelError::OutOfRange { index, count }) };
        }
        let text = fold(query);
        let words = format!(" {text} ");
        let fits: [&dyn Fn(&str) -> bool; 4] = [
            &|name| name == query,
            &|name| fold(name) == text,
            &|name| format!(" {} ", fold(name)).contains(&words),
            &|name| fold(name).contains(&text),
        ];
        for fits in fits.into_iter().filter(|_| !text.is_empty()) {
            let mut found: Vec<usize> =
                self.spellings().filter(|(_, name)| fits(name)).map(|(index, _)| index).collect();
            found.sort_unstable();
            found.dedup();
            match found[..] {
                [] => {}
                [index] => return Ok(index),
                _ => {
                    return Err(LabelError::Ambiguous { query: query.to_owned(), choices: self.choices(found) });
                }
            }
        }
        Err(LabelError::Unknown { query: query.to_owned(), nearest: self.nearest(&text) })
    }

    /// Every name of every class.
    fn spellings(&self) -> impl Iterator<Item = (usize, &str)> {
        let further = self.further.iter().map(|(name, index)| (*index, name.as_str()));
        self.names.iter().map(String::as_str).enumerate().chain(further)
    }

    fn choices(&self, indices: impl IntoIterator<Item = usize>) -> Vec<Choice> {
        let choice = |index| Some((index, self.label(index)?.to_owned()));
        indices.into_iter().filter_map(choice).collect()
    }

    /// The three classes that have a name, or a word of it, with the fewest letters to change.
    fn nearest(&self, text: &str) -> Vec<Choice> {
        let distance = |name: &str| strsim::damerau_levenshtein(name, text);
        let rank = |(index, name): (usize, &str)| {
            let name = fold(name);
            let whole = distance(&name);
            (name.split(' ').map(distance).fold(whole, usize::min), whole, index)
        };
        let mut ranked: Vec<_> = self.spellings().map(rank).collect();
        ranked.sort_unstable();
        let mut indices: Vec<usize> = Vec::new();
        for (_, _, index) in ranked {
            if indices.len() < 3 && !indices.contains(&index) {
                indices.push(index);
            }
        }
        self.choices(indices)
    }
}

/// A name without what people leave out: case, hyphens, underscores, doubled spaces.
fn fold(name: &str) -> String {
    let name = name.to_lowercase().replace(['-', '_'], " ");
    name.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(names: &[&str]) -> Labels {
        Labels::new(names.iter().map(|name| (*name).to_owned()))
    }

    #[test]
    fn imagenet_is_the_list_that_the_networks_were_trained_on() {
        let labels = Labels::imagenet();
        assert_eq!(labels.len(), 1000);
        let known = [(0, "tench"), (207, "golden retriever"), (282, "tiger cat"), (999, "toilet tissue")];
        for (index, name) in known {
            assert_eq!(labels.label(index), Some(name));
            assert_eq!(labels.find(name), Ok(index));
            assert_eq!(labels.display(index), name);
        }
        assert_eq!(labels.label(1000), None);
        assert!((0..1000).all(|i| labels.label(i).is_some_and(|name| !name.contains('\t'))));
    }

    #[test]
    fn a_class_is_found_by_number_name_or_part_of_a_name() {
        let labels = Labels::imagenet();
        let finds = [
            ("281", 281),
            (" 281 ", 281),
            ("tabby", 281),
            ("Tabby", 281),
            ("egyptian_cat", 285),
            ("shih tzu", 155),
            ("bee", 309),      // though there is a bee eater
            ("Egyptian", 285), // a whole word
            ("dalmat", 251),   // a part
            ("Cardigan", 264), // the dog
            ("cardigan", 474), // the garment
        ];
        for (query, index) in finds {
            assert_eq!(labels.find(query), Ok(index), "{query}");
        }
    }

    #[test]
    fn a_name_that_fits_several_classes_lists_them() {
        let choices = |query: &str| match Labels::imagenet().find(query) {
            Err(LabelError::Ambiguous { choices, .. }) => choices,
            other => panic!("{query}: {other:?}"),
        };
        let named = |pairs: &[(usize, &str)]| -> Vec<Choice> {
            pairs.iter().map(|(index, name)| (*index, (*name).to_owned())).collect()
        };
        assert_eq!(choices("crane"), named(&[(134, "crane bird"), (517, "crane")]));
        assert_eq!(choices("Maillot"), named(&[(638, "maillot"), (639, "maillot tank suit")]));
        assert_eq!(choices("CARDIGAN"), named(&[(264, "Cardigan"), (474, "cardigan")]));
        assert_eq!(choices("cat").iter().filter(|(_, name)| name.contains("cat")).count(), choices("cat").len());

        let message = Labels::imagenet().find("crane").unwrap_err().to_string();
        let expected = "\"crane\" fits 2 classes: 134 crane bird, 517 crane\nhint: give the number";
        assert_eq!(message, expected);
        let message = Labels::imagenet().find("er").unwrap_err().to_string();
        assert!(message.contains(" more\n"), "{message}");
    }

    #[test]
    fn an_unknown_name_suggests_the_nearest() {
        let nearest = |query: &str| match Labels::imagenet().find(query) {
            Err(LabelError::Unknown { nearest, .. }) => nearest[0].0,
            other => panic!("{query}: {other:?}"),
        };
        assert_eq!(nearest("tabbi"), 281);
        assert_eq!(nearest("golden retriver"), 207);
        assert_eq!(nearest("expresso"), 967);
        assert!(matches!(Labels::imagenet().find(" "), Err(LabelError::Unknown { .. })));
        assert!(matches!(Labels::imagenet().find("-1"), Err(LabelError::Unknown { .. })));
    }

    #[test]
    fn a_number_beyond_the_classes_says_how_many_there_are() {
        let error = Labels::imagenet().find("1000").unwrap_err();
        assert_eq!(error, LabelError::OutOfRange { index: 1000, count: 1000 });
        assert_eq!(error.to_string(), "there is no class 1000: the classes are 0 to 999");
    }

    #[test]
    fn classes_of_one_name_are_told_apart_by_number() {
        let labels = labels(&["crane", "dog", "crane", ""]);
        assert_eq!(labels.display(0), "crane (0)");
        assert_eq!(labels.display(1), "dog");
        assert_eq!(labels.display(2), "crane (2)");
        assert_eq!(labels.display(3), "class 3");
        assert_eq!(labels.display(4), "class 4");
        assert!(matches!(labels.find("crane"), Err(LabelError::Ambiguous { .. })));
    }

    #[test]
    fn names_are_shown_without_control_characters() {
        assert_eq!(labels(&["a\u{1b}[2Jb"]).label(0), Some("a\u{fffd}[2Jb"));
    }
}

//! Class names in a file's metadata, as exporters write them.

use super::Labels;

/// Keys under which exporters keep class names.
const KEYS: [&str; 5] = ["names", "labels", "classes", "class_names", "character"];

/// The names that a file's metadata holds for just so many classes, with their key.
///
/// `character` has a name a line (RapidOCR), `names` a Python dict `{0: 'cat', 1: 'dog'}` (Ultralytics); the others are
/// read in both forms, as JSON, or with commas between.
pub(crate) fn labels_in<'m>(
    metadata: impl Fn(&str) -> Option<&'m str>,
    classes: usize,
) -> Option<(&'static str, Labels)> {
    KEYS.into_iter().find_map(|key| {
        let text = metadata(key)?.trim();
        let names = match text.starts_with(['[', '{']) {
            true => bracketed(text)?,
            false if text.contains('\n') => text.lines().map(|line| line.trim().to_owned()).collect(),
            false => text.split(',').map(|name| name.trim().to_owned()).collect(),
        };
        (names.len() == classes).then_some(())?;
        names.iter().all(|name| !name.is_empty()).then(|| (key, Labels::new(names)))
    })
}

/// A list `['cat', "dog"]` or a dict `{0: 'cat', 1: 'dog'}` whose keys are the classes, in JSON or as Python prints it.
fn bracketed(text: &str) -> Option<Vec<String>> {
    let inside = |open, close| text.strip_prefix(open).and_then(|t| t.strip_suffix(close));
    let (mut rest, dict) = match (inside('[', ']'), inside('{', '}')) {
        (Some(list), _) => (list.trim(), false),
        (_, Some(dict)) => (dict.trim(), true),
        _ => return None,
    };
    let mut names: Vec<Option<String>> = Vec::new();
    while !rest.is_empty() {
        let mut class = names.len();
        if dict {
            let (key, behind) = rest.split_once(':')?;
            class = key.trim().trim_matches(['\'', '"']).parse().ok()?;
            rest = behind.trim_start();
        }
        let (name, behind) = quoted(rest)?;
        if class > MOST {
            return None;
        }
        names.resize(names.len().max(class + 1), None);
        names[class].replace(name).is_none().then_some(())?;
        rest = behind.trim_start();
        rest = match rest.strip_prefix(',') {
            Some(next) => next.trim_start(),
            None if rest.is_empty() => rest,
            None => return None,
        };
    }
    names.into_iter().collect()
}

/// More classes than any list names.
const MOST: usize = 1 << 20;

/// A quoted text and what stands behind it; a backslash takes the next character as it is.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut characters = text.char_indices();
    let (_, quote) = characters.next().filter(|(_, c)| matches!(c, '\'' | '"'))?;
    let mut name = String::new();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => name.push(characters.next()?.1),
            c if c == quote => return Some((name, &text[at + 1..])),
            c => name.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(key: &str, text: &str, classes: usize) -> Option<Vec<String>> {
        let (of, labels) = labels_in(|asked| (asked == key).then_some(text), classes)?;
        assert_eq!(of, key);
        Some((0..classes).map(|i| labels.label(i).unwrap().to_owned()).collect())
    }

    #[test]
    fn names_as_exporters_write_them() {
        let table = [
            ("character", "0\n90\n180", vec!["0", "90", "180"]),
            ("names", "{0: 'cat', 1: \"dog's\"}", vec!["cat", "dog's"]),
            ("names", r#"{"1": "b, c", "0": "a"}"#, vec!["a", "b, c"]),
            ("names", r"['it\'s', 'b']", vec!["it's", "b"]),
            ("labels", r#"["a","b",]"#, vec!["a", "b"]),
            ("classes", "cat, dog", vec!["cat", "dog"]),
            ("class_names", "one class", vec!["one class"]),
        ];
        for (key, text, names) in table {
            assert_eq!(found(key, text, names.len()).unwrap(), names, "{text}");
            assert_eq!(found(key, text, names.len() + 1), None, "{text}");
        }
    }

    #[test]
    fn what_names_no_class_or_not_every_one() {
        for text in [
            "{0: 'a', 2: 'b'}",
            "{0: 'a', 0: 'b'}",
            "{0: 'a' 1: 'b'}",
            "['a', 'b",
            "{9999999999: 'a'}",
            "a,",
            "",
            "['a', '']",
        ] {
            assert_eq!(found("names", text, 2), None, "{text}");
        }
        assert_eq!(found("author", "a,b", 2), None);
    }
}

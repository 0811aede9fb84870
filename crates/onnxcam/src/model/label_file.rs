//! Class names from a file: one name a line, or JSON.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::labels::Labels;

/// No list of names is longer than this.
const MAX_BYTES: u64 = 16 << 20;

/// Why a file is not a list of class names.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct LabelFileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: LabelFileProblem,
}

/// What is wrong with a file of class names.
#[derive(Debug, thiserror::Error)]
pub enum LabelFileProblem {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is too long.
    #[error("is longer than {} MiB, so it is no list of class names", MAX_BYTES >> 20)]
    TooLong,
    /// It is not text.
    #[error("is not UTF-8 text")]
    NotText,
    /// There is no name in it.
    #[error("has no names")]
    Empty,
    /// A line is empty, which would shift the names after it.
    #[error("line {0} is empty, and each line is a class\nhint: remove the line, or name the class")]
    BlankLine(usize),
    /// It begins like JSON and is not.
    #[error("is not valid JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The JSON is another thing.
    #[error(
        "is neither a JSON list of names nor an object from numbers to names\n\
         hint: [\"cat\", \"dog\"] or {{\"0\": \"cat\", \"1\": \"dog\"}}"
    )]
    Shape,
    /// The numbers of the JSON object have a gap, or are no numbers.
    #[error("has {count} names but none for class {index}")]
    Gap {
        /// How many names there are.
        count: usize,
        /// The first class without one.
        index: usize,
    },
}

impl Labels {
    /// Names from a text file, one a line; from a JSON list of names; or from a JSON object from
    /// numbers to names (`{"0": "cat"}`, also `{"0": ["n02123045", "tabby"]}` as Keras has it).
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub fn from_file(path: &Path) -> Result<Self, LabelFileError> {
        let error = |problem| LabelFileError { path: path.to_owned(), problem };
        let names = read(path).and_then(|text| parse(&text)).map_err(error)?;
        match names.is_empty() {
            true => Err(error(LabelFileProblem::Empty)),
            false => Ok(Self::new(names)),
        }
    }
}

fn read(path: &Path) -> Result<String, LabelFileProblem> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(LabelFileProblem::TooLong);
    }
    String::from_utf8(bytes).map_err(|_| LabelFileProblem::NotText)
}

fn parse(text: &str) -> Result<Vec<String>, LabelFileProblem> {
    let text = text.trim_start_matches('\u{feff}').trim_end();
    match text.trim_start().chars().next() {
        Some('[' | '{') => match serde_json::from_str(text)? {
            Value::Array(names) => names.iter().map(name).collect(),
            Value::Object(names) => by_number(&names),
            _ => Err(LabelFileProblem::Shape),
        },
        _ => text.lines().enumerate().map(line).collect(),
    }
}

fn line((index, line): (usize, &str)) -> Result<String, LabelFileProblem> {
    match line.trim() {
        "" => Err(LabelFileProblem::BlankLine(index + 1)),
        name => Ok(name.replace('\t', " ")),
    }
}

/// A name, or the last of several.
fn name(value: &Value) -> Result<String, LabelFileProblem> {
    match value {
        Value::String(name) => Ok(name.clone()),
        Value::Array(names) => name(names.last().ok_or(LabelFileProblem::Shape)?),
        _ => Err(LabelFileProblem::Shape),
    }
}

fn by_number(names: &serde_json::Map<String, Value>) -> Result<Vec<String>, LabelFileProblem> {
    let count = names.len();
    let gap = |index| LabelFileProblem::Gap { count, index };
    (0..count).map(|i| name(names.get(&i.to_string()).ok_or_else(|| gap(i))?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(content: impl AsRef<[u8]>) -> Result<Labels, LabelFileError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("labels.txt");
        std::fs::write(&path, content).unwrap();
        Labels::from_file(&path)
    }

    #[test]
    fn every_form_gives_the_same_names() {
        let expected = Labels::new(["tabby cat", "dog"].map(str::to_owned));
        for content in [
            "tabby cat\ndog",
            "\u{feff}tabby cat\r\ndog\r\n\r\n",
            " tabby\tcat \ndog\n",
            r#"["tabby cat", "dog"]"#,
            r#" {"1": "dog", "0": "tabby cat"}"#,
            r#"{"0": ["n02123045", "tabby cat"], "1": ["n02084071", "dog"]}"#,
        ] {
            assert_eq!(load(content).unwrap(), expected, "{content}");
        }
    }

    #[test]
    fn what_is_no_list_of_names_says_why() {
        let long = "x\n".repeat(MAX_BYTES as usize / 2 + 1);
        let cases: [(&[u8], &str); 12] = [
            (b"", "has no names"),
            (b"\n \n", "has no names"),
            (b"[]", "has no names"),
            (b"cat\n\ndog\n", "line 2 is empty"),
            (b"cat\n\xff\n", "is not UTF-8 text"),
            (b"[\"cat\"", "is not valid JSON"),
            (b"[1, 2]", "neither a JSON list"),
            (b"[[]]", "neither a JSON list"),
            (br#"{"0": {}}"#, "neither a JSON list"),
            (br#"{"0": "cat", "2": "dog"}"#, "has 2 names but none for class 1"),
            (br#"{"cat": 0}"#, "has 1 names but none for class 0"),
            (long.as_bytes(), "longer than 16 MiB"),
        ];
        for (content, expected) in cases {
            let message = load(content).unwrap_err().to_string();
            assert!(message.contains("labels.txt: ") && message.contains(expected), "{message}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let message = Labels::from_file(Path::new("no/such.txt")).unwrap_err().to_string();
        assert!(message.contains("such.txt: cannot be read"), "{message}");
    }
}

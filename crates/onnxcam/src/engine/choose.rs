//! Which engine, and why.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use super::Engine;
use super::error::EngineError;
use super::library::Library;
use super::ort::Ort;
use super::rten::Rten;
use super::search::{Miss, Search};

/// What `--engine` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// ONNX Runtime where it is found, else rten.
    #[default]
    Auto,
    /// rten.
    Rten,
    /// ONNX Runtime, or an error.
    Ort,
}

impl FromStr for Choice {
    type Err = EngineError;

    fn from_str(s: &str) -> Result<Self, EngineError> {
        match s {
            "auto" => Ok(Choice::Auto),
            "rten" => Ok(Choice::Rten),
            "ort" => Ok(Choice::Ort),
            _ => Err(EngineError::UnknownEngine { given: s.to_owned() }),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Choice::Auto => "auto",
            Choice::Rten => "rten",
            Choice::Ort => "ort",
        })
    }
}

/// The engine taken.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// Ready to load models.
    pub engine: Arc<dyn Engine>,
    /// For `auto`, one line that says which engine was taken, and if it is rten because of a library that is of no
    /// use, which file and what is wrong with it. `None` where the user named the engine.
    pub why: Option<String>,
}

/// Picks an engine. Places are looked at in the order of [`Search`], and only until one will do.
///
/// # Errors
/// Only for [`Choice::Ort`]: the first library that was found and is of no use, or [`EngineError::NotFound`].
pub fn choose(choice: Choice, search: &Search) -> Result<Chosen, EngineError> {
    let named = |engine: Arc<dyn Engine>| Chosen { engine, why: None };
    match choice {
        Choice::Rten => Ok(named(Arc::new(Rten))),
        Choice::Ort => find(search).map(|ort| named(Arc::new(ort))),
        Choice::Auto => Ok(match find(search) {
            Ok(ort) => {
                let why = format!("{} from {}", ort.version(), ort.location().unwrap_or("?".as_ref()).display());
                Chosen { engine: Arc::new(ort), why: Some(why) }
            }
            Err(fault) => {
                let why = format!("{}, because {}", Rten.version(), first_line(&fault));
                Chosen { engine: Arc::new(Rten), why: Some(why) }
            }
        }),
    }
}

/// Without the hint, which speaks to someone who asked for this engine.
fn first_line(fault: &EngineError) -> String {
    fault.to_string().lines().next().unwrap_or_default().to_owned()
}

/// The first library that will do. When none does, the first fault counts: it is about the file that the user most
/// likely means.
fn find(search: &Search) -> Result<Ort, EngineError> {
    let mut first_fault = None;
    let mut looked = Vec::new();
    for place in search.places() {
        match place.look() {
            Ok(files) => {
                for file in files {
                    match Ort::open(&file) {
                        Ok(ort) => return Ok(ort),
                        Err(fault) => first_fault = first_fault.or(Some(fault)),
                    }
                }
            }
            Err(Miss::Fault(path, fault)) => first_fault = first_fault.or_else(|| Some(fault.at(&path))),
            Err(Miss::Nothing(why)) => looked.push(format!("{}: {why}", place.in_words())),
        }
    }
    let looked = if looked.is_empty() { "nowhere to look".to_owned() } else { looked.join("; ") };
    Err(first_fault.unwrap_or(EngineError::NotFound { looked }))
}

/// One line of what `onnxcam doctor` prints about ONNX Runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The place, in words.
    pub place: String,
    /// The library file found there.
    pub path: Option<PathBuf>,
    /// Its version, or why it is of no use.
    pub outcome: Result<String, String>,
}

/// Looks at every place, in the order in which [`choose`] would, and at every file in it. The first candidate whose
/// outcome is a version is the one that [`choose`] takes.
pub fn survey(search: &Search) -> Vec<Candidate> {
    let mut seen = Vec::new();
    let mut found = Vec::new();
    for place in search.places() {
        match place.look() {
            Err(Miss::Nothing(why)) => found.push(Candidate { place: place.in_words(), path: None, outcome: Err(why) }),
            Err(Miss::Fault(path, fault)) => {
                let outcome = Err(fault.to_string());
                found.push(Candidate { place: place.in_words(), path: Some(path), outcome });
            }
            Ok(files) => {
                for path in files {
                    let real = path.canonicalize().unwrap_or_else(|_| path.clone());
                    let outcome = if seen.contains(&real) {
                        Err("the same file as above".to_owned())
                    } else {
                        seen.push(real);
                        Library::open(&path).map(|l| l.version).map_err(|fault| fault.to_string())
                    };
                    found.push(Candidate { place: place.in_words(), path: Some(path), outcome });
                }
            }
        }
    }
    found
}

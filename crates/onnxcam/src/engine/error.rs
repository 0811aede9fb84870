//! Everything that can go wrong between us and an engine.

use std::path::{Path, PathBuf};

use super::value::Kind;

/// An engine could not be had, could not load a model, or could not run it.
///
/// The text names the file, node or tensor, and where there is a way on it ends in a `hint:` line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// `--engine` got a word it does not know.
    #[error("unknown engine {given:?}\nhint: one of auto, rten, ort")]
    UnknownEngine {
        /// The word.
        given: String,
    },

    /// ONNX Runtime was asked for and there is no library of it anywhere we look.
    #[error(
        "ONNX Runtime was not found\n  looked at: {looked}\n\
         hint: `onnxcam engine install` fetches it, or set ORT_DYLIB_PATH to its library file; `--engine rten` needs \
         neither, and `onnxcam doctor` shows where was looked"
    )]
    NotFound {
        /// The places, in words.
        looked: String,
    },

    /// A library file was found and is of no use.
    #[error("cannot use {} as ONNX Runtime: {fault}\nhint: {}", path.display(), fault.hint())]
    Library {
        /// The file, or the folder in which a file was looked for.
        path: PathBuf,
        /// What is wrong with it.
        fault: LibraryFault,
    },

    /// A process can hold one ONNX Runtime, and it already holds another file.
    #[error("cannot load {}: this process already runs ONNX Runtime from {}", wanted.display(), loaded.display())]
    OtherLibraryLoaded {
        /// The one in use.
        loaded: PathBuf,
        /// The one asked for now.
        wanted: PathBuf,
    },

    /// The model's file could not be read.
    #[error("cannot read the model {}: {source}", path.display())]
    Read {
        /// The model.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },

    /// The engine does not accept the model.
    #[error("{engine} cannot load {model}{}: {reason}", at_node(node))]
    Load {
        /// `rten` or `ort`.
        engine: &'static str,
        /// The file, or what else the model is.
        model: String,
        /// The node the engine names, if it names one.
        node: Option<String>,
        /// The engine's own words.
        reason: String,
    },

    /// No input has this name.
    #[error("the model has no input {name:?}\nhint: its inputs are {}", list(known))]
    UnknownInput {
        /// The name given.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },

    /// An input was left out, or given twice.
    #[error("input {name:?} must be given once, not {times} times")]
    InputCount {
        /// The input.
        name: String,
        /// How often it was given.
        times: usize,
    },

    /// An input is of the wrong shape.
    #[error("input {name:?} must be {expected}, not {given:?}")]
    InputShape {
        /// The input.
        name: String,
        /// The declared shape, `?` where any size will do.
        expected: String,
        /// The shape given.
        given: Vec<usize>,
    },

    /// Floats for integers or the reverse.
    #[error("input {name:?} takes {expected} elements, not {given}")]
    InputKind {
        /// The input.
        name: String,
        /// What the model declares.
        expected: Kind,
        /// What was given.
        given: Kind,
    },

    /// An integer does not fit the type in which the engine holds it.
    #[error("input {name:?} holds {value}, which does not fit {engine}'s {into}")]
    InputRange {
        /// The input.
        name: String,
        /// The value.
        value: i64,
        /// `rten` or `ort`.
        engine: &'static str,
        /// The element type.
        into: &'static str,
    },

    /// No output has this name. Engines may delete tensors inside, so only declared outputs can be asked for.
    #[error("the model has no output {name:?}\nhint: its outputs are {}", list(known))]
    UnknownOutput {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },

    /// Strings, sequences, maps: nothing that a [`Value`](super::Value) can hold.
    #[error("{port} {name:?} is of type {found}, which onnxcam does not handle")]
    Type {
        /// `input` or `output`.
        port: &'static str,
        /// Its name.
        name: String,
        /// The engine's name for the type.
        found: String,
    },

    /// A result of the size that only a damaged or hostile model asks for.
    #[error("output {name:?} of shape {shape:?} is too large for the memory of this machine")]
    TooLarge {
        /// The output.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
    },

    /// The engine gave up in the middle.
    #[error("{engine} failed to run the model{}: {reason}", at_node(node))]
    Run {
        /// `rten` or `ort`.
        engine: &'static str,
        /// The node the engine names, if it names one.
        node: Option<String>,
        /// The engine's own words.
        reason: String,
    },

    /// A bug in the engine, or a model that it should have refused.
    #[error("{engine} crashed while {doing}: {message}\nhint: try the other engine with `--engine`")]
    Panicked {
        /// `rten` or `ort`.
        engine: &'static str,
        /// `loading` or `running` what.
        doing: String,
        /// The panic's message.
        message: String,
    },
}

/// What is wrong with a file that should be ONNX Runtime's library.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LibraryFault {
    /// There is nothing at this path, or it may not be read.
    #[error("{0}")]
    Unreadable(std::io::Error),
    /// A folder in which no file has the library's name.
    #[error("the folder holds no file named like {0}")]
    EmptyFolder(&'static str),
    /// Wheels before 1.18 have the runtime inside their Python module, where nobody else can use it.
    #[error("this Python package of ONNX Runtime has no library of its own, as those before 1.18")]
    OldPackage,
    /// A device, a socket, …
    #[error("not a regular file")]
    NotAFile,
    /// Text, an archive, another system's format.
    #[error("not a whole shared library of this system ({0})")]
    Format(String),
    /// Built for another processor.
    #[error("built for {found}, and this program runs on {needed}")]
    Architecture {
        /// The file's processor.
        found: String,
        /// Ours.
        needed: &'static str,
    },
    /// Shorter than its own headers say.
    #[error("truncated: its headers speak of {needed} bytes and it has {found}")]
    Truncated {
        /// Bytes that the headers speak of.
        needed: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// The system's loader refused it.
    #[error("the system cannot load it: {0}")]
    Loader(String),
    /// A shared library of something else.
    #[error("it does not export OrtGetApiBase")]
    NotOnnxRuntime,
    /// It answers, but not sensibly.
    #[error("it does not tell its version")]
    NoVersion,
    /// Older than the interface that we speak.
    #[error("it is ONNX Runtime {found}, and onnxcam needs {needed} or later")]
    TooOld {
        /// The version it tells.
        found: String,
        /// The oldest that will do.
        needed: String,
    },
    /// It is new enough and still could not be set up.
    #[error("it could not be set up: {0}")]
    Setup(String),
}

impl LibraryFault {
    fn hint(&self) -> &'static str {
        match self {
            Self::TooOld { .. } | Self::OldPackage => {
                "`onnxcam engine install` fetches a newer one, ORT_DYLIB_PATH names another, `--engine rten` needs none"
            }
            Self::Architecture { .. } => "install the build for this processor, or use `--engine rten`",
            _ => "point ORT_DYLIB_PATH at ONNX Runtime's library file or unset it, or use `--engine rten`",
        }
    }

    pub(super) fn at(self, path: &Path) -> EngineError {
        EngineError::Library { path: path.to_path_buf(), fault: self }
    }
}

/// Quoted and comma-separated; names come from files, so control characters are escaped.
fn list(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|n| format!("{n:?}")).collect();
    quoted.join(", ")
}

fn at_node(node: &Option<String>) -> String {
    node.as_ref().map_or_else(String::new, |n| format!(" (node {n:?})"))
}

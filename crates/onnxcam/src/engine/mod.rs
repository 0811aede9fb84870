//! Running ONNX models: rten, compiled in, and ONNX Runtime, loaded at run time, behind one trait.
//!
//! [`choose`] picks an engine and says why, [`survey`] tells what was looked at, [`Engine::load`] makes a
//! [`Session`] of a model, [`Session::run`] runs it; [`install`] gets ONNX Runtime. Both engines pass one
//! conformance suite, `tests/engines.rs`; what they still do differently is listed in `docs/engines.md`.

mod check;
mod choose;
mod error;
pub mod install;
mod library;
mod ort;
mod release;
mod rten;
mod search;
mod threads;
mod value;

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use bytes::Bytes;

pub use check::Port;
pub use choose::{Candidate, Choice, Chosen, choose, survey};
pub use error::{EngineError, LibraryFault};
pub use ort::Ort;
pub use release::{RELEASES, Release};
pub use rten::Rten;
pub use search::Search;
pub use threads::default_threads;
pub use value::{Kind, Value};

/// Something that runs ONNX models.
pub trait Engine: Send + Sync + fmt::Debug {
    /// `rten` or `ort`.
    fn name(&self) -> &'static str;

    /// Name and version for people, such as `ONNX Runtime 1.32.0`.
    fn version(&self) -> String;

    /// The library file, where there is one.
    fn location(&self) -> Option<&Path>;

    /// What it does not do as the standard has it, so that graphs have to be written without.
    fn lacks(&self) -> &'static [Lack] {
        &[]
    }

    /// How many bytes a model in memory may have. A larger one is loaded from a file.
    fn largest_in_memory(&self) -> usize {
        usize::MAX
    }

    /// Makes a model ready to run on `threads` threads, [`default_threads`] of them where `None`, with every
    /// optimisation on. Errors name the file, and the node where the engine does.
    fn load(&self, model: Source<'_>, threads: Option<usize>) -> Result<Box<dyn Session>, EngineError>;
}

/// What an engine may not do, or do differently; [`legal`](crate::explain::legal) writes graphs without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// LRN.
    Lrn,
    /// MaxPool and AveragePool with dilations.
    DilatedPools,
    /// Several matrices times one vector.
    MatricesByVector,
    /// A Cast to bool is true of all but zero.
    CastToBool,
    /// Arithmetic, comparisons and MaxPool of 8-bit integers.
    Bytes,
    /// Convolutions and pools over three axes; they cannot be written otherwise, and are refused.
    Volumes,
}

/// A model that is ready to run.
pub trait Session: Send + fmt::Debug {
    /// What must be given, in the model's order; weights are not among them.
    fn inputs(&self) -> &[Port];

    /// What can be asked for, in the model's order.
    fn outputs(&self) -> &[Port];

    /// Runs the model once. Every input is given by name, in any order; the results come in the order of `outputs`,
    /// which must be declared outputs: what lies inside, the engine may have optimised away.
    fn run(&mut self, inputs: &[(&str, &Value)], outputs: &[&str]) -> Result<Vec<Value>, EngineError>;
}

/// An ONNX model to load.
#[derive(Clone, Debug)]
pub enum Source<'a> {
    /// A file as it is; external data lies beside it.
    File(&'a Path),
    /// A model in memory, its weights inside.
    Bytes(Bytes),
}

impl Source<'_> {
    /// The model's name in messages.
    fn in_words(&self) -> String {
        match self {
            Source::File(path) => path.display().to_string(),
            Source::Bytes(_) => "the model in memory".to_owned(),
        }
    }
}

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic on this thread would come back as an [`EngineError`], so that a panic hook need not print it.
///
/// That is so on rten's own threads, and on any other while it is in an engine.
pub fn panics_become_errors() -> bool {
    GUARDED.get() || std::thread::current().name().is_some_and(|name| name.starts_with("rten-"))
}

/// Engines are other people's code fed with other people's files: a panic in there becomes an error here. This is the
/// only place where panics are caught. Sessions stay usable as far as the engine's own locks allow; a poisoned one
/// panics again and ends here again.
fn guard<T>(
    engine: &'static str,
    doing: impl FnOnce() -> String,
    work: impl FnOnce() -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    let outer = GUARDED.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(outer);
    outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let message = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned();
        Err(EngineError::Panicked { engine, doing: doing(), message })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_an_engine_becomes_an_error() {
        let work = || -> Result<(), EngineError> {
            assert!(panics_become_errors());
            panic!("the kernel of {}", "Conv");
        };
        let message = guard("rten", || "running the model".to_owned(), work).unwrap_err().to_string();
        assert!(message.starts_with("rten crashed while running the model: the kernel of Conv\nhint: "), "{message}");
        assert!(!panics_become_errors());
        std::thread::Builder::new()
            .name("rten-3".to_owned())
            .spawn(|| assert!(panics_become_errors()))
            .unwrap()
            .join()
            .unwrap();
    }
}

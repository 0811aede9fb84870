//! The places where ONNX Runtime was looked for, and the engine taken, as text and as JSON.

use std::io;

use onnxcam::engine::install::State;
use onnxcam::engine::{Candidate, Chosen};
use serde_json::{Value, json};

use crate::out;
use crate::table::{Align, print_table};

/// A line a place, then the engine taken.
pub fn print(places: &[Candidate], taken: Option<&Chosen>) -> io::Result<()> {
    out::line("  ONNX Runtime, places in the order looked at:")?;
    let rows = places.iter().map(|c| {
        let path = c.path.as_ref().map(|p| format!("{}: ", p.display())).unwrap_or_default();
        let outcome = c.outcome.as_ref().unwrap_or_else(|fault| fault);
        ["   ".to_owned(), c.place.clone(), format!("{path}{outcome}")]
    });
    print_table(None, &[Align::Left; 3], rows)?;
    match taken {
        Some(chosen) => {
            let why = chosen.why.clone().unwrap_or_else(|| chosen.engine.version());
            out::line(format_args!("  taken: {why}"))
        }
        None => out::line("  taken: none"),
    }
}

/// `place`, `path`, and either `version` or `fault`.
pub fn place_to_json(c: &Candidate) -> Value {
    json!({
        "place": c.place,
        "path": c.path.as_ref().map(|p| p.to_string_lossy()),
        "version": c.outcome.as_ref().ok(),
        "fault": c.outcome.as_ref().err(),
    })
}

/// `engine`, `version`, `path`, `why`.
pub fn taken_to_json(chosen: &Chosen) -> Value {
    json!({
        "engine": chosen.engine.name(),
        "version": chosen.engine.version(),
        "path": chosen.engine.location().map(|p| p.to_string_lossy()),
        "why": chosen.why,
    })
}

/// What the cache holds of a release, in words.
pub fn in_words(state: State) -> &'static str {
    match state {
        State::Absent => "not there; `onnxcam engine install` fetches it",
        State::Whole => "there, verified",
        State::Damaged => "damaged; `onnxcam engine install` fetches it again",
    }
}

/// The same in one word.
pub fn word(state: State) -> &'static str {
    match state {
        State::Absent => "absent",
        State::Whole => "verified",
        State::Damaged => "damaged",
    }
}

//! Standard output and standard error.
//!
//! Results go to the one, and whoever writes them hears where nobody reads any more, as behind `| head`. Notes and progress
//! go to the other; there, not being heard is no reason to stop.

use std::fmt::Display;
use std::io::{self, Write, stderr, stdout};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether notes and progress are left out: `--quiet`.
static QUIET: AtomicBool = AtomicBool::new(false);

/// From now on, notes and progress are left out.
pub fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// Whether notes and progress are left out.
pub fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// A line of the results.
pub fn line(text: impl Display) -> io::Result<()> {
    writeln!(stdout().lock(), "{text}").map_err(named)
}

/// Results as they are, whole.
pub fn all(bytes: &[u8]) -> io::Result<()> {
    let mut out = stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(named)
}

/// Says what could not be written to; the kind of error stays.
fn named(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot write to standard output: {error}"))
}

/// A line beside the results that is said in any case: an error.
pub fn aside(text: impl Display) {
    let _ = writeln!(stderr().lock(), "{text}"); // There is nobody to tell.
}

/// A sentence for the user beside the results.
pub fn note(sentence: impl Display) {
    if !is_quiet() {
        aside(format_args!("note: {sentence}"));
    }
}

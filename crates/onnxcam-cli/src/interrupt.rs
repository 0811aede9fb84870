//! Ctrl-C ends the program at once, but not in the middle of a file or a line.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held while files and lines are written.
static WRITING: Mutex<()> = Mutex::new(());

/// What shells report for a program that Ctrl-C ended: 128 and the signal's number.
const STATUS: i32 = 130;

/// From now on, an interrupt waits for what is being written, then ends the program.
pub fn install() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| {
        let _written = lock();
        crate::out::aside("interrupted");
        exit()
    })
}

/// Ends the process without the libraries' tidying up: an engine's threads may be in the middle of what that would take
/// from under them.
fn exit() -> ! {
    #[cfg(unix)]
    // SAFETY: `_exit` takes any number, and nothing of this process runs after it.
    unsafe {
        libc::_exit(STATUS)
    }
    #[cfg(not(unix))]
    std::process::exit(STATUS)
}

/// Does what must not be left half done.
pub fn whole<T>(work: impl FnOnce() -> T) -> T {
    let _writing = lock();
    work()
}

fn lock() -> MutexGuard<'static, ()> {
    WRITING.lock().unwrap_or_else(PoisonError::into_inner)
}

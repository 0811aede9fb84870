//! A test program that plays one of several programs at once.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const FOLDER: &str = "ONNXCAM_TEST_FOLDER";
const DELAY: &str = "ONNXCAM_TEST_DELAY";

/// What a program that was [started](start) is to do.
pub struct Role {
    /// The folder that all share.
    pub folder: PathBuf,
    /// How long its package client takes.
    pub delay: Duration,
}

/// Starts this test program again, to run the test `name` alone in a role.
pub fn start(name: &str, folder: &Path, delay: Duration) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", name])
        .env(FOLDER, folder)
        .env(DELAY, delay.as_millis().to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Ends a program once it is seen to be at work.
pub fn kill_at_work(mut program: Child, at_work: impl Fn() -> bool) {
    let begun = Instant::now();
    while !at_work() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it never came to work");
        std::thread::sleep(Duration::from_millis(10));
    }
    program.kill().unwrap();
    program.wait().unwrap();
}

/// The role of this program; `None` where it is the test itself.
pub fn role() -> Option<Role> {
    let folder = env::var_os(FOLDER).map(PathBuf::from)?;
    let delay = env::var(DELAY).unwrap().parse().unwrap();
    Some(Role { folder, delay: Duration::from_millis(delay) })
}

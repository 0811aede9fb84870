//! The program, and a folder to run it in.

#![allow(dead_code)] // Each test program takes what it needs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use testkit::models::Maker;

/// The program in a folder of its own, with an empty cache there and no environment that points at engines.
pub struct Program {
    folder: tempfile::TempDir,
}

/// What a run of the program left.
#[derive(Debug)]
pub struct Answer {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Program {
    pub fn new() -> Program {
        Program { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn model(&self, name: &str, maker: Maker) -> String {
        fs::write(self.path(name), maker.bytes()).unwrap();
        name.to_owned()
    }

    /// Runs it where ONNX Runtime cannot be found: `ORT_DYLIB_PATH` is an empty folder.
    pub fn alone(&self, arguments: &[&str]) -> Answer {
        fs::create_dir_all(self.path("no engines")).unwrap();
        self.with_library(&self.path("no engines"), arguments)
    }

    pub fn with_library(&self, library: &Path, arguments: &[&str]) -> Answer {
        self.run(self.command(arguments).env("ORT_DYLIB_PATH", library))
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_onnxcam"));
        command.args(arguments).current_dir(self.folder.path()).env("ONNXCAM_CACHE", self.path("cache"));
        command
    }

    pub fn run(&self, command: &mut Command) -> Answer {
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Answer { status: status.code().unwrap(), out: text(stdout), err: text(stderr) }
    }
}

impl Answer {
    pub fn json(&self) -> Value {
        assert_eq!(self.status, 0, "{}", self.err);
        assert_eq!(self.out.lines().count(), 1, "{}", self.out);
        serde_json::from_str(&self.out).unwrap()
    }

    /// The message of a failure: on standard error, behind notes at most, and nothing on standard output.
    pub fn failure(&self) -> &str {
        assert_eq!((self.status, self.out.as_str()), (1, ""), "{}", self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        let notes: usize = self.err.split_inclusive('\n').take_while(|l| l.starts_with("note: ")).map(str::len).sum();
        let message = &self.err[notes..];
        assert!(message.starts_with("error: "), "{}", self.err);
        message
    }
}

/// A JSON string.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

/// Every command, and every command below one.
pub const COMMANDS: [&[&str]; 16] = [
    &["explain"],
    &["layers"],
    &["export"],
    &["show"],
    &["strip"],
    &["methods"],
    &["models"],
    &["models", "fetch"],
    &["models", "path"],
    &["engine"],
    &["engine", "install"],
    &["engine", "remove"],
    &["bench"],
    &["doctor"],
    &["completions"],
    &["man"],
];

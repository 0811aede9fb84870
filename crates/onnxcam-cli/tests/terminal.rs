//! What holds for every command: help, `--quiet`, closed pipes.

mod support;

#[cfg(target_os = "linux")]
use std::fs;
use std::io::pipe;

use serde_json::Value;
use support::{COMMANDS, Program};
use testkit::models::tiny_cnn;

#[test]
fn help_has_examples_and_the_program_tells_its_exit_statuses() {
    let program = Program::new();
    for command in COMMANDS.iter().filter(|command| command.len() == 1) {
        let help = program.alone(&[*command, &["--help"]].concat()).out;
        assert!(help.contains(&format!("\nExamples:\n  onnxcam {}", command[0])), "{help}");
    }
    let help = program.alone(&["--help"]).out;
    for part in ["Exit status:", "\n  0 ", "\n  1 ", "\n  2 ", "\n  130 ", "ONNXCAM_CACHE", "ORT_DYLIB_PATH"] {
        assert!(help.contains(part), "{part}: {help}");
    }
}

#[test]
fn quiet_leaves_out_notes_and_keeps_errors() {
    let program = Program::new();
    let net = program.model("net.onnx", tiny_cnn(17, 5));
    let bench = ["bench", &net, "--rounds", "1"];
    assert!(program.alone(&bench).err.contains("note: engine: "));
    for quiet in ["-q", "--quiet"] {
        let answer = program.alone(&[&bench[..], &[quiet]].concat());
        assert_eq!((answer.status, answer.err.as_str()), (0, ""));
        assert!(!answer.out.is_empty());
    }
    let failed = program.alone(&["-q", "layers", "missing.onnx"]);
    assert!(failed.err.starts_with("error: "), "{}", failed.err);
}

/// As behind `| head`, once it has seen enough: the program ends, without a word and without a panic.
#[test]
fn nobody_reads_standard_output() {
    let program = Program::new();
    let net = program.model("net.onnx", tiny_cnn(17, 5));
    let commands: [&[&str]; 10] = [
        &["models"],
        &["models", "--json"],
        &["methods"],
        &["methods", "cam"],
        &["engine"],
        &["doctor"],
        &["layers", &net],
        &["bench", &net, "--rounds", "1"],
        &["completions", "bash"],
        &["man"],
    ];
    for arguments in commands {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let mut command = program.command(&[arguments, &["--quiet"]].concat());
        let output = command.stdout(writer).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), err.as_str()), (Some(1), ""), "{arguments:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn standard_output_that_cannot_be_written() {
    let program = Program::new();
    for arguments in [&["models"][..], &["completions", "bash"]] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = program.command(arguments).stdout(full).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(err.starts_with("error: cannot write to standard output: No space left"), "{err}");
    }
}

/// Notes that nobody hears do not keep it from its work.
#[test]
fn nobody_reads_standard_error() {
    let program = Program::new();
    let net = program.model("net.onnx", tiny_cnn(17, 5));
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let output = program.command(&["bench", &net, "--rounds", "1", "--json"]).stderr(writer).output().unwrap();
    assert!(output.status.success());
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["rounds"], 1);
}

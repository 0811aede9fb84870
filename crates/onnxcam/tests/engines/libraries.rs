//! Libraries that are of no use, and where they are looked for. Every `Search` here is made by hand: the environment of
//! the test process stays as it is.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use onnxcam::engine::{Choice, Engine, EngineError, LibraryFault, Ort, Search, choose, survey};
use tempfile::TempDir;

use crate::onnx_runtime;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// As if `ORT_DYLIB_PATH` named this path.
fn given(path: &Path) -> Search {
    Search { library: Some(path.to_path_buf()), ..Search::default() }
}

/// `--engine ort` fails over this file with a text that names it; `auto` takes rten and says why in one line; `doctor`
/// knows too.
fn of_no_use(path: &Path) -> LibraryFault {
    let named = path.display().to_string();
    let error = choose(Choice::Ort, &given(path)).expect_err("of no use");
    assert!(error.to_string().contains(&named) && error.to_string().contains("\nhint: "), "{error}");

    let chosen = choose(Choice::Auto, &given(path)).expect("auto always finds one");
    let why = chosen.why.expect("auto says why");
    assert_eq!(chosen.engine.name(), "rten");
    assert!(why.starts_with("rten ") && why.contains(&named) && !why.contains('\n'), "{why}");

    assert!(survey(&given(path)).iter().all(|c| c.outcome.is_err()));
    match error {
        EngineError::Library { fault, .. } => fault,
        other => panic!("{other}"),
    }
}

#[test]
fn a_text_file() {
    let folder = folder();
    let path = folder.path().join("libonnxruntime.so");
    fs::write(&path, "this is no library\n".repeat(1000)).expect("written");
    assert!(matches!(of_no_use(&path), LibraryFault::Format(_)));
    fs::write(&path, "").expect("written");
    assert!(matches!(of_no_use(&path), LibraryFault::Format(_)));
}

#[test]
fn a_folder_without_a_library() {
    let folder = folder();
    fs::write(folder.path().join("readme.txt"), "nothing here").expect("written");
    assert!(matches!(of_no_use(folder.path()), LibraryFault::EmptyFolder(_)));
}

#[test]
fn nothing_at_all() {
    let folder = folder();
    assert!(matches!(of_no_use(&folder.path().join("missing.so")), LibraryFault::Unreadable(_)));
}

/// This test program is in the system's own format, and whole.
fn own_bytes() -> Vec<u8> {
    fs::read(env::current_exe().expect("a path")).expect("readable")
}

#[test]
fn a_truncated_library() {
    let folder = folder();
    let path = folder.path().join("half.so");
    let whole = own_bytes();
    for length in [whole.len() / 2, whole.len() / 10, 4096, 100, 16] {
        fs::write(&path, &whole[..length]).expect("written");
        let fault = of_no_use(&path);
        assert!(matches!(fault, LibraryFault::Truncated { .. } | LibraryFault::Format(_)), "{length}: {fault:?}");
    }
}

/// Without its section table a truncated ELF file parses, and only the lengths of its segments tell. The loader would
/// map it and the process would die of a bus error at first touch.
#[cfg(all(target_os = "linux", target_pointer_width = "64", target_endian = "little"))]
#[test]
fn a_truncated_library_without_sections() {
    let folder = folder();
    let path = folder.path().join("half.so");
    let mut bytes = own_bytes();
    bytes.truncate(1 << 16);
    bytes[0x28..0x30].fill(0); // e_shoff
    bytes[0x3c..0x40].fill(0); // e_shnum, e_shstrndx
    fs::write(&path, &bytes).expect("written");
    assert!(matches!(of_no_use(&path), LibraryFault::Truncated { .. }));
}

#[cfg(all(target_os = "linux", target_endian = "little"))]
#[test]
fn a_library_for_another_processor() {
    const E_MACHINE: usize = 18;
    const AARCH64: u8 = 183;
    const X86_64: u8 = 62;
    let folder = folder();
    let path = folder.path().join("foreign.so");
    let mut bytes = own_bytes();
    bytes[E_MACHINE] = if cfg!(target_arch = "aarch64") { X86_64 } else { AARCH64 };
    fs::write(&path, &bytes).expect("written");
    let fault = of_no_use(&path);
    assert!(matches!(&fault, LibraryFault::Architecture { needed, .. } if *needed == env::consts::ARCH), "{fault:?}");
}

/// Compiles a shared library whose source is `source`.
fn compile(source: &str, into: &Path) {
    let file = into.with_extension("rs");
    fs::write(&file, source).expect("written");
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let compiled = Command::new(rustc)
        .args(["--edition", "2024", "--crate-name", "fake", "--crate-type", "cdylib", "-C", "panic=abort", "-o"])
        .args([into, &file])
        .output()
        .expect("rustc runs where cargo test runs");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
}

/// An ONNX Runtime of which only the version exists.
fn fake_onnx_runtime(version: &str, into: &Path) {
    let source = r#"
        #[repr(C)]
        pub struct Base { get_api: extern "system" fn(u32) -> *const u8, version: extern "system" fn() -> *const u8 }
        extern "system" fn get_api(_: u32) -> *const u8 { std::ptr::null() }
        extern "system" fn version() -> *const u8 { VERSION.as_ptr() }
        static VERSION: &str = "@\0";
        static BASE: Base = Base { get_api, version };
        #[unsafe(no_mangle)]
        pub extern "system" fn OrtGetApiBase() -> *const Base { &BASE }
    "#;
    compile(&source.replace('@', version), into);
}

#[test]
fn an_old_one() {
    let folder = folder();
    for version in ["1.10.0", "1.16.3", "0.5.0"] {
        let path = folder.path().join(format!("old-{version}.so"));
        fake_onnx_runtime(version, &path);
        let fault = of_no_use(&path);
        assert!(matches!(&fault, LibraryFault::TooOld { found, .. } if found == version), "{fault:?}");
        assert!(fault.to_string().contains("1.17"), "{fault}");
    }
}

#[test]
fn one_that_does_not_tell_its_version() {
    let folder = folder();
    let path = folder.path().join("dumb.so");
    fake_onnx_runtime("none of your business", &path);
    assert!(matches!(of_no_use(&path), LibraryFault::NoVersion));
}

#[test]
fn a_library_of_something_else() {
    let folder = folder();
    let path = folder.path().join("other.so");
    compile("#[unsafe(no_mangle)] pub extern \"C\" fn answer() -> i32 { 42 }", &path);
    assert!(matches!(of_no_use(&path), LibraryFault::NotOnnxRuntime));
}

/// The name that the library has on this system.
fn library_name(version: &str) -> String {
    if cfg!(windows) {
        "onnxruntime.dll".to_owned()
    } else if cfg!(target_vendor = "apple") {
        format!("libonnxruntime.{version}.dylib")
    } else {
        format!("libonnxruntime.so.{version}")
    }
}

/// `root/lib/python3.11/site-packages/onnxruntime/capi`, made.
fn capi_below(root: &Path) -> PathBuf {
    let capi = root.join("lib").join("python3.11").join("site-packages").join("onnxruntime").join("capi");
    fs::create_dir_all(&capi).expect("made");
    capi
}

#[test]
fn an_old_one_in_a_python_environment() {
    let root = folder();
    let search = Search { environments: vec![root.path().to_path_buf()], ..Search::default() };

    // Wheels before 1.18 have no library of their own.
    let capi = capi_below(root.path());
    let error = choose(Choice::Ort, &search).expect_err("nothing there");
    assert!(matches!(&error, EngineError::Library { path, fault: LibraryFault::OldPackage } if *path == capi));
    assert!(error.to_string().contains("onnxcam engine install"), "{error}");

    let path = capi.join(library_name("1.11.1"));
    fake_onnx_runtime("1.11.1", &path);
    let chosen = choose(Choice::Auto, &search).expect("auto always finds one");
    let why = chosen.why.expect("auto says why");
    assert!(why.contains(&path.display().to_string()) && why.contains("1.11.1") && why.contains("1.17"), "{why}");
    let found = survey(&search);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].path.as_deref(), Some(path.as_path()));
    assert!(found[0].outcome.as_ref().is_err_and(|why| why.contains("1.11.1")));
}

#[test]
fn nowhere_to_look() {
    let error = choose(Choice::Ort, &Search::default()).expect_err("nowhere").to_string();
    assert!(error.contains("onnxcam engine install") && error.contains("ORT_DYLIB_PATH"), "{error}");
    let chosen = choose(Choice::Auto, &Search::default()).expect("auto always finds one");
    assert_eq!(chosen.engine.name(), "rten");
    assert!(chosen.why.is_some_and(|why| why.contains("not found") && !why.contains('\n')));
    let chosen = choose(Choice::Rten, &Search::default()).expect("always there");
    assert!(chosen.engine.location().is_none() && chosen.why.is_none());
}

#[cfg(unix)]
#[test]
fn an_interpreter_that_fails() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let python = folder.path().join("python3");
    fs::write(&python, "#!/bin/sh\nexit 3\n").expect("written");
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).expect("executable");
    let search = Search { interpreters: vec![python, folder.path().join("none")], ..Search::default() };
    let found = survey(&search);
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|c| c.path.is_none() && c.outcome.is_err()), "{found:?}");
}

/// A copy of a library is another library, and a process can hold one; the same file by another name is the same.
#[test]
fn one_per_process() {
    let Some(engine) = onnx_runtime() else { return };
    let path = engine.location().expect("it is a file");
    let again = Ort::open(path).expect("it is open already");
    assert_eq!(again.version(), engine.version());

    let folder = folder();
    let copy = folder.path().join("copy.so");
    fs::copy(path, &copy).expect("copied");
    assert!(matches!(Ort::open(&copy), Err(EngineError::OtherLibraryLoaded { .. })));
}

const CHILD: &str = "ONNXCAM_TEST_EXPECTED_LIBRARY";

/// Run by `folders_of_any_name` in a process of its own.
#[test]
#[ignore = "a child of folders_of_any_name"]
fn child_finds_its_library() {
    let expected = PathBuf::from(env::var_os(CHILD).expect("the parent says what to expect"));
    let chosen = choose(Choice::Ort, &Search::from_env(None)).expect("it is there");
    assert_eq!(chosen.engine.location(), Some(expected.as_path()));
    crate::conforms(&*chosen.engine);
}

/// R32: `ORT_DYLIB_PATH` names a folder outside ASCII, with the library in it or in its `lib`.
#[test]
fn folders_of_any_name() {
    let Some(engine) = onnx_runtime() else { return };
    let library = engine.location().expect("it is a file");
    let root = folder();
    for below in ["", "lib"] {
        let home = root.path().join(format!("디버그 ñ{below}"));
        let path = home.join(below).join(library_name("1.99.0"));
        fs::create_dir_all(path.parent().expect("it has one")).expect("made");
        fs::copy(library, &path).expect("copied");
        let child = Command::new(env::current_exe().expect("a path"))
            .args(["--exact", "libraries::child_finds_its_library", "--ignored", "--nocapture"])
            .env("ORT_DYLIB_PATH", &home)
            .env(CHILD, &path)
            .output()
            .expect("run");
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(
            child.status.success() && said.contains("1 passed"),
            "{said}\n{}",
            String::from_utf8_lossy(&child.stderr)
        );
    }
}

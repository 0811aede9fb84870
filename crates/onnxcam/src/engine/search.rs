//! Where ONNX Runtime may lie. Nothing is imported and nothing of what is found is run here.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::error::LibraryFault;
use super::library::{NAMES, is_library_name};

/// The cache's folder for engines.
pub(super) const ENGINES: &str = "engines";

/// Where to look for ONNX Runtime's library, in this order. An empty search finds nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// A library file, or a folder that holds one: the user's word. When given, nothing else is looked at.
    pub library: Option<PathBuf>,
    /// Roots of Python environments whose packages may include `onnxruntime`.
    pub environments: Vec<PathBuf>,
    /// Python interpreters to ask where their packages are.
    pub interpreters: Vec<PathBuf>,
    /// Our cache folder; libraries lie anywhere in its folder `engines`.
    pub cache: Option<PathBuf>,
    /// Folders in which the system keeps libraries.
    pub system: Vec<PathBuf>,
}

impl Search {
    /// Reads `ORT_DYLIB_PATH`, `VIRTUAL_ENV`, `CONDA_PREFIX`, `PATH` and the system's library path. The only place
    /// where the environment is read.
    pub fn from_env(cache: Option<PathBuf>) -> Self {
        let path = |name: &str| env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        Self {
            library: path("ORT_DYLIB_PATH"),
            environments: ["VIRTUAL_ENV", "CONDA_PREFIX"].iter().filter_map(|n| path(n)).collect(),
            interpreters: interpreters_on(env::var_os("PATH")),
            cache,
            system: system_folders(),
        }
    }

    /// The places, in order. Looking into one happens when it is asked to, not before.
    pub(super) fn places(&self) -> Vec<Place> {
        if let Some(path) = &self.library {
            return vec![Place::Given(path.clone())];
        }
        let environments = self.environments.iter().cloned().map(Place::Environment);
        let interpreters = self.interpreters.iter().cloned().map(Place::Interpreter);
        let cache = self.cache.iter().map(|c| Place::Cache(c.join(ENGINES)));
        let system = (!self.system.is_empty()).then(|| Place::System(self.system.clone()));
        environments.chain(interpreters).chain(cache).chain(system).collect()
    }
}

/// One place to look at.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Given(PathBuf),
    Environment(PathBuf),
    Interpreter(PathBuf),
    Cache(PathBuf),
    System(Vec<PathBuf>),
}

/// Why a look brought nothing.
#[derive(Debug)]
pub(super) enum Miss {
    /// There is nothing.
    Nothing(String),
    /// There is something, and it is of no use.
    Fault(PathBuf, LibraryFault),
}

/// What a look brought: library files, best first.
pub(super) type Look = Result<Vec<PathBuf>, Miss>;

impl Place {
    pub(super) fn in_words(&self) -> String {
        match self {
            Place::Given(p) => format!("ORT_DYLIB_PATH {}", p.display()),
            Place::Environment(p) => format!("Python environment {}", p.display()),
            Place::Interpreter(p) => format!("packages of {}", p.display()),
            Place::Cache(p) => format!("cache {}", p.display()),
            Place::System(_) => "system folders".to_owned(),
        }
    }

    pub(super) fn look(&self) -> Look {
        match self {
            Place::Given(p) if p.is_dir() => {
                let below = ["", "lib", "bin", "capi", "onnxruntime/capi"];
                let found: Vec<PathBuf> = below.iter().flat_map(|b| libraries_in(&p.join(b))).collect();
                if found.is_empty() { Err(Miss::Fault(p.clone(), LibraryFault::EmptyFolder(NAMES))) } else { Ok(found) }
            }
            Place::Given(p) => Ok(vec![p.clone()]),
            Place::Environment(root) => in_packages(&package_folders(root)),
            Place::Interpreter(python) => in_packages(&ask(python).map_err(Miss::Nothing)?),
            Place::Cache(folder) => some(libraries_below(folder, 4), || folder.display().to_string()),
            Place::System(folders) => some(folders.iter().flat_map(|f| libraries_in(f)).collect(), || {
                folders.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(", ")
            }),
        }
    }
}

fn some(files: Vec<PathBuf>, place: impl FnOnce() -> String) -> Look {
    if files.is_empty() { Err(Miss::Nothing(format!("no {NAMES} in {}", place()))) } else { Ok(files) }
}

/// Files of this folder that carry the library's name, the highest version first. An unreadable folder holds none.
fn libraries_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> =
        entries.filter(|e| e.file_name().to_str().is_some_and(is_library_name)).map(|e| e.path()).collect();
    highest_version_first(&mut found);
    found
}

/// Sorts by the numbers in the last part of the path.
fn highest_version_first(paths: &mut [PathBuf]) {
    paths.sort();
    paths.sort_by_cached_key(|p| {
        let name = p.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let numbers = name.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse::<u32>().ok());
        std::cmp::Reverse(numbers.collect::<Vec<_>>())
    });
}

/// The same in a folder and `depth` levels below it, symbolic links to folders left alone; of folders, too, the highest
/// version first.
fn libraries_below(folder: &Path, depth: usize) -> Vec<PathBuf> {
    let mut found = libraries_in(folder);
    if depth > 0 {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut folders: Vec<PathBuf> =
            entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()).collect();
        highest_version_first(&mut folders);
        found.extend(folders.iter().flat_map(|f| libraries_below(f, depth - 1)));
    }
    found
}

/// The package `onnxruntime` in any of these package folders.
fn in_packages(folders: &[PathBuf]) -> Look {
    let mut bare = None;
    for folder in folders {
        let capi = folder.join("onnxruntime").join("capi");
        let found = libraries_in(&capi);
        if !found.is_empty() {
            return Ok(found);
        }
        if capi.is_dir() {
            bare = Some(capi);
        }
    }
    Err(match bare {
        Some(capi) => Miss::Fault(capi, LibraryFault::OldPackage),
        None => Miss::Nothing("no Python package onnxruntime".to_owned()),
    })
}

/// Where the packages of a Python environment are.
fn package_folders(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![root.join("Lib").join("site-packages")];
    for lib in ["lib", "lib64"].map(|l| root.join(l)) {
        let entries = fs::read_dir(&lib).into_iter().flatten().flatten();
        let pythons = entries.filter(|e| e.file_name().to_string_lossy().starts_with("python"));
        let mut folders: Vec<PathBuf> = pythons.map(|e| e.path().join("site-packages")).collect();
        folders.sort();
        found.extend(folders);
    }
    found.retain(|f| f.is_dir());
    found
}

/// The first `python3` and the first `python` on the path. Relative entries are left out: they mean the folder that we
/// happen to stand in.
fn interpreters_on(path: Option<OsString>) -> Vec<PathBuf> {
    let folders: Vec<PathBuf> = path.iter().flat_map(env::split_paths).filter(|p| p.is_absolute()).collect();
    let first = |name: &str| {
        let file = format!("{name}{}", env::consts::EXE_SUFFIX);
        folders.iter().map(|f| f.join(&file)).find(|f| f.is_file())
    };
    let mut found: Vec<PathBuf> = ["python3", "python"].iter().filter_map(|n| first(n)).collect();
    found.dedup_by_key(|p| p.canonicalize().ok());
    found
}

/// Prints the package folders, one after another with a zero byte behind each. Nothing but the standard library is
/// imported.
const QUESTION: &str = "\
import os, site, sys, sysconfig
folders = [sysconfig.get_path('platlib'), sysconfig.get_path('purelib')]
folders += getattr(site, 'getsitepackages', list)() + [site.getusersitepackages()]
for folder in folders:
    sys.stdout.buffer.write(os.fsencode(folder) + b'\\0')
";

/// How long an interpreter may take to answer, and how many bytes we listen to.
const PATIENCE: Duration = Duration::from_secs(10);
const EARSHOT: u64 = 1 << 20;

/// Asks an interpreter, isolated (`-I`) and from an empty folder, so that no file lying around is imported.
fn ask(python: &Path) -> Result<Vec<PathBuf>, String> {
    let fault = |e: io::Error| format!("it could not be asked: {e}");
    let empty = tempfile::tempdir().map_err(fault)?;
    let mut child = Command::new(python)
        .args(["-I", "-c", QUESTION])
        .current_dir(empty.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(fault)?;
    let out = child.stdout.take().expect("piped above");
    let listener = std::thread::spawn(move || {
        let mut answer = Vec::new();
        out.take(EARSHOT).read_to_end(&mut answer).map(|_| answer)
    });
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait().map_err(fault)? {
            Some(status) => break status,
            None if Instant::now() < deadline => sleep(Duration::from_millis(5)),
            None => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("it did not answer in {} seconds", PATIENCE.as_secs()));
            }
        }
    };
    if !status.success() {
        return Err(format!("it could not be asked: {status}"));
    }
    let answer = listener.join().unwrap_or_else(|_| Ok(Vec::new())).map_err(fault)?;
    let mut folders: Vec<PathBuf> = Vec::new();
    for folder in answer.split(|b| *b == 0).filter(|f| !f.is_empty()).map(to_path) {
        if folder.is_dir() && !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    Ok(folders)
}

#[cfg(unix)]
fn to_path(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(bytes).into()
}

#[cfg(not(unix))]
fn to_path(bytes: &[u8]) -> PathBuf {
    String::from_utf8_lossy(bytes).into_owned().into() // Python encodes file names as UTF-8 there
}

/// The program's own folder, then what the dynamic loader would search, then where package managers put things.
fn system_folders() -> Vec<PathBuf> {
    let (variable, usual): (&str, &[&str]) = if cfg!(windows) {
        ("PATH", &[])
    } else if cfg!(target_vendor = "apple") {
        ("DYLD_LIBRARY_PATH", &["/opt/homebrew/lib", "/usr/local/lib", "/opt/local/lib"])
    } else {
        ("LD_LIBRARY_PATH", &["/usr/local/lib", "/usr/local/lib64", "/usr/lib", "/usr/lib64", "/opt/onnxruntime/lib"])
    };
    let own = env::current_exe().ok().and_then(|p| p.parent().map(Path::to_path_buf));
    let listed = env::var_os(variable);
    let listed = listed.iter().flat_map(env::split_paths).filter(|p| p.is_absolute());
    let multiarch = cfg!(target_os = "linux").then(|| format!("/usr/lib/{}-linux-gnu", env::consts::ARCH).into());
    let mut found: Vec<PathBuf> = Vec::new();
    for folder in own.into_iter().chain(listed).chain(multiarch).chain(usual.iter().map(PathBuf::from)) {
        if folder.is_dir() && !found.contains(&folder) {
            found.push(folder);
        }
    }
    found
}

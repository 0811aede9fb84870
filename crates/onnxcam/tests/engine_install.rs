//! `onnxcam engine install`: the library is fetched once, kept whole in the cache and found there.
//!
//! The package registry is played by a folder, but for the one test that asks the real one.

mod support;

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use onnxcam::cache::Cache;
use onnxcam::engine::install::{self, InstallError, Installed, State, folder_of, install_release, state};
use onnxcam::engine::{Choice, EngineError, Ort, RELEASES, Release, Search, choose, survey};
use onnxcam::package::{Client, Member, Package};
use support::programs::{Role, kill_at_work, role, start};
use support::{Shelf, pack, pin};
use tempfile::TempDir;

/// The library's name here, the folder in the wheel, and what else the wheel holds.
const LIBRARY: &str = if cfg!(windows) {
    "p/capi/onnxruntime.dll"
} else if cfg!(target_vendor = "apple") {
    "p/capi/libonnxruntime.1.99.0.dylib"
} else {
    "p/capi/libonnxruntime.so.1.99.0"
};
const NOTICES: [&str; 3] = ["p/LICENSE", "p/ThirdPartyNotices.txt", "p/Privacy.md"];

/// A registry with a release whose library is `content`, and an empty cache.
struct Setup {
    dir: TempDir,
    cache: Cache,
    release: Release,
}

fn release(folder: &Path, content: &[u8]) -> Release {
    let notices = NOTICES.map(|name| (name, name.as_bytes()));
    let others: [(&str, &[u8]); 2] = [("p/__init__.py", b"import sys"), ("../outside", b"nothing good")];
    let archive = pack(&[&[(LIBRARY, content)], &notices[..], &others[..]].concat());
    fs::write(folder.join("p.whl"), &archive).unwrap();
    let member = |(path, content): (&'static str, &[u8])| Member { path, pin: pin(content) };
    Release {
        os: "here",
        arch: "any",
        package: Package { name: "p", version: "1.99.0", wheel: pin(&archive), tags: None, otherwise: "do without" },
        library: member((LIBRARY, content)),
        notices: notices.map(member),
    }
}

fn loads(_: &Path) -> Result<(), EngineError> {
    Ok(())
}

impl Setup {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path().join("cache"));
        let release = release(dir.path(), b"a library");
        Self { dir, cache, release }
    }

    fn shelf(&self) -> Shelf {
        shelf(self.dir.path(), Duration::ZERO)
    }

    fn fetches(&self) -> usize {
        let journal = fs::read_to_string(self.dir.path().join("journal"));
        journal.map_or(0, |text| text.lines().count())
    }

    fn install(&self, clients: &[&dyn Client]) -> (Result<Installed, InstallError>, Vec<String>) {
        let mut lines = Vec::new();
        let mut say = |line: &str| lines.push(line.to_owned());
        (install_release(&self.release, &self.cache, clients, &loads, &mut say), lines)
    }

    fn library(&self) -> PathBuf {
        folder_of(&self.release, &self.cache).join(self.release.library.file_name())
    }

    /// Everything in the cache but locks, by its path there.
    fn cached(&self) -> Vec<String> {
        let files = self.cache.files().into_iter().map(|(path, _)| path);
        let name = |path: PathBuf| path.strip_prefix(self.cache.root()).unwrap().to_string_lossy().replace('\\', "/");
        files.filter(|path| path.extension().is_none_or(|suffix| suffix != "lock")).map(name).collect()
    }
}

fn shelf(folder: &Path, delay: Duration) -> Shelf {
    Shelf { wheel: folder.join("p.whl"), journal: folder.join("journal"), delay }
}

/// What a whole installation leaves, and nothing else: the folder names version and system.
fn whole() -> Vec<String> {
    let names = [LIBRARY].into_iter().chain(NOTICES).map(|path| path.rsplit('/').next().unwrap());
    let mut paths: Vec<String> = names.map(|name| format!("engines/onnxruntime-1.99.0-here-any/{name}")).collect();
    paths.sort();
    paths
}

#[test]
fn fetched_once_with_its_notices_and_then_found_without_any_client() {
    let setup = Setup::new();
    assert_eq!(state(&setup.release, &setup.cache), State::Absent);
    let (first, lines) = setup.install(&[&setup.shelf()]);
    assert_eq!(first.unwrap(), Installed { library: setup.library(), fetched: true });
    let size = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let wheel = size(setup.release.package.wheel.size);
    let kept = size(setup.release.members().iter().map(|m| m.pin.size).sum());
    let expected =
        format!("fetching ONNX Runtime 1.99.0 once: Python package p 1.99.0, {wheel}; what is kept of it takes {kept}");
    assert_eq!(lines, [expected]);
    assert_eq!(setup.cached(), whole());
    assert_eq!(fs::read(setup.library()).unwrap(), b"a library");
    assert_eq!(state(&setup.release, &setup.cache), State::Whole);

    let (second, lines) = setup.install(&[]);
    assert_eq!(second.unwrap(), Installed { library: setup.library(), fetched: false });
    assert_eq!((lines, setup.fetches()), (vec![], 1));
}

/// A program that is killed once the folder is in its place leaves what else it unpacked; the next one takes it away.
#[test]
fn what_a_killed_installer_left_behind_a_whole_folder_is_cleared_away() {
    let setup = Setup::new();
    setup.install(&[&setup.shelf()]).0.unwrap();
    let left = setup.cache.root().join(".onnxruntime-1.99.0-here-any.x");
    fs::create_dir(&left).unwrap();
    fs::write(left.join("more"), "much more").unwrap();
    assert!(!setup.install(&[]).0.unwrap().fetched);
    assert!(!left.exists());
    assert_eq!(setup.cached(), whole());
}

/// Every candidate that a search with only this cache has.
fn candidates(cache: &Cache) -> Vec<PathBuf> {
    let search = Search { cache: Some(cache.root().to_owned()), ..Search::default() };
    survey(&search).into_iter().filter_map(|candidate| candidate.path).collect()
}

/// Nor are half-made ones: while a client works, nothing with the library's name lies where engines are looked for.
#[test]
fn the_search_looks_where_it_was_installed_the_highest_version_first() {
    let setup = Setup::new();
    let waiting = support::Fake("fetching", |folder: &Path| {
        fs::write(folder.join(setup.release.library.file_name()), "half").unwrap();
        assert_eq!(candidates(&setup.cache), [""; 0].map(PathBuf::from));
        setup.shelf().get(&setup.release.package, folder)
    });
    setup.install(&[&waiting]).0.unwrap();
    let older = setup.cache.root().join("engines").join("onnxruntime-1.9.1-here-any");
    let newer = setup.cache.root().join("engines").join("onnxruntime-1.100.0-here-any");
    for folder in [&older, &newer] {
        fs::create_dir(folder).unwrap();
        fs::write(folder.join(setup.release.library.file_name()), "a library").unwrap();
    }
    let name = setup.release.library.file_name();
    assert_eq!(candidates(&setup.cache), [newer.join(name), setup.library(), older.join(name)]);
}

#[test]
fn whatever_was_damaged_is_fetched_again() {
    let setup = Setup::new();
    setup.install(&[&setup.shelf()]).0.unwrap();
    let folder = folder_of(&setup.release, &setup.cache);
    let damages: [&dyn Fn(); 4] = [
        &|| fs::write(setup.library(), b"a librarx").unwrap(),
        &|| fs::remove_file(setup.library()).unwrap(),
        &|| fs::remove_file(folder.join("LICENSE")).unwrap(),
        &|| {
            fs::remove_dir_all(&folder).unwrap();
            fs::write(&folder, b"a file").unwrap();
        },
    ];
    for damage in damages {
        damage();
        assert_eq!(state(&setup.release, &setup.cache), State::Damaged);
        assert!(setup.install(&[&setup.shelf()]).0.unwrap().fetched);
        assert_eq!(setup.cached(), whole());
    }
}

#[test]
fn another_wheel_or_another_library_in_it_is_refused_and_leaves_nothing() {
    let setup = Setup::new();
    fs::write(setup.dir.path().join("p.whl"), b"another").unwrap();
    let message = setup.install(&[&setup.shelf()]).0.unwrap_err().to_string();
    assert!(message.contains("`shelf get`: the wheel it brought is not the right one: it has 7 bytes"), "{message}");
    assert!(
        message.ends_with(
            "\nhint: install pip or uv, or see to its connection and to the room on the disk; or do without"
        ),
        "{message}"
    );

    let changed = release(setup.dir.path(), b"b library");
    let mixed = Release { library: setup.release.library, ..changed };
    let result = install_release(&mixed, &setup.cache, &[&setup.shelf()], &loads, &mut |_| ());
    assert!(result.unwrap_err().to_string().contains("its SHA-256 is "));
    assert_eq!(setup.cached(), [""; 0]);
}

/// The right file, and this machine's loader does not take it: an old C library, say.
#[test]
fn a_library_that_does_not_load_is_removed_again_and_the_error_names_it() {
    let setup = Setup::new();
    let load = |path: &Path| Ort::open(path).map(drop);
    let result = install_release(&setup.release, &setup.cache, &[&setup.shelf()], &load, &mut |_| ());
    let Err(InstallError::Unusable(error)) = result else { panic!("{result:?}") };
    assert!(error.to_string().contains("not a whole shared library"), "{error}");
    assert_eq!(setup.cached(), [""; 0]);
}

#[test]
fn ours_are_removed_of_every_version_and_nobody_elses() {
    let setup = Setup::new();
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let engines = setup.cache.root().join("engines");
    let (ours, older) = (format!("onnxruntime-1.32.0-{os}-{arch}"), format!("onnxruntime-1.17.0-{os}-{arch}"));
    for folder in [&ours, &older, "my-own", "onnxruntime-1.32.0-another-system"] {
        fs::create_dir_all(engines.join(folder)).unwrap();
        fs::write(engines.join(folder).join("library"), "a library").unwrap();
    }
    let removed = install::remove(&setup.cache).unwrap();
    assert_eq!(removed, [engines.join(older), engines.join(ours)]);
    assert_eq!(setup.cached(), ["engines/my-own/library", "engines/onnxruntime-1.32.0-another-system/library"]);
    assert_eq!(install::remove(&setup.cache).unwrap(), [""; 0].map(PathBuf::from));
}

#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let setup = Setup::new();
    fs::write(setup.cache.root(), b"a file").unwrap();
    let asked = Cell::new(false);
    let client = support::Fake("client", |_: &Path| {
        asked.set(true);
        Err(onnxcam::package::ClientError::NotInstalled)
    });
    let message = setup.install(&[&client]).0.unwrap_err().to_string();
    assert!(
        message.contains(setup.cache.root().to_str().unwrap()) && message.contains("hint: `--cache-dir"),
        "{message}"
    );
    assert!(!asked.get());
}

/// The role of a program among several. Returns whether this is such a program.
fn play() -> bool {
    let Some(Role { folder, delay }) = role() else {
        return false;
    };
    let own = folder.join(std::process::id().to_string());
    fs::create_dir(&own).unwrap();
    let release = release(&own, b"a library");
    let shelf = Shelf { journal: folder.join("journal"), ..shelf(&own, delay) };
    install_release(&release, &Cache::at(folder.join("cache")), &[&shelf], &loads, &mut |_| ()).unwrap();
    true
}

#[test]
fn of_several_installers_at_once_one_fetches() {
    if play() {
        return;
    }
    let setup = Setup::new();
    let name = "of_several_installers_at_once_one_fetches";
    for mut program in [0, 1, 2].map(|_| start(name, setup.dir.path(), Duration::from_millis(500))) {
        assert!(program.wait().unwrap().success());
    }
    assert_eq!((setup.fetches(), setup.cached()), (1, whole()));
}

#[test]
fn after_an_installer_was_killed_half_way_the_next_makes_a_good_cache() {
    if play() {
        return;
    }
    let setup = Setup::new();
    let name = "after_an_installer_was_killed_half_way_the_next_makes_a_good_cache";
    kill_at_work(start(name, setup.dir.path(), Duration::from_secs(600)), || setup.fetches() > 0);
    assert_eq!(candidates(&setup.cache), [""; 0].map(PathBuf::from));
    assert_eq!(state(&setup.release, &setup.cache), State::Absent);

    setup.install(&[&setup.shelf()]).0.unwrap();
    assert_eq!(setup.cached(), whole());
    let left = fs::read_dir(setup.cache.root()).unwrap().map(|e| e.unwrap().file_name()).collect::<Vec<_>>();
    assert_eq!(left, ["engines"]);
}

/// The real package, by pip or uv: it is what the table says, loads, and is what `--engine ort` takes from then on.
#[test]
#[ignore = "fetches 28 MB from the package registry, once"]
fn onnx_runtime_comes_from_the_registry_and_runs() {
    let cache = support::cache();
    let release = Release::here().expect("a release for this system");
    assert!(RELEASES.iter().any(|r| r.library == release.library));
    let first = install::install(&cache, &mut |line| eprintln!("{line}")).unwrap();
    let again = install::install(&cache, &mut |line| panic!("said {line:?} a second time")).unwrap();
    assert_eq!(again, Installed { fetched: false, ..first.clone() });

    let search = Search { cache: Some(cache.root().to_owned()), ..Search::default() };
    let engine = choose(Choice::Ort, &search).unwrap().engine;
    assert_eq!(engine.version(), release.title());
    assert_eq!(engine.location(), Some(first.library.as_path()));
}

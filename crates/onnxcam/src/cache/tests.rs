use super::*;

fn cache() -> (TempDir, Cache) {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::at(dir.path().join("not yet").join("there"));
    (dir, cache)
}

fn make(cache: &Cache, name: &str, content: &[u8]) -> PathBuf {
    let staging = cache.stage(name, || panic!("nobody else is here")).unwrap();
    staging.finish(content).unwrap()
}

fn names(cache: &Cache) -> Vec<String> {
    let entries = fs::read_dir(cache.root()).unwrap();
    let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn the_nearest_wish_wins() {
    let choose = |named: Option<&str>, variable: Option<&str>| {
        Cache::choose(named.map(Path::new), variable.map(OsStr::new)).unwrap()
    };
    assert_eq!(choose(Some("a"), Some("b")).root(), Path::new("a"));
    assert_eq!(choose(None, Some("b")).root(), Path::new("b"));
    let system = choose(None, None);
    assert!(system.root().is_absolute() && system.root().ends_with("onnxcam"));
    assert_eq!(choose(None, Some("")).root(), system.root());
}

#[test]
fn a_finished_file_is_verified_and_nothing_else_stays_but_its_checksum_and_lock() {
    let (_dir, cache) = cache();
    assert_eq!(cache.verified("m.onnx"), None);
    let path = make(&cache, "m.onnx", b"weights");
    assert_eq!(cache.verified("m.onnx"), Some(path.clone()));
    assert_eq!(fs::read(path).unwrap(), b"weights");
    assert_eq!(names(&cache), ["m.onnx", "m.onnx.lock", "m.onnx.sha256"]);
}

#[test]
fn files_are_listed_with_their_sizes() {
    let (_dir, cache) = cache();
    assert_eq!(cache.files(), []);
    let path = make(&cache, "m.onnx", b"weights");
    let deep = cache.root().join("engines").join("deep");
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("library"), b"12345").unwrap();
    let files = cache.files();
    assert!(files.contains(&(path, 7)) && files.contains(&(deep.join("library"), 5)), "{files:?}");
    assert_eq!(files.len(), 4); // The checksum and the lock too.
}

/// Nothing of it is seen in its place before it is whole, and what was there before is gone then.
#[test]
fn a_folder_moves_into_place_whole_and_is_removed_whole() {
    let (_dir, cache) = cache();
    let place = cache.root().join("engines").join("e");
    for content in [b"one", b"two"] {
        let staging = cache.stage("engines/e", || panic!("nobody else is here")).unwrap();
        assert_eq!(staging.folder().parent(), Some(cache.root()));
        let made = staging.folder().join("made");
        fs::create_dir(&made).unwrap();
        fs::write(made.join(str::from_utf8(content).unwrap()), content).unwrap();
        assert_eq!(staging.finish_folder(&made).unwrap(), place);
    }
    assert_eq!(fs::read(place.join("two")).unwrap(), b"two");
    assert_eq!(fs::read_dir(&place).unwrap().count(), 1);
    for _ in 0..2 {
        cache.stage("engines/e", || ()).unwrap().remove().unwrap();
        assert!(!place.exists());
    }
    assert_eq!(names(&cache), ["engines"]);
}

#[test]
fn a_damaged_file_or_checksum_is_not_trusted_and_can_be_made_again() {
    let (_dir, cache) = cache();
    let path = make(&cache, "m.onnx", b"weights");
    let checksum = checksum_path(&path);
    let damages: [&dyn Fn(); 5] = [
        &|| fs::write(&path, b"weightz").unwrap(),
        &|| fs::write(&path, b"weigh").unwrap(),
        &|| fs::remove_file(&path).unwrap(),
        &|| fs::write(&checksum, b"").unwrap(),
        &|| fs::remove_file(&checksum).unwrap(),
    ];
    for damage in damages {
        damage();
        assert_eq!(cache.verified("m.onnx"), None);
        make(&cache, "m.onnx", b"weights");
        assert!(cache.verified("m.onnx").is_some());
    }
}

/// Killed while fetching, and killed between the file and its checksum.
#[test]
fn what_a_killed_program_left_is_cleared_away() {
    let (_dir, cache) = cache();
    let dead = cache.stage("m.onnx", || ()).unwrap();
    fs::write(dead.folder().join("half"), b"wei").unwrap();
    let left = dead.folder.keep();
    fs::write(cache.root().join("m.onnx"), b"weights").unwrap();
    drop(dead._lock);

    assert!(left.join("half").exists());
    assert_eq!(cache.verified("m.onnx"), None);
    let other = cache.stage("other.onnx", || ()).unwrap();
    assert!(left.exists(), "another file's leftovers are none of our business");
    drop(other);
    make(&cache, "m.onnx", b"weights");
    assert!(!left.exists());
    assert!(cache.verified("m.onnx").is_some());
}

#[test]
fn tidying_takes_what_the_dead_left_and_not_what_the_living_need() {
    let (_dir, cache) = cache();
    cache.tidy("engines/e");
    let alive = cache.stage("engines/e", || ()).unwrap();
    cache.tidy("engines/e");
    let folder = alive.folder().to_owned();
    assert!(folder.exists());
    let left = alive.folder.keep();
    drop(alive._lock);
    cache.tidy("engines/other");
    assert!(left.exists());
    cache.tidy("engines/e");
    assert!(!left.exists());
}

#[test]
fn one_at_a_time() {
    let (_dir, cache) = cache();
    let first = cache.stage("m.onnx", || panic!("nobody else is here")).unwrap();
    let (say, said) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let second = scope.spawn(|| {
            let second = cache.stage("m.onnx", || say.send(()).unwrap()).unwrap();
            let ready = cache.verified("m.onnx");
            drop(second);
            ready
        });
        said.recv().unwrap(); // the second waits
        let path = first.finish(b"weights").unwrap();
        assert_eq!(second.join().unwrap(), Some(path));
    });
}

#[test]
fn a_folder_that_can_be_written_to_has_no_fault_and_gets_no_file() {
    let (dir, cache) = cache();
    assert_eq!(cache.fault(), None);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    let fault = Cache::at(&file).fault().unwrap();
    assert!(fault.contains(file.to_str().unwrap()), "{fault}");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    let message = Cache::at(file.join("cache")).stage("m", || ()).unwrap_err().to_string();
    assert!(message.contains("cache: ") && message.contains("hint: "), "{message}");
}

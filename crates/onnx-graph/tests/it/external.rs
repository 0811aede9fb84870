//! Weights beside the model.

use std::fs;
use std::path::{Path, PathBuf};

use onnx_graph::Model;
use onnx_graph::proto::{StringStringEntryProto, TensorProto};

use crate::net::*;

/// A model whose weight w [4] lies in another file, under these entries.
fn model(entries: &[(&str, &str)]) -> Vec<u8> {
    let entry = |(key, value): &(&str, &str)| StringStringEntryProto {
        key: Some((*key).to_owned()),
        value: Some((*value).to_owned()),
    };
    let tensor = TensorProto {
        external_data: entries.iter().map(entry).collect(),
        data_location: Some(1),
        ..typed("w", &[4], 1)
    };
    Net::of(13, [4]).weight(tensor).node("Add", &["x", "w"], &["y"], vec![]).output("y").bytes()
}

/// A folder with this model and a data file of 4 floats, 1 2 3 4, behind 16 other bytes.
fn folder(entries: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    fs::write(&path, model(entries)).unwrap();
    let floats = [1f32, 2.0, 3.0, 4.0].iter().flat_map(|v| v.to_le_bytes());
    fs::write(folder.path().join("data"), [0u8; 16].into_iter().chain(floats).collect::<Vec<u8>>()).unwrap();
    (folder, path)
}

const GOOD: [(&str, &str); 3] = [("location", "data"), ("offset", "16"), ("length", "16")];

fn weight(path: &Path) -> Vec<u8> {
    let model = Model::open(path).unwrap();
    let w = &model.graph().initializer[0];
    assert_eq!((w.data_location, w.external_data.len()), (None, 0), "loaded, and no longer elsewhere");
    w.raw_data.clone().unwrap().to_vec()
}

fn expected() -> Vec<u8> {
    [1f32, 2.0, 3.0, 4.0].iter().flat_map(|v| v.to_le_bytes()).collect()
}

#[track_caller]
fn refused(path: &Path, parts: &[&str]) {
    let error = Model::open(path).map(|_| ()).unwrap_err().to_string();
    for part in ["weight \"w\": "].iter().chain(parts) {
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }
}

#[test]
fn data_beside_the_model() {
    let (folder, path) = folder(&GOOD);
    assert_eq!(weight(&path), expected());
    // Renamed model, kept data; the length left out.
    let renamed = folder.path().join("other name.onnx");
    fs::write(&renamed, model(&GOOD[..2])).unwrap();
    assert_eq!(weight(&renamed), expected());
    // In a folder below, and through `./`.
    fs::create_dir(folder.path().join("sub")).unwrap();
    fs::copy(folder.path().join("data"), folder.path().join("sub/data")).unwrap();
    for location in ["sub/data", "./data", "./sub/./data"] {
        fs::write(&path, model(&[("location", location), ("offset", "16")])).unwrap();
        assert_eq!(weight(&path), expected(), "{location}");
    }
    assert_eq!(Model::open(&path).unwrap().opset(), 13);
}

#[test]
fn locations_that_leave_the_folder() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("data"), [0; 32]).unwrap();
    let absolute = outside.path().join("data").to_string_lossy().into_owned();
    for location in [
        "../data",
        "sub/../../data",
        "sub/../data",
        "/etc/passwd",
        "..",
        "C:data",
        "C:\\data",
        "..\\data",
        "a\\b",
        "a\0b",
        &absolute,
    ] {
        let (_folder, path) = folder(&[("location", location)]);
        refused(&path, &["is not inside the model's folder", "hint: only relative locations"]);
    }
    let (_folder, path) = folder(&[("location", "\x1b[2J/../x")]);
    let error = Model::open(&path).map(|_| ()).unwrap_err().to_string();
    assert!(!error.contains('\x1b'), "{error:?}");
}

#[test]
fn entries_that_say_nothing() {
    let cases: [(&[(&str, &str)], &str); 7] = [
        (&[], "not in which"),
        (&[("location", "")], "not in which"),
        (&[("location", "data"), ("offset", "-1")], "its offset \"-1\" is no number"),
        (&[("location", "data"), ("length", "many")], "its length \"many\" is no number"),
        (&[("location", "data"), ("offset", "99999999999999999999")], "is no number"),
        (&[("location", "data"), ("length", "12")], "its shape needs 16 bytes, its entry says 12"),
        (
            &[("location", "data"), ("offset", "18446744073709551615")],
            "it needs 16 bytes at offset 18446744073709551615",
        ),
    ];
    for (entries, message) in cases {
        let (_folder, path) = folder(entries);
        refused(&path, &[message]);
    }
}

#[test]
fn data_that_is_missing_or_short() {
    let (folder, path) = folder(&GOOD);
    let data = folder.path().join("data");
    let whole = fs::read(&data).unwrap();
    fs::write(&data, &whole[..31]).unwrap();
    refused(
        &path,
        &["it needs 16 bytes at offset 16 of", "data, which has 31", "hint: was the data file copied whole?"],
    );
    fs::write(&data, []).unwrap();
    refused(&path, &["which has 0"]);
    fs::remove_file(&data).unwrap();
    refused(&path, &["data cannot be read", "hint: keep the data file beside the model"]);
    fs::create_dir(&data).unwrap();
    refused(&path, &["data is not a regular file"]);
}

#[test]
fn a_shape_beyond_memory() {
    let huge = TensorProto {
        dims: vec![1 << 40, 1 << 40],
        external_data: vec![StringStringEntryProto {
            key: Some("location".to_owned()),
            value: Some("data".to_owned()),
        }],
        data_location: Some(1),
        ..typed("w", &[], 1)
    };
    let (_folder, path) = folder(&GOOD);
    fs::write(&path, Net::of(13, [4]).weight(huge).output("w").bytes()).unwrap();
    let error = Model::open(&path).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("more elements than memory can hold"), "{error}");
}

/// Weights of types that we do not compute with are found all the same.
#[test]
fn four_bits_an_element() {
    let entry =
        |key: &str, value: &str| StringStringEntryProto { key: Some(key.to_owned()), value: Some(value.to_owned()) };
    let packed = TensorProto {
        external_data: vec![entry("location", "data"), entry("length", "3")],
        data_location: Some(1),
        ..typed("w", &[5], 22)
    };
    let (_folder, path) = folder(&GOOD);
    fs::write(&path, Net::of(21, [4]).weight(packed).output("w").bytes()).unwrap();
    assert_eq!(weight(&path), [0, 0, 0]);
}

#[test]
fn the_model_itself() {
    let folder = tempfile::tempdir().unwrap();
    let error = Model::open(folder.path()).map(|_| ()).unwrap_err().to_string();
    assert!(error.ends_with("it is a folder"), "{error}");
    let error = Model::open(folder.path().join("none.onnx")).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("none.onnx: "), "{error}");
}

#[cfg(unix)]
mod links {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A hub's cache: model and data are both links into one folder of blobs.
    #[test]
    fn a_model_hub() {
        let hub = tempfile::tempdir().unwrap();
        let (blobs, snapshot) = (hub.path().join("blobs"), hub.path().join("snapshots/0123"));
        fs::create_dir(&blobs).unwrap();
        fs::create_dir_all(&snapshot).unwrap();
        let (_folder, path) = folder(&GOOD);
        fs::copy(&path, blobs.join("aaaa")).unwrap();
        fs::copy(path.with_file_name("data"), blobs.join("bbbb")).unwrap();
        symlink("../../blobs/aaaa", snapshot.join("model.onnx")).unwrap();
        symlink("../../blobs/bbbb", snapshot.join("data")).unwrap();
        assert_eq!(weight(&snapshot.join("model.onnx")), expected());
        // The same through a link to the folder.
        symlink(&snapshot, hub.path().join("main")).unwrap();
        assert_eq!(weight(&hub.path().join("main/model.onnx")), expected());
        // A link of the data that ends elsewhere is refused.
        fs::remove_file(snapshot.join("data")).unwrap();
        symlink(path.with_file_name("data"), snapshot.join("data")).unwrap();
        refused(&snapshot.join("model.onnx"), &["data is a symbolic link that leaves the model's folder"]);
    }

    #[test]
    fn a_link_of_the_data_alone() {
        let (folder, path) = folder(&GOOD);
        fs::rename(folder.path().join("data"), folder.path().join("real")).unwrap();
        symlink("real", folder.path().join("data")).unwrap();
        refused(&path, &["data is a symbolic link that leaves the model's folder"]);
        fs::remove_file(folder.path().join("real")).unwrap();
        refused(&path, &["data is a symbolic link"]);
    }

    #[test]
    fn a_linked_folder_on_the_way() {
        let (here, path) = folder(&[("location", "sub/data"), ("offset", "16")]);
        let (elsewhere, _) = folder(&GOOD);
        symlink(elsewhere.path(), here.path().join("sub")).unwrap();
        refused(&path, &["is a symbolic link that leaves the model's folder"]);
    }

    /// A pipe would be waited for without end.
    #[test]
    fn pipes() {
        let (folder, path) = folder(&GOOD);
        let pipe = |path: &Path| {
            let made = std::process::Command::new("mkfifo").arg(path).status();
            made.is_ok_and(|status| status.success())
        };
        fs::remove_file(folder.path().join("data")).unwrap();
        assert!(pipe(&folder.path().join("data")), "mkfifo is part of every Unix");
        refused(&path, &["data is not a regular file"]);
        let model = folder.path().join("pipe.onnx");
        assert!(pipe(&model));
        let error = Model::open(model).map(|_| ()).unwrap_err().to_string();
        assert!(error.ends_with("it is not a regular file"), "{error}");
    }
}

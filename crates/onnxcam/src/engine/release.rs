//! The ONNX Runtime that `onnxcam engine install` installs, for each system: what exactly it must be.
//!
//! It comes out of the Python package `onnxruntime`, whose wheels carry the library beside the Python module. Nothing of it
//! is shipped with onnxcam.

use std::env::consts::{ARCH, OS};

use crate::package::pin::Pin;
use crate::package::{Member, Package, Tags};

/// A release of ONNX Runtime for one system.
#[derive(Debug, Clone)]
pub struct Release {
    /// The system, as Rust names it: `linux`.
    pub os: &'static str,
    /// The processor, as Rust names it: `x86_64`.
    pub arch: &'static str,
    /// The wheel.
    pub package: Package,
    /// The shared library in it.
    pub library: Member,
    /// Licence and notices in it, which are laid beside the library.
    pub notices: [Member; 3],
}

impl Release {
    /// The release for the system that this program was built for, if there is one.
    ///
    /// There is none for musl, the other C library of Linux: the package's library wants glibc.
    pub fn here() -> Option<&'static Release> {
        let glibc = !cfg!(target_os = "linux") || cfg!(target_env = "gnu");
        RELEASES.iter().find(|r| glibc && r.os == OS && r.arch == ARCH)
    }

    /// Its name in sentences: `ONNX Runtime 1.32.0`.
    pub fn title(&self) -> String {
        format!("ONNX Runtime {}", self.package.version)
    }

    /// Everything that is taken out of the wheel, the library first.
    pub fn members(&self) -> [Member; 4] {
        let [a, b, c] = self.notices;
        [self.library, a, b, c]
    }

    /// The name of its folder in the cache's folder for engines.
    pub(super) fn folder_name(&self) -> String {
        format!("{PREFIX}{}-{}-{}", self.package.version, self.os, self.arch)
    }
}

/// What names of our folders begin with.
pub(super) const PREFIX: &str = "onnxruntime-";

const fn package(version: &'static str, wheel: Pin, platform: &'static str, uv: &'static str) -> Package {
    let tags = Some(Tags { python: "3.11", platform, uv });
    let otherwise = "do without: `--engine rten` needs no library";
    Package { name: "onnxruntime", version, wheel, tags, otherwise }
}

const fn member(path: &'static str, size: u64, sha256: &str) -> Member {
    Member { path, pin: Pin::new(size, sha256) }
}

const LICENCE: Member =
    member("onnxruntime/LICENSE", 1_073, "2f07c72751aed99790b8a4869cf2311df85a860b22ded05fa22803587a48922c");

/// Beside the library on Linux and macOS.
const NOTICES: [Member; 3] = [
    LICENCE,
    member(
        "onnxruntime/ThirdPartyNotices.txt",
        334_795,
        "d8696258afcf9df7827a5e01d6b6d55ee9b461b4e82020f5f48242deb9cc2270",
    ),
    member("onnxruntime/Privacy.md", 6_571, "ea592b16d154ff2de759ba5210350c64593c378c1bbd0a2aa4ddef777edbf358"),
];

/// The same texts with the line ends of Windows.
const NOTICES_WINDOWS: [Member; 3] = [
    member("onnxruntime/LICENSE", 1_094, "c250d6278f0b47a6439fb7592b08b58a55eb9f535aa49a1db63211c3f982b674"),
    member(
        "onnxruntime/ThirdPartyNotices.txt",
        341_120,
        "bf8073fd6a112ac2a656bb60799652127e881689e51d37ad20df446cd5188b2d",
    ),
    member("onnxruntime/Privacy.md", 6_635, "8c26e1fc8581d9553e475250fe014e3d1e5ea4ae9f1cb084a068ff8601703dc9"),
];

/// One line a system. The last version with a wheel for Intel's Macs is 1.23.2.
pub const RELEASES: &[Release] = &[
    Release {
        os: "linux",
        arch: "x86_64",
        package: package(
            "1.32.0",
            Pin::new(27_773_237, "5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d"),
            "manylinux_2_28_x86_64",
            "x86_64-manylinux_2_28",
        ),
        library: member(
            "onnxruntime/capi/libonnxruntime.so.1.32.0",
            34_824_680,
            "6c1585d1bbf45b0712ea4a21b705c5fcb4ba04ff2e30f1fbf81a49faf658638f",
        ),
        notices: NOTICES,
    },
    Release {
        os: "linux",
        arch: "aarch64",
        package: package(
            "1.32.0",
            Pin::new(23_195_070, "2303372a85299b6757b0e11e1cbf13e410ddf7e10c37f4b37e99d1c90e7daf7c"),
            "manylinux_2_28_aarch64",
            "aarch64-manylinux_2_28",
        ),
        library: member(
            "onnxruntime/capi/libonnxruntime.so.1.32.0",
            27_165_936,
            "49852228a93995158b2a813d4df487d47a1b76b0eaa894507ef49e91b6d7954a",
        ),
        notices: NOTICES,
    },
    Release {
        os: "macos",
        arch: "aarch64",
        package: package(
            "1.32.0",
            Pin::new(22_506_162, "366b9e53d07812cc5c92822cecf7563b76a8a0f32ba3bb8dd232a206ac3bcb6c"),
            "macosx_14_0_arm64",
            "aarch64-apple-darwin",
        ),
        library: member(
            "onnxruntime/capi/libonnxruntime.1.32.0.dylib",
            35_272_344,
            "fa585fabbea65b823b9a8f7e27d46aee3989d1be7e36b528203d3a1fd613aae7",
        ),
        notices: NOTICES,
    },
    Release {
        os: "macos",
        arch: "x86_64",
        package: package(
            "1.23.2",
            Pin::new(19_153_857, "87d8b6eaf0fbeb6835a60a4265fde7a3b60157cf1b2764773ac47237b4d48612"),
            "macosx_13_0_x86_64",
            "x86_64-apple-darwin",
        ),
        library: member(
            "onnxruntime/capi/libonnxruntime.1.23.2.dylib",
            30_819_512,
            "8330f6d9d53f81d564c88de6520113b25db9537872e70a0fb7942fea202f08b1",
        ),
        notices: [
            LICENCE,
            member(
                "onnxruntime/ThirdPartyNotices.txt",
                326_866,
                "e9e90971a8e75a9a8ac0c6412e29c1202d079998389915aa485f46c816c3b4cc",
            ),
            member("onnxruntime/Privacy.md", 2_469, "9a15f9fd9d4c7b6dfc35f237f461863f84f8f73cf6189e330818a674d3828871"),
        ],
    },
    Release {
        os: "windows",
        arch: "x86_64",
        package: package(
            "1.32.0",
            Pin::new(16_695_880, "d7e0c45cc5f456ad7805e6dd256a7662736cda9c2fd17becae194eb3c2f6df72"),
            "win_amd64",
            "x86_64-pc-windows-msvc",
        ),
        library: member(
            "onnxruntime/capi/onnxruntime.dll",
            22_668_640,
            "e9feebaed867b76f741c14ae64e056a3da64a153a61994f1fb48eadc7f9b3ba8",
        ),
        notices: NOTICES_WINDOWS,
    },
    Release {
        os: "windows",
        arch: "aarch64",
        package: package(
            "1.32.0",
            Pin::new(16_027_290, "23361cdf98afac352d10aa7d9e0a10ceaeb02d38430fb693c6eff370196db62d"),
            "win_arm64",
            "aarch64-pc-windows-msvc",
        ),
        library: member(
            "onnxruntime/capi/onnxruntime.dll",
            20_798_816,
            "d3587771474d96427cc5683fa49440127e928622a5e9df0f3e24209ae1fc42ad",
        ),
        notices: NOTICES_WINDOWS,
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::library::MINOR;

    #[test]
    fn each_system_has_one_release_whose_parts_agree() {
        for (i, release) in RELEASES.iter().enumerate() {
            let Release { os, arch, package, library, .. } = release;
            assert!(RELEASES[..i].iter().all(|earlier| (earlier.os, earlier.arch) != (*os, *arch)));
            let minor: u32 = package.version.split('.').nth(1).unwrap().parse().unwrap();
            assert!(minor >= MINOR, "{os} {arch}");
            let expected = match *os {
                "windows" => "onnxruntime.dll".to_owned(),
                "macos" => format!("libonnxruntime.{}.dylib", package.version),
                _ => format!("libonnxruntime.so.{}", package.version),
            };
            assert_eq!(library.file_name(), expected);
            let names = release.members().map(|member| member.file_name());
            assert_eq!(names[1..], ["LICENSE", "ThirdPartyNotices.txt", "Privacy.md"]);
            let tags = package.tags.unwrap();
            let processor = match (*arch, *os) {
                ("aarch64", "macos" | "windows") => "arm64",
                ("x86_64", "windows") => "amd64",
                (arch, _) => arch,
            };
            assert!(tags.platform.ends_with(processor) && tags.uv.contains(arch), "{tags:?}");
        }
    }

    #[test]
    #[cfg(all(
        any(target_arch = "x86_64", target_arch = "aarch64"),
        any(target_os = "macos", windows, all(target_os = "linux", target_env = "gnu"))
    ))]
    fn this_system_has_one() {
        let release = Release::here().unwrap();
        assert_eq!((release.os, release.arch), (OS, ARCH));
        assert!(crate::engine::library::is_library_name(release.library.file_name()));
    }
}

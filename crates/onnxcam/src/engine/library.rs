//! Is this file an ONNX Runtime that we can use? Asked before the `ort` crate sees it, which panics on old ones.
//!
//! The headers are read first, because the system's loader maps a truncated library happily and dies on first touch;
//! then the file is loaded and asked for its version.

use std::ffi::CStr;
use std::fs::{self, File};
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

use libloading::Library as Shared;
use object::read::macho::{FatArch, MachOFatFile32, MachOFatFile64};
use object::read::{ReadCache, ReadRef};
use object::{Architecture, BinaryFormat, FileKind, Object, ObjectSegment};
use ort::sys::OrtApiBase;

use super::error::LibraryFault;

/// The second number of the oldest ONNX Runtime that speaks our interface: the `api-*` feature of `ort`.
pub(super) const MINOR: u32 = ort::MINOR_VERSION;

/// An ONNX Runtime that passed every check. It is loaded now, and stays so until the process ends: unloading one whose
/// threads or thread-local destructors are alive crashes.
#[derive(Clone, Debug)]
pub(super) struct Library {
    /// Absolute, symbolic links as given.
    pub path: PathBuf,
    /// As the library tells it: `1.32.0`.
    pub version: String,
}

impl Library {
    /// Checks and loads one file.
    pub(super) fn open(path: &Path) -> Result<Self, LibraryFault> {
        let path = std::path::absolute(path).map_err(LibraryFault::Unreadable)?;
        let file = fs::metadata(&path).map_err(LibraryFault::Unreadable)?;
        if !file.is_file() {
            return Err(LibraryFault::NotAFile);
        }
        check_headers(&path, file.len())?;
        let version = load_and_ask(&path)?;
        let number = |i: usize| version.split('.').nth(i).and_then(|n| n.parse::<u32>().ok());
        match (number(0), number(1)) {
            (Some(1), Some(minor)) if minor >= MINOR => Ok(Self { path, version }),
            (Some(_), Some(_)) => Err(LibraryFault::TooOld { found: version, needed: format!("1.{MINOR}") }),
            _ => Err(LibraryFault::NoVersion),
        }
    }
}

const FORMAT: BinaryFormat = if cfg!(windows) {
    BinaryFormat::Pe
} else if cfg!(target_vendor = "apple") {
    BinaryFormat::MachO
} else {
    BinaryFormat::Elf
};

const ARCHITECTURE: Architecture = if cfg!(target_arch = "x86_64") {
    Architecture::X86_64
} else if cfg!(target_arch = "aarch64") {
    Architecture::Aarch64
} else if cfg!(target_arch = "x86") {
    Architecture::I386
} else if cfg!(target_arch = "arm") {
    Architecture::Arm
} else if cfg!(target_arch = "riscv64") {
    Architecture::Riscv64
} else if cfg!(target_arch = "powerpc64") {
    Architecture::PowerPc64
} else if cfg!(target_arch = "s390x") {
    Architecture::S390x
} else if cfg!(target_arch = "loongarch64") {
    Architecture::LoongArch64
} else {
    Architecture::Unknown
};

/// The right format, the right processor, and as long as it says.
fn check_headers(path: &Path, length: u64) -> Result<(), LibraryFault> {
    let data = ReadCache::new(File::open(path).map_err(LibraryFault::Unreadable)?);
    match FileKind::parse(&data) {
        Ok(FileKind::MachOFat32) => {
            let fat = MachOFatFile32::parse(&data).map_err(malformed)?;
            check_fat(&data, fat.arches())
        }
        Ok(FileKind::MachOFat64) => {
            let fat = MachOFatFile64::parse(&data).map_err(malformed)?;
            check_fat(&data, fat.arches())
        }
        Ok(_) => check_object(&data, length),
        Err(e) => Err(malformed(e)),
    }
}

/// A universal binary: the slice for this processor, if there is one.
fn check_fat<A: FatArch>(data: &ReadCache<File>, slices: &[A]) -> Result<(), LibraryFault> {
    let Some(ours) = slices.iter().find(|s| s.architecture() == ARCHITECTURE) else {
        let found: Vec<String> = slices.iter().map(|s| in_words(s.architecture())).collect();
        return Err(foreign(found.join(", ")));
    };
    let (start, size) = ours.file_range();
    check_object(data.range(start, size), size)
}

fn check_object<'d, R: ReadRef<'d> + Copy>(data: R, length: u64) -> Result<(), LibraryFault> {
    let object = object::File::parse(data).map_err(malformed)?;
    if object.format() != FORMAT {
        return Err(LibraryFault::Format(format!("it is {:?}, this system uses {FORMAT:?}", object.format())));
    }
    if object.architecture() != ARCHITECTURE && ARCHITECTURE != Architecture::Unknown {
        return Err(foreign(in_words(object.architecture())));
    }
    let ends = object.segments().map(|s| s.file_range()).map(|(start, size)| start.saturating_add(size));
    match ends.max() {
        Some(needed) if needed > length => Err(LibraryFault::Truncated { needed, found: length }),
        Some(_) => Ok(()),
        None => Err(LibraryFault::Format("it has nothing to load".to_owned())),
    }
}

fn malformed(e: object::Error) -> LibraryFault {
    LibraryFault::Format(e.to_string().to_lowercase())
}

fn foreign(found: String) -> LibraryFault {
    LibraryFault::Architecture { found, needed: std::env::consts::ARCH }
}

fn in_words(a: Architecture) -> String {
    format!("{a:?}").to_lowercase()
}

/// Loads the library and returns what it calls its version.
#[expect(unsafe_code, reason = "a C library is entered through two of its functions")]
fn load_and_ask(path: &Path) -> Result<String, LibraryFault> {
    // SAFETY: loading runs the library's initialisers. That is what being asked to use this file means; the headers
    // say that it is a whole library for this machine.
    let shared = unsafe { Shared::new(path) }.map_err(|e| LibraryFault::Loader(innermost(&e)))?;
    let shared = ManuallyDrop::new(shared); // never unloaded, see `Library`
    // SAFETY: the one symbol's type is fixed by ONNX Runtime's C interface since 1.0.
    let get_base = unsafe { shared.get::<unsafe extern "system" fn() -> *const OrtApiBase>(b"OrtGetApiBase\0") }
        .map_err(|_| LibraryFault::NotOnnxRuntime)?;
    // SAFETY: as declared by that interface: a static struct of two functions, and a static C string.
    let version = unsafe {
        let base = get_base().as_ref().ok_or(LibraryFault::NoVersion)?;
        let text = (base.GetVersionString)();
        if text.is_null() {
            return Err(LibraryFault::NoVersion);
        }
        CStr::from_ptr(text).to_string_lossy().into_owned()
    };
    Ok(version)
}

/// What the system's loader said, without libloading's frame around it.
fn innermost(e: &dyn std::error::Error) -> String {
    let mut last = e;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

/// File names that ONNX Runtime's library goes by here, for messages.
pub(super) const NAMES: &str = if cfg!(windows) {
    "onnxruntime.dll"
} else if cfg!(target_vendor = "apple") {
    "libonnxruntime*.dylib"
} else {
    "libonnxruntime.so*"
};

/// Whether a file name is one that ONNX Runtime's library goes by on this system, version numbers included.
pub(super) fn is_library_name(name: &str) -> bool {
    if cfg!(windows) {
        return name.eq_ignore_ascii_case("onnxruntime.dll");
    }
    let numbers = |s: &str| s.chars().all(|c| c.is_ascii_digit() || c == '.');
    if cfg!(target_vendor = "apple") {
        name.strip_prefix("libonnxruntime").and_then(|n| n.strip_suffix(".dylib")).is_some_and(numbers)
    } else {
        name.strip_prefix("libonnxruntime.so").is_some_and(numbers)
    }
}

//! What a file is, by its first bytes.

use std::path::Path;

/// The formats that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Jpeg,
    Png,
    Webp,
    Gif,
    Bmp,
    Tiff,
}

/// What the first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Nothing,
    /// A picture that is read.
    Read(Format),
    /// Something known that is not: its name with article, and what to do.
    Other {
        format: &'static str,
        hint: &'static str,
    },
    Unknown,
}

/// What a file in a folder is to somebody who looks for pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Find {
    Picture,
    /// A photograph in a format that is not read.
    Unread(&'static str),
    Other,
}

const HEIC: &str = "a HEIC file";
const AVIF: &str = "an AVIF file";
const JXL: &str = "a JPEG XL file";
const JPEG_2000: &str = "a JPEG 2000 file";
const RAW: &str = "a camera raw file";

impl Find {
    /// By its name: what is called a picture, damaged or not, shall be looked at. `None` where that says nothing.
    pub(crate) fn by_name(path: &Path) -> Option<Find> {
        match path.extension()?.to_string_lossy().to_ascii_lowercase().as_str() {
            "jpg" | "jpeg" | "jpe" | "jfif" | "png" | "apng" | "webp" | "gif" | "bmp" | "dib" | "tif" | "tiff" => {
                Some(Find::Picture)
            }
            // Most of them begin like TIFF.
            "dng" | "nef" | "nrw" | "arw" | "sr2" | "srf" | "cr2" | "cr3" | "orf" | "rw2" | "pef" | "srw" | "raf" => {
                Some(Find::Unread(RAW))
            }
            _ => None,
        }
    }

    /// By its first [`SNIFFED`] bytes.
    pub(crate) fn by_content(bytes: &[u8]) -> Find {
        match sniff(bytes) {
            Content::Read(_) => Find::Picture,
            Content::Other { format: format @ (HEIC | AVIF | JXL | JPEG_2000 | RAW), .. } => Find::Unread(format),
            _ => Find::Other,
        }
    }
}

/// So many bytes are looked at.
pub(crate) const SNIFFED: usize = 1024;

const SAVE: &str = "save it as JPEG or PNG";
const EXPORT: &str = "export it as PNG";
const PHOTO: &str = "open it in a photo program and save it as JPEG or PNG";
const FETCH: &str = "fetch the picture itself";

/// How files begin that are no pictures we read.
const OTHERS: &[(&[u8], &str, &str)] = &[
    (b"\0\0\x01\0", "a Windows icon", SAVE),
    (b"\xFF\x0A", JXL, SAVE),
    (b"\0\0\0\x0CJXL ", JXL, SAVE),
    (b"\0\0\0\x0CjP  ", JPEG_2000, SAVE),
    (b"\xFF\x4F\xFF\x51", JPEG_2000, SAVE),
    (b"8BPS", "a Photoshop file", EXPORT),
    (b"gimp xcf", "a GIMP file", EXPORT),
    (b"qoif", "a QOI file", SAVE),
    (b"\x76\x2F\x31\x01", "an OpenEXR file", SAVE),
    (b"#?RADIANCE", "a Radiance HDR file", SAVE),
    (b"II*\0\x10\0\0\0CR", RAW, PHOTO),
    (b"IIU\0", RAW, PHOTO),
    (b"IIRO", RAW, PHOTO),
    (b"FUJIFILMCCD-RAW", RAW, PHOTO),
    (b"%PDF", "a PDF file", EXPORT),
    (b"%!PS", "a PostScript file", EXPORT),
    (b"\x93NUMPY", "a NumPy array", "save it as .npy in the network's own layout and name it so"),
    (b"\x89HDF", "an HDF5 file", SAVE),
    (b"PK\x03\x04", "a ZIP archive", "unpack it"),
    (b"version https://git-lfs", "a Git LFS pointer", FETCH),
];

pub(super) fn sniff(bytes: &[u8]) -> Content {
    let begins = |magic: &[u8]| bytes.starts_with(magic);
    let other = |format, hint| Content::Other { format, hint };
    if bytes.is_empty() {
        Content::Nothing
    } else if begins(super::jpeg::SIGNATURE) {
        Content::Read(Format::Jpeg)
    } else if begins(super::png::SIGNATURE) {
        Content::Read(Format::Png)
    } else if begins(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        Content::Read(Format::Webp)
    } else if begins(b"GIF87a") || begins(b"GIF89a") {
        Content::Read(Format::Gif)
    } else if bytes.get(4..8) == Some(b"ftyp") {
        iso_media(bytes)
    } else if let Some((_, format, hint)) = OTHERS.iter().find(|(magic, ..)| begins(magic)) {
        other(format, hint)
    } else if [&b"II*\0"[..], b"MM\0*", b"II+\0", b"MM\0+"].into_iter().any(begins) {
        Content::Read(Format::Tiff)
    } else if begins(b"BM") && bytes.get(14..18).is_none_or(|size| size[1..] == [0, 0, 0]) {
        Content::Read(Format::Bmp)
    } else if bytes.get(128..132) == Some(b"DICM") {
        other("a DICOM file", EXPORT)
    } else if matches!(bytes, [b'P', b'1'..=b'7', b'\n' | b'\r' | b' ' | b'\t', ..]) {
        other("a PNM file", SAVE)
    } else {
        markup(bytes)
    }
}

/// HEIC, AVIF, raw files and videos, by their brand.
fn iso_media(bytes: &[u8]) -> Content {
    let (format, hint) = match bytes.get(8..12) {
        Some(b"avif" | b"avis") => (AVIF, SAVE),
        Some(b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1") => (HEIC, SAVE),
        Some(b"crx ") => (RAW, PHOTO),
        _ => ("a video", "save a frame of it as JPEG or PNG"),
    };
    Content::Other { format, hint }
}

/// Text with angle brackets: a drawing, or the page that came instead of a picture.
fn markup(bytes: &[u8]) -> Content {
    let start = &bytes[..bytes.len().min(SNIFFED)];
    let text = String::from_utf8_lossy(start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start)).to_ascii_lowercase();
    let text = text.trim_start();
    if text.starts_with("<svg") || text.starts_with("<?xml") && text.contains("<svg") {
        Content::Other { format: "an SVG file", hint: EXPORT }
    } else if text.starts_with("<!doctype html") || text.starts_with("<html") {
        Content::Other { format: "a web page", hint: FETCH }
    } else {
        Content::Unknown
    }
}

//! From what a user names to files.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{Source, glob};
use crate::classifier::Drawing;
use crate::picture::{Find, SNIFFED};

/// Files to explain, in the order in which they were named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expanded {
    /// The files.
    pub sources: Vec<Source>,
    /// What was left out of folders; sentences for the user.
    pub notes: Vec<String>,
}

/// Why what a user named is nothing to explain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExpandError {
    /// A folder without pictures.
    #[error("there is no picture in folder {}{}", path.display(), if *below { "\nhint: there are folders in it; --recursive looks into them" } else { "\nhint: JPEG, PNG, WebP, GIF, BMP and TIFF files are taken, hidden ones are not" })]
    NoPicture {
        /// The folder.
        path: PathBuf,
        /// Whether there are folders in it that were not looked into.
        below: bool,
    },
    /// A folder that cannot be listed.
    #[error("cannot list folder {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A pattern that matches nothing.
    #[error("no file matches {}\nhint: `*` and `?` stand for parts of a name, `**` for folders; hidden files are left out", pattern.display())]
    NoMatch {
        /// The pattern.
        pattern: PathBuf,
    },
    /// A pattern that is none.
    #[error("{} is no file, and no pattern either: {reason}", pattern.display())]
    Pattern {
        /// The pattern.
        pattern: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Expands names of files, folders and globs.
///
/// A name that exists is taken literally, whatever characters are in it. Of a folder, the pictures in it are taken in
/// the order of their names, with `recursive` those of the folders below as well; hidden files, files that are no
/// pictures, and drawings of ours are left out. A name that does not exist is a glob where it looks like one; else it
/// stays, and reading it will say that it is missing.
///
/// # Errors
/// Where a folder has no picture or a glob no match.
pub fn expand(named: &[PathBuf], recursive: bool) -> Result<Expanded, ExpandError> {
    let mut expanded = Expanded::default();
    for path in named {
        if path.is_dir() {
            expanded.folder(path, recursive)?;
        } else if fs::symlink_metadata(path).is_err() && glob::is_pattern(path) {
            expanded.glob(path, recursive)?;
        } else {
            expanded.sources.push(Source::of(path.clone()));
        }
    }
    Ok(expanded)
}

impl Expanded {
    fn glob(&mut self, pattern: &Path, recursive: bool) -> Result<(), ExpandError> {
        let found = glob::matches(pattern);
        let found = found.map_err(|reason| ExpandError::Pattern { pattern: pattern.to_owned(), reason })?;
        let before = self.sources.len();
        for path in &found {
            if path.is_dir() {
                // Of folders that match by chance, those without pictures are no mistake.
                match self.folder(path, recursive) {
                    Ok(()) | Err(ExpandError::NoPicture { .. }) => {}
                    Err(error) => return Err(error),
                }
            } else if Drawing::is_one(path) {
                self.notes.push(format!("{} is left out: onnxcam made it", path.display()));
            } else {
                self.sources.push(Source::of(path.clone()));
            }
        }
        match self.sources.len() == before {
            true => Err(ExpandError::NoMatch { pattern: pattern.to_owned() }),
            false => Ok(()),
        }
    }

    fn folder(&mut self, folder: &Path, recursive: bool) -> Result<(), ExpandError> {
        let mut found = Found::default();
        found.walk(folder, recursive)?;
        let (pictures, drawings): (Vec<_>, Vec<_>) = found.pictures.into_iter().partition(|p| !Drawing::is_one(p));
        let unread = found.unread.iter().map(|(format, count)| (*count, format!("{format}, which is not read")));
        let others = [(found.others, "no picture".to_owned()), (drawings.len(), "made by onnxcam".to_owned())];
        for (count, what) in others.into_iter().chain(unread).filter(|(count, _)| *count > 0) {
            let files = if count == 1 { "1 file is".to_owned() } else { format!("{count} files are") };
            self.notes.push(format!("{}: {files} left out: {what}", folder.display()));
        }
        if pictures.is_empty() {
            return Err(ExpandError::NoPicture { path: folder.to_owned(), below: found.folders && !recursive });
        }
        self.sources.extend(pictures.into_iter().map(Source::of));
        Ok(())
    }
}

/// What lies in a folder.
#[derive(Default)]
struct Found {
    pictures: Vec<PathBuf>,
    /// How many files are no pictures.
    others: usize,
    /// How many pictures are of which format that is not read.
    unread: BTreeMap<&'static str, usize>,
    /// Whether there are folders in it.
    folders: bool,
}

impl Found {
    fn walk(&mut self, folder: &Path, recursive: bool) -> Result<(), ExpandError> {
        let names = children(folder).map_err(|source| ExpandError::Folder { path: folder.to_owned(), source })?;
        for name in names.into_iter().filter(|name| !glob::is_hidden(name)) {
            let path = folder.join(name);
            if path.is_dir() {
                self.folders = true;
                // A link to a folder may lead back here.
                if recursive && !path.is_symlink() {
                    self.walk(&path, recursive)?;
                }
            } else {
                match look(&path) {
                    Find::Picture => self.pictures.push(path),
                    Find::Unread(format) => *self.unread.entry(format).or_default() += 1,
                    Find::Other => self.others += 1,
                }
            }
        }
        Ok(())
    }
}

/// Names in a folder, sorted.
pub(super) fn children(folder: &Path) -> io::Result<Vec<OsString>> {
    let mut names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// What a file is, by its name or else its content: a damaged picture is to be reported, not left out.
fn look(path: &Path) -> Find {
    Find::by_name(path).unwrap_or_else(|| {
        let mut first = Vec::new();
        let mut open = || File::open(path).is_ok_and(|file| file.take(SNIFFED as u64).read_to_end(&mut first).is_ok());
        // To open a pipe is to wait.
        if path.is_file() && open() { Find::by_content(&first) } else { Find::Other }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1A\nand so on";

    /// A folder with these files, each with the same bytes.
    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, PNG).unwrap();
        }
        folder
    }

    fn expanded(folder: &tempfile::TempDir, name: &str, recursive: bool) -> Result<Vec<String>, ExpandError> {
        let found = expand(&[folder.path().join(name)], recursive)?;
        let relative = |source: &Source| source.path().strip_prefix(folder.path()).unwrap().display().to_string();
        Ok(found.sources.iter().map(|s| relative(s).replace('\\', "/")).collect())
    }

    #[test]
    fn a_folder_gives_its_pictures_in_order() {
        let folder = folder(&["b.jpg", "a.png", "c", ".hidden.png", "deep/d.png", ".deep/e.png"]);
        fs::write(folder.path().join("notes.txt"), "text").unwrap();
        assert_eq!(expanded(&folder, "", false).unwrap(), ["a.png", "b.jpg", "c"]);
        assert_eq!(expanded(&folder, "", true).unwrap(), ["a.png", "b.jpg", "c", "deep/d.png"]);
        let notes = expand(&[folder.path().to_owned()], false).unwrap().notes;
        assert!(notes[0].contains("1 file is left out"), "{notes:?}");
    }

    #[test]
    fn every_kind_is_taken_and_what_is_left_out_is_said() {
        let folder = folder(&[]);
        let files: &[(&str, &[u8])] = &[
            ("a.webp", b"damaged"),
            ("b", b"RIFF\x1a\0\0\0WEBPVP8L"),
            ("c.dat", b"GIF89a"),
            ("d", b"BM"),
            ("e", b"II*\0"),
            ("f.TIFF", b""),
            ("photo.heic", b"\0\0\0\x18ftypheic"),
            ("photo", b"\0\0\0\x18ftypavif"),
            ("photo.DNG", b"II*\0"),
            ("film.mp4", b"\0\0\0\x18ftypisom"),
            ("page.svg", b"<svg>"),
            ("empty", b""),
            (".DS_Store", b"\0\0\0\x01Bud1"),
        ];
        for (name, content) in files {
            fs::write(folder.path().join(name), content).unwrap();
        }
        assert_eq!(expanded(&folder, "", false).unwrap(), ["a.webp", "b", "c.dat", "d", "e", "f.TIFF"]);
        let notes = expand(&[folder.path().to_owned()], false).unwrap().notes;
        let said = |what: &str| notes.iter().any(|note| note.ends_with(what));
        assert!(said("3 files are left out: no picture"), "{notes:?}");
        for format in ["a HEIC file", "an AVIF file", "a camera raw file"] {
            assert!(said(&format!("1 file is left out: {format}, which is not read")), "{notes:?}");
        }
        // What is named is not left out.
        assert_eq!(expanded(&folder, "photo.heic", false).unwrap(), ["photo.heic"]);
        assert_eq!(expanded(&folder, ".DS_Store", false).unwrap(), [".DS_Store"]);
    }

    #[test]
    fn a_folder_without_pictures_is_an_error() {
        let folder = folder(&["deep/d.png"]);
        let error = expanded(&folder, "", false).unwrap_err().to_string();
        assert!(error.contains("no picture") && error.contains("--recursive"), "{error}");
        fs::create_dir(folder.path().join("empty")).unwrap();
        assert!(matches!(expanded(&folder, "empty", true), Err(ExpandError::NoPicture { below: false, .. })));
    }

    #[test]
    fn globs_are_expanded_here() {
        let folder = folder(&["a1.jpg", "a2.jpg", "b1.png", ".a3.jpg", "x/a4.jpg", "x/y/a5.jpg"]);
        let of = |pattern: &str| expanded(&folder, pattern, false);
        assert_eq!(of("*.jpg").unwrap(), ["a1.jpg", "a2.jpg"]);
        assert_eq!(of("a?.jpg").unwrap(), ["a1.jpg", "a2.jpg"]);
        assert_eq!(of("[ab]1.*").unwrap(), ["a1.jpg", "b1.png"]);
        assert_eq!(of("{a2,b1}.*").unwrap(), ["a2.jpg", "b1.png"]);
        assert_eq!(of(".a*").unwrap(), [".a3.jpg"]);
        assert_eq!(of("*/a4.jpg").unwrap(), ["x/a4.jpg"]);
        assert_eq!(of("**/*.jpg").unwrap(), ["a1.jpg", "a2.jpg", "x/a4.jpg", "x/y/a5.jpg"]);
        assert!(matches!(of("*.gif"), Err(ExpandError::NoMatch { .. })));
        assert!(matches!(of("[a.jpg"), Err(ExpandError::Pattern { .. })));
    }

    #[test]
    fn a_name_that_exists_is_no_glob() {
        let folder = folder(&["a[1].jpg", "a1.jpg", "["]);
        assert_eq!(expanded(&folder, "a[1].jpg", false).unwrap(), ["a[1].jpg"]);
        assert_eq!(expanded(&folder, "[", false).unwrap(), ["["]);
        fs::remove_file(folder.path().join("a[1].jpg")).unwrap();
        assert_eq!(expanded(&folder, "a[1].jpg", false).unwrap(), ["a1.jpg"]);
    }

    #[test]
    fn a_missing_file_stays_to_be_reported() {
        let folder = folder(&[]);
        assert_eq!(expanded(&folder, "no.jpg", false).unwrap(), ["no.jpg"]);
    }

    #[cfg(unix)]
    #[test]
    fn names_need_not_be_text() {
        use std::os::unix::ffi::OsStrExt;
        let folder = folder(&["plain.png"]);
        let name = std::ffi::OsStr::from_bytes(b"caf\xE9.png");
        if fs::write(folder.path().join(name), PNG).is_err() {
            return; // This file system takes text only.
        }
        for pattern in ["c*.png", "caf?.png", ""] {
            let found = expand(&[folder.path().join(pattern)], false).unwrap();
            assert!(found.sources.iter().any(|s| s.path().file_name() == Some(name)), "{pattern}: {found:?}");
        }
    }
}

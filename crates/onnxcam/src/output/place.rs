//! Where files go, settled and checked before any work is done.

use std::collections::{BTreeSet, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Kind, name};
use crate::classifier::{Drawing, Targets};
use crate::explain::Rival;
use crate::method::Method;
use crate::source::Source;

/// What a user wants to have written.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// `-o`: a file where one image, one method, one class and one kind were asked for; else a folder.
    pub output: Option<PathBuf>,
    /// What is saved.
    pub kinds: &'a [Kind],
    /// The methods.
    pub methods: &'a [&'static dyn Method],
    /// The classes.
    pub targets: &'a Targets,
    /// The class that they are contrasted with.
    pub rival: Option<Rival>,
    /// Whether files that we did not make may be replaced.
    pub overwrite: bool,
    /// Further files that must never be replaced: model, labels.
    pub protected: &'a [PathBuf],
}

/// Why files cannot be written so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// A file that we did not make stands in the way.
    #[error("{} exists, and onnxcam did not make it{}\nhint: --overwrite replaces it, -o names another place", path.display(), more(*others))]
    Exists {
        /// The file.
        path: PathBuf,
        /// How many others do, too.
        others: usize,
    },
    /// A file would replace an input.
    #[error("{} is an input, and would be overwritten\nhint: -o names another place", path.display())]
    Input {
        /// The file.
        path: PathBuf,
    },
    /// A folder, a device and the like stands in the way.
    #[error("{} is in the way: it is no regular file\nhint: -o names another place", path.display())]
    NotAFile {
        /// The thing.
        path: PathBuf,
    },
    /// A file where a folder is needed.
    #[error("{} is a file, and not one that could hold the result\nhint: -o names a folder, or a .png or .npy file", path.display())]
    NotAFolder {
        /// The file.
        path: PathBuf,
    },
    /// Several files for one name.
    #[error(
        "{} looks like a file, and there is more than one to write\nhint: -o names a folder, unless there is one image, one method, one class and one kind",
        path.display()
    )]
    Several {
        /// The name.
        path: PathBuf,
    },
    /// A file name with the wrong suffix.
    #[error("{} cannot hold a {kind}, which is a {} file\nhint: name a file with that suffix, or a folder", path.display(), kind.suffix())]
    Suffix {
        /// The name.
        path: PathBuf,
        /// What was to be saved.
        kind: Kind,
    },
    /// The folder cannot be made or listed.
    #[error("cannot use {} as folder for the results: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn more(others: usize) -> String {
    match others {
        0 => String::new(),
        1 => "; nor one other file".to_owned(),
        n => format!("; nor {n} other files"),
    }
}

/// Whether one file may be written: no input is replaced, and nothing else but what is `ours`, unless `overwrite` says so.
///
/// # Errors
/// [`OutputError`].
pub fn check_file(
    path: &Path,
    protected: &[PathBuf],
    overwrite: bool,
    ours: impl Fn(&Path) -> bool,
) -> Result<(), OutputError> {
    let Ok(meta) = fs::metadata(path) else { return Ok(()) };
    let found = identity(path);
    if found.is_some() && protected.iter().any(|input| identity(input) == found) {
        return Err(OutputError::Input { path: path.to_owned() });
    }
    if !meta.is_file() {
        return Err(OutputError::NotAFile { path: path.to_owned() });
    }
    match overwrite || ours(path) {
        true => Ok(()),
        false => Err(OutputError::Exists { path: path.to_owned(), others: 0 }),
    }
}

/// Where each file goes.
#[derive(Clone, Debug)]
pub struct Outputs {
    place: Place,
    /// One a source.
    stems: Vec<OsString>,
    /// What is saved of each source.
    kinds: Vec<Vec<Kind>>,
    /// Rows of each source, where it is an array of several.
    rows: Vec<Option<usize>>,
    several_classes: bool,
    rival: Option<Rival>,
}

#[derive(Clone, Debug)]
enum Place {
    File(PathBuf),
    Folder(PathBuf),
}

impl Outputs {
    /// Settles every name, and refuses what must not be: a file that we did not make is in the way, an input would be
    /// replaced. Nothing is written.
    ///
    /// # Errors
    /// [`OutputError`].
    pub fn plan(request: &Request<'_>, sources: &[Source]) -> Result<Outputs, OutputError> {
        let kinds = |source: &Source| {
            let mut kinds: Vec<Kind> = Vec::new();
            for kind in request.kinds {
                let kind = if source.rows().is_some() { kind.without_picture() } else { *kind };
                if !kinds.contains(&kind) {
                    kinds.push(kind);
                }
            }
            kinds
        };
        let kinds: Vec<Vec<Kind>> = sources.iter().map(kinds).collect();
        let rows: Vec<Option<usize>> = sources.iter().map(|s| s.rows().filter(|rows| *rows != 1)).collect();
        let single = match (kinds.as_slice(), rows.as_slice(), request.methods) {
            ([kinds], [None], [_]) if !request.targets.is_several() => match kinds[..] {
                [kind] => Some(kind),
                _ => None,
            },
            _ => None,
        };
        let outputs = Outputs {
            place: place(request.output.as_deref(), single)?,
            stems: name::stems(sources),
            kinds,
            rows,
            several_classes: request.targets.is_several(),
            rival: request.rival,
        };
        outputs.check(request, sources)?;
        Ok(outputs)
    }

    /// Makes the folder that the files go into.
    ///
    /// # Errors
    /// [`OutputError::Folder`].
    pub fn make_folder(&self) -> Result<(), OutputError> {
        let folder = self.folder();
        fs::create_dir_all(folder).map_err(|source| OutputError::Folder { path: folder.to_owned(), source })
    }

    /// What is saved of a source: as asked for, but for arrays, which have no picture to draw on.
    pub fn kinds(&self, source: usize) -> &[Kind] {
        &self.kinds[source]
    }

    /// The file of one map.
    pub fn of_map(&self, source: usize, row: Option<usize>, class: usize, method: &str, kind: Kind) -> PathBuf {
        let class = self.several_classes.then_some(class);
        self.named(|| name::of_method(&self.stem(source, row), class, self.rival, method, kind))
    }

    /// The file of a panel.
    pub fn of_panel(&self, source: usize, row: Option<usize>) -> PathBuf {
        self.named(|| name::of_panel(&self.stem(source, row)))
    }

    fn named(&self, name: impl FnOnce() -> OsString) -> PathBuf {
        match &self.place {
            Place::File(path) => path.clone(),
            Place::Folder(folder) => folder.join(name()),
        }
    }

    fn stem(&self, source: usize, row: Option<usize>) -> OsString {
        match row.filter(|_| self.rows[source].is_some()) {
            Some(row) => name::of_row(&self.stems[source], row),
            None => self.stems[source].clone(),
        }
    }

    fn folder(&self) -> &Path {
        match &self.place {
            Place::File(path) => path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")),
            Place::Folder(folder) if folder.as_os_str().is_empty() => Path::new("."),
            Place::Folder(folder) => folder,
        }
    }

    fn check(&self, request: &Request<'_>, sources: &[Source]) -> Result<(), OutputError> {
        let inputs = sources.iter().map(Source::path).chain(request.protected.iter().map(PathBuf::as_path));
        let inputs: HashSet<Identity> = inputs.filter_map(identity).collect();
        let mut strangers = Vec::new();
        for path in self.existing(request)? {
            let meta = fs::metadata(&path);
            if identity(&path).is_some_and(|id| inputs.contains(&id)) {
                return Err(OutputError::Input { path });
            }
            if meta.is_ok_and(|meta| !meta.is_file()) {
                return Err(OutputError::NotAFile { path });
            }
            if !request.overwrite && !is_ours(&path) {
                strangers.push(path);
            }
        }
        match strangers.first() {
            Some(path) => Err(OutputError::Exists { path: path.clone(), others: strangers.len() - 1 }),
            None => Ok(()),
        }
    }

    /// Files that stand where ours would.
    fn existing(&self, request: &Request<'_>) -> Result<Vec<PathBuf>, OutputError> {
        let folder = self.folder();
        let there = match fs::read_dir(folder) {
            Ok(entries) => entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<BTreeSet<OsString>>>(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => Err(error),
        };
        let there = there.map_err(|source| OutputError::Folder { path: folder.to_owned(), source })?;
        if let Place::File(path) = &self.place {
            return Ok(if fs::symlink_metadata(path).is_ok() { vec![path.clone()] } else { Vec::new() });
        }
        let mut found = Vec::new();
        for source in 0..self.stems.len() {
            let rows: Vec<Option<usize>> = match self.rows[source] {
                Some(rows) => (0..rows).map(Some).collect(),
                None => vec![None],
            };
            for row in rows {
                found.extend(self.existing_of(request, &there, source, row));
            }
        }
        Ok(found)
    }

    fn existing_of(
        &self,
        request: &Request<'_>,
        there: &BTreeSet<OsString>,
        source: usize,
        row: Option<usize>,
    ) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        for kind in self.kinds(source) {
            if *kind == Kind::Panel {
                paths.push(self.of_panel(source, row));
                continue;
            }
            for method in request.methods {
                let path = |class| self.of_map(source, row, class, &method.file_name(), *kind);
                match request.targets.fixed() {
                    Some(classes) => paths.extend(classes.into_iter().map(path)),
                    None if !self.several_classes => paths.push(path(0)),
                    // Which classes, the network will say: all names that it may come to.
                    None => {
                        let rest = name::behind_class(self.rival, &method.file_name(), *kind);
                        paths.extend(of_any_class(there, &self.stem(source, row), rest, self.folder()))
                    }
                }
            }
        }
        // By asking, not by the listing: some file systems do not tell capitals apart.
        paths.retain(|path| fs::symlink_metadata(path).is_ok());
        paths
    }
}

/// Files that are called like this stem's for any class, `rest` behind it.
fn of_any_class<'a>(
    there: &'a BTreeSet<OsString>,
    stem: &OsStr,
    rest: String,
    folder: &'a Path,
) -> impl Iterator<Item = PathBuf> + use<'a> {
    let mut prefix = stem.to_owned();
    prefix.push(".class");
    let begins = prefix.as_encoded_bytes().to_vec();
    let after = there.range(prefix..).take_while(move |name| name.as_encoded_bytes().starts_with(&begins));
    let begin = stem.len() + ".class".len();
    let ours = after.filter(move |name| {
        let digits = name.as_encoded_bytes()[begin..].strip_suffix(rest.as_bytes());
        digits.is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
    });
    ours.map(|name| folder.join(name))
}

/// What `-o` means where it names a file only if `single` says what would be in it.
fn place(output: Option<&Path>, single: Option<Kind>) -> Result<Place, OutputError> {
    let Some(path) = output else { return Ok(Place::Folder(PathBuf::new())) };
    let folder = || Ok(Place::Folder(path.to_owned()));
    let ends_in_separator =
        path.as_os_str().as_encoded_bytes().last().is_some_and(|b| std::path::is_separator(*b as char));
    if path.is_dir() || ends_in_separator {
        return folder();
    }
    let suffix = path.extension().map(|s| s.to_string_lossy().to_ascii_lowercase());
    let suffix =
        suffix.as_deref().filter(|s| ["png", "npy", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff"].contains(s));
    match (suffix, single) {
        (None, _) if path.is_file() => Err(OutputError::NotAFolder { path: path.to_owned() }),
        (None, _) => folder(),
        (Some(_), None) => Err(OutputError::Several { path: path.to_owned() }),
        (Some(suffix), Some(kind)) if suffix == kind.suffix() => Ok(Place::File(path.to_owned())),
        (Some(_), Some(kind)) => Err(OutputError::Suffix { path: path.to_owned(), kind }),
    }
}

/// Whether we made a file: drawings say so, raw maps are known by their names.
fn is_ours(path: &Path) -> bool {
    Drawing::is_one(path) || path.file_name().is_some_and(name::is_an_array)
}

/// What tells whether two names are one file, links followed.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Identity {
    #[cfg(unix)]
    Inode(u64, u64),
    #[cfg(not(unix))]
    Path(PathBuf),
}

fn identity(path: &Path) -> Option<Identity> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let meta = fs::metadata(path).ok()?;
        Some(Identity::Inode(meta.dev(), meta.ino()))
    }
    #[cfg(not(unix))]
    {
        fs::canonicalize(path).ok().map(Identity::Path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classifier::Target;
    use crate::method;

    /// A plan in a folder with these files, for these pictures.
    fn plan(
        folder: &Path,
        pictures: &[&str],
        kinds: &[Kind],
        target: Target,
        overwrite: bool,
    ) -> Result<Outputs, OutputError> {
        let sources: Vec<Source> = pictures.iter().map(|p| Source::of(folder.join(p))).collect();
        let request = Request {
            output: Some(folder.to_owned()),
            kinds,
            methods: &[&method::GradCam],
            targets: &Targets::from(target),
            rival: None,
            overwrite,
            protected: &[],
        };
        Outputs::plan(&request, &sources)
    }

    #[test]
    fn what_stands_in_the_way_is_an_error_before_any_work() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("a.grad-cam.overlay.png"), "mine").unwrap();
        let plan = |target, overwrite| plan(folder.path(), &["a.jpg", "b.jpg"], &[Kind::Overlay], target, overwrite);
        let error = plan(Target::Predicted, false).unwrap_err();
        assert!(matches!(&error, OutputError::Exists { path, others: 0 } if path.ends_with("a.grad-cam.overlay.png")));
        assert!(plan(Target::Predicted, true).is_ok());
        // With classes in the names, that file is not in the way; one of any class may be.
        assert!(plan(Target::Top(2), false).is_ok());
        fs::write(at("b.class77.grad-cam.overlay.png"), "mine").unwrap();
        fs::write(at("b.classes.grad-cam.overlay.png"), "another").unwrap();
        assert!(matches!(plan(Target::Top(2), false), Err(OutputError::Exists { others: 0, .. })));
        fs::create_dir(at("b.grad-cam.overlay.png")).unwrap();
        assert!(matches!(plan(Target::Predicted, true), Err(OutputError::NotAFile { .. })));
    }

    #[test]
    fn a_map_is_replaced_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.grad-cam.map.npy"), "").unwrap();
        assert!(plan(folder.path(), &["a.jpg"], &[Kind::Map], Target::Class(1), false).is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn an_input_is_never_replaced_by_whatever_name() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("a.jpg"), "photo").unwrap();
        let links: [&dyn Fn(); 2] =
            [&|| std::os::unix::fs::symlink(at("a.jpg"), at("a.grad-cam.map.npy")).unwrap(), &|| {
                fs::hard_link(at("a.jpg"), at("a.grad-cam.map.npy")).unwrap()
            }];
        for link in links {
            link();
            let error = plan(folder.path(), &["a.jpg"], &[Kind::Map], Target::Predicted, true).unwrap_err();
            assert!(matches!(error, OutputError::Input { .. }), "{error}");
            fs::remove_file(at("a.grad-cam.map.npy")).unwrap();
        }
    }
}

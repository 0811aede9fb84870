//! Globs, expanded by us: `*`, `?`, `[a-z]`, `{a,b}` within a name, `**` for folders of any depth.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use super::expand::children;

/// One part of a pattern.
enum Part {
    /// As it stands.
    Literal(PathBuf),
    /// Names that match; hidden ones only where the pattern begins with a dot.
    Names(GlobMatcher, bool),
    /// This folder and all below it.
    Folders,
}

/// Whether a path holds characters that a glob gives a meaning to.
pub(super) fn is_pattern(path: &Path) -> bool {
    path.to_str().is_some_and(|text| text.contains(['*', '?', '[', '{']))
}

/// The paths that match, sorted; hidden names and folders are left out unless they are named.
pub(super) fn matches(pattern: &Path) -> Result<Vec<PathBuf>, String> {
    let parts = pattern.components().map(part).collect::<Result<Vec<_>, _>>()?;
    let mut found = Vec::new();
    descend(Path::new(""), &parts, &mut found).map_err(|e| e.to_string())?;
    found.sort();
    found.dedup();
    Ok(found)
}

fn part(component: Component<'_>) -> Result<Part, String> {
    let Component::Normal(name) = component else { return Ok(Part::Literal(component.as_os_str().into())) };
    let text = match name.to_str() {
        Some("**") => return Ok(Part::Folders),
        Some(text) if is_pattern(Path::new(name)) => text,
        _ => return Ok(Part::Literal(name.into())),
    };
    let glob = GlobBuilder::new(text).literal_separator(true).backslash_escape(false).build();
    let glob = glob.map_err(|e| e.kind().to_string())?;
    Ok(Part::Names(glob.compile_matcher(), text.starts_with('.')))
}

fn descend(base: &Path, parts: &[Part], found: &mut Vec<PathBuf>) -> io::Result<()> {
    let Some((part, rest)) = parts.split_first() else {
        // A name without a pattern after the pattern may not be there.
        if fs::symlink_metadata(base).is_ok() {
            found.push(base.to_owned());
        }
        return Ok(());
    };
    match part {
        Part::Literal(name) => descend(&base.join(name), rest, found)?,
        Part::Names(glob, hidden) => {
            for name in names(base)? {
                if glob.is_match(Path::new(&name)) && (*hidden || !is_hidden(&name)) {
                    descend(&base.join(name), rest, found)?;
                }
            }
        }
        Part::Folders => {
            descend(base, rest, found)?;
            for name in names(base)? {
                let below = base.join(&name);
                if !is_hidden(&name) && below.is_dir() && !below.is_symlink() {
                    descend(&below, parts, found)?;
                }
            }
        }
    }
    Ok(())
}

/// Names in a folder; none where there is no such folder.
fn names(base: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    let folder = if base.as_os_str().is_empty() { Path::new(".") } else { base };
    if folder.is_dir() { children(folder) } else { Ok(Vec::new()) }
}

/// Whether a name begins with a dot.
pub(super) fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

//! Names of files: `{stem}[.{row}][.class{index}][.against{index}].{method}.{kind}.{png|npy}`, `{stem}[.{row}].panel.png`.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};

use super::Kind;
use crate::explain::Rival;
use crate::method::every_formula;
use crate::source::Source;

/// The name of a method's file.
pub(super) fn of_method(
    stem: &OsStr,
    class: Option<usize>,
    rival: Option<Rival>,
    method: &str,
    kind: Kind,
) -> OsString {
    let class = class.map(|class| format!(".class{class}")).unwrap_or_default();
    joined(stem, &format!("{class}{}", behind_class(rival, method, kind)))
}

/// What stands behind the class in such a name.
pub(super) fn behind_class(rival: Option<Rival>, method: &str, kind: Kind) -> String {
    let rival = match rival {
        Some(Rival::Class(class)) => format!(".against{class}"),
        Some(Rival::RunnerUp) => ".against-second".to_owned(),
        None => String::new(),
    };
    format!("{rival}.{method}.{kind}.{}", kind.suffix())
}

/// The name of a panel.
pub(super) fn of_panel(stem: &OsStr) -> OsString {
    joined(stem, &format!(".{}.{}", Kind::Panel, Kind::Panel.suffix()))
}

/// The stem of row `row` of an array.
pub(super) fn of_row(stem: &OsStr, row: usize) -> OsString {
    joined(stem, &format!(".{row}"))
}

fn joined(stem: &OsStr, rest: &str) -> OsString {
    let mut name = stem.to_owned();
    name.push(rest);
    name
}

/// Whether a file is called as our arrays are.
pub(super) fn is_an_array(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let ends = |method: &str, kind: Kind| name.ends_with(&format!(".{method}.{kind}.{}", kind.suffix()));
    every_formula().any(|m| [Kind::Map, Kind::ExplanationInput].iter().any(|kind| ends(&m.file_name(), *kind)))
}

/// A stem for each source: its file name without suffix, with `-2`, `-3`, … where another has it already. Capitals do
/// not tell names apart, as some file systems do not.
pub(super) fn stems(sources: &[Source]) -> Vec<OsString> {
    let mut taken = HashSet::new();
    // Where to go on counting: what was taken once stays so.
    let mut counts = HashMap::new();
    let stem = |source: &Source| {
        let natural = source.path().file_stem().unwrap_or(OsStr::new("image")).to_owned();
        let count = counts.entry((natural.to_ascii_lowercase(), source.rows())).or_insert(1);
        loop {
            let stem = if *count == 1 { natural.clone() } else { joined(&natural, &format!("-{count}")) };
            let claimed = claims(&stem, source);
            *count += 1;
            if claimed.iter().all(|name| !taken.contains(name)) {
                taken.extend(claimed);
                return stem;
            }
        }
    };
    sources.iter().map(stem).collect()
}

/// What the names of a source's files begin with.
fn claims(stem: &OsStr, source: &Source) -> Vec<OsString> {
    match source.rows() {
        Some(rows @ 2..) => (0..rows).map(|row| of_row(stem, row).to_ascii_lowercase()).collect(),
        _ => vec![stem.to_ascii_lowercase()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stems_of(paths: &[&str]) -> Vec<String> {
        let sources: Vec<Source> = paths.iter().map(|p| Source::of(p.into())).collect();
        stems(&sources).into_iter().map(|s| s.into_string().unwrap()).collect()
    }

    #[test]
    fn equal_stems_are_counted() {
        assert_eq!(stems_of(&["x/a.jpg", "y/a.png", "b.jpg", "A.jpg"]), ["a", "a-2", "b", "A-3"]);
        assert_eq!(stems_of(&["a.jpg", "a.png", "a-2.jpg"]), ["a", "a-2", "a-2-2"]);
        assert_eq!(stems_of(&["a-2.jpg", "a.jpg", "a.png", "a-2.png", "a.gif"]), ["a-2", "a", "a-3", "a-2-2", "a-4"]);
        assert_eq!(stems_of(&[".jpg", "a.b.jpg", "a"]), [".jpg", "a.b", "a"]);
    }

    /// Ten thousand pictures of one name, which took 50 million look-ups once.
    #[test]
    fn many_equal_stems_are_counted_in_one_go() {
        let sources: Vec<Source> = (0..10_000).map(|i| Source::of(format!("{i}/image.jpg").into())).collect();
        let stems = stems(&sources);
        assert_eq!((&stems[0], &stems[1]), (&"image".into(), &"image-2".into()));
        assert_eq!(stems.iter().collect::<HashSet<_>>().len(), 10_000);
        assert_eq!(stems[9_999], "image-10000");
    }

    #[test]
    fn names_say_what_is_in_the_file() {
        let stem = OsStr::new("dog");
        assert_eq!(of_method(stem, None, None, "grad-cam++", Kind::Overlay), "dog.grad-cam++.overlay.png");
        assert_eq!(of_method(&of_row(stem, 0), Some(281), None, "cam", Kind::Map), "dog.0.class281.cam.map.npy");
        let contrast = of_method(stem, Some(281), Some(Rival::Class(285)), "cam", Kind::Map);
        assert_eq!(contrast, "dog.class281.against285.cam.map.npy");
        assert_eq!(of_panel(stem), "dog.panel.png");
    }

    #[test]
    fn arrays_are_known_by_name() {
        assert!(is_an_array(OsStr::new("dog.grad-cam.map.npy")));
        assert!(is_an_array(OsStr::new("dog.guided-backprop.explanation-input.npy")));
        assert!(is_an_array(OsStr::new("dog.grad-cam++-torch-cam.map.npy")));
        for other in ["dog.npy", "dog.map.npy", "dog.grad-cam.map.npy.txt", "grad-cam.map.npy", "dog.lime.map.npy"] {
            assert!(!is_an_array(OsStr::new(other)), "{other}");
        }
    }
}

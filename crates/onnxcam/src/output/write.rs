//! Drawing and writing what was asked for.

use std::path::{Path, PathBuf};

use super::{Kind, Outputs};
use crate::classifier::{Beyond, Error, Map, Seen, panel};
use crate::heatmap::{Colormap, write_npy};

/// How maps are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Style {
    /// The colours.
    pub colormap: Colormap,
    /// Opacity of the map over the picture, 0..=1.
    pub alpha: f32,
}

/// The files that show one map.
pub type Files = Vec<PathBuf>;

impl Outputs {
    /// Draws and writes the files of one picture or array row. For each explanation, for each of its maps, the files
    /// that show it; a panel shows them all. Each file is written whole or not at all.
    ///
    /// # Errors
    /// Where a file cannot be written; those before it are there.
    pub fn write(
        &self,
        source: usize,
        row: Option<usize>,
        seen: &Seen,
        style: Style,
    ) -> Result<Vec<Vec<Files>>, Error> {
        let mut files = Vec::new();
        for explanation in &seen.explanations {
            let mut of_explanation = Vec::new();
            for map in explanation.maps() {
                let mut of_map = Vec::new();
                for kind in self.kinds(source).iter().filter(|kind| **kind != Kind::Panel) {
                    let path = self.of_map(source, row, explanation.class(), &map.method().file_name(), *kind);
                    write_map(map, *kind, seen, style, &path)?;
                    of_map.push(path);
                }
                of_explanation.push(of_map);
            }
            files.push(of_explanation);
        }
        if let Some(picture) = seen.picture.as_ref().filter(|_| self.kinds(source).contains(&Kind::Panel)) {
            let path = self.of_panel(source, row);
            panel(picture, &seen.explanations, style.colormap, style.alpha)?.save(&path)?;
            files.iter_mut().flatten().for_each(|of_map: &mut Files| of_map.push(path.clone()));
        }
        Ok(files)
    }
}

fn write_map(map: &Map, kind: Kind, seen: &Seen, style: Style, path: &Path) -> Result<(), Error> {
    let Style { colormap, alpha } = style;
    match (kind, &seen.picture) {
        (Kind::Map, _) => match map.attribution() {
            Some(attribution) => write_npy(path, attribution)?,
            None => write_npy(path, map.heatmap().raw())?,
        },
        (Kind::ExplanationInput, _) => write_npy(path, &map.explanation_input(&seen.input, Beyond::Black)?)?,
        (Kind::Explanation, Some(picture)) => map.explanation(picture)?.save(path)?,
        (Kind::Overlay, Some(picture)) => map.overlay(picture, colormap, alpha)?.save(path)?,
        _ => map.colour(colormap).save(path)?,
    }
    Ok(())
}

//! What `onnxcam explain` says: results on standard output, progress and notes on standard error.

use std::collections::HashSet;
use std::io::{IsTerminal, stderr};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use onnxcam::classifier::{Explanation, Map, PictureExplainer, Seen};
use onnxcam::explain::Progress;
use onnxcam::output::Files;
use onnxcam::printable;
use serde_json::{Value, json};

use crate::out;

/// How many classes are listed.
const TOP: usize = 5;

/// Says what came of each image.
pub struct Report {
    json: bool,
    /// Of one line each: `path`, `hash`.
    model: Value,
    engine: &'static str,
    bar: ProgressBar,
    /// Notes that hold for more than one image, and were said.
    said: HashSet<String>,
}

impl Report {
    /// Of so many images; a bar shows progress where there are several and a person is watching.
    pub fn new(explainer: &PictureExplainer, images: usize, json: bool) -> Report {
        let subject = explainer.subject();
        let bar = match images > 1 && stderr().is_terminal() && !out::is_quiet() {
            true => ProgressBar::new(images as u64).with_style(style()),
            false => ProgressBar::hidden(),
        };
        let mut model = json!({ "path": subject.path().to_string_lossy(), "hash": subject.digest().to_string() });
        if let Some(score) = &subject.head().score {
            model["score"] = json!(score); // Not an output as it is.
        }
        Report { json, model, engine: explainer.engine().name(), bar, said: HashSet::new() }
    }

    /// Shows how far a method of many runs has come, where there is one image and a person is watching.
    pub fn watcher(&self, images: usize) -> Option<impl FnMut(Progress) -> ControlFlow<()> + Send + 'static> {
        let watched = images == 1 && stderr().is_terminal() && !out::is_quiet();
        let bar = self.bar.clone();
        watched.then_some(move |Progress { method, done, of }: Progress| {
            if done == 0 {
                bar.set_draw_target(ProgressDrawTarget::stderr());
                bar.set_style(runs_style());
                bar.reset();
                bar.set_length(of as u64);
                bar.set_message(method);
            }
            bar.set_position(done as u64);
            if done == of {
                bar.finish_and_clear();
            }
            ControlFlow::Continue(())
        })
    }

    /// Something that holds for the whole run; said once.
    pub fn note(&mut self, text: &str) {
        if self.said.insert(text.to_owned()) {
            self.say(&format!("note: {text}"));
        }
    }

    /// An image and what was written of it.
    pub fn explained(
        &mut self,
        file: &Path,
        row: Option<usize>,
        seen: &Seen,
        files: &[Vec<Files>],
    ) -> std::io::Result<()> {
        let name = match row {
            Some(row) => format!("{} [{row}]", printable(&file.to_string_lossy())),
            None => printable(&file.to_string_lossy()),
        };
        self.notes(&name, seen);
        let text = match self.json {
            true => format!("{}\n", self.to_json(file, seen, files)),
            false => to_text(&name, seen, files),
        };
        self.result(&text)
    }

    /// An image that could not be explained.
    pub fn failed(&mut self, file: &Path, error: &str) -> std::io::Result<()> {
        let path = file.display().to_string();
        let names = error.contains(&path) || error.contains(&printable(&path));
        let error = if names { error.to_owned() } else { format!("{}: {error}", printable(&path)) };
        self.aside(&format!("error: {error}"));
        if self.json {
            self.result(&format!("{}\n", json!({ "file": file.to_string_lossy(), "error": error })))?;
        } else {
            self.bar.inc(1);
        }
        Ok(())
    }

    /// The end.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// What has to be said of an image; of what holds for many, only the first says it.
    fn notes(&mut self, name: &str, seen: &Seen) {
        let of_picture = seen.picture.iter().flat_map(|p| p.notes());
        of_picture.for_each(|text| self.say(&format!("note: {name}: {text}")));
        let of_picture: Vec<&String> = seen.picture.iter().flat_map(|p| p.notes()).collect();
        for explanation in &seen.explanations {
            for text in explanation.notes().iter().filter(|text| !of_picture.contains(text)) {
                self.note(text);
            }
            for map in explanation.maps() {
                let method = map.method().name();
                let flat = map.heatmap().flatness().message();
                for text in map.notes().filter(|text| Some(*text) != flat) {
                    self.note(&format!("{method}: {text}"));
                }
                if let Some(text) = flat {
                    self.say(&format!("note: {name}: {method}, class {}: {text}", explanation.class()));
                }
            }
        }
    }

    fn to_json(&self, file: &Path, seen: &Seen, files: &[Vec<Files>]) -> Value {
        let top = seen.explanations.first().map(|e| e.top(TOP)).unwrap_or_default();
        let top = top
            .into_iter()
            .map(|r| json!({ "class": r.class, "label": r.label, "score": r.score, "probability": r.probability }));
        let explanations = seen.explanations.iter().zip(files).flat_map(|(explanation, files)| {
            explanation.maps().iter().zip(files).map(|(map, files)| self.map_to_json(explanation, map, files))
        });
        json!({
            "file": file.to_string_lossy(),
            "model": self.model,
            "engine": self.engine,
            "top": top.collect::<Vec<_>>(),
            "explanations": explanations.collect::<Vec<_>>(),
        })
    }

    fn map_to_json(&self, explanation: &Explanation, map: &Map, files: &Files) -> Value {
        let notes: Vec<&str> = explanation.notes().iter().map(String::as_str).chain(map.notes()).collect();
        json!({
            "method": map.method().name(),
            "variant": map.method().variant(),
            "class": explanation.class(),
            "against": explanation.rival(),
            "layer": map.layer(),
            "flat": map.is_flat(),
            "notes": notes,
            "files": files.iter().map(|f| f.to_string_lossy()).collect::<Vec<_>>(),
        })
    }

    /// A result, whole: where nobody reads it, the error says so.
    fn result(&self, text: &str) -> std::io::Result<()> {
        self.bar.inc(1);
        self.bar.suspend(|| out::all(text.as_bytes()))
    }

    /// Something beside the results that a quiet run leaves out.
    fn say(&self, text: &str) {
        if !out::is_quiet() {
            self.aside(text);
        }
    }

    /// Something beside the results.
    fn aside(&self, text: &str) {
        self.bar.suspend(|| out::aside(text));
    }
}

fn style() -> ProgressStyle {
    let template = "{wide_bar} {pos}/{len} images, {eta} left";
    ProgressStyle::with_template(template).expect("a template that a test has seen")
}

fn runs_style() -> ProgressStyle {
    let template = "{msg} {wide_bar} {pos}/{len} runs, {eta} left";
    ProgressStyle::with_template(template).expect("a template that a test has seen")
}

/// The image, its classes, and the files written; a panel, of which every map speaks, comes last.
fn to_text(name: &str, seen: &Seen, files: &[Vec<Files>]) -> String {
    let mut text = format!("{name}\n");
    for ranked in seen.explanations.first().map(|e| e.top(TOP)).unwrap_or_default() {
        let number = match ranked.probability {
            Some(probability) => format!("{:5.1} %", 100.0 * probability),
            None => format!("{:7.3}", ranked.score),
        };
        text += &format!("  {number}  {:>4} {}\n", ranked.class, ranked.label);
    }
    let mut written: Vec<&PathBuf> = Vec::new();
    for file in files.iter().flatten().flatten().rev() {
        if !written.contains(&file) {
            written.push(file);
        }
    }
    for file in written.into_iter().rev() {
        text += &format!("  wrote {}\n", printable(&file.to_string_lossy()));
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_templates_are_some() {
        super::style();
        super::runs_style();
    }
}

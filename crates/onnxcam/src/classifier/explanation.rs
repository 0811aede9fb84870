//! What a network said of a picture, and why.

use std::sync::Arc;

use image::RgbImage;
use ndarray::ArrayD;

use super::drawing::Drawing;
use super::probability::ranks;
use super::{Beyond, Error, Input, Subject};
use crate::explain::Explained;
use crate::heatmap::{self, Attribution, Colormap, Flatness, Heatmap, PanelColumn, Placed};
use crate::method::Method;
use crate::picture::{Picture, Placement};

/// Explanations in one row of a panel, at most.
const MOST_PER_ROW: usize = 4;

/// The explanation of one class of one picture.
#[derive(Clone, Debug)]
pub struct Explanation {
    subject: Arc<Subject>,
    class: usize,
    rival: Option<usize>,
    scores: Vec<f32>,
    probabilities: Option<Vec<f64>>,
    maps: Vec<Map>,
    notes: Vec<String>,
}

/// One method's answer.
#[derive(Clone, Debug)]
pub struct Map {
    subject: Arc<Subject>,
    method: &'static dyn Method,
    class: usize,
    rival: Option<usize>,
    heatmap: Heatmap,
    attribution: Option<ArrayD<f32>>,
    placement: Placement,
    notes: Vec<String>,
}

/// A class with its score.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    /// The class, counted from 0.
    pub class: usize,
    /// What it is called.
    pub label: String,
    /// Its score, before any softmax.
    pub score: f32,
    /// Its probability, where the scores have any.
    pub probability: Option<f64>,
}

impl Explanation {
    pub(super) fn new(
        subject: &Arc<Subject>,
        methods: &[&'static dyn Method],
        input: &Input,
        explained: Explained,
    ) -> Explanation {
        let Explained { scores, class, rival, maps, attributions, notes: map_notes, .. } = explained;
        let (probabilities, said) = subject.probabilities.of_scores(&scores);
        let nan = scores.iter().any(|s| s.is_nan()).then_some("the network's scores hold NaN");
        let notes = input.notes.iter().map(String::as_str).chain(said).chain(nan).map(str::to_owned).collect();
        let made = maps.into_iter().zip(attributions).zip(map_notes);
        let map = |(method, ((raw, attribution), notes)): (&&'static dyn Method, ((_, _), _))| Map {
            subject: subject.clone(),
            method: *method,
            class,
            rival,
            heatmap: Heatmap::new(raw),
            attribution,
            placement: input.placement,
            notes,
        };
        let maps = methods.iter().zip(made).map(map).collect();
        Explanation { subject: subject.clone(), class, rival, scores, probabilities, maps, notes }
    }

    /// The class that is explained.
    pub fn class(&self) -> usize {
        self.class
    }

    /// The class that it is contrasted with.
    pub fn rival(&self) -> Option<usize> {
        self.rival
    }

    /// What it is called.
    pub fn label(&self) -> String {
        self.subject.label(self.class).into_owned()
    }

    /// Its probability; `None` where the scores have none ([`Activation::None`](crate::target::Activation::None)).
    pub fn probability(&self) -> Option<f64> {
        self.probabilities.as_ref().map(|p| p[self.class])
    }

    /// The scores of all classes, before any softmax.
    pub fn scores(&self) -> &[f32] {
        &self.scores
    }

    /// The classes with the highest scores, the best first.
    pub fn top(&self, count: usize) -> Vec<Ranked> {
        let ranked = |class: usize| Ranked {
            class,
            label: self.subject.label(class).into_owned(),
            score: self.scores[class],
            probability: self.probabilities.as_ref().map(|p| p[class]),
        };
        ranks(&self.scores).into_iter().take(count).map(ranked).collect()
    }

    /// One map a method, in the order of the methods.
    pub fn maps(&self) -> &[Map] {
        &self.maps
    }

    /// The map of method number `i`.
    ///
    /// # Panics
    /// Where there are fewer methods.
    pub fn map(&self, i: usize) -> &Map {
        &self.maps[i]
    }

    /// What has to be said of the picture and its scores.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The class as captions have it: `282 tiger cat 39.5 %`, or `282 tiger cat 39.5 %, not 285 Egyptian cat`.
    fn caption(&self) -> String {
        let percent = self.probability().map(|p| format!(" {:.1} %", 100.0 * p)).unwrap_or_default();
        let named = |class: usize| match self.subject.labels.label(class) {
            Some(label) if !label.is_empty() => format!("{class} {label}"),
            _ => format!("class {class}"),
        };
        let rather = self.rival.map(|rival| format!(", not {}", named(rival))).unwrap_or_default();
        format!("{}{percent}{rather}", named(self.class))
    }
}

impl Map {
    /// The method.
    pub fn method(&self) -> &'static dyn Method {
        self.method
    }

    /// Name of the target layer; of a method in the space of the picture, the input's.
    pub fn layer(&self) -> String {
        let name = if self.method.needs().features { &self.subject.layer.name } else { &self.subject.input };
        onnx_graph::printable(name)
    }

    /// What a method in the space of the picture says of every sample, of the input's shape without the batch.
    pub fn attribution(&self) -> Option<&ArrayD<f32>> {
        self.attribution.as_ref()
    }

    /// The raw map `[h, w]`.
    pub fn heatmap(&self) -> &Heatmap {
        &self.heatmap
    }

    /// Whether there is nothing to see in it: no positive evidence, no variation, or NaN.
    pub fn is_flat(&self) -> bool {
        self.heatmap.flatness() != Flatness::Varies
    }

    /// What has to be said of it.
    pub fn notes(&self) -> impl Iterator<Item = &str> {
        self.notes.iter().map(String::as_str).chain(self.heatmap.flatness().message())
    }

    /// The map on the picture that it explains.
    pub fn placed(&self) -> Placed {
        self.heatmap.placed(&self.placement)
    }

    /// The map in colours, as large as the picture; of a method in the space of the picture, what it says of red, green and
    /// blue, about grey ([`Attribution::picture`]).
    pub fn colour(&self, colormap: Colormap) -> Drawing {
        Drawing::new(self.coloured(colormap), self.text())
    }

    fn coloured(&self, colormap: Colormap) -> RgbImage {
        match self.attribution.as_ref().and_then(|values| self.subject.in_colours(values)).and_then(Attribution::new) {
            Some(attribution) => attribution.picture(&self.placement),
            None => self.placed().colour(colormap),
        }
    }

    /// The explanation map E = L ∘ I: the picture, each pixel times the map ([`Placed::explanation`]).
    ///
    /// # Errors
    /// For another picture than the one explained.
    pub fn explanation(&self, picture: &Picture) -> Result<Drawing, Error> {
        Ok(Drawing::new(self.placed().explanation(picture)?, self.text()))
    }

    /// E = L ∘ I as the network is fed it, of the input's shape: L up-sampled to the input (half-pixel bilinear) and stretched
    /// to 0..=1, what it leaves out made black or the mean colour.
    ///
    /// # Errors
    /// [`Error::Array`] for an input of another shape than the one explained, and where black is asked for and what it is
    /// is not known.
    pub fn explanation_input(&self, input: &Input, beyond: Beyond) -> Result<ArrayD<f32>, Error> {
        self.subject.masked(input, &self.heatmap, beyond)
    }

    /// The picture with the map's colours over it: `alpha` of them, 1 − `alpha` of the picture.
    ///
    /// # Errors
    /// For an alpha outside 0..=1, or another picture than the one explained.
    pub fn overlay(&self, picture: &Picture, colormap: Colormap, alpha: f32) -> Result<Drawing, Error> {
        Ok(Drawing::new(self.placed().overlay(picture, colormap, alpha)?, self.text()))
    }

    /// Keywords and content for the file: method, variant, layer, class, label, model.
    fn text(&self) -> Vec<(&'static str, String)> {
        text(&self.subject, &[self])
    }
}

/// The picture, then each explanation's heatmaps and overlays, captioned with method, class and probability: a row for
/// each class where there are several methods.
///
/// # Errors
/// As [`Map::overlay`].
pub fn panel(
    picture: &Picture,
    explanations: &[Explanation],
    colormap: Colormap,
    alpha: f32,
) -> Result<Drawing, Error> {
    let mut columns = Vec::new();
    for explanation in explanations {
        for map in &explanation.maps {
            let placed = map.placed();
            let flat = map.heatmap.flatness().message().map(|m| format!("\n{m}")).unwrap_or_default();
            columns.push(PanelColumn {
                caption: format!("{}\n{}{flat}", map.method.title(), explanation.caption()),
                heatmap: map.coloured(colormap),
                overlay: placed.overlay(picture, colormap, alpha)?,
            });
        }
    }
    let maps: Vec<&Map> = explanations.iter().flat_map(|e| &e.maps).collect();
    let text = maps.first().map(|map| text(&map.subject, &maps)).unwrap_or_default();
    let per_row = explanations.first().map_or(0, |e| e.maps.len()).clamp(2, MOST_PER_ROW);
    Ok(Drawing::new(heatmap::panel(picture, &columns, per_row), text))
}

/// What a file of these maps says of itself; values that differ are listed, each once.
fn text(subject: &Subject, maps: &[&Map]) -> Vec<(&'static str, String)> {
    let each = |value: &dyn Fn(&Map) -> String| {
        let mut values: Vec<String> = Vec::new();
        for value in maps.iter().map(|m| value(m)) {
            if !values.contains(&value) {
                values.push(value);
            }
        }
        values.join(", ")
    };
    let mut text = vec![
        ("method", each(&|m| m.method.name().to_owned())),
        ("variant", each(&|m| m.method.variant().to_owned())),
        ("layer", each(&|m| m.layer())),
        ("class", each(&|m| m.class.to_string())),
        ("label", each(&|m| subject.label(m.class).into_owned())),
        ("model", subject.digest.to_string()),
    ];
    text.extend(subject.head.score.iter().map(|score| ("score", onnx_graph::printable(score))));
    if maps.iter().any(|m| m.rival.is_some()) {
        text.push(("against", each(&|m| m.rival.map(|rival| rival.to_string()).unwrap_or_default())));
    }
    text
}

//! Colours for numbers in 0..=1.

use std::{fmt, str::FromStr};

use crate::picture::UnknownName;

/// A colour map: 0 is its low end, 1 its high end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Colormap {
    /// Near black, blue, green, yellow, dark red: a smoother jet, as D3 approximates it. The default.
    Turbo,
    /// Blue, cyan, yellow, red: what most Grad-CAM figures use.
    Jet,
    /// Purple to yellow, even in lightness.
    Viridis,
    /// Black, red, yellow, pale.
    Inferno,
    /// Black, purple, pale.
    Magma,
    /// Blue, red, yellow.
    Plasma,
    /// Blue to yellow, for the colour-blind.
    Cividis,
    /// Black to white.
    Grey,
}

impl Colormap {
    /// Every colour map.
    pub const ALL: [Colormap; 8] = [
        Colormap::Turbo,
        Colormap::Jet,
        Colormap::Viridis,
        Colormap::Inferno,
        Colormap::Magma,
        Colormap::Plasma,
        Colormap::Cividis,
        Colormap::Grey,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Colormap::Turbo => "turbo",
            Colormap::Jet => "jet",
            Colormap::Viridis => "viridis",
            Colormap::Inferno => "inferno",
            Colormap::Magma => "magma",
            Colormap::Plasma => "plasma",
            Colormap::Cividis => "cividis",
            Colormap::Grey => "grey",
        }
    }

    /// The colour of `value`, which is held to 0..=1; NaN counts as 0.
    pub fn colour(self, value: f32) -> [u8; 3] {
        let value = if value > 0.0 { f64::from(value.min(1.0)) } else { 0.0 };
        let gradient = match self {
            Colormap::Jet => return jet(value),
            Colormap::Grey => return [byte(value); 3],
            Colormap::Turbo => colorous::TURBO,
            Colormap::Viridis => colorous::VIRIDIS,
            Colormap::Inferno => colorous::INFERNO,
            Colormap::Magma => colorous::MAGMA,
            Colormap::Plasma => colorous::PLASMA,
            Colormap::Cividis => colorous::CIVIDIS,
        };
        gradient.eval_continuous(value).into_array()
    }

    /// The colours of 0/255, 1/255, …, 255/255.
    pub(super) fn table(self) -> [[u8; 3]; 256] {
        std::array::from_fn(|i| self.colour(i as f32 / 255.0))
    }
}

/// Matplotlib's jet: each channel rises, stays at 1, and falls, between these corners.
fn jet(value: f64) -> [u8; 3] {
    const RED: &[(f64, f64)] = &[(0.0, 0.0), (0.35, 0.0), (0.66, 1.0), (0.89, 1.0), (1.0, 0.5)];
    const GREEN: &[(f64, f64)] = &[(0.0, 0.0), (0.125, 0.0), (0.375, 1.0), (0.64, 1.0), (0.91, 0.0), (1.0, 0.0)];
    const BLUE: &[(f64, f64)] = &[(0.0, 0.5), (0.11, 1.0), (0.34, 1.0), (0.65, 0.0), (1.0, 0.0)];
    [RED, GREEN, BLUE].map(|corners| byte(between(corners, value)))
}

fn between(corners: &[(f64, f64)], x: f64) -> f64 {
    let piece = corners.windows(2).find(|pair| x <= pair[1].0).unwrap_or(&corners[corners.len() - 2..]);
    let ((x0, y0), (x1, y1)) = (piece[0], piece[1]);
    y0 + (y1 - y0) * (x - x0) / (x1 - x0)
}

fn byte(value: f64) -> u8 {
    (value * 255.0).round() as u8
}

impl fmt::Display for Colormap {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Colormap {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Colormap, UnknownName> {
        let text = if text.eq_ignore_ascii_case("gray") { "grey" } else { text };
        let known = Colormap::ALL.into_iter().find(|map| map.name().eq_ignore_ascii_case(text));
        known.ok_or_else(|| UnknownName::new("colour map", text, Colormap::ALL.map(Colormap::name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At the corners of matplotlib's definition, and half way between two of them.
    #[test]
    fn jet_is_matplotlibs() {
        let at = |value| Colormap::Jet.colour(value);
        assert_eq!(at(0.0), [0, 0, 128]);
        assert_eq!(at(0.11), [0, 0, 255]);
        assert_eq!(at(0.125), [0, 0, 255]);
        assert_eq!(at(0.25), [0, 128, 255]);
        assert_eq!(at(0.64), [239, 255, 8]);
        assert_eq!(at(0.89), [255, 19, 0]);
        assert_eq!(at(1.0), [128, 0, 0]);
    }

    #[test]
    fn ends_are_told_apart_and_out_of_range_is_held() {
        for map in Colormap::ALL {
            assert_ne!(map.colour(0.0), map.colour(1.0), "{map}");
            assert_eq!(map.colour(-3.0), map.colour(0.0), "{map}");
            assert_eq!(map.colour(7.0), map.colour(1.0), "{map}");
            assert_eq!(map.colour(f32::NAN), map.colour(0.0), "{map}");
            assert_eq!(map.name().parse(), Ok(map));
        }
    }

    #[test]
    fn an_unknown_name_lists_the_others() {
        let error = "hot".parse::<Colormap>().unwrap_err().to_string();
        assert!(error.contains("\"hot\"") && error.contains("turbo, jet, viridis"), "{error}");
    }
}

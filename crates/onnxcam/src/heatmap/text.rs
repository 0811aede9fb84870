//! Lines of text in an image: DejaVu Sans, left to right, without shaping. A character that the font lacks is
//! drawn as a box.

use ab_glyph::{Font, FontRef, Glyph, PxScale, ScaleFont, point};
use image::{Rgb, RgbImage};

/// Ink of a line, in pixels: the size of the font, and from one line to the next.
const SIZE: f32 = 19.0;
pub(super) const LINE: u32 = 24;

pub(super) struct Typesetter {
    font: FontRef<'static>,
}

impl Typesetter {
    pub(super) fn new() -> Typesetter {
        let font = FontRef::try_from_slice(dejavu::sans::regular()).expect("the built-in font is whole");
        Typesetter { font }
    }

    /// Breaks `text` at line feeds, then at spaces, then within words, into lines of at most `width` pixels; at
    /// most `most` lines, the last of which then ends in an ellipsis.
    pub(super) fn wrap(&self, text: &str, width: f32, most: usize) -> Vec<String> {
        let mut lines = Vec::new();
        for paragraph in text.lines() {
            let mut line = String::new();
            for word in paragraph.split_whitespace() {
                let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
                if self.width(&longer) <= width {
                    line = longer;
                    continue;
                }
                if !line.is_empty() {
                    lines.push(std::mem::take(&mut line));
                }
                for c in word.chars() {
                    line.push(c);
                    if self.width(&line) > width && line.chars().count() > 1 {
                        line.pop();
                        lines.push(std::mem::replace(&mut line, c.to_string()));
                    }
                }
            }
            lines.push(line);
        }
        if lines.len() > most {
            lines.truncate(most);
            if let Some(last) = lines.last_mut() {
                while !last.is_empty() && self.width(&format!("{last}…")) > width {
                    last.pop();
                }
                last.push('…');
            }
        }
        lines
    }

    /// Width of one line in pixels.
    pub(super) fn width(&self, line: &str) -> f32 {
        self.place(line).last().map_or(0.0, |(glyph, advance)| glyph.position.x + advance)
    }

    /// Draws one line in black, its top left corner at (`x`, `y`); what falls outside is cut.
    pub(super) fn draw(&self, image: &mut RgbImage, x: u32, y: u32, line: &str) {
        let (width, height) = image.dimensions();
        for (glyph, _) in self.place(line) {
            let Some(outline) = self.font.outline_glyph(glyph) else {
                continue;
            };
            let corner = outline.px_bounds().min;
            let (left, top) = (i64::from(x) + corner.x as i64, i64::from(y) + corner.y as i64);
            outline.draw(|dx, dy, ink| {
                let (px, py) = (left + i64::from(dx), top + i64::from(dy));
                if (0..i64::from(width)).contains(&px) && (0..i64::from(height)).contains(&py) {
                    let Rgb(pixel) = image.get_pixel_mut(px as u32, py as u32);
                    *pixel = pixel.map(|v| (f32::from(v) * (1.0 - ink.clamp(0.0, 1.0))).round() as u8);
                }
            });
        }
    }

    /// The glyphs of a line, kerned, from x = 0, the first baseline one ascent down; each with its advance.
    fn place(&self, line: &str) -> Vec<(Glyph, f32)> {
        let scale = PxScale::from(SIZE);
        let font = self.font.as_scaled(scale);
        let (mut x, mut before) = (0.0, None);
        let mut glyphs = Vec::new();
        for c in line.chars() {
            let id = font.glyph_id(c);
            x += before.map_or(0.0, |before| font.kern(before, id));
            glyphs.push((id.with_scale_and_position(scale, point(x, font.ascent())), font.h_advance(id)));
            x += font.h_advance(id);
            before = Some(id);
        }
        glyphs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_to_the_width() {
        let setter = Typesetter::new();
        let text = "Grad-CAM++\nEgyptian cat, Donaudampfschifffahrtsgesellschaft 39.5 % – Привет 호랑이 🐯 \u{202E}x";
        for width in [1.0, 30.0, 120.0, 1000.0] {
            let lines = setter.wrap(text, width, 100);
            assert!(lines.iter().all(|l| setter.width(l) <= width || l.chars().count() == 1), "{lines:?}");
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            assert_eq!(letters(&lines.concat()), letters(text));
        }
    }

    #[test]
    fn too_many_lines_end_in_an_ellipsis() {
        let setter = Typesetter::new();
        let lines = setter.wrap(&"word ".repeat(50), 100.0, 3);
        assert_eq!(lines.len(), 3);
        assert!(lines[2].ends_with('…') && setter.width(&lines[2]) <= 100.0);
        assert_eq!(setter.wrap("", 100.0, 3), Vec::<String>::new());
    }

    #[test]
    fn any_text_anywhere_is_drawn_without_fuss() {
        let setter = Typesetter::new();
        let mut image = RgbImage::from_pixel(40, 20, Rgb([255; 3]));
        for (x, y) in [(0, 0), (35, 15), (1000, 1000)] {
            setter.draw(&mut image, x, y, "äЖ호🐯\u{0}\u{301}\u{202E}");
        }
        assert!(image.pixels().any(|p| p.0[0] < 100), "no ink");
    }
}

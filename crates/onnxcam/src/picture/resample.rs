//! Antialiased resizing of 8-bit RGB, equal to Pillow's to the last bit.
//!
//! The picture that a network was trained on came out of Pillow (torchvision, timm, most others), and one level
//! of 255 is 0.017 once divided by a standard deviation of 0.23. So the arithmetic is Pillow's: the filter is
//! stretched by the reduction, its weights are held with 22 fractional bits, and rows and columns are done one after
//! the other, each rounded to 8 bits.

use std::ops::Range;

use image::RgbImage;

use super::Filter;

/// Fractional bits of a weight: 32, less 8 for the sample and 2 for the lobes and the sign.
const WEIGHT_BITS: u32 = 22;

/// All of `source` resized to `width` × `height` pixels; none of the four may be 0.
pub(crate) fn resize(source: &RgbImage, (width, height): (u32, u32), filter: Filter) -> RgbImage {
    resize_part(source, (width.into(), height.into()), 0..width.into(), 0..height.into(), filter)
}

/// The part `columns` × `rows` of `source` resized to `width` × `height` pixels.
///
/// Only that part is computed, so a picture of 1 × 60,000 pixels costs no more than another.
/// Neither `source` nor the part may be empty, and the part lies inside the resized picture.
pub(super) fn resize_part(
    source: &RgbImage,
    (width, height): (u64, u64),
    columns: Range<u64>,
    rows: Range<u64>,
    filter: Filter,
) -> RgbImage {
    let across = Taps::new(source.width(), width, columns, filter);
    let down = Taps::new(source.height(), height, rows, filter);
    if vertical_first(source.dimensions(), (width, height)) {
        let used = across.span();
        resize_rows(&resize_columns(source, used.clone(), &down), 0..down.len(), &across.from(used.start))
    } else {
        let used = down.span();
        resize_columns(&resize_rows(source, used.clone(), &across), 0..across.len(), &down.from(used.start))
    }
}

/// The pass that comes first is rounded before the other sees it, so the order shows. Pillow's, since 13.0:
/// columns first where the height loses more than twice the pixels that the width does. (Older ones always began
/// with the rows, which differs for stretched and for very tall pictures only.)
fn vertical_first(from: (u32, u32), to: (u64, u64)) -> bool {
    let lost = |from: u32, to: u64| i64::from(from) - to as i64;
    let (width, height) = (lost(from.0, to.0), lost(from.1, to.1));
    height > 0 && height > 2 * width
}

/// For each output position: the first input position it reads, and one weight per input position.
struct Taps {
    starts: Vec<usize>,
    ends: Vec<usize>, // into `weights`; the beginning is the previous end
    weights: Vec<i32>,
}

impl Taps {
    /// Resizing `input` samples to `output`, for the output positions `part`.
    fn new(input: u32, output: u64, part: Range<u64>, filter: Filter) -> Taps {
        let input_len = i64::from(input);
        let ratio = f64::from(input) / output as f64;
        let stretch = ratio.max(1.0);
        let reach = filter.support() * stretch;
        let mut taps = Taps { starts: Vec::new(), ends: Vec::new(), weights: Vec::new() };
        let mut exact = Vec::new();
        for position in part {
            let centre = (position as f64 + 0.5) * ratio;
            // Truncation towards zero, as in C.
            let start = ((centre - reach + 0.5) as i64).clamp(0, input_len - 1);
            let end = ((centre + reach + 0.5) as i64).clamp(start + 1, input_len);
            exact.clear();
            exact.extend((start..end).map(|i| filter.weight((i as f64 - centre + 0.5) / stretch)));
            let sum: f64 = exact.iter().sum();
            let unit = if sum == 0.0 { 1.0 } else { sum };
            taps.starts.push(start as usize);
            taps.weights.extend(exact.iter().map(|w| fixed(w / unit)));
            taps.ends.push(taps.weights.len());
        }
        taps
    }

    /// For an input whose first sample is the one at `origin`.
    fn from(mut self, origin: usize) -> Taps {
        self.starts.iter_mut().for_each(|start| *start -= origin);
        self
    }

    fn len(&self) -> usize {
        self.starts.len()
    }

    /// Start in the input and weights, one entry per output position.
    fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        self.starts.iter().zip(begins.zip(&self.ends)).map(|(&start, (begin, &end))| (start, &self.weights[begin..end]))
    }

    /// The input positions that are read at all.
    fn span(&self) -> Range<usize> {
        let start = self.starts.iter().copied().min().unwrap_or(0);
        let end = self.iter().map(|(start, weights)| start + weights.len()).max().unwrap_or(0);
        start..end
    }
}

/// Rounds half away from zero.
fn fixed(weight: f64) -> i32 {
    (weight * f64::from(1 << WEIGHT_BITS)).round() as i32
}

/// A sum of weighted samples that began at one half, as 8 bits.
fn sample(sum: i32) -> u8 {
    (sum >> WEIGHT_BITS).clamp(0, 255) as u8
}

const HALF: i32 = 1 << (WEIGHT_BITS - 1);

/// `rows` of `source`, each resized.
fn resize_rows(source: &RgbImage, rows: Range<usize>, across: &Taps) -> RgbImage {
    let mut out = RgbImage::new(across.len() as u32, rows.len() as u32);
    let (stride, out_stride) = (source.width() as usize * 3, across.len() * 3);
    let source_rows = source.as_raw().chunks_exact(stride).skip(rows.start);
    for (row, target) in source_rows.zip(out.chunks_exact_mut(out_stride)) {
        for ((start, weights), pixel) in across.iter().zip(target.chunks_exact_mut(3)) {
            let (mut r, mut g, mut b) = (HALF, HALF, HALF);
            for (from, &weight) in row[start * 3..].chunks_exact(3).zip(weights) {
                r += i32::from(from[0]) * weight;
                g += i32::from(from[1]) * weight;
                b += i32::from(from[2]) * weight;
            }
            pixel.copy_from_slice(&[sample(r), sample(g), sample(b)]);
        }
    }
    out
}

/// `columns` of `source`, each resized.
fn resize_columns(source: &RgbImage, columns: Range<usize>, down: &Taps) -> RgbImage {
    let mut out = RgbImage::new(columns.len() as u32, down.len() as u32);
    let (stride, out_stride) = (source.width() as usize * 3, columns.len() * 3);
    let mut sums = vec![HALF; out_stride];
    for ((start, weights), target) in down.iter().zip(out.chunks_exact_mut(out_stride)) {
        sums.fill(HALF);
        for (row, &weight) in source.as_raw().chunks_exact(stride).skip(start).zip(weights) {
            for (sum, &value) in sums.iter_mut().zip(&row[columns.start * 3..]) {
                *sum += i32::from(value) * weight;
            }
        }
        for (value, &sum) in target.iter_mut().zip(&sums) {
            *value = sample(sum);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sums of weighted samples stay within 32 bits, whatever the sizes: Σ|w| is below 2^31 / (255 · 2^22).
    #[test]
    fn sums_cannot_overflow() {
        for filter in Filter::ALL {
            for input in [1, 2, 3, 5, 7, 13, 100, 451, 65_535] {
                for output in [1u64, 2, 3, 7, 14, 256, 1000, 70_000] {
                    let part = 0..output.min(300);
                    for (_, weights) in Taps::new(input, output, part, filter).iter() {
                        let sum: i64 = weights.iter().map(|&w| i64::from(w).abs() * 255).sum();
                        assert!(sum + i64::from(HALF) < i64::from(i32::MAX), "{filter} {input} -> {output}");
                    }
                }
            }
        }
    }

    #[test]
    fn same_size_is_the_same_picture() {
        let picture = RgbImage::from_fn(7, 5, |x, y| image::Rgb([(x * 36) as u8, (y * 50) as u8, (x * y) as u8]));
        for filter in Filter::ALL {
            assert_eq!(resize_part(&picture, (7, 5), 0..7, 0..5, filter), picture, "{filter}");
        }
    }

    #[test]
    fn a_part_is_cut_from_the_whole() {
        let picture = RgbImage::from_fn(31, 17, |x, y| image::Rgb([(x * 8) as u8, (y * 15) as u8, (x * y) as u8]));
        for filter in Filter::ALL {
            // Rows first, columns first.
            for size in [(20, 23), (35, 13)] {
                let whole = resize_part(&picture, size, 0..size.0, 0..size.1, filter);
                let part = resize_part(&picture, size, 3..11, 5..12, filter);
                let cut = image::imageops::crop_imm(&whole, 3, 5, 8, 7).to_image();
                assert_eq!(part, cut, "{filter} {size:?}");
            }
        }
    }

    /// A one-pixel checkerboard must fade to grey; without antialiasing it would turn into stripes.
    #[test]
    fn reduction_averages() {
        let board = RgbImage::from_fn(400, 400, |x, y| image::Rgb([if (x + y) % 2 == 0 { 255 } else { 0 }; 3]));
        for filter in Filter::ALL {
            let small = resize_part(&board, (40, 40), 0..40, 0..40, filter);
            assert!(small.iter().all(|v| (126..=129).contains(v)), "{filter}");
        }
    }
}

//! Antialiased resizing of 8-bit RGB, equal to Pillow's to the last bit.
//!
//! The picture that a network was trained on came out of Pillow (torchvision, timm, most others), and one level
//! of 255 is 0.017 once divided by a standard deviation of 0.23. So the arithmetic is Pillow's: the filter is
//! stretched by the reduction, its weights are held with 22 fractional bits, rows are done before columns, and
//! the result of each pass is rounded to 8 bits.

use std::ops::Range;

use image::RgbImage;

use super::Filter;

/// Fractional bits of a weight: 32, less 8 for the sample and 2 for the lobes and the sign.
const WEIGHT_BITS: u32 = 22;

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
    let used = down.span();
    let narrow = resize_rows(source, used.clone(), &across);
    resize_columns(&narrow, across.len(), used.start, &down)
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
        let mut taps = Taps {
            starts: Vec::new(),
            ends: Vec::new(),
            weights: Vec::new(),
        };
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

    fn len(&self) -> usize {
        self.starts.len()
    }

    /// Start in the input and weights, one entry per output position.
    fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        self.starts
            .iter()
            .zip(begins.zip(&self.ends))
            .map(|(&start, (begin, &end))| (start, &self.weights[begin..end]))
    }

    /// The input positions that are read at all.
    fn span(&self) -> Range<usize> {
        let start = self.starts.iter().copied().min().unwrap_or(0);
        let end = self
            .iter()
            .map(|(start, weights)| start + weights.len())
            .max()
            .unwrap_or(0);
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

/// `rows` of `source`, each resized; interleaved RGB.
fn resize_rows(source: &RgbImage, rows: Range<usize>, across: &Taps) -> Vec<u8> {
    let stride = source.width() as usize * 3;
    let mut out = Vec::with_capacity(rows.len() * across.len() * 3);
    for row in source
        .as_raw()
        .chunks_exact(stride)
        .skip(rows.start)
        .take(rows.len())
    {
        for (start, weights) in across.iter() {
            let (mut r, mut g, mut b) = (HALF, HALF, HALF);
            for (pixel, &weight) in row[start * 3..].chunks_exact(3).zip(weights) {
                r += i32::from(pixel[0]) * weight;
                g += i32::from(pixel[1]) * weight;
                b += i32::from(pixel[2]) * weight;
            }
            out.extend([sample(r), sample(g), sample(b)]);
        }
    }
    out
}

/// Columns of `narrow`, whose first row is row `first` of the source.
fn resize_columns(narrow: &[u8], width: usize, first: usize, down: &Taps) -> RgbImage {
    let stride = width * 3;
    let mut out = RgbImage::new(width as u32, down.len() as u32);
    let mut sums = vec![HALF; stride];
    for ((start, weights), target) in down.iter().zip(out.chunks_exact_mut(stride)) {
        sums.fill(HALF);
        for (row, &weight) in narrow.chunks_exact(stride).skip(start - first).zip(weights) {
            for (sum, &value) in sums.iter_mut().zip(row) {
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
                        assert!(
                            sum + i64::from(HALF) < i64::from(i32::MAX),
                            "{filter} {input} -> {output}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn same_size_is_the_same_picture() {
        let picture = RgbImage::from_fn(7, 5, |x, y| {
            image::Rgb([(x * 36) as u8, (y * 50) as u8, (x * y) as u8])
        });
        for filter in Filter::ALL {
            assert_eq!(
                resize_part(&picture, (7, 5), 0..7, 0..5, filter),
                picture,
                "{filter}"
            );
        }
    }

    #[test]
    fn a_part_is_cut_from_the_whole() {
        let picture = RgbImage::from_fn(31, 17, |x, y| {
            image::Rgb([(x * 8) as u8, (y * 15) as u8, (x * y) as u8])
        });
        for filter in Filter::ALL {
            let whole = resize_part(&picture, (20, 23), 0..20, 0..23, filter);
            let part = resize_part(&picture, (20, 23), 3..11, 5..22, filter);
            let cut = image::imageops::crop_imm(&whole, 3, 5, 8, 17).to_image();
            assert_eq!(part, cut, "{filter}");
        }
    }

    /// A one-pixel checkerboard must fade to grey; without antialiasing it would turn into stripes.
    #[test]
    fn reduction_averages() {
        let board = RgbImage::from_fn(400, 400, |x, y| {
            image::Rgb([if (x + y) % 2 == 0 { 255 } else { 0 }; 3])
        });
        for filter in Filter::ALL {
            let small = resize_part(&board, (40, 40), 0..40, 0..40, filter);
            assert!(small.iter().all(|v| (126..=129).contains(v)), "{filter}");
        }
    }
}

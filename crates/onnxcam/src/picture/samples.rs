//! From the samples that codecs give to 8-bit RGB.

/// What is said where alpha was composed.
pub(super) const OVER_WHITE: &str = "alpha composed over white";

/// What is said where 16-bit samples were scaled.
pub(super) const SCALED: &str = "16-bit samples scaled to 8 bits";

/// 0..=65535 to 0..=255, rounded: a scaling, where Pillow clips 16-bit grey to white.
pub(super) fn eight_bits(sample: u16) -> u8 {
    ((u32::from(sample) + 128) / 257) as u8
}

/// One sample of a pixel of this opacity, over white: c·a + 255·(1 − a), rounded.
pub(super) fn over_white(sample: u8, alpha: u8) -> u8 {
    let alpha = u32::from(alpha);
    ((u32::from(sample) * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}

/// Grey to RGB.
pub(super) fn grey(samples: &[u8]) -> Vec<u8> {
    samples.iter().flat_map(|&v| [v; 3]).collect()
}

/// RGB of grey with alpha (2 channels) or RGBA (4) over white; and whether anything was transparent.
pub(super) fn without_alpha(samples: &[u8], channels: usize) -> (Vec<u8>, bool) {
    let mut transparent = false;
    let mut rgb = Vec::with_capacity(samples.len() / channels * 3);
    for pixel in samples.chunks_exact(channels) {
        let alpha = pixel[channels - 1];
        transparent |= alpha < 255;
        rgb.extend(match *pixel {
            [r, g, b, _] => [r, g, b].map(|v| over_white(v, alpha)),
            _ => [over_white(pixel[0], alpha); 3],
        });
    }
    (rgb, transparent)
}

/// Inks to light, as Pillow has it: each colour is what neither its ink nor black takes away.
pub(super) fn cmyk([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    let light = 255 - u32::from(k);
    [c, m, y].map(|ink| (light - (u32::from(ink) * light + 127) / 255) as u8)
}

//! Any bytes as a NumPy array: whole, and row by row, which must agree.
#![no_main]

use libfuzzer_sys::fuzz_target;
use onnxcam::heatmap::{NpyReader, read_npy};

fuzz_target!(|bytes: &[u8]| {
    onnxcam_fuzz::with_file("npy", bytes, |path| {
        let whole = read_npy(path);
        let Ok(mut reader) = NpyReader::open(path) else { return };
        let Some(&rows) = reader.shape().first() else { return };
        let Ok(whole) = whole else { return };
        for row in (0..rows).take(4) {
            let part = reader.rows(row..row + 1).expect("the whole could be read");
            let same = whole
                .outer_iter()
                .nth(row)
                .is_some_and(|expected| expected.iter().map(|v| v.to_bits()).eq(part.iter().map(|v| v.to_bits())));
            assert!(same, "row {row}");
        }
    });
});

//! Any bytes as a picture of any format.
#![no_main]

use libfuzzer_sys::fuzz_target;
use onnxcam::picture::{MAX_PIXELS, Picture};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(picture) = Picture::decode(bytes, "fuzzed") {
        let (width, height) = picture.size();
        assert!(width > 0 && height > 0 && u64::from(width) * u64::from(height) <= MAX_PIXELS);
    }
});

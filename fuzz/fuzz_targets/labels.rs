//! Any bytes as a file of class names, and names found among them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use onnxcam::model::Labels;

fuzz_target!(|bytes: &[u8]| {
    onnxcam_fuzz::with_file("txt", bytes, |path| {
        let Ok(labels) = Labels::from_file(path) else { return };
        assert!(!labels.is_empty());
        for index in 0..labels.len().min(4) {
            let shown = labels.display(index).into_owned();
            assert!(!shown.chars().any(char::is_control), "{shown:?}");
            let _ = labels.find(&shown);
        }
        let _ = labels.find("tabby");
    });
});

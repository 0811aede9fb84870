//! Any bytes as a PyTorch checkpoint: its table is read, and tensors of the names and shapes that the seeds have.
#![no_main]

use libfuzzer_sys::fuzz_target;
use onnxcam::model::checkpoint::Checkpoint;

const TENSORS: &[(&str, &[usize])] =
    &[("conv.weight", &[2, 3, 1, 2]), ("conv.bias", &[2]), ("view.transposed", &[2, 4]), ("half.weight", &[3])];

fuzz_target!(|bytes: &[u8]| {
    onnxcam_fuzz::with_file("pth", bytes, |path| {
        let Ok(mut checkpoint) = Checkpoint::open(path) else { return };
        for (name, shape) in TENSORS {
            if let Ok(values) = checkpoint.take(name, shape) {
                assert_eq!(values.len(), shape.iter().product::<usize>());
            }
        }
        let _ = checkpoint.finish();
    });
});

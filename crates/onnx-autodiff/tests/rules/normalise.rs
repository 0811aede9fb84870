use onnx_graph::Attributes;

use crate::{a, check, n, w, w_positive, x};

fn lrn(size: i64, alpha: f32, beta: f32, bias: f32) -> Attributes {
    a().with("size", size).with("alpha", alpha).with("beta", beta).with("bias", bias)
}

check! {
    BatchNormalization: [n([2, 3, 4, 5]), w([3]), w([3]), w([3]), w_positive([3])] {a().with("epsilon", 1e-5f32)},
        [n([2, 3]), w([3]), w([3]), w([3]), w_positive([3])] {a().with("epsilon", 0.1f32)},
        [n([1, 3, 4]), w([3]), w([3]), w([3]), w_positive([3])] {a().with("epsilon", 1e-3f32)},
        [x([2, 1, 2, 2, 2]), w([1]), w([1]), w([1]), w_positive([1])] {a().with("epsilon", 1e-3f32)};
    LRN: [n([2, 7, 2, 3])] {lrn(5, 0.3, 0.75, 1.0)} ! "it has no LRN", [n([2, 4, 3])] {lrn(4, 0.5, 0.5, 2.0)} ! "it has no LRN",
        [n([2, 3, 2, 2])] {lrn(9, 1.0, 1.5, 0.5)} ! "it has no LRN", [n([2, 3, 2, 2])] {lrn(1, 1.0, 0.75, 1.0)} ! "it has no LRN",
        [n([2, 5, 2, 1, 2])] {lrn(2, 1.0, 0.75, 1.0)} ! "it has no LRN";
    Softmax: [n([2, 5])] {a().with("axis", 1i64)}, [n([2, 5, 3])] {a().with("axis", 1i64)}, [n([2, 5, 3])] {a().with("axis", 2i64)},
        [x([4, 3])] {a().with("axis", 0i64)}, [x([5])] {a().with("axis", 0i64)};
    LogSoftmax: [n([2, 5])] {a().with("axis", 1i64)}, [n([2, 5, 3])] {a().with("axis", 1i64)}, [n([2, 5, 3])] {a().with("axis", 2i64)},
        [x([4, 3])] {a().with("axis", 0i64)}, [x([5])] {a().with("axis", 0i64)};
}

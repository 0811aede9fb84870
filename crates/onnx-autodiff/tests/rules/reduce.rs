use onnx_graph::Attributes;

use crate::{a, check, distinct, n, x};

fn over(axes: &[i64], keep: bool) -> Attributes {
    a().with("axes", axes.to_vec()).with("keepdims", keep)
}

check! {
    ReduceSum: [n([2, 3, 4, 5])] {over(&[2, 3], true)}, [n([2, 3, 4, 5])] {over(&[2, 3], false)}, [n([2, 3, 4])] {over(&[1], false)},
        [n([2, 3, 4])] {over(&[0], true)}, [x([2, 3])] {over(&[0, 1], false)}, [n([2, 3, 4])] {over(&[0, 2], false)}, [x([4])] {over(&[0], false)};
    ReduceMean: [n([2, 3, 4, 5])] {over(&[2, 3], true)}, [n([2, 3, 4, 5])] {over(&[2, 3], false)}, [n([2, 3, 4])] {over(&[1], false)},
        [x([2, 3, 4])] {over(&[0], true)}, [x([2, 3])] {over(&[0, 1], false)}, [x([2, 3, 4])] {over(&[0, 2], false)}, [x([4])] {over(&[0], false)};
    ReduceMax: [distinct([2, 3, 4, 5])] {over(&[2, 3], true)}, [distinct([2, 3, 4, 5])] {over(&[2, 3], false)},
        [distinct([2, 3, 4])] {over(&[1], false)}, [distinct([2, 3, 4])] {over(&[0], true)}, [distinct([2, 3])] {over(&[0, 1], false)};
    ReduceMin: [distinct([2, 3, 4, 5])] {over(&[2, 3], true)}, [distinct([2, 3, 4, 5])] {over(&[2, 3], false)},
        [distinct([2, 3, 4])] {over(&[1], false)}, [distinct([2, 3, 4])] {over(&[0], true)}, [distinct([2, 3])] {over(&[0, 1], false)};
    CumSum: [n([2, 4])] {sums(1, false, false)}, [n([2, 4, 3])] {sums(1, true, false)}, [x([3, 2])] {sums(0, false, true)},
        [n([2, 4])] {sums(1, true, true)}, [x([1])] {sums(0, true, false)};
}

/// Axis, `exclusive`, `reverse`.
fn sums(axis: i64, exclusive: bool, reverse: bool) -> onnx_graph::Attributes {
    a().with("axis", axis).with("exclusive", exclusive).with("reverse", reverse)
}

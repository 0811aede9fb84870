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
}

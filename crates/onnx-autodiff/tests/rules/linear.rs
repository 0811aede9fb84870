use onnx_graph::Attributes;

use crate::{a, check, n, w, x};

fn gemm(trans_a: bool, trans_b: bool, alpha: f32, beta: f32) -> Attributes {
    a().with("transA", trans_a).with("transB", trans_b).with("alpha", alpha).with("beta", beta)
}

check! {
    MatMul: [n([3, 4]), x([4, 5])], [n([3, 4]), w([4, 5])], [w([3, 4]), x([4, 5])], [x([4]), x([4])], [x([4]), x([4, 5])],
        [n([3, 4]), x([4])], [n([2, 3, 4]), n([2, 4, 5])], [n([2, 3, 4]), x([4, 5])], [x([3, 4]), n([2, 4, 5])],
        [x([2, 1, 3, 4]), x([5, 4, 2])], [x([4]), n([2, 4, 5])], [n([2, 3, 4]), x([4])], [x([1, 3, 4]), n([2, 4, 1])],
        [n([2, 2, 3, 4]), x([4])] ! "it leaves an axis of 1";
    Gemm: [n([3, 4]), x([4, 5]), x([5])] {gemm(false, false, 1.0, 1.0)}, [n([3, 4]), x([5, 4]), x([5])] {gemm(false, true, 1.0, 1.0)},
        [x([4, 3]), x([4, 5]), x([5])] {gemm(true, false, 1.0, 1.0)}, [x([4, 3]), x([5, 4]), x([5])] {gemm(true, true, 1.0, 1.0)},
        [n([3, 4]), x([4, 5]), n([3, 5])] {gemm(false, false, 0.5, 2.0)}, [n([3, 4]), x([5, 4]), n([3, 1])] {gemm(false, true, -1.5, 0.25)},
        [x([4, 3]), x([4, 5]), x([1, 5])] {gemm(true, false, 2.0, -1.0)}, [x([4, 3]), x([5, 4]), x([])] {gemm(true, true, 0.5, 3.0)},
        [n([3, 4]), x([4, 5]), x([1])] {gemm(false, false, 1.0, 0.0)}, [n([3, 4]), x([4, 5])] {gemm(false, false, 0.5, 1.0)},
        [n([3, 4]), w([5, 4]), w([5])] {gemm(false, true, 1.0, 1.0)};
}

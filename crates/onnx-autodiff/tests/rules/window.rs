use onnx_graph::Attributes;

use crate::{a, check, distinct, n, w};

fn windows(kernel: &[i64], strides: &[i64], dilations: &[i64], pads: &[i64]) -> Attributes {
    let lists = [("kernel_shape", kernel), ("strides", strides), ("dilations", dilations), ("pads", pads)];
    lists.into_iter().fold(a(), |a, (name, list)| a.with(name, list.to_vec()))
}

/// Kernel, strides, dilations, pads, groups.
fn conv(kernel: &[i64], strides: &[i64], dilations: &[i64], pads: &[i64], group: i64) -> Attributes {
    windows(kernel, strides, dilations, pads).with("group", group)
}

/// The same and `output_padding`.
fn transposed(
    kernel: &[i64],
    strides: &[i64],
    dilations: &[i64],
    pads: &[i64],
    group: i64,
    more: &[i64],
) -> Attributes {
    conv(kernel, strides, dilations, pads, group).with("output_padding", more.to_vec())
}

/// Kernel, strides, dilations, pads, `ceil_mode`.
fn max(kernel: &[i64], strides: &[i64], dilations: &[i64], pads: &[i64], ceil: bool) -> Attributes {
    windows(kernel, strides, dilations, pads).with("ceil_mode", ceil)
}

/// The same and `count_include_pad`.
fn mean(kernel: &[i64], strides: &[i64], dilations: &[i64], pads: &[i64], ceil: bool, include: bool) -> Attributes {
    max(kernel, strides, dilations, pads, ceil).with("count_include_pad", include)
}

check! {
    Conv:
        // Stride 1: plain, no bias, padded, asymmetric, dilated, 1 × 1, even kernels.
        [n([2, 3, 7, 6]), w([4, 3, 3, 3]), w([4])] {conv(&[3, 3], &[1, 1], &[1, 1], &[1, 1, 1, 1], 1)},
        [n([2, 3, 7, 6]), w([4, 3, 3, 3])] {conv(&[3, 3], &[1, 1], &[1, 1], &[0, 0, 0, 0], 1)},
        [n([2, 3, 7, 6]), w([4, 3, 3, 2])] {conv(&[3, 2], &[1, 1], &[1, 1], &[0, 1, 2, 0], 1)},
        [n([2, 3, 9, 8]), w([4, 3, 3, 3])] {conv(&[3, 3], &[1, 1], &[2, 3], &[2, 0, 1, 3], 1)},
        [n([2, 3, 5, 5]), w([4, 3, 1, 1])] {conv(&[1, 1], &[1, 1], &[1, 1], &[0, 0, 0, 0], 1)},
        [n([2, 3, 5, 6]), w([4, 3, 2, 4])] {conv(&[2, 4], &[1, 1], &[1, 1], &[0, 1, 1, 2], 1)},
        // Padding beyond the kernel's reach: the outermost outputs see nothing of X.
        [n([2, 2, 4, 4]), w([3, 2, 1, 1]), w([3])] {conv(&[1, 1], &[1, 1], &[1, 1], &[1, 1, 1, 1], 1)},
        [n([2, 2, 4, 4]), w([3, 2, 3, 2])] {conv(&[3, 2], &[1, 1], &[1, 1], &[3, 0, 4, 2], 1)},
        [n([2, 2, 4, 4]), w([3, 2, 2, 2])] {conv(&[2, 2], &[2, 3], &[1, 1], &[3, 2, 4, 2], 1)},
        [n([2, 2, 4, 4]), w([3, 2, 1, 1])] {conv(&[1, 1], &[2, 2], &[1, 1], &[1, 1, 1, 1], 1)},
        // Groups: two, depthwise, depthwise with a multiplier, O/g > 1; with strides.
        [n([2, 4, 5, 6]), w([6, 2, 3, 3]), w([6])] {conv(&[3, 3], &[1, 1], &[1, 1], &[1, 1, 1, 1], 2)},
        [n([2, 4, 5, 6]), w([4, 1, 3, 3])] {conv(&[3, 3], &[1, 1], &[1, 1], &[1, 1, 1, 1], 4)},
        [n([2, 3, 5, 6]), w([6, 1, 3, 3])] {conv(&[3, 3], &[1, 1], &[1, 1], &[1, 0, 1, 0], 3)},
        [n([2, 6, 4, 4]), w([3, 2, 3, 3])] {conv(&[3, 3], &[1, 1], &[1, 1], &[1, 1, 1, 1], 3)},
        [n([2, 4, 7, 6]), w([6, 2, 3, 3])] {conv(&[3, 3], &[2, 2], &[1, 1], &[1, 1, 1, 1], 2)},
        [n([2, 4, 7, 6]), w([4, 1, 5, 3])] {conv(&[5, 3], &[2, 2], &[1, 1], &[2, 1, 2, 1], 4)},
        [n([2, 3, 6, 6]), w([9, 1, 3, 3])] {conv(&[3, 3], &[2, 1], &[1, 2], &[0, 2, 1, 2], 3)},
        // Strides: odd and even sizes, mixed, cells that no window reaches, beyond the kernel, dilated, large kernels.
        [n([2, 3, 7, 7]), w([4, 3, 3, 3]), w([4])] {conv(&[3, 3], &[2, 2], &[1, 1], &[1, 1, 1, 1], 1)},
        [n([2, 3, 8, 8]), w([4, 3, 3, 3])] {conv(&[3, 3], &[2, 2], &[1, 1], &[1, 1, 1, 1], 1)},
        [n([2, 3, 8, 9]), w([4, 3, 3, 3])] {conv(&[3, 3], &[1, 3], &[1, 1], &[0, 1, 1, 0], 1)},
        [n([2, 3, 9, 8]), w([4, 3, 2, 1])] {conv(&[2, 1], &[4, 3], &[1, 1], &[0, 0, 0, 0], 1)},
        [n([2, 3, 8, 8]), w([4, 3, 1, 1])] {conv(&[1, 1], &[2, 2], &[1, 1], &[0, 0, 0, 0], 1)},
        [n([2, 2, 11, 10]), w([3, 2, 3, 3])] {conv(&[3, 3], &[2, 3], &[2, 3], &[2, 3, 1, 0], 1)},
        [n([1, 3, 15, 16]), w([2, 3, 7, 7])] {conv(&[7, 7], &[2, 2], &[1, 1], &[3, 3, 3, 3], 1)},
        [n([1, 2, 16, 16]), w([2, 2, 11, 11])] {conv(&[11, 11], &[4, 4], &[1, 1], &[2, 2, 2, 2], 1)},
        [n([1, 2, 3, 3]), w([2, 2, 3, 3])] {conv(&[3, 3], &[5, 5], &[1, 1], &[0, 0, 0, 0], 1)},
        // One and three axes.
        [n([2, 3, 9]), w([4, 3, 3]), w([4])] {conv(&[3], &[1], &[2], &[2, 1], 1)},
        [n([2, 4, 9]), w([4, 2, 4])] {conv(&[4], &[3], &[1], &[0, 2], 2)},
        [n([1, 2, 4, 3, 5]), w([3, 2, 2, 1, 3])] {conv(&[2, 1, 3], &[1, 1, 1], &[1, 1, 2], &[1, 0, 0, 0, 0, 2], 1)} ! "three axes",
        [n([1, 2, 4, 3, 5]), w([2, 1, 2, 1, 3])] {conv(&[2, 1, 3], &[2, 1, 2], &[1, 1, 1], &[1, 0, 1, 0, 0, 1], 2)} ! "three axes";
    ConvTranspose:
        [n([2, 3, 4, 5]), w([3, 4, 3, 3]), w([4])] {transposed(&[3, 3], &[1, 1], &[1, 1], &[0, 0, 0, 0], 1, &[0, 0])},
        [n([2, 3, 4, 5]), w([3, 4, 3, 3])] {transposed(&[3, 3], &[2, 2], &[1, 1], &[1, 1, 1, 1], 1, &[1, 0])},
        [n([2, 4, 4, 3]), w([4, 3, 2, 3])] {transposed(&[2, 3], &[2, 3], &[1, 2], &[0, 1, 1, 2], 2, &[0, 2])},
        [n([2, 4, 3, 3]), w([4, 1, 4, 4])] {transposed(&[4, 4], &[2, 2], &[1, 1], &[1, 1, 1, 1], 4, &[0, 0])},
        [n([2, 2, 4, 4]), w([2, 3, 3, 3])] {transposed(&[3, 3], &[1, 2], &[3, 4], &[0, 0, 0, 0], 1, &[2, 3])},
        [n([2, 3, 5]), w([3, 2, 3])] {transposed(&[3], &[2], &[1], &[1, 0], 1, &[1])},
        [n([1, 2, 3, 2, 2]), w([2, 2, 2, 2, 1])] {transposed(&[2, 2, 1], &[2, 1, 1], &[1, 1, 1], &[0, 0, 0, 1, 0, 0], 1, &[1, 0, 0])} ! "three axes";
    MaxPool:
        // Halving, overlapping, padded (asymmetrically), stride 1, stride beyond the kernel, odd sizes.
        [distinct([2, 3, 6, 6])] {max(&[2, 2], &[2, 2], &[1, 1], &[0, 0, 0, 0], false)},
        [distinct([2, 3, 7, 9])] {max(&[3, 3], &[2, 2], &[1, 1], &[0, 0, 0, 0], false)},
        [distinct([2, 3, 7, 8])] {max(&[3, 3], &[2, 2], &[1, 1], &[1, 1, 1, 1], false)},
        [distinct([2, 2, 5, 6])] {max(&[3, 2], &[1, 1], &[1, 1], &[2, 0, 0, 1], false)},
        [distinct([2, 2, 9, 8])] {max(&[2, 1], &[3, 4], &[1, 1], &[0, 0, 0, 0], false)},
        [distinct([2, 2, 5, 5])] {max(&[5, 5], &[1, 1], &[1, 1], &[2, 2, 2, 2], false)},
        [distinct([2, 2, 5, 7])] {max(&[2, 2], &[2, 2], &[1, 1], &[0, 0, 0, 0], false)},
        [distinct([2, 2, 1, 1])] {max(&[1, 1], &[1, 1], &[1, 1], &[0, 0, 0, 0], false)},
        // ceil_mode: the last window runs over, or starts in the end padding and is dropped.
        [distinct([2, 3, 6, 7])] {max(&[3, 3], &[2, 2], &[1, 1], &[0, 0, 0, 0], true)},
        [distinct([2, 3, 6, 5])] {max(&[3, 2], &[2, 3], &[1, 1], &[1, 0, 1, 1], true)},
        [distinct([1, 1, 2, 2])] {max(&[1, 1], &[2, 2], &[1, 1], &[0, 0, 0, 0], true)},
        [distinct([2, 2, 3, 5])] {max(&[2, 2], &[3, 4], &[1, 1], &[1, 1, 1, 1], true)},
        // Dilated; one and three axes.
        [distinct([2, 2, 9, 8])] {max(&[3, 2], &[1, 2], &[2, 3], &[2, 0, 1, 0], false)} ! "it has no dilated MaxPool",
        [distinct([2, 3, 9])] {max(&[3], &[2], &[1], &[1, 0], false)}, [distinct([2, 3, 8])] {max(&[3], &[3], &[1], &[0, 0], true)},
        [distinct([1, 2, 4, 3, 5])] {max(&[2, 2, 3], &[2, 1, 2], &[1, 1, 1], &[0, 1, 1, 0, 0, 1], false)} ! "three axes";
    AveragePool:
        [n([2, 3, 6, 6])] {mean(&[2, 2], &[2, 2], &[1, 1], &[0, 0, 0, 0], false, false)},
        [n([2, 3, 7, 9])] {mean(&[3, 3], &[2, 2], &[1, 1], &[0, 0, 0, 0], false, false)},
        [n([2, 3, 7, 8])] {mean(&[3, 3], &[2, 2], &[1, 1], &[1, 1, 1, 1], false, false)},
        [n([2, 3, 7, 8])] {mean(&[3, 3], &[2, 2], &[1, 1], &[1, 1, 1, 1], false, true)},
        [n([2, 2, 5, 6])] {mean(&[3, 2], &[1, 1], &[1, 1], &[2, 0, 0, 1], false, false)},
        [n([2, 2, 5, 6])] {mean(&[3, 2], &[1, 1], &[1, 1], &[2, 0, 0, 1], false, true)},
        [n([2, 2, 9, 8])] {mean(&[2, 1], &[3, 4], &[1, 1], &[0, 0, 0, 0], false, false)},
        [n([2, 3, 6, 7])] {mean(&[3, 3], &[2, 2], &[1, 1], &[0, 0, 0, 0], true, false)},
        [n([2, 3, 6, 7])] {mean(&[3, 3], &[2, 2], &[1, 1], &[1, 0, 1, 0], true, true)},
        [n([2, 3, 6, 5])] {mean(&[3, 2], &[2, 3], &[1, 1], &[1, 0, 1, 1], true, false)},
        [n([2, 2, 3, 5])] {mean(&[2, 2], &[3, 4], &[1, 1], &[1, 1, 1, 1], true, true)},
        [n([2, 3, 4, 5])] {mean(&[4, 5], &[1, 1], &[1, 1], &[0, 0, 0, 0], false, false)},
        [n([2, 3, 4, 5])] {mean(&[4, 3], &[4, 1], &[1, 1], &[0, 0, 0, 0], false, true)},
        [n([2, 2, 9, 8])] {mean(&[3, 2], &[1, 2], &[2, 3], &[2, 0, 1, 0], false, false)} ! "it has no dilated AveragePool",
        [n([2, 2, 9, 8])] {mean(&[3, 2], &[1, 2], &[2, 3], &[2, 0, 1, 1], false, true)} ! "it has no dilated AveragePool",
        [n([2, 3, 9])] {mean(&[3], &[2], &[1], &[1, 0], false, false)}, [n([2, 3, 8])] {mean(&[3], &[3], &[1], &[0, 0], true, true)},
        [n([1, 2, 4, 3, 5])] {mean(&[2, 2, 3], &[2, 1, 2], &[1, 1, 1], &[0, 1, 1, 0, 0, 1], false, false)} ! "three axes";
    GlobalAveragePool: [n([2, 3, 4, 5])], [n([2, 3, 7])], [n([1, 2, 2, 3, 2])], [n([2, 3, 1, 1])];
    GlobalMaxPool: [distinct([2, 3, 4, 5])], [distinct([2, 3, 7])], [distinct([1, 2, 2, 3, 2])], [distinct([2, 3, 1, 1])];
}

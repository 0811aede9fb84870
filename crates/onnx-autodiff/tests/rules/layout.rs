use onnx_graph::{Attributes, Dim, Shape};

use crate::{a, check, ints, n, x};

fn shape(sizes: &[i64]) -> Shape {
    sizes.iter().map(|s| Dim::new(*s)).collect()
}

/// Axes, starts, steps and counts of a Slice.
fn slices(axes: &[i64], starts: &[i64], steps: &[i64], counts: &[i64]) -> Attributes {
    let lists = [("axes", axes), ("starts", starts), ("steps", steps), ("counts", counts)];
    lists.into_iter().fold(a(), |a, (name, list)| a.with(name, list.to_vec()))
}

fn pads(mode: &str, pads: &[i64]) -> Attributes {
    a().with("pads", pads.to_vec()).with("mode", mode).with("value", 0.7f32)
}

fn blocks(size: i64, mode: &str) -> Attributes {
    a().with("blocksize", size).with("mode", mode)
}

check! {
    Reshape: [x([2, 3, 4])] {a().with("shape", shape(&[4, 6]))}, [x([2, 3])] {a().with("shape", shape(&[1, 2, 3, 1]))},
        [x([1, 1])] {a().with("shape", shape(&[]))}, [x([])] {a().with("shape", shape(&[1]))};
    Transpose: [n([2, 3, 4])] {a().with("perm", vec![2, 0, 1])}, [n([2, 3, 4])] {a().with("perm", vec![0, 2, 1])},
        [n([2, 3, 4, 5])] {a().with("perm", vec![0, 2, 3, 1])}, [x([3])] {a().with("perm", vec![0])};
    Concat: [n([2, 3, 4]), n([2, 1, 4]), n([2, 2, 4])] {a().with("axis", 1i64)},
        [n([2, 3, 4]), n([2, 3, 1])] {a().with("axis", 2i64)}, [x([2, 3]), x([1, 3])] {a().with("axis", 0i64)},
        [x([2]), x([3]), x([1])] {a().with("axis", 0i64)}, [x([2, 3])] {a().with("axis", 1i64)};
    Split: [n([2, 5, 3])] {a().with("axis", 1i64).with("split", vec![5])},
        [n([2, 5, 3])] {a().with("axis", 1i64).with("split", vec![2, 3])},
        [x([5, 3])] {a().with("axis", 0i64).with("split", vec![1, 2, 2])};
    Slice: [n([2, 7, 5])] {slices(&[1], &[2], &[1], &[4])}, [n([2, 7, 5])] {slices(&[1], &[1], &[2], &[3])},
        [n([2, 7, 5])] {slices(&[2], &[0], &[2], &[3])}, [n([2, 7, 5])] {slices(&[1], &[6], &[-1], &[7])},
        [n([2, 7, 5])] {slices(&[1], &[5], &[-2], &[3])}, [n([2, 7, 5])] {slices(&[1, 2], &[6, 1], &[-3, 3], &[2, 2])},
        [x([7])] {slices(&[0], &[0], &[3], &[3])}, [x([7])] {slices(&[0], &[6], &[1], &[1])},
        [x([7])] {slices(&[0], &[0], &[1], &[7])}, [x([9])] {slices(&[0], &[8], &[-8], &[2])},
        [x([200])] {slices(&[0], &[3], &[100], &[2])}, [n([2, 4, 6, 6])] {slices(&[3, 2], &[1, 0], &[2, 2], &[3, 3])};
    Pad: [n([2, 3, 4])] {pads("constant", &[0, 1, 2, 0, 0, 3])}, [n([2, 3, 4])] {pads("constant", &[0, -1, 0, 0, 0, -2])},
        [n([2, 3, 4])] {pads("constant", &[0, -1, 2, 0, 1, -3])}, [x([3])] {pads("constant", &[0, 0])},
        [n([2, 5])] {pads("edge", &[0, 3, 0, 2])}, [x([2, 5])] {pads("edge", &[1, -2, 2, 4])},
        [x([3, 5])] {pads("reflect", &[2, 4, 1, 3])},
        [x([5])] {pads("reflect", &[2, -1])};
    Expand: [x([2, 1, 4])] {a().with("shape", shape(&[2, 3, 4]))},
        [x([4])] {a().with("shape", shape(&[2, 3, 4]))}, [x([])] {a().with("shape", shape(&[2, 3]))},
        [x([3, 1])] {a().with("shape", shape(&[2, 3, 4]))}, [x([1, 1])] {a().with("shape", shape(&[1, 5]))};
    Gather: [x([5, 3]), ints([4], &[1, 4, 1, -1])] {a().with("axis", 0i64)},
        [n([2, 5, 3]), ints([2, 2], &[0, -5, 3, 3])] {a().with("axis", 1i64)},
        [n([2, 5, 3]), ints([], &[-2])] {a().with("axis", 2i64)}, [x([5]), ints([2, 3], &[0, 1, 1, -4, 4, -1])] {a().with("axis", 0i64)},
        [n([2, 3, 2, 4]), ints([5], &[3, 2, 1, 0, 0])] {a().with("axis", 3i64)}, [x([5]), ints([], &[2])] {a().with("axis", 0i64)};
    Tile: [n([2, 3])] {a().with("repeats", vec![1, 3])}, [x([2, 3, 2])] {a().with("repeats", vec![2, 1, 3])},
        [x([4])] {a().with("repeats", vec![1])};
    DepthToSpace: [n([2, 8, 2, 3])] {blocks(2, "DCR")}, [n([2, 8, 2, 3])] {blocks(2, "CRD")},
        [n([1, 18, 2, 1])] {blocks(3, "DCR")}, [n([1, 18, 2, 1])] {blocks(3, "CRD")};
}

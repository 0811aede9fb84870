use onnx_autodiff::ActivationRule;
use onnx_graph::{Dim, Emit, Tensor, lower};

use super::{At, Emitted, Method, Needs, reciprocal_or_zero};

#[doc = include_str!("full_grad.md")]
#[derive(Clone, Copy, Debug)]
pub struct FullGrad;

impl Method for FullGrad {
    fn name(&self) -> &'static str {
        "full-grad"
    }

    fn title(&self) -> &'static str {
        "FullGrad"
    }

    fn description(&self) -> &'static str {
        include_str!("full_grad.md")
    }

    fn needs(&self) -> Needs {
        Needs { biases: true, ..Needs::pixels(ActivationRule::Exact) }
    }

    fn emit(&self, e: &Emit, at: &At, _: bool) -> Emitted {
        let x = at.pixels();
        let product = e.mul(x.input, x.gradient);
        let product = if x.channels == 1 { product } else { e.transpose(product, &[0, 3, 1, 2]) };
        let map = rescaled(e, product); // [N, H, W]
        // Up-sampling is linear: maps of one size are summed before.
        let mut sums: Vec<([Dim; 2], Tensor)> = Vec::new();
        for spread in at.biases() {
            let summed = rescaled(e, e.mul(spread.bias, spread.gradient)); // [N, h, w]
            let shape = e.shape(summed);
            let size = [shape[1], shape[2]];
            match sums.iter_mut().find(|(of, _)| *of == size) {
                Some((_, sum)) => *sum = e.add(*sum, summed),
                None => sums.push((size, summed)),
            }
        }
        let shape = e.shape(map);
        let up = sums.into_iter().map(|(_, sum)| lower::resize_bilinear(e, sum, shape[1], shape[2]));
        Emitted::of_map(up.fold(map, |map, up| e.add(map, up)))
    }
}

/// The magnitude of each channel, its minimum at 0 and its maximum at 1, and 0 where the two are one; summed over the channels:
/// [N, C, h, w] -> [N, h, w].
fn rescaled(e: &Emit, a: Tensor) -> Tensor {
    let a = e.abs(a);
    let low = e.reduce("ReduceMin", a, &[2, 3], true);
    let range = e.sub(e.reduce("ReduceMax", a, &[2, 3], true), low);
    e.sum_channels(e.mul(e.sub(a, low), reciprocal_or_zero(e, range)))
}

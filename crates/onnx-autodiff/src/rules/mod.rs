//! The rules, one a canonical operator, by family as in `onnx_graph::ops`.

mod elementwise;
mod indexing;
mod layout;
mod linear;
mod normalise;
mod place;
mod quantise;
mod reduce;
mod window;

use crate::vjp::Vjp;

/// What differentiation does with an operator. An operator that is in no state has no rule, which is an error: missing
/// is not zero.
pub enum Rule {
    /// Its vector-Jacobian product.
    Vjp(fn(&mut Vjp)),
    /// Its output does not change with its input, or only in jumps.
    Zero,
}

use Rule::{Vjp as Product, Zero};

/// Every operator's rule.
pub const RULES: &[(&str, Rule)] = &[
    // Element by element.
    ("Relu", Product(elementwise::relu)),
    ("LeakyRelu", Product(elementwise::leaky_relu)),
    ("Clip", Product(elementwise::clip)),
    ("Sigmoid", Product(elementwise::sigmoid)),
    ("HardSigmoid", Product(elementwise::hard_sigmoid)),
    ("HardSwish", Product(elementwise::hard_swish)),
    ("Swish", Product(elementwise::swish)),
    ("Tanh", Product(elementwise::tanh)),
    ("Exp", Product(elementwise::exp)),
    ("Log", Product(elementwise::log)),
    ("Sqrt", Product(elementwise::sqrt)),
    ("Reciprocal", Product(elementwise::reciprocal)),
    ("Abs", Product(elementwise::abs)),
    ("Neg", Product(elementwise::neg)),
    ("Erf", Product(elementwise::erf)),
    ("Sin", Product(elementwise::sin)),
    ("Cos", Product(elementwise::cos)),
    ("Cast", Product(elementwise::cast)),
    ("Add", Product(elementwise::add)),
    ("Sub", Product(elementwise::sub)),
    ("Mul", Product(elementwise::mul)),
    ("Div", Product(elementwise::div)),
    ("Pow", Product(elementwise::pow)),
    ("Mod", Product(elementwise::modulo)),
    ("Min", Product(elementwise::min)),
    ("Max", Product(elementwise::max)),
    ("Where", Product(elementwise::choose)),
    ("Floor", Zero),
    ("Ceil", Zero),
    ("Not", Zero),
    ("And", Zero),
    ("Or", Zero),
    ("Equal", Zero),
    ("Greater", Zero),
    ("Less", Zero),
    ("GreaterOrEqual", Zero),
    ("LessOrEqual", Zero),
    // Moving elements.
    ("Reshape", Product(layout::reshape)),
    ("Transpose", Product(layout::transpose)),
    ("Concat", Product(layout::concat)),
    ("Split", Product(layout::split)),
    ("Slice", Product(layout::slice)),
    ("Pad", Product(layout::pad)),
    ("Expand", Product(layout::expand)),
    ("Gather", Product(layout::gather)),
    ("Tile", Product(layout::tile)),
    ("DepthToSpace", Product(layout::depth_to_space)),
    // Indices.
    ("GatherElements", Product(indexing::gather_elements)),
    ("ScatterElements", Product(indexing::scatter_elements)),
    ("TopK", Zero),
    // Products.
    ("MatMul", Product(linear::matmul)),
    ("Gemm", Product(linear::gemm)),
    // Normalisation.
    ("BatchNormalization", Product(normalise::batch_normalization)),
    ("LRN", Product(normalise::lrn)),
    ("Softmax", Product(normalise::softmax)),
    ("LogSoftmax", Product(normalise::log_softmax)),
    // Rounding to few bits.
    ("QuantizeLinear", Product(quantise::quantize)),
    ("DequantizeLinear", Product(quantise::dequantize)),
    ("DynamicQuantizeLinear", Product(quantise::dynamic_quantize)),
    // Reductions.
    ("ReduceMean", Product(reduce::mean)),
    ("ReduceSum", Product(reduce::sum)),
    ("ReduceMax", Product(reduce::extremum)),
    ("ReduceMin", Product(reduce::extremum)),
    ("ReduceProd", Product(reduce::product)),
    ("ArgMax", Zero),
    ("CumSum", Product(reduce::cumulated)),
    // Windows.
    ("Conv", Product(window::conv)),
    ("ConvTranspose", Product(window::conv_transpose)),
    ("MaxPool", Product(window::max_pool)),
    ("AveragePool", Product(window::average_pool)),
    ("GlobalAveragePool", Product(window::global_average_pool)),
    ("GlobalMaxPool", Product(window::global_max_pool)),
];

#[cfg(test)]
mod tests {
    use super::RULES;

    #[test]
    fn every_canonical_operator_has_a_state_once() {
        let mut known: Vec<&str> = RULES.iter().map(|(op, _)| *op).collect();
        known.sort_unstable();
        let mut canonical: Vec<&str> = onnx_graph::ops::names().collect();
        canonical.sort_unstable();
        assert_eq!(known, canonical);
    }
}

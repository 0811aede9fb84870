//! Cases that do not pass: where, which, what is said there, and why that is so.

use globset::Glob;

/// Where a case is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Import: then it is tried nowhere else, but for its first output, where only others are refused.
    Import,
    /// The literal evaluator against what the case expects.
    Evaluator,
    /// rten against the same.
    Rten,
    /// ONNX Runtime against the same.
    Ort,
    /// The gradient against central differences.
    Vjp,
}

impl At {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            At::Import => "read",
            At::Evaluator => "evaluator",
            At::Rten => "rten",
            At::Ort => "ONNX Runtime",
            At::Vjp => "gradient",
        }
    }
}

/// Cases that do not pass.
pub struct Exclusion {
    pub at: At,
    /// Which, as a glob.
    pub cases: &'static str,
    /// Part of the error.
    pub says: &'static str,
    /// Why.
    pub reason: &'static str,
}

impl Exclusion {
    pub fn names(&self, case: &str) -> bool {
        Glob::new(self.cases).expect("a glob").compile_matcher().is_match(case)
    }
}

/// In the order of the data's way. A case that passes where it is listed fails the test, so that this list stays true.
pub static EXCLUSIONS: &[Exclusion] = &[
    import(
        "batchnorm_*_training_mode",
        "its output 1 is read",
        "statistics of the batch, outputs 1 and 2, for training",
    ),
    import(
        "quantizelinear_blocked_*",
        "scales by block",
        "a scale for each block of what is rounded: weights have that, no network's values",
    ),
    evaluator("batchnorm_*_training_mode", "output 0 at", TRAINING),
    evaluator(
        "{dynamicquantizelinear,dynamicquantizelinear/expanded}",
        "output 0 at [3]: expected 26, found 25",
        "in the middle of two steps when scale is not rounded to float32, as it is not in float64",
    ),
    evaluator("resize_downsample_scales_{linear,cubic}_align_corners", "output 0 at", ALIGN_CORNERS),
    evaluator("reduce_max_empty_set_bool", "holds -inf", "the largest of no booleans is false, of no numbers −∞"),
    rten("batchnorm_*_training_mode", "output 0 at", TRAINING),
    rten("resize_downsample_scales_{linear,cubic}_align_corners", "output 0 at", ALIGN_CORNERS),
    rten(
        "{cast_FLOAT_to_BFLOAT16,castlike_FLOAT_to_BFLOAT16,range_bfloat16_*,celu_bfloat16,onehot_with_bfloat16_values,\
            attention_*_bf16}",
        "unsupported data type BFLOAT16",
        "it has no bfloat16",
    ),
    rten("top_k_uint64", "unsupported data type UINT64", "it has no uint64"),
    rten(
        "dynamicquantizelinear",
        "output 0 at [3]: expected 26, found 25",
        "it multiplies by 1 / scale, which rounds otherwise in the middle of two steps",
    ),
    rten("quantizelinear_{int16,uint16}", "unsupported input type", "it has no 16-bit integers"),
    rten("convtranspose_3d", "input must have 4 dims", "it has no three spatial dimensions"),
    rten("reduce_max_empty_set_bool", "expected 0, found", "the largest of no booleans is false, of no numbers −∞"),
    ort("batchnorm_*_training_mode", "output 0 at", TRAINING),
    ort("resize_downsample_scales_{linear,cubic}_align_corners", "output 0 at", ALIGN_CORNERS),
    ort("top_k_uint64", "Could not find an implementation", "it has none for uint64"),
    ort("*_uint64", "u64, which onnxcam does not handle", "inputs and outputs of uint64 do not cross our border to it"),
    ort(
        "{cast_*BFLOAT16*,castlike_*BFLOAT16*,range_bfloat16_*,einsum_transpose_bfloat16}",
        "bf16",
        "inputs and outputs of bfloat16 do not cross our border to it",
    ),
    ort(
        "{celu_bfloat16,einsum_batch_matmul_bfloat16,einsum_sum_bfloat16,onehot_with_bfloat16_values,attention_*_bf16}",
        "Could not find an implementation",
        "it has none for bfloat16",
    ),
    ort("{min,max}_{int16,uint16}", "Could not find an implementation", "it has none for 16-bit integers"),
    ort("reduce_max_empty_set_bool", "not defined for empty set", "it refuses the largest of no booleans"),
    vjp(
        "l2normalization_axis_0",
        "gradient of input 0",
        "a vector of zeros is sent to zeros, all around it to length 1",
    ),
    vjp(
        "dynamicquantizelinear*",
        "gradient of input 0",
        "its range counts as constant, as gradients pass straight through",
    ),
    vjp(
        "attention_4d_with_past_and_present_qk_matmul_bias_{3d,4d}_mask_causal",
        "expected NaN",
        "its output 3 holds −∞, of which no difference is a number",
    ),
    vjp("sign", "gradient of input 0", "it jumps at 0, where the case is; zero elsewhere"),
];

const TRAINING: &str = "the batch's own statistics, for training; we take the trained ones, and say so";
const ALIGN_CORNERS: &str = "the package divides by scale · length − 1, the standard's text by length_resized − 1";

const fn import(cases: &'static str, says: &'static str, reason: &'static str) -> Exclusion {
    Exclusion { at: At::Import, cases, says, reason }
}

const fn evaluator(cases: &'static str, says: &'static str, reason: &'static str) -> Exclusion {
    Exclusion { at: At::Evaluator, cases, says, reason }
}

const fn rten(cases: &'static str, says: &'static str, reason: &'static str) -> Exclusion {
    Exclusion { at: At::Rten, cases, says, reason }
}

const fn ort(cases: &'static str, says: &'static str, reason: &'static str) -> Exclusion {
    Exclusion { at: At::Ort, cases, says, reason }
}

const fn vjp(cases: &'static str, says: &'static str, reason: &'static str) -> Exclusion {
    Exclusion { at: At::Vjp, cases, says, reason }
}

/// The exclusion of a case, if there is one.
pub fn exclusion(at: At, case: &str) -> Option<&'static Exclusion> {
    EXCLUSIONS.iter().find(|e| e.at == at && e.names(case))
}

//! Every rule against central differences, in f64 on the literal evaluator; and on rten, which has to get the same from
//! the graph written as ONNX. One primitive, one line.

mod activations;
mod elementwise;
mod formulas;
mod graphs;
mod indexing;
mod layout;
mod linear;
mod normalise;
mod quantise;
mod reduce;
mod states;
#[path = "../support/mod.rs"]
mod support;
mod window;

use ndarray::ArrayD;
use onnx_graph::{Attributes, Constant, DataType, Dim, Emit, Graph, Tensor};
use testkit::{Check, Draw, evaluate};

/// Of rten, relative to the largest element.
const FLOAT32: f64 = 2e-6;

/// Draws a tensor's elements.
type Elements = Box<dyn Fn(&mut Draw) -> ArrayD<f64>>;

/// An input of the operator under test.
pub struct Operand {
    elements: Elements,
    role: Role,
}

enum Role {
    /// Differentiated; where `batched`, its first axis may be the batch.
    Variable { batched: bool },
    /// A constant of this type.
    Constant(DataType),
}

impl Operand {
    /// A variable whose first axis is the batch; the case is tried with its size known and symbolic.
    pub fn batch(self) -> Operand {
        Operand { role: Role::Variable { batched: true }, ..self }
    }
}

fn variable(elements: impl Fn(&mut Draw) -> ArrayD<f64> + 'static) -> Operand {
    Operand { elements: Box::new(elements), role: Role::Variable { batched: false } }
}

/// Elements in [−2, 2).
pub fn x<const R: usize>(shape: [usize; R]) -> Operand {
    variable(move |draw| draw.uniform(&shape))
}

/// The same, of a batch.
pub fn n<const R: usize>(shape: [usize; R]) -> Operand {
    x(shape).batch()
}

/// Elements in [from, to), none near a kink.
pub fn away<const R: usize>(kinks: &'static [f64], from: f64, to: f64, shape: [usize; R]) -> Operand {
    variable(move |draw| {
        let near = |v: f64| kinks.iter().any(|kink| (v - kink).abs() < 0.05);
        let mut element = || loop {
            let v = draw.number(from, to);
            if !near(v) {
                return v;
            }
        };
        ArrayD::from_shape_simple_fn(&shape[..], &mut element)
    })
}

/// Elements in [0.5, 2).
pub fn positive<const R: usize>(shape: [usize; R]) -> Operand {
    variable(move |draw| draw.positive(&shape))
}

/// Elements that are apart from each other, of a batch.
pub fn distinct<const R: usize>(shape: [usize; R]) -> Operand {
    variable(move |draw| draw.distinct(&shape)).batch()
}

/// Constant weights in [−2, 2).
pub fn w<const R: usize>(shape: [usize; R]) -> Operand {
    Operand { role: Role::Constant(DataType::F32), ..x(shape) }
}

/// Constant weights in [0.5, 2).
pub fn w_positive<const R: usize>(shape: [usize; R]) -> Operand {
    Operand { role: Role::Constant(DataType::F32), ..positive(shape) }
}

/// A constant float32 scalar.
pub fn number(value: f64) -> Operand {
    Operand { role: Role::Constant(DataType::F32), ..variable(move |_| ndarray::arr0(value).into_dyn()) }
}

/// Constant int64s.
pub fn ints<const R: usize>(shape: [usize; R], values: &'static [i64]) -> Operand {
    let elements = move |_: &mut Draw| values.iter().map(|v| *v as f64).collect();
    constant(DataType::I64, shape, elements)
}

/// Constant bytes.
pub fn bytes<const R: usize>(shape: [usize; R], values: &'static [i64]) -> Operand {
    Operand { role: Role::Constant(DataType::U8), ..ints(shape, values) }
}

/// Constant booleans, drawn.
pub fn flags<const R: usize>(shape: [usize; R]) -> Operand {
    let count = shape.iter().product();
    constant(DataType::Bool, shape, move |draw| (0..count).map(|_| draw.below(2) as f64).collect())
}

fn constant<const R: usize>(
    dtype: DataType,
    shape: [usize; R],
    elements: impl Fn(&mut Draw) -> Vec<f64> + 'static,
) -> Operand {
    let elements =
        move |draw: &mut Draw| ArrayD::from_shape_vec(&shape[..], elements(draw)).expect("elements fill the shape");
    Operand { elements: Box::new(elements), role: Role::Constant(dtype) }
}

/// No attributes; add `.with(name, value)`.
pub fn a() -> Attributes {
    Attributes::none()
}

/// Lines `Operator: [operands] {attributes}, …;` become a test each; `! "why"` behind a case says that rten cannot
/// compute the operator itself.
macro_rules! check {
    ($($op:ident: $([$($operand:expr),*] $({$attributes:expr})? $(! $why:literal)?),+;)*) => {
        /// The operators with cases here.
        pub const OPERATORS: &[&str] = &[$(stringify!($op)),*];
        $(#[test]
        #[allow(non_snake_case)]
        fn $op() {
            let mut number = 0;
            $(
                number += 1;
                let attributes = [$(onnx_graph::Attributes::from($attributes))?].into_iter().next().unwrap_or_default();
                let refused: &[&str] = &[$($why)?];
                let case = format!("{} case {number}", stringify!($op));
                $crate::operator(&case, stringify!($op), vec![$($operand),*], attributes, refused.first().copied());
            )+
        })*
    };
}
pub(crate) use check;

/// Checks one operator; its first output.
pub fn operator(case: &str, op: &'static str, operands: Vec<Operand>, attributes: Attributes, no_rten: Option<&str>) {
    graph(case, operands, no_rten, |e, inputs| {
        let inputs: Vec<Option<Tensor>> = inputs.iter().copied().map(Some).collect();
        e.nodes(op, &inputs, attributes.clone())[0]
    });
}

/// Checks what `build` makes of the operands.
pub fn graph(case: &str, operands: Vec<Operand>, no_rten: Option<&str>, build: impl Fn(&Emit, &[Tensor]) -> Tensor) {
    let mut draw = Draw::new(7);
    let drawn: Vec<ArrayD<f64>> = operands.iter().map(|o| (o.elements)(&mut draw)).collect();
    let variables: Vec<usize> =
        (0..operands.len()).filter(|i| matches!(operands[*i].role, Role::Variable { .. })).collect();
    let inputs: Vec<ArrayD<f64>> = variables.iter().map(|i| drawn[*i].clone()).collect();
    // Constants stand where the operator has them, variables are the check's.
    let with_constants = |e: &Emit, x: &[Tensor]| {
        let mut x = x.iter();
        let place = |(operand, value): (&Operand, &ArrayD<f64>)| match operand.role {
            Role::Variable { .. } => *x.next().expect("one input for each variable"),
            Role::Constant(dtype) => e.constant(to_constant(dtype, value)),
        };
        let all: Vec<Tensor> = operands.iter().zip(&drawn).map(place).collect();
        build(e, &all)
    };
    let batched: Vec<usize> = (0..variables.len())
        .filter(|v| matches!(operands[variables[*v]].role, Role::Variable { batched: true }))
        .collect();
    let known = Check::default();
    known.vjp(with_constants, &inputs, gradients).unwrap_or_else(|e| panic!("{case}: {e}"));
    if !batched.is_empty() {
        let symbolic = Check { batched: batched.clone(), directions: 1, coordinates: 8, ..Check::default() };
        let checked = symbolic.vjp(with_constants, &inputs, gradients);
        checked.unwrap_or_else(|e| panic!("{case}, batch symbolic: {e}"));
    }
    on_rten(no_rten, &inputs, with_constants).unwrap_or_else(|e| panic!("{case}, rten: {e}"));
}

/// The gradients of ⟨y, dy⟩, as `testkit` asks for them.
fn gradients(graph: &mut Graph, y: Tensor, dy: Tensor, wrt: &[Tensor]) -> Vec<Option<Tensor>> {
    onnx_autodiff::gradient(graph, &[(y, dy)], wrt).unwrap_or_else(|e| panic!("{e}"))
}

fn to_constant(dtype: DataType, value: &ArrayD<f64>) -> Constant {
    let elements: Vec<f64> = value.iter().copied().collect();
    let integers: Vec<i64> = elements.iter().map(|v| *v as i64).collect();
    let floats = Constant::floats(dtype, value.shape(), &elements);
    floats.or_else(|| Constant::integers(dtype, value.shape(), &integers)).expect("a constant of any type")
}

/// The gradients that rten computes are those that the definitions make.
fn on_rten(
    refused: Option<&str>,
    inputs: &[ArrayD<f64>],
    build: impl Fn(&Emit, &[Tensor]) -> Tensor,
) -> Result<(), String> {
    let mut graph = Graph::new();
    let mut feeds = Vec::new();
    for (i, input) in inputs.iter().enumerate() {
        let shape = input.shape().iter().map(|d| Dim::from(*d)).collect();
        feeds.push((graph.add_input(&format!("x{i}"), DataType::F32, shape), input.mapv(|v| f64::from(v as f32))));
    }
    let x: Vec<Tensor> = feeds.iter().map(|(t, _)| *t).collect();
    let e = Emit::new(&mut graph);
    let y = build(&e, &x);
    e.finish().map_err(|e| e.to_string())?;
    let shape = graph.shape(y).expect("a known shape").to_vec();
    let dtype = graph.tensor(y).dtype.expect("a known type");
    let dy = graph.add_input("dy", dtype, shape.clone());
    let sizes: Vec<usize> = shape.iter().map(|d| d.at(1) as usize).collect();
    let seed = Draw::new(3).between(-1.0, 1.0, &sizes).mapv(|v| f64::from(v as f32));
    feeds.push((dy, seed));
    let gradients: Vec<Tensor> = gradients(&mut graph, y, dy, &x).into_iter().flatten().collect();
    let expected = evaluate(&graph, 1, &feeds, &gradients)?;
    if let Some(why) = refused {
        let alone = support::rten(&graph, 1, &feeds, &[y]);
        let right = alone.is_ok_and(|found| found[0].shape() == sizes);
        return if right { Err(format!("it computes the operator, though {why}")) } else { Ok(()) };
    }
    for ((found, expected), i) in support::rten(&graph, 1, &feeds, &gradients)?.iter().zip(&expected).zip(0..) {
        match support::difference(found, expected)? {
            off if off <= FLOAT32 => {}
            off => return Err(format!("gradient {i} is off by {off:.1e}")),
        }
    }
    Ok(())
}

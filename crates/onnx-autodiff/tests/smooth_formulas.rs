//! Smooth activations whose formulas have kinks at 0: the kinks cancel, there too.

use ndarray::arr1;
use onnx_graph::{ImportOptions, import};
use testkit::Check;
use testkit::models::Maker;

#[test]
fn the_slope_at_zero() {
    let x = arr1(&[-1.5, -0.3, 0.0, 0.4, 2.0]).into_dyn();
    for op in ["Softplus", "Mish", "Elu", "Gelu", "Softsign"] {
        let model = Maker::new(20).input("x", "f32[5]").node(op, &["x"], &["y"]).output("y", "f32[5]").model();
        let graph = import(&model, &ImportOptions::default()).unwrap().graph;
        let checked = Check::default().graph(&graph, std::slice::from_ref(&x), |graph, seeds, wrt| {
            onnx_autodiff::gradient(graph, seeds, wrt).map_err(|e| e.to_string())
        });
        assert_eq!(checked, Ok(false), "{op}"); // False: at these inputs, not beside them.
    }
}

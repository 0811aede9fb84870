//! Lowered operators compute what the operators do.

use onnx_graph::{Attributes, DataType, Dim, Emit, Graph, lower};
use testkit::{Draw, evaluate};

#[test]
fn lrn() {
    // Odd and even windows, one wider than the channels, 1-D and 2-D.
    for (size, shape) in [(5, vec![2, 7, 3, 2]), (4, vec![1, 6, 5]), (3, vec![2, 2, 2, 2]), (1, vec![1, 3, 4])] {
        let attributes = Attributes::none().with("size", size).with("alpha", 0.5).with("beta", 0.75).with("bias", 2.0);
        let mut graph = Graph::new();
        let mut dims: Vec<Dim> = shape.iter().map(|n: &usize| Dim::from(*n)).collect();
        dims[0] = Dim::BATCH;
        let x = graph.add_input("x", DataType::F32, dims);
        let e = Emit::new(&mut graph);
        let direct = e.node("LRN", &[x], attributes.clone());
        let lowered = lower::lrn(&e, x, &attributes);
        e.finish().unwrap();
        let fed = [(x, Draw::new(1).uniform(&shape))];
        let values = evaluate(&graph, shape[0], &fed, &[direct, lowered]).unwrap();
        let off = (&values[0] - &values[1]).iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        assert!(off < 1e-12, "size {size} over {shape:?}: off by {off:e}");
    }
}

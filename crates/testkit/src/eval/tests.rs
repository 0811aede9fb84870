//! The definitions against hand-made tables.

use super::*;

#[test]
fn every_canonical_operator_is_defined() {
    let defined: Vec<&str> = FAMILIES.iter().copied().flatten().map(|(name, _)| *name).collect();
    let canonical: Vec<&str> = onnx_graph::ops::names().collect();
    assert_eq!(defined, canonical);
}

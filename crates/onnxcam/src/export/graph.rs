//! The graph whose new nodes go into the file: the plan's, with what was asked for on top.

use std::collections::{HashMap, HashSet};

use onnx_graph::{Attributes, Constant, DataType, Dim, Emit, Graph, Tensor, lower, rewrite};

use super::every_class::{EveryClass, check_size, every_class};
use super::{ExportError, ExportOptions};
use crate::explain::{Plan, computed_before_expand};

/// What is exported of a graph.
pub(super) struct Wanted {
    pub graph: Graph,
    /// None where every class is explained.
    pub target: Option<Tensor>,
    /// None where the class is not computed, but given.
    pub class: Option<Tensor>,
    /// One a planned map, in their order.
    pub maps: Vec<Tensor>,
    /// ∂S/∂A of the first class and A, where a method needs that gradient.
    pub gradient: Option<[Tensor; 2]>,
}

/// The tensors to export, by a graph in which repeated values are computed with before they are repeated. `file` are the
/// names that the file has, `size` the height and width to bring maps to.
pub(super) fn wanted(
    plan: &Plan,
    options: &ExportOptions,
    file: &HashSet<String>,
    size: Option<(usize, usize)>,
) -> Result<Wanted, ExportError> {
    let mut graph = plan.graph.clone();
    let single = Wanted {
        target: Some(plan.target),
        class: Some(plan.class),
        maps: results(plan),
        gradient: plan.gradient.map(|g| [g, plan.layer.tensor]),
        graph: Graph::new(),
    };
    let mut wanted = match options.classes {
        _ if options.all_classes => {
            let EveryClass { predicted, maps, gradient } = every_class(&mut graph, plan)?;
            let gradient = gradient.map(|g| [g, plan.layer.tensor]);
            Wanted { target: None, class: Some(predicted), maps, gradient, graph: Graph::new() }
        }
        None => single,
        Some(classes) => several_classes(&mut graph, plan, classes)?,
    };
    if let Some(size) = size {
        let e = Emit::new(&mut graph);
        let of_cells = plan.maps.iter().map(|m| m.attribution.is_none());
        let larger = |(map, of_cells): (&Tensor, bool)| if of_cells { resized(&e, *map, size) } else { *map };
        wanted.maps = wanted.maps.iter().zip(of_cells).map(larger).collect();
        e.finish()?;
    }
    let class = wanted.class.filter(|_| !options.lite);
    let outputs: Vec<Tensor> = class
        .iter()
        .copied()
        .chain(wanted.gradient.iter().flatten().copied())
        .chain(wanted.maps.iter().copied())
        .collect();
    // Given, the class is the target itself, and nothing has to be computed for it.
    let given = wanted.class.filter(|_| options.lite && wanted.target.is_some());
    let copy = rewrite(&graph, &outputs, |e, node, inputs| {
        let makes = |t: &Tensor| node.outputs.first() == Some(&Some(*t));
        if given.as_ref().is_some_and(makes) {
            return Some(vec![inputs.get(2).copied().flatten()?]);
        }
        let of_file = node.outputs.iter().flatten().any(|t| file.contains(&*graph.tensor(*t).name));
        let late = !of_file && node.carried.is_none();
        late.then(|| computed_before_expand(e, node, inputs)).flatten().map(|y| vec![y])
    })?;
    let mut outputs = copy.outputs.clone().into_iter();
    let mut next = || outputs.next().expect("as many as were asked for");
    let class = class.map(|_| next());
    let gradient = wanted.gradient.map(|pair| pair.map(|_| next()));
    let maps: Vec<Tensor> = wanted.maps.iter().map(|_| next()).collect();
    if options.all_classes {
        check_size(&copy, &maps, file)?;
    }
    let position = |target| graph.inputs.iter().position(|t| *t == target).expect("the target is an input");
    let target = wanted.target.map(|target| copy.inputs[position(target)]);
    Ok(Wanted { target, class, maps, gradient, graph: copy })
}

/// What each method makes: its map, or what it says of every sample of the picture.
pub(super) fn results(plan: &Plan) -> Vec<Tensor> {
    plan.maps.iter().map(|m| m.attribution.unwrap_or(m.map)).collect()
}

/// Target, class and maps for `count` classes of each picture: [N, K], [N, K] and [N, K, h, w].
///
/// What lies between class and maps is repeated for each of them; the network itself is not.
fn several_classes(graph: &mut Graph, plan: &Plan, count: usize) -> Result<Wanted, ExportError> {
    if count == 0 || count > plan.head.classes {
        return Err(ExportError::Classes { asked: count, classes: plan.head.classes });
    }
    let batch = graph.shape(plan.target).and_then(|s| s.first().copied()).unwrap_or(Dim::BATCH);
    let of_one = graph.tensor(plan.target).name.to_string();
    let target = graph.add_input(&format!("{of_one}.several"), DataType::I64, vec![batch, Dim::from(count)]);
    graph.inputs.retain(|t| *t != plan.target);
    let maps = results(plan);
    let between = between(graph, plan.class, &maps);
    let e = Emit::new(graph);
    let highest = Attributes::none().with("axis", 1i64).with("k", count as i64).with("largest", true);
    let predicted = e.node("TopK", &[plan.head.scores], highest);
    let open = e.compare("Less", target, e.constant(Constant::i64s(&[], &[0])));
    let classes = e.node("Where", &[open, predicted, target], Attributes::none());
    let mut of_class: Vec<Vec<Tensor>> = Vec::new();
    let mut gradient = None;
    for k in 0..count {
        let class = e.reshape(e.slice(classes, 1, k as i64, 1, 1), vec![batch]);
        let mut copied = HashMap::from([(plan.class, class)]);
        for node in &between {
            let inputs: Vec<Option<Tensor>> =
                node.inputs.iter().map(|t| t.map(|t| copied.get(&t).copied().unwrap_or(t))).collect();
            let outputs = e.nodes(&node.op, &inputs, node.attributes.clone());
            copied.extend(node.outputs.iter().copied().flatten().zip(outputs));
        }
        let own = |t: Tensor| copied.get(&t).copied().unwrap_or(t);
        gradient = gradient.or(plan.gradient.map(|g| [own(g), plan.layer.tensor]));
        of_class.push(maps.iter().map(|map| own(*map)).collect());
    }
    let stacked = |m: usize| {
        let planes: Vec<Tensor> = of_class.iter().map(|maps| with_class_axis(&e, maps[m])).collect();
        e.concat(&planes, 1)
    };
    let maps = (0..maps.len()).map(stacked).collect();
    e.finish()?;
    Ok(Wanted { target: Some(target), class: Some(classes), maps, gradient, graph: Graph::new() })
}

/// [N, h, w] -> [N, 1, h, w].
fn with_class_axis(e: &Emit, map: Tensor) -> Tensor {
    let mut shape = e.shape(map);
    shape.insert(1.min(shape.len()), Dim::new(1));
    e.reshape(map, shape)
}

/// The nodes that depend on a tensor and that others need.
pub(super) fn between(graph: &Graph, from: Tensor, to: &[Tensor]) -> Vec<onnx_graph::Node> {
    let needed = graph.needed_for(to);
    let mut reached = HashSet::from([from]);
    let mut nodes = Vec::new();
    for (node, _) in graph.nodes().iter().zip(needed).filter(|(_, needed)| *needed) {
        if node.inputs.iter().flatten().any(|t| reached.contains(t)) {
            reached.extend(node.outputs.iter().flatten());
            nodes.push(node.clone());
        }
    }
    nodes
}

/// A map with its last two axes brought to another size, half-pixel bilinear.
fn resized(e: &Emit, map: Tensor, (height, width): (usize, usize)) -> Tensor {
    lower::resize_bilinear(e, map, Dim::from(height), Dim::from(width))
}

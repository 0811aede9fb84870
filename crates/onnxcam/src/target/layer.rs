//! The target layer: the feature maps A that a map is made of.

use std::collections::{BTreeSet, HashMap, HashSet};

use onnx_graph::{DataType, Dim, Graph, Node, PREFIX, Tensor, printable, show_shape};

use super::grid::{Axis, Factor, Grids, Kind, spatial_axes};
use super::reach::Reach;
use super::{Head, View};

/// A layer that can be explained.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Its tensor: the feature maps A, [N, K, h, w], [N, K, l] or [N, K, d, h, w], or what holds them otherwise, as the tokens [N, T, K] of a transformer.
    pub tensor: Tensor,
    /// How that becomes feature maps.
    pub view: View,
    /// Name of that tensor in the file.
    pub name: String,
    /// Path of the module that made it, where the exporter kept it.
    pub module: String,
}

/// A line of `onnxcam layers`.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The layer.
    pub layer: Layer,
    /// Operator that makes it.
    pub op: String,
    /// Its shape.
    pub shape: Vec<Dim>,
    /// Whether it is the one that is taken when none is named.
    pub automatic: bool,
}

/// Why there is no target layer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs)]
pub enum LayerError {
    #[error(
        "no feature map of more than one cell lies on every path to the scores\nhint: name a layer with --layer; `onnxcam layers` lists the candidates"
    )]
    NoneFound,
    #[error(
        "the network has no feature maps: nothing between its input and its scores has height and width\nhint: Grad-CAM and its family explain convolutional networks; perceptrons and classifiers of vectors are none"
    )]
    NoFeatureMaps,
    #[error(
        "the feature maps have {} behind their channels, the last are \"{layer}\" {shape}\nhint: networks of pictures, [N, channels, height, width], of series and of volumes are explained", count_axes(*.spatial)
    )]
    NotPictures { layer: String, shape: String, spatial: usize },
    #[error(
        "the last feature map that everything passes through, \"{layer}\" {shape}, is mixed with itself behind it ({node}), in a way that leaves no grid to follow: a picture of it would not show what decides\nhint: --layer takes this or another layer all the same"
    )]
    Tokens { layer: String, shape: String, node: String },
    #[error("no layer is called \"{query}\"\nhint: nearest are {}", .nearest.join(", "))]
    Unknown { query: String, nearest: Vec<String> },
    #[error("\"{query}\" stands for several layers\nhint: did you mean {}?", .matches.join(", "))]
    Ambiguous { query: String, matches: Vec<String> },
    #[error(
        "layer \"{layer}\" is {signature}; a map needs feature maps [N, channels, height, width], or tokens of a grid that can be followed from a convolution on"
    )]
    Shape { layer: String, signature: String },
    #[error(
        "layer \"{layer}\" is {signature}: integers that no DequantizeLinear reads\nhint: `onnxcam layers` lists the feature maps"
    )]
    Integers { layer: String, signature: String },
    #[error("the scores do not depend on layer \"{layer}\"")]
    OffThePath { layer: String },
    #[error("layer \"{layer}\" does not depend on the picture")]
    Constant { layer: String },
}

fn count_axes(axes: usize) -> String {
    if axes == 1 { "1 axis".to_owned() } else { format!("{axes} axes") }
}

/// Where space is in a graph, and what of it reaches the scores.
struct Space<'g> {
    graph: &'g Graph,
    head: &'g Head,
    grids: Grids,
    reach: Reach,
    cuts: Vec<Tensor>,
}

impl<'g> Space<'g> {
    fn of(graph: &'g Graph, head: &'g Head) -> Space<'g> {
        let grids = Grids::of(graph);
        let reach = Reach::of(graph, &grids, head.scores);
        Space { graph, head, reach, grids, cuts: cuts(graph, head) }
    }

    /// Feature maps of more than one cell: where the grid is known, else in the form that convolutions have.
    fn view(&self, t: Tensor) -> Option<View> {
        if !self.graph.tensor(t).dtype.is_some_and(|d| d.is_float()) {
            return None;
        }
        let picture = || self.grids.view_of_any(self.graph, t).filter(|_| self.is_feature_map(t));
        let known = self.grids.view(self.graph, t).or_else(picture);
        known.or_else(|| self.as_convolved(t).filter(|view| !view.is_one_cell()))
    }

    fn is_feature_map(&self, t: Tensor) -> bool {
        is_feature_map(self.graph, t, self.grids.spatial())
    }

    /// [N, K, h, w] as it is, where nothing is known that speaks against it.
    fn as_convolved(&self, t: Tensor) -> Option<View> {
        let shape = self.graph.shape(t).filter(|_| self.is_feature_map(t))?;
        let apart = |axis: &Axis| axis.iter().all(|f| !f.is_spatial());
        let plain = |axis: &Axis| axis.iter().all(|f| f.is(Kind::Other));
        let fits = |axes: &[Axis]| match axes {
            [images, channels, cells @ ..] => [images, channels].into_iter().all(apart) && cells.iter().all(plain),
            _ => false,
        };
        let all = shape[0] == self.grids.batch() && self.grids.axes(t).is_none_or(fits);
        all.then(|| View::identity(shape))
    }

    /// Whether a layer may be taken when none is named.
    fn suits(&self, t: Tensor) -> bool {
        let Some(view) = self.grids.view(self.graph, t) else { return false };
        let op = maker(self.graph, t).map_or("", |n| &*n.op);
        let pooled = op.contains("Pool") || op.starts_with("Reduce");
        let float = self.graph.tensor(t).dtype.is_some_and(|d| d.is_float());
        float && !pooled && !self.is_moved(t) && self.reach.is_live(&self.grids, t) && !self.is_class_map(t, &view)
    }

    /// Whether a layer is another one's elements, moved.
    fn is_moved(&self, t: Tensor) -> bool {
        let moves = |n: &&Node| matches!(&*n.op, "Transpose" | "Reshape" | "Slice" | "Split" | "Gather");
        let from = maker(self.graph, t).filter(moves).and_then(|n| n.inputs[0]);
        from.is_some_and(|from| self.grids.view(self.graph, from).is_some())
    }

    /// The deepest layer that suits: of those that everything passes through, or behind the last of them, that all its
    /// patches do.
    fn deepest(&self) -> Option<Tensor> {
        let projections = projections(self.graph, &self.grids);
        let suiting: Vec<Tensor> = self.cuts.iter().rev().copied().filter(|t| self.suits(*t)).collect();
        let cut = suiting.iter().find(|t| !projections.contains(t)).or(suiting.first()).copied()?;
        let behind = self.reach.passed_behind(self.graph, cut);
        Some(behind.into_iter().rfind(|t| self.suits(*t) && !projections.contains(t)).unwrap_or(cut))
    }

    /// Whether the channels are the classes, as after a convolution that makes the class maps: as many, and no weights left
    /// between them and the scores.
    fn is_class_map(&self, t: Tensor, view: &View) -> bool {
        let channels = view.shape().get(1).and_then(|d| d.known());
        let classes = if self.head.binary { 1 } else { self.head.classes as i64 };
        let weighted = |n: &&Node| matches!(&*n.op, "Gemm" | "MatMul" | "Conv" | "ConvTranspose");
        channels == Some(classes) && !after(self.graph, self.head, t).iter().any(weighted)
    }

    /// The first node behind a layer that makes one cell of others and leaves something in their places, so that a deeper
    /// layer should have been found: a product of two computed tensors that sums over cells, or the second of two linear
    /// layers that do (MLP-Mixer). One linear layer alone may classify each cell; a class token that looks at the cells is
    /// the way to the score.
    fn token_mixing_after(&self, layer: Tensor) -> Option<&'g Node> {
        let rank = |t: Option<Tensor>| t.and_then(|t| self.graph.shape(t)).map_or(0, <[Dim]>::len);
        let reached = reached(self.graph);
        let computed = |t: &Option<Tensor>| t.is_some_and(|t| reached.contains(&t));
        let nodes = after(self.graph, self.head, layer);
        let mixes = |n: &Node| n.outputs[0].is_none_or(|t| self.leaves_places(t)) && self.sums_over_cells(n);
        let attention = nodes.iter().find(|n| match &*n.op {
            "MatMul" => rank(n.outputs[0]) >= 3 && n.inputs.iter().all(computed) && mixes(n),
            "Softmax" => {
                let unknown = n.outputs[0].is_none_or(|t| self.grids.axes(t).is_none());
                rank(n.outputs[0]) >= 3 && n.outputs[0] != Some(self.head.raw) && unknown
            }
            "Attention" | "MultiHeadAttention" => true,
            _ => false,
        });
        let linear = |n: &&&Node| &*n.op == "MatMul" && rank(n.outputs[0]) == 3 && mixes(n);
        attention.or_else(|| nodes.iter().filter(linear).nth(1)).copied()
    }

    /// Whether a product sums over cells, or over what may be cells.
    fn sums_over_cells(&self, product: &Node) -> bool {
        let axes = |i: usize| product.inputs.get(i).copied().flatten().and_then(|t| self.grids.axes(t));
        let summed = match (axes(0), axes(1)) {
            (Some(a), _) => a.last(),
            (None, Some(b)) => b.len().checked_sub(2).map(|rows| &b[rows]),
            (None, None) => None,
        };
        summed.is_none_or(|axis| axis.iter().any(|f| f.is_spatial() || f.is(Kind::Other)))
    }

    /// Whether a tensor has something of unknown place, or cells that are still read.
    fn leaves_places(&self, t: Tensor) -> bool {
        let Some(axes) = self.grids.axes(t) else { return true };
        let some = |fits: &dyn Fn(&Factor) -> bool| axes.iter().flatten().any(fits);
        some(&|f| f.is(Kind::Other)) || (some(&Factor::is_spatial) && self.reach.is_live(&self.grids, t))
    }
}

/// Feature maps of the file, of more than one cell, that every path from the picture to the scores passes through and that
/// reach them, first to last, the automatic one marked.
pub fn candidates(graph: &Graph, head: &Head) -> Vec<Candidate> {
    let space = Space::of(graph, head);
    let automatic = taken(&space).ok().map(|l| l.tensor);
    let told_apart = |t: &Tensor| space.is_feature_map(*t) || !space.is_moved(*t);
    let listed = |t: &Tensor| space.reach.is_live(&space.grids, *t) && told_apart(t);
    let mut found: Vec<Tensor> = space.cuts.iter().copied().filter(listed).collect();
    if let Some(t) = automatic.filter(|t| !found.contains(t)) {
        let at = found.partition_point(|cut| graph.producer_index(*cut) < graph.producer_index(t));
        found.insert(at, t);
    }
    let line = |t: Tensor| {
        let layer = layer(graph, t, space.view(t)?);
        let op = graph.producer(t).map(|n| n.op.to_string()).unwrap_or_default();
        let shape = graph.shape(t).unwrap_or_default().to_vec();
        Some(Candidate { layer, op, shape, automatic: automatic == Some(t) })
    };
    let in_the_file = |c: &Candidate| c.automatic || !c.layer.name.starts_with(PREFIX);
    found.into_iter().filter_map(line).filter(in_the_file).collect()
}

/// The deepest feature map with more than one cell that every path to the scores passes through; not one that pooling or
/// a mere Transpose made, not the class maps themselves, and not one whose cells are not read any more.
///
/// Where a class token makes the score, that is the input of the last block's attention, behind its normalisation: the
/// patches of the residual stream are read by nothing else, and those of the block's output by nothing at all.
pub fn automatic_layer(graph: &Graph, head: &Head) -> Result<Layer, LayerError> {
    taken(&Space::of(graph, head))
}

fn taken(space: &Space) -> Result<Layer, LayerError> {
    let (graph, head) = (space.graph, space.head);
    if let Some(t) = space.deepest() {
        return match (space.token_mixing_after(t), space.grids.view(graph, t)) {
            (None, Some(view)) => Ok(layer(graph, t, view)),
            (node, _) => Err(LayerError::Tokens {
                layer: printable(&graph.tensor(t).name),
                shape: show_shape(graph.shape(t).unwrap_or_default()),
                node: node.map(|node| graph.describe(node)).unwrap_or_default(),
            }),
        };
    }
    let other = space.cuts.iter().rev().find_map(|t| Some((*t, other_axes(graph, *t, space.grids.spatial())?)));
    Err(match other {
        Some((t, spatial)) => LayerError::NotPictures {
            layer: printable(&graph.tensor(t).name),
            shape: show_shape(graph.shape(t).unwrap_or_default()),
            spatial,
        },
        None if !has_feature_maps(graph, head) => LayerError::NoFeatureMaps,
        None => LayerError::NoneFound,
    })
}

/// What is made by weights and read by an attention's products, with nothing but moving, scaling and adding constants
/// between: queries, keys and values, which are no layers.
fn projections(graph: &Graph, grids: &Grids) -> HashSet<Tensor> {
    let computed = |n: &Node| n.inputs.iter().flatten().filter(|t| grids.axes(**t).is_some()).count();
    let is = |n: &Node, of: &[&str]| n.carried.is_none() && of.contains(&&*n.op);
    let products = |n: &Node| is(n, &["MatMul", "Gemm", "Conv", "ConvTranspose"]);
    let moves = |n: &Node| {
        is(n, &["Reshape", "Transpose", "Slice", "Split", "Gather", "Concat"])
            || (is(n, &["Add", "Sub", "Mul", "Div", "Neg"]) && computed(n) == 1)
    };
    let (mut weighted, mut read) = (HashSet::new(), HashSet::new());
    for node in graph.nodes() {
        let of_weighted = node.inputs.iter().flatten().any(|t| weighted.contains(t));
        if (products(node) && computed(node) == 1) || (moves(node) && of_weighted) {
            weighted.extend(node.outputs.iter().flatten().copied());
        }
    }
    for node in graph.nodes().iter().rev() {
        let of_read = node.outputs.iter().flatten().any(|t| read.contains(t));
        if (is(node, &["MatMul"]) && computed(node) == 2) || (moves(node) && of_read) {
            read.extend(node.inputs.iter().flatten().copied());
        }
    }
    weighted.intersection(&read).copied().collect()
}

/// Whether these axes of a tensor are its grid of cells, all of it and nothing else.
pub fn are_all_cells(graph: &Graph, t: Tensor, axes: &[i64]) -> bool {
    Grids::of(graph).is_whole_grid(graph, t, axes)
}

/// Whether a tensor is feature maps moved: the same cells of the same channels, in another order or beside fewer tokens.
pub fn is_moved(graph: &Graph, from: Tensor, to: Tensor) -> bool {
    from == to || Grids::of(graph).is_moved(graph, from, to)
}

/// Whether any node on the way to the scores makes feature maps of more than one cell.
fn has_feature_maps(graph: &Graph, head: &Head) -> bool {
    let needed = graph.needed_for(&[head.scores]);
    let on_the_way = graph.nodes().iter().zip(needed).filter(|(_, needed)| *needed);
    let mut made = on_the_way.flat_map(|(node, _)| node.outputs.iter().flatten());
    let spatial = spatial_axes(graph);
    made.any(|t| is_feature_map(graph, *t, spatial) && cells(graph, *t) > 1)
}

/// The layer that a name stands for: a tensor, a node, or a module path; or the only one with that ending.
pub fn find_layer(graph: &Graph, head: &Head, query: &str) -> Result<Layer, LayerError> {
    let t = in_floats(graph, resolve(graph, query)?, query)?;
    let name = || printable(&graph.tensor(t).name);
    if graph.tensor(t).dtype.is_some_and(|d| !d.is_float()) {
        return Err(LayerError::Integers { layer: name(), signature: graph.tensor(t).signature() });
    }
    let space = Space::of(graph, head);
    if space.grids.view(graph, t).is_none() && !space.is_feature_map(t) {
        return Err(LayerError::Shape { layer: name(), signature: graph.tensor(t).signature() });
    }
    if !reached(graph).contains(&t) {
        return Err(LayerError::Constant { layer: name() });
    }
    if after(graph, head, t).is_empty() {
        return Err(LayerError::OffThePath { layer: name() });
    }
    let view = space.grids.view_of_any(graph, t).or_else(|| space.as_convolved(t));
    let view = view.ok_or_else(|| LayerError::Shape { layer: name(), signature: graph.tensor(t).signature() })?;
    Ok(layer(graph, t, view))
}

/// Whether the score reads any of a layer's cells; behind the last attention it may be the class token alone.
pub fn cells_reach_the_score(graph: &Graph, head: &Head, layer: &Layer) -> bool {
    let grids = Grids::of(graph);
    Reach::of(graph, &grids, head.scores).is_live(&grids, layer.tensor)
}

/// What DequantizeLinear makes of a tensor of rounded values; any other as it is.
fn in_floats(graph: &Graph, t: Tensor, query: &str) -> Result<Tensor, LayerError> {
    let back = |n: &&Node| n.carried.is_none() && &*n.op == "DequantizeLinear" && n.inputs.first() == Some(&Some(t));
    let floats: Vec<Tensor> = graph.nodes().iter().filter(back).filter_map(|n| n.outputs[0]).collect();
    match floats.as_slice() {
        [] => Ok(t),
        [one] => Ok(*one),
        several => {
            let matches = several.iter().map(|t| printable(&graph.tensor(*t).name)).collect();
            Err(LayerError::Ambiguous { query: printable(query), matches })
        }
    }
}

/// Where the file has rounded values only, theirs is the name that people know.
fn layer(graph: &Graph, t: Tensor, view: View) -> Layer {
    let ours = graph.tensor(t).name.starts_with(PREFIX);
    let stored = graph.producer(t).filter(|n| ours && &*n.op == "DequantizeLinear").and_then(|n| n.inputs[0]);
    let known = stored.unwrap_or(t);
    Layer {
        tensor: t,
        view,
        name: graph.tensor(known).name.to_string(),
        module: graph.producer(known).map(|n| n.module.clone()).unwrap_or_default(),
    }
}

fn resolve(graph: &Graph, query: &str) -> Result<Tensor, LayerError> {
    if query.is_empty() {
        return Err(LayerError::Unknown { query: String::new(), nearest: nearest(graph, &modules(graph), query) });
    }
    if let Some(t) = graph.find(query) {
        return Ok(t);
    }
    let first_output = |node: &Node| node.outputs.first().copied().flatten();
    let last_where = |fits: &dyn Fn(&Node) -> bool| graph.nodes().iter().rev().find(|n| fits(n)).and_then(first_output);
    if let Some(t) = last_where(&|n| n.name == query) {
        return Ok(t);
    }
    if let Some(t) = module_output(graph, query)? {
        return Ok(t);
    }
    let modules = modules(graph);
    let ending: Vec<&String> =
        modules.iter().filter(|m| m.strip_suffix(query).is_some_and(|rest| rest.ends_with('.'))).collect();
    let one = match ending.as_slice() {
        [one] => module_output(graph, one)?,
        [] => None,
        several => {
            let matches = several.iter().map(|m| printable(m)).collect();
            return Err(LayerError::Ambiguous { query: printable(query), matches });
        }
    };
    one.ok_or_else(|| LayerError::Unknown { query: printable(query), nearest: nearest(graph, &modules, query) })
}

/// What the last node of a module makes.
///
/// A module that is called again is ambiguous. The newer exporter gives both calls' nodes the same path, with those of
/// other modules between; the older writes `relu_1` for the second call of `relu`.
fn module_output(graph: &Graph, path: &str) -> Result<Option<Tensor>, LayerError> {
    let named: Vec<(usize, &Node)> =
        graph.nodes().iter().enumerate().filter(|(_, n)| call_of(&n.module, path).is_some()).collect();
    let is_leaf = named.iter().all(|(_, n)| !n.module[path.len()..].contains('.'));
    let mut calls: Vec<(usize, &str, &Node)> = Vec::new(); // Each one's last node.
    for (index, node) in named {
        let call = call_of(&node.module, path).unwrap_or_default();
        let goes_on = |(last, of, _): &(usize, &str, &Node)| *of == call && (!is_leaf || last + 1 == index);
        match calls.iter_mut().rev().find(|c| goes_on(c)) {
            Some(earlier) => *earlier = (index, call, node),
            None => calls.push((index, call, node)),
        }
    }
    let own = calls.iter().rev().find(|(_, call, _)| call.is_empty()).map(|(_, _, node)| node.op.clone());
    let Some(op) = own else { return Ok(None) };
    calls.retain(|(_, _, node)| node.op == op);
    let outputs: Vec<Tensor> = calls.iter().filter_map(|(_, _, n)| n.outputs.first().copied().flatten()).collect();
    match outputs.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(*one)),
        several => {
            let matches = several.iter().map(|t| printable(&graph.tensor(*t).name)).collect();
            Err(LayerError::Ambiguous { query: printable(path), matches })
        }
    }
}

/// Whether a node's module is this one or lies in it: empty for the first call, `_1` for the next; else nothing.
fn call_of<'m>(module: &'m str, path: &str) -> Option<&'m str> {
    let rest = module.strip_prefix(path)?;
    let call = rest.split('.').next().unwrap_or_default();
    let again = call.strip_prefix('_').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    (call.is_empty() || again).then_some(call)
}

/// Every module path and its parents.
fn modules(graph: &Graph) -> BTreeSet<String> {
    let mut modules = BTreeSet::new();
    for node in graph.nodes() {
        let dots = node.module.match_indices('.').map(|(i, _)| &node.module[..i]);
        modules.extend(dots.chain([node.module.as_str()]).filter(|m| !m.is_empty()).map(str::to_owned));
    }
    modules
}

/// The five names that look most like the query, as a whole or in one of their endings.
fn nearest(graph: &Graph, modules: &BTreeSet<String>, query: &str) -> Vec<String> {
    let spatial = spatial_axes(graph);
    let maps = graph.tensors().filter(|t| is_feature_map(graph, *t, spatial) && graph.producer_index(*t).is_some());
    let names = maps.map(|t| graph.tensor(t).name.to_string()).filter(|n| !n.starts_with(PREFIX));
    let mut scored: Vec<(usize, usize, String)> = names
        .chain(modules.iter().cloned())
        .map(|name| {
            const MOST_ENDINGS: usize = 4;
            let apart = |part: &str| strsim::damerau_levenshtein(part, query);
            let endings = name.rmatch_indices('.').take(MOST_ENDINGS).map(|(i, _)| apart(&name[i + 1..]));
            let whole = apart(&name);
            (endings.min().unwrap_or(whole).min(whole), whole, name)
        })
        .collect();
    scored.sort();
    scored.dedup();
    scored.into_iter().take(5).map(|(_, _, name)| printable(&name)).collect()
}

/// What made a tensor, rounding aside: a quantised network stores every result in bytes.
fn maker(graph: &Graph, t: Tensor) -> Option<&Node> {
    let rounds = |n: &Node| matches!(&*n.op, "QuantizeLinear" | "DequantizeLinear") && n.carried.is_none();
    let mut node = graph.producer(t)?;
    while rounds(node)
        && let Some(before) = node.inputs[0].and_then(|t| graph.producer(t))
    {
        node = before;
    }
    Some(node)
}

/// How many spatial axes a convolution's output has, where they are not `expected`.
fn other_axes(graph: &Graph, t: Tensor, expected: usize) -> Option<usize> {
    let convolved = graph.producer(t).filter(|n| matches!(&*n.op, "Conv" | "ConvTranspose") && n.carried.is_none());
    let spatial = convolved.and(graph.shape(t))?.len().checked_sub(2)?;
    (spatial != expected).then_some(spatial)
}

/// Floats in the form that convolutions over this many axes have.
fn is_feature_map(graph: &Graph, t: Tensor, spatial: usize) -> bool {
    let info = graph.tensor(t);
    info.dtype.is_some_and(|d| d.is_float()) && info.shape.as_ref().is_some_and(|s| s.len() == spatial + 2)
}

fn cells(graph: &Graph, t: Tensor) -> i64 {
    graph.shape(t).unwrap_or_default().iter().skip(2).map(|d| d.known().unwrap_or(0)).product()
}

/// Tensors that depend on the graph's inputs.
fn reached(graph: &Graph) -> HashSet<Tensor> {
    let mut reached: HashSet<Tensor> = graph.inputs.iter().copied().collect();
    for node in graph.nodes() {
        if node.inputs.iter().flatten().any(|t| reached.contains(t)) {
            reached.extend(node.outputs.iter().flatten());
        }
    }
    reached
}

/// Tensors without which the picture does not reach the scores, first to last.
///
/// A sweep in topological order that counts, after each node, the tensors that are made and still read later: where only
/// one is left, everything passes through it.
fn cuts(graph: &Graph, head: &Head) -> Vec<Tensor> {
    let needed = graph.needed_for(&[head.scores]);
    let reached = reached(graph);
    let on_path =
        |index: usize| needed[index] && graph.nodes()[index].inputs.iter().flatten().any(|t| reached.contains(t));
    let nodes: Vec<usize> = (0..graph.nodes().len()).filter(|i| on_path(*i)).collect();
    let mut last_read: HashMap<Tensor, usize> = HashMap::from([(head.scores, usize::MAX)]);
    for index in &nodes {
        for input in graph.nodes()[*index].inputs.iter().flatten().filter(|t| reached.contains(t)) {
            let last = last_read.entry(*input).or_insert(*index);
            *last = (*last).max(*index);
        }
    }
    let mut open: BTreeSet<Tensor> = graph.inputs.iter().copied().filter(|t| last_read.contains_key(t)).collect();
    let mut cuts = Vec::new();
    for index in nodes {
        open.extend(graph.nodes()[index].outputs.iter().flatten().filter(|t| last_read.contains_key(t)));
        open.retain(|t| last_read[t] > index);
        if let Some(only) = open.first().filter(|_| open.len() == 1)
            && cuts.last() != Some(only)
            && !graph.inputs.contains(only)
        {
            cuts.push(*only);
        }
    }
    cuts
}

/// Operators that bend: not piecewise linear in an input.
const CURVED: &[&str] = &[
    "Sigmoid",
    "HardSwish",
    "Swish",
    "Tanh",
    "Exp",
    "Log",
    "Sqrt",
    "Reciprocal",
    "Erf",
    "Sin",
    "Cos",
    "Pow",
    "Softmax",
    "LogSoftmax",
    "LRN",
    "ReduceProd",
];

/// Operators that are linear in each input, but bend where two of them depend on the layer.
const PRODUCTS: &[&str] =
    &["Mul", "Div", "MatMul", "Gemm", "Conv", "ConvTranspose", "BatchNormalization", "ScatterElements"];

/// The first node between a layer and the scores that is not piecewise linear in the layer, if there is one.
pub fn first_curved<'g>(graph: &'g Graph, head: &Head, layer: Tensor) -> Option<&'g Node> {
    let nodes = after(graph, head, layer);
    let made: HashSet<Tensor> = nodes.iter().flat_map(|n| n.outputs.iter().flatten().copied()).chain([layer]).collect();
    let varying = |n: &Node| n.inputs.iter().flatten().filter(|t| made.contains(t)).count();
    let divides = |n: &Node| &*n.op == "Div" && n.inputs[1].is_some_and(|t| made.contains(&t));
    let bends = |n: &Node| CURVED.contains(&&*n.op) || (PRODUCTS.contains(&&*n.op) && varying(n) > 1) || divides(n);
    nodes.into_iter().find(|n| bends(n))
}

/// The first node between a layer and the scores that rounds to integers, through which gradients pass as if it did not.
pub fn first_rounded<'g>(graph: &'g Graph, head: &Head, layer: Tensor) -> Option<&'g Node> {
    after(graph, head, layer).into_iter().find(|n| match &*n.op {
        "QuantizeLinear" => n.attributes.int("to") != DataType::I32 as i64, // That one is an integer product's own.
        op => op == "DynamicQuantizeLinear",
    })
}

/// Nodes between a layer and the scores.
fn after<'g>(graph: &'g Graph, head: &Head, layer: Tensor) -> Vec<&'g Node> {
    let needed = graph.needed_for(&[head.scores]);
    let mut reached = HashSet::from([layer]);
    let mut nodes = Vec::new();
    for (index, node) in graph.nodes().iter().enumerate() {
        if needed[index] && node.inputs.iter().flatten().any(|t| reached.contains(t)) {
            reached.extend(node.outputs.iter().flatten());
            nodes.push(node);
        }
    }
    nodes
}

#[cfg(test)]
mod tests {
    use super::{CURVED, PRODUCTS};

    /// Whoever adds an operator has to say here whether it bends, lest the note `alpha: first-order` goes missing.
    #[test]
    fn every_operator_is_known_to_bend_or_not() {
        let straight = [
            "Relu",
            "LeakyRelu",
            "Clip",
            "HardSigmoid",
            "Abs",
            "Neg",
            "Floor",
            "Ceil",
            "Not",
            "Cast",
            "Add",
            "Sub",
            "Min",
            "Max",
            "Mod",
            "And",
            "Or",
            "Equal",
            "Greater",
            "Less",
            "GreaterOrEqual",
            "LessOrEqual",
            "Where",
            "Reshape",
            "Transpose",
            "Concat",
            "Split",
            "Slice",
            "Pad",
            "Expand",
            "Gather",
            "GatherElements",
            "TopK",
            "QuantizeLinear", // As gradients see it.
            "DequantizeLinear",
            "DynamicQuantizeLinear",
            "CumSum",
            "Tile",
            "DepthToSpace",
            "ReduceMean",
            "ReduceSum",
            "ReduceMax",
            "ReduceMin",
            "ArgMax",
            "MaxPool",
            "AveragePool",
            "GlobalAveragePool",
            "GlobalMaxPool",
        ];
        let mut named = [CURVED, PRODUCTS, &straight].concat();
        named.sort_unstable();
        let mut canonical: Vec<&str> = onnx_graph::ops::names().collect();
        canonical.sort_unstable();
        assert_eq!(named, canonical);
    }
}

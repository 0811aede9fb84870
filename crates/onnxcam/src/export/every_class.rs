//! Every class at once: what lies between class and map, for N·C rows, one a class of each picture.
//!
//! The network runs once. Where global average pooling and a linear head follow the layer, the gradient of a class is
//! one number a feature map, and Σ_k w_k A^k for all classes is one matrix product, [C, K] · [K, h·w]. Elsewhere the
//! gradients of every class are computed as those of one are, in so many rows. What depends on the class alone is computed
//! once, [C, …], and as nothing in it is an input, engines compute it when they load the file.

use std::collections::{HashMap, HashSet};

use onnx_graph::dim::element_count;
use onnx_graph::{Attributes, Constant, Dim, Emit, Graph, Node, Tensor};

use super::ExportError;
use super::graph::{between, results};
use crate::explain::{Plan, before_expand, computed_before_expand, depending};

/// The most elements of one tensor for one picture: 256 MiB in float32.
const LARGEST: i64 = 64 << 20;

/// What is made for every class.
pub(super) struct EveryClass {
    /// The predicted class, \[N\].
    pub predicted: Tensor,
    /// [N, C, h, w] each.
    pub maps: Vec<Tensor>,
    /// ∂S/∂A of class 0, of A's shape.
    pub gradient: Option<Tensor>,
}

/// The maps of every class; the graph has no target then.
pub(super) fn every_class(graph: &mut Graph, plan: &Plan) -> Result<EveryClass, ExportError> {
    let count = Dim::from(plan.head.classes);
    let batch = graph.shape(plan.class).and_then(|s| s.first().copied()).unwrap_or(Dim::BATCH);
    graph.inputs.retain(|t| *t != plan.target);
    let maps = results(plan);
    let ends: Vec<Tensor> = maps.iter().copied().chain(plan.gradient).collect();
    let nodes = between(graph, plan.class, &ends);
    let sources: Vec<Tensor> = [plan.input].into_iter().chain(plan.rival.map(|(_, rival)| rival)).collect();
    let of_picture = depending(graph, &sources);
    let e = Emit::new(graph);
    let highest = Attributes::none().with("axis", 1i64).with("keepdims", false);
    let predicted = e.node("ArgMax", &[plan.head.scores], highest);
    let numbers: Vec<i64> = (0..plan.head.classes as i64).collect();
    let numbers = e.constant(Constant::i64s(&[numbers.len()], &numbers));
    let [of_class, copied, tiled] = [(); 3].map(|()| HashMap::new());
    let mut rows = Rows { e: &e, batch, count, of_picture, of_class, copied, tiled };
    rows.of_class.insert(plan.class, numbers);
    for node in &nodes {
        rows.copy(node)?;
    }
    let by_class = |t: Tensor| {
        let mut shape = e.shape(t);
        shape.splice(0..1, [batch, count]);
        e.reshape(t, shape)
    };
    let mut own = |t: &Tensor| if rows.is_made(*t) { rows.row(*t) } else { rows.tile(*t) };
    let maps = maps.iter().map(|map| own(map).map(by_class)).collect::<Result<_, _>>()?;
    let gradient = plan.gradient.map(|g| {
        let rows = own(&g)?;
        let first = by_class(before_expand(&e, rows).unwrap_or(rows));
        let mut shape = e.shape(first);
        shape.remove(1);
        Ok::<_, ExportError>(e.expand(e.reshape(e.slice(first, 1, 0, 1, 1), shape), e.shape(g)))
    });
    let gradient = gradient.transpose()?;
    e.finish()?;
    Ok(EveryClass { predicted, maps, gradient })
}

/// Whether what these outputs need is small enough to be held for every class.
pub(super) fn check_size(graph: &Graph, maps: &[Tensor], file: &HashSet<String>) -> Result<(), ExportError> {
    for (node, _) in graph.nodes().iter().zip(graph.needed_for(maps)).filter(|(_, needed)| *needed) {
        for t in node.outputs.iter().flatten().filter(|t| !file.contains(&*graph.tensor(**t).name)) {
            let shape = graph.shape(*t).unwrap_or_default();
            let elements = element_count(shape).map_or(i64::MAX, |count| count.at(1));
            if elements > LARGEST {
                let what = format!("{} of shape {}", graph.describe(node), onnx_graph::show_shape(shape));
                return Err(ExportError::EveryClass { what: format!("{what} would be too large") });
            }
        }
    }
    Ok(())
}

/// The rows of N pictures' C classes, a picture's classes together.
struct Rows<'a, 'g> {
    e: &'a Emit<'g>,
    batch: Dim,
    count: Dim,
    /// What has a row for each picture: what depends on it, and on the class that is contrasted.
    of_picture: HashSet<Tensor>,
    /// What depends on the class alone, [C, …].
    of_class: HashMap<Tensor, Tensor>,
    /// What has a row for each picture and class, [N·C, …].
    copied: HashMap<Tensor, Tensor>,
    tiled: HashMap<Tensor, Tensor>,
}

impl Rows<'_, '_> {
    /// N·C.
    fn all(&self) -> Result<Dim, ExportError> {
        let too_many = || ExportError::EveryClass { what: format!("a batch of {} has too many rows", self.batch) };
        self.batch.mul(self.count).ok_or_else(too_many)
    }

    /// A node for every class where that is all it depends on, else for every row.
    fn copy(&mut self, node: &Node) -> Result<(), ExportError> {
        if let Some(made) = self.for_classes(node) {
            self.of_class.extend(node.outputs.iter().copied().flatten().zip(made));
            return Ok(());
        }
        let made = match self.product(node)? {
            Some(made) => vec![made],
            None => {
                let inputs = node.inputs.iter().map(|t| t.map(|t| self.row(t)).transpose());
                let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
                let late = computed_before_expand(self.e, node, &inputs);
                late.map_or_else(|| self.again(node, &inputs), |made| Ok(vec![made]))?
            }
        };
        for (old, new) in node.outputs.iter().copied().flatten().zip(made) {
            self.check(node, old, new)?;
            self.copied.insert(old, new);
        }
        Ok(())
    }

    /// What a node makes for each class, where it reads nothing of pictures.
    fn for_classes(&self, node: &Node) -> Option<Vec<Tensor>> {
        let of_class = |t: &Tensor| self.of_class.contains_key(t);
        let of_rows = |t: &Tensor| self.copied.contains_key(t) || self.of_picture.contains(t) || self.is_open(*t);
        let mut inputs = node.inputs.iter().flatten();
        if !inputs.clone().any(of_class) || inputs.any(|t| !of_class(t) && of_rows(t)) {
            return None;
        }
        let inputs: Vec<_> =
            node.inputs.iter().map(|t| t.map(|t| self.of_class.get(&t).copied().unwrap_or(t))).collect();
        let mut attributes = node.attributes.clone();
        if matches!(&*node.op, "Reshape" | "Expand") {
            let mut shape = node.attributes.dims("shape").to_vec();
            *shape.first_mut().filter(|first| **first == self.batch)? = self.count;
            attributes = Attributes::none().with("shape", shape);
        }
        let late = computed_before_expand(self.e, node, &inputs);
        let made = late.map_or_else(|| self.e.nodes(&node.op, &inputs, attributes), |made| vec![made]);
        let is_one_each = |(old, new): (Tensor, &Tensor)| {
            let (old, new) = (self.e.shape(old), self.e.shape(*new));
            old.first() == Some(&self.batch) && new.first() == Some(&self.count) && old[1..] == new[1..]
        };
        node.outputs.iter().copied().flatten().zip(&made).all(is_one_each).then_some(made)
    }

    /// The same node of other inputs, sizes that it names with them.
    fn again(&self, node: &Node, inputs: &[Option<Tensor>]) -> Result<Vec<Tensor>, ExportError> {
        let mut attributes = node.attributes.clone();
        if matches!(&*node.op, "Reshape" | "Expand") {
            let mut shape = node.attributes.dims("shape").to_vec();
            let first = shape.first_mut().ok_or_else(|| self.mixed(node))?;
            *first = first.mul(self.count).ok_or_else(|| self.mixed(node))?;
            attributes = Attributes::none().with("shape", shape);
        }
        Ok(self.e.nodes(&node.op, inputs, attributes))
    }

    /// What a node reads: its rows where it depends on the class, else what is the same for every class, repeated.
    fn row(&mut self, t: Tensor) -> Result<Tensor, ExportError> {
        match (self.copied.get(&t), self.of_class.get(&t)) {
            (Some(rows), _) => Ok(*rows),
            (None, Some(of_class)) => {
                let rows = self.for_each_picture(*of_class)?;
                self.copied.insert(t, rows);
                Ok(rows)
            }
            _ if self.of_picture.contains(&t) || self.is_open(t) => self.tile(t),
            _ => Ok(t),
        }
    }

    /// Whether there are rows of a tensor, or classes.
    fn is_made(&self, t: Tensor) -> bool {
        self.copied.contains_key(&t) || self.of_class.contains_key(&t)
    }

    /// [C, …] -> [N·C, …], for each picture the same.
    fn for_each_picture(&self, t: Tensor) -> Result<Tensor, ExportError> {
        let e = self.e;
        let small = before_expand(e, t).unwrap_or(t);
        let rest = |t: Tensor| e.shape(t)[1..].to_vec();
        let with = |front: &[Dim], t: Tensor| [front, &rest(t)].concat();
        let one = e.reshape(small, with(&[Dim::new(1), self.count], small));
        let rows = e.expand(one, with(&[self.batch, self.count], small));
        let rows = e.reshape(rows, with(&[self.all()?], small));
        Ok(if small == t { rows } else { e.expand(rows, with(&[self.all()?], t)) })
    }

    /// Whether a tensor has a row for each picture, whatever its rows are of.
    fn is_open(&self, t: Tensor) -> bool {
        self.e.shape(t).first().is_some_and(|d| d.is_symbolic())
    }

    /// [N, …] -> [N·C, …], each row C times.
    fn tile(&mut self, t: Tensor) -> Result<Tensor, ExportError> {
        if let Some(tiled) = self.tiled.get(&t) {
            return Ok(*tiled);
        }
        let (e, shape) = (self.e, self.e.shape(t));
        let Some((first, rest)) = shape.split_first().filter(|(first, _)| **first == self.batch) else {
            let name = onnx_graph::printable(&e.graph().tensor(t).name);
            return Err(ExportError::EveryClass { what: format!("\"{name}\" has no row for each picture") });
        };
        let with = |front: &[Dim]| front.iter().chain(rest).copied().collect::<Vec<_>>();
        let one = e.reshape(t, with(&[*first, Dim::new(1)]));
        let tiled = e.reshape(e.expand(one, with(&[*first, self.count])), with(&[self.all()?]));
        self.tiled.insert(t, tiled);
        Ok(tiled)
    }

    /// A sum of products w · A, where A is the same for every class and w a number a feature map:
    ///
    /// Σ_k w_k A^k as the matrix product [C, K] · [K, h·w] for each picture; Σ_ij w_k A^k_ij = w_k Σ_ij A^k_ij, and so
    /// means.
    fn product(&mut self, node: &Node) -> Result<Option<Tensor>, ExportError> {
        if !matches!(&*node.op, "ReduceSum" | "ReduceMean") {
            return Ok(None);
        }
        let e = self.e;
        let factors = node.inputs.first().copied().flatten().and_then(|product| {
            let graph = e.graph();
            let node = graph.producer(product).filter(|n| &*n.op == "Mul")?;
            let (a, b) = (node.inputs[0]?, node.inputs[1]?);
            let fixed = |t: &Tensor| !self.is_made(*t) && self.of_picture.contains(t);
            let (w, same) = if fixed(&b) { (a, b) } else { (b, a) };
            Some((w, same)).filter(|(w, same)| self.is_made(*w) && fixed(same))
        });
        let Some((w, same)) = factors else { return Ok(None) };
        let of_class = self.of_class.get(&w).copied();
        let w = of_class.map_or_else(|| self.row(w), Ok)?;
        let w = before_expand(e, w).unwrap_or(w);
        let (of_w, shape) = (e.shape(w), e.shape(same));
        let per_map = of_w.len() == shape.len() && of_w.len() > 2 && of_w[2..].iter().all(|d| *d == Dim::new(1));
        if !per_map || shape[0] != self.batch || of_w[1] != shape[1] {
            return Ok(None);
        }
        let (axes, keep) = (node.attributes.ints("axes"), node.attributes.flag("keepdims"));
        if axes == [1] && &*node.op == "ReduceSum" {
            let Some(cells) = element_count(&shape[2..]) else { return Ok(None) };
            let front = if of_class.is_some() { vec![self.count] } else { vec![self.batch, self.count] };
            let w = e.reshape(w, [front, vec![shape[1]]].concat());
            let sums = e.matmul(w, e.reshape(same, vec![self.batch, shape[1], cells])); // [N, C, h·w]
            let kept = [Dim::new(1)].into_iter().filter(|_| keep);
            let rows = [self.all()?].into_iter().chain(kept).chain(shape[2..].iter().copied());
            return Ok(Some(e.reshape(sums, rows.collect())));
        }
        if axes.iter().any(|axis| *axis < 2) || !keep {
            return Ok(None);
        }
        let sums = e.nodes(&node.op, &[Some(same)], node.attributes.clone())[0]; // [N, K, 1, 1]
        self.of_picture.insert(sums);
        let w = if of_class.is_some() { self.for_each_picture(w)? } else { w };
        Ok(Some(e.mul(w, self.tile(sums)?)))
    }

    /// Whether a node made C rows of each that it made before, and nothing else of another size.
    fn check(&self, node: &Node, old: Tensor, new: Tensor) -> Result<(), ExportError> {
        let (old, new) = (self.e.shape(old), self.e.shape(new));
        let changed: Vec<usize> = (0..old.len().min(new.len())).filter(|i| old[*i] != new[*i]).collect();
        let grown = |axis: usize| old[axis].mul(self.count) == Some(new[axis]);
        match changed.as_slice() {
            [axis] if old.len() == new.len() && grown(*axis) => Ok(()),
            [] if old == new && self.count == Dim::new(1) => Ok(()),
            _ => Err(self.mixed(node)),
        }
    }

    fn mixed(&self, node: &Node) -> ExportError {
        ExportError::EveryClass { what: format!("{} mixes the pictures of a batch", self.e.graph().describe(node)) }
    }
}

//! How a layer's tensor becomes feature maps.

use ndarray::{ArrayD, ArrayViewD, Axis as ArrayAxis, Slice, concatenate};
use onnx_graph::{Dim, Emit, Shape, Tensor};

use super::grid::{Axis, Factor, Kind};

/// The way from a tensor to feature maps [N, K, h, w], of a series [N, K, l], of a volume [N, K, d, h, w]: class and register tokens left out, every axis cut into its
/// factors, and these put in order. It only moves elements, so that ∂S/∂A goes the same way.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    from: Shape,
    /// Axis of the tokens, the class and register tokens before the grid's, the grid's, those behind them.
    tokens: Option<(usize, [i64; 3])>,
    factors: Shape,
    order: Vec<i64>,
    shape: Shape,
}

impl View {
    /// That of a tensor [N, K, h, w], or of as many axes as there are.
    pub fn identity(shape: &[Dim]) -> View {
        let order = (0..shape.len() as i64).collect();
        View { from: shape.to_vec(), tokens: None, factors: shape.to_vec(), order, shape: shape.to_vec() }
    }

    /// Of a tensor with these axes: `None` where not every row and every column of a grid of more than one cell occurs
    /// once, or where something is neither these nor batch nor channel; colours count as channels with `pixels`. Of a grid
    /// of `spatial` axes.
    pub(super) fn of(axes: &[Axis], shape: &[Dim], batch: Dim, spatial: usize, pixels: bool) -> Option<View> {
        let mut tokens = None;
        let mut factors: Vec<Factor> = Vec::new();
        for (i, axis) in axes.iter().enumerate() {
            match axis.as_slice() {
                [Factor::Tokens { before, grid, after }] if tokens.is_none() => {
                    let cells = grid.iter().filter_map(|f| f.size().known()).product();
                    tokens = Some((i, [*before, cells, *after]));
                    factors.extend(grid.iter().cloned());
                }
                axis => factors.extend(axis.iter().cloned()),
            }
        }
        let places = |fits: &dyn Fn(&Factor) -> bool| -> Vec<usize> {
            (0..factors.len()).filter(|i| fits(&factors[*i])).collect()
        };
        let of_kind = |which: Kind| places(&|f| f.is(which));
        let images = of_kind(Kind::Batch);
        let channels = places(&|f| f.is(Kind::Channel) || (pixels && f.is(Kind::Pixel)));
        let along = |which: usize| {
            let mut found = places(&|f| matches!(f, Factor::Space { axis, .. } if *axis == which));
            found.sort_by_key(|i| match factors[*i] {
                Factor::Space { step, .. } => -step,
                _ => 0,
            });
            found
        };
        let grid: Vec<Vec<usize>> = (0..spatial).map(along).collect(); // Rows, columns
        let order: Vec<usize> = [images.clone(), channels.clone(), grid.concat()].concat();
        let extents = grid.iter().map(|places| complete(&factors, places)).collect::<Option<Vec<i64>>>()?;
        let product =
            |places: &[usize]| places.iter().try_fold(Dim::new(1), |product, i| product.mul(factors[*i].size()));
        let whole =
            order.len() == factors.len() && product(&images) == Some(batch) && extents.iter().any(|extent| *extent > 1);
        if !whole || (channels.is_empty() && !pixels) {
            return None;
        }
        let mut maps = vec![batch, product(&channels)?];
        maps.extend(extents.into_iter().map(Dim::new));
        Some(View {
            from: shape.to_vec(),
            tokens: tokens.filter(|(_, [before, _, after])| before + after > 0),
            factors: factors.iter().map(Factor::size).collect(),
            order: order.into_iter().map(|i| i as i64).collect(),
            shape: maps,
        })
    }

    /// Shape of the feature maps, [N, K, h, w], of a series [N, K, l], of a volume [N, K, d, h, w].
    pub fn shape(&self) -> &[Dim] {
        &self.shape
    }

    /// Rows and columns of the grid, or the extents of its other number of axes.
    pub fn grid(&self) -> Vec<i64> {
        self.shape.iter().skip(2).map(|d| d.known().unwrap_or(0)).collect()
    }

    /// Whether there is one cell only.
    pub(crate) fn is_one_cell(&self) -> bool {
        self.grid().iter().all(|extent| *extent == 1)
    }

    /// Class and register tokens that are left out: before the grid's and behind them.
    pub fn extras(&self) -> (i64, i64) {
        self.tokens.map_or((0, 0), |(_, [before, _, after])| (before, after))
    }

    /// Whether the tensor is the feature maps as it is.
    pub fn is_identity(&self) -> bool {
        self.tokens.is_none() && self.order.is_sorted() && self.from == self.shape
    }

    /// The feature maps of the layer, or the gradient with respect to them of that with respect to the layer.
    pub fn emit(&self, e: &Emit, t: Tensor) -> Tensor {
        let cells = match self.tokens {
            Some((axis, [before, cells, _])) => e.slice(t, axis, before, 1, cells),
            None => t,
        };
        e.reshape(e.transpose(e.reshape(cells, self.factors.clone()), &self.order), self.shape.clone())
    }

    /// Whether [`put_back`](View::put_back) is defined: class and register tokens of several pictures lie along an axis
    /// of their own.
    pub(crate) fn can_be_put_back(&self) -> bool {
        self.tokens.is_none() || self.from.iter().all(|d| *d == Dim::BATCH || !d.is_symbolic())
    }

    /// The feature maps [1, K, h, w] of what the layer holds of one picture.
    pub(crate) fn maps(&self, layer: &ArrayD<f32>) -> Option<ArrayD<f32>> {
        let cells = match self.tokens {
            Some((axis, [before, cells, _])) => {
                layer.slice_axis(ArrayAxis(axis), Slice::new(before as isize, Some((before + cells) as isize), 1))
            }
            None => layer.view(),
        };
        let order: Vec<usize> = self.order.iter().map(|i| *i as usize).collect();
        moved(cells, &sizes(&self.factors, 1), &order, &sizes(&self.shape, 1))
    }

    /// What the layer holds of pictures with these feature maps, [n, K, h, w], and with the class and register tokens that
    /// it has of one picture, `one`.
    pub(crate) fn put_back(&self, maps: &ArrayD<f32>, one: &ArrayD<f32>) -> Option<ArrayD<f32>> {
        let n = maps.shape().first().copied()?;
        let factors = sizes(&self.factors, n);
        let ordered: Vec<usize> = self.order.iter().map(|i| factors[*i as usize]).collect();
        let mut inverse = vec![0; ordered.len()];
        self.order.iter().enumerate().for_each(|(to, from)| inverse[*from as usize] = to);
        let mut from = sizes(&self.from, n);
        let Some((axis, [before, cells, after])) = self.tokens else {
            return moved(maps.view(), &ordered, &inverse, &from);
        };
        from[axis] = cells as usize;
        let cells_of_all = moved(maps.view(), &ordered, &inverse, &from)?;
        let extras = |begin: i64, count: i64| {
            let mut shape = from.clone();
            shape[axis] = count as usize;
            Some(
                one.slice_axis(ArrayAxis(axis), Slice::new(begin as isize, Some((begin + count) as isize), 1))
                    .broadcast(shape)?
                    .to_owned(),
            )
        };
        let (front, back) = (extras(0, before)?, extras(before + cells, after)?);
        concatenate(ArrayAxis(axis), &[front.view(), cells_of_all.view(), back.view()]).ok()
    }
}

fn sizes(shape: &[Dim], batch: usize) -> Vec<usize> {
    shape.iter().map(|d| usize::try_from(d.at(batch)).unwrap_or(0)).collect()
}

/// The same elements, first as `factors`, then these in another order, then as `shape`.
fn moved(a: ArrayViewD<f32>, factors: &[usize], order: &[usize], shape: &[usize]) -> Option<ArrayD<f32>> {
    let factored = a.to_shape(factors).ok()?;
    let ordered = factored.view().permuted_axes(order);
    let moved = ordered.to_shape(shape).ok()?;
    Some(moved.as_standard_layout().into_owned())
}

/// The extent of the rows, or of the columns, that these factors count, the slowest first, where they count each once.
fn complete(factors: &[Factor], places: &[usize]) -> Option<i64> {
    let mut within = 1;
    for i in places.iter().rev() {
        match factors[*i] {
            Factor::Space { size, step, .. } if step == within => within *= size,
            _ => return None,
        }
    }
    match places.first().map(|i| &factors[*i]) {
        Some(Factor::Space { extent, .. }) => (*extent == within).then_some(within),
        _ => Some(1),
    }
}

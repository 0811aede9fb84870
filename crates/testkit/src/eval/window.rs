//! Windows that slide: convolution and pooling.

use ndarray::ArrayD;

use super::index::{each, table};
use super::{Definition, Operands, Value, one};

pub(super) const OPERATORS: &[(&str, Definition)] = &[
    ("Conv", conv),
    ("ConvTranspose", conv_transpose),
    ("MaxPool", max_pool),
    ("AveragePool", average_pool),
    ("GlobalAveragePool", |o| global(o, |v| v.iter().sum::<f64>() / v.len() as f64)),
    ("GlobalMaxPool", |o| global(o, |v| v.iter().copied().fold(f64::NEG_INFINITY, f64::max))),
];

/// Spatial axes that windows may have.
const MOST_SPATIAL: usize = 6;

/// The windows over all spatial axes.
struct Windows {
    kernel: Vec<usize>,
    strides: Vec<usize>,
    dilations: Vec<usize>,
    begins: Vec<usize>,
    ends: Vec<usize>,
}

impl Windows {
    fn of(o: &Operands) -> Result<Windows, String> {
        let pads = o.naturals("pads")?;
        let kernel = o.naturals("kernel_shape")?;
        if kernel.len() > MOST_SPATIAL {
            return Err(format!("{} spatial axes", kernel.len()));
        }
        let (begins, ends) = pads.split_at(kernel.len());
        let (strides, dilations) = (o.naturals("strides")?, o.naturals("dilations")?);
        Ok(Windows { strides, dilations, begins: begins.to_vec(), ends: ends.to_vec(), kernel })
    }

    /// Where the cell `k` of the window `window` lies, counted from the first element of the input: in its begin
    /// padding where negative, in its end padding or behind it from the extent on.
    fn places(&self, window: &[usize], k: &[usize]) -> Vec<i64> {
        let place = |a: usize| (window[a] * self.strides[a] + k[a] * self.dilations[a]) as i64 - self.begins[a] as i64;
        (0..self.kernel.len()).map(place).collect()
    }

    /// Number of windows along each axis:
    /// (extent + pads − dilation · (kernel − 1) − 1) / stride + 1, rounded down, or up where `ceil` is set; then a
    /// window that would start in the end padding is left out.
    fn counts(&self, extents: &[usize], ceil: bool) -> Result<Vec<usize>, String> {
        let mut counts = Vec::new();
        for (a, extent) in extents.iter().enumerate() {
            let padded = extent + self.begins[a] + self.ends[a];
            let room = padded.checked_sub(self.dilations[a] * (self.kernel[a] - 1) + 1);
            let room = room.ok_or_else(|| format!("no window fits into {extents:?}"))?;
            let mut count = if ceil { room.div_ceil(self.strides[a]) } else { room / self.strides[a] } + 1;
            if ceil && (count - 1) * self.strides[a] >= extent + self.begins[a] {
                count -= 1;
            }
            counts.push(count);
        }
        Ok(counts)
    }
}

/// The places as indices, if all lie inside the input.
fn inside(places: &[i64], extents: &[usize]) -> Option<Vec<usize>> {
    let index = |(p, n): (&i64, &usize)| usize::try_from(*p).ok().filter(|p| p < n);
    places.iter().zip(extents).map(index).collect()
}

fn element(x: &Value, outer: [usize; 2], inner: &[usize]) -> f64 {
    let mut index = [0; 2 + MOST_SPATIAL];
    index[..2].copy_from_slice(&outer);
    index[2..2 + inner.len()].copy_from_slice(inner);
    x[&index[..2 + inner.len()]]
}

/// Y[n, o, p] = B[o] + Σ_c Σ_k X[n, c, place(p, k)] · W[o, c, k] over the channels c of o's group; padding is zero.
fn conv(o: &Operands) -> Result<Vec<Value>, String> {
    let (x, w, bias) = (o.input(0)?, o.input(1)?, o.optional(2));
    let windows = Windows::of(o)?;
    let groups = o.attributes().int("group") as usize;
    let (filters, channels, extents) = (w.shape()[0], w.shape()[1], &x.shape()[2..]);
    let shape = [&[x.shape()[0], filters], windows.counts(extents, false)?.as_slice()].concat();
    one(table(&shape, |i| {
        let (image, filter, window) = (i[0], i[1], &i[2..]);
        let group = filter / (filters / groups);
        let mut sum = bias.map_or(0.0, |b| b[[filter]]);
        each(&windows.kernel, |k| {
            let Some(place) = inside(&windows.places(window, k), extents) else { return };
            for c in 0..channels {
                sum += element(x, [image, group * channels + c], &place) * element(w, [filter, c], k);
            }
        });
        sum
    }))
}

/// Every X[n, c, p] adds X[n, c, p] · W[c, o, k] to Y[n, o, place(p, k)], for the filters o of c's group and every k;
/// what falls into the padding is dropped. The extent is stride · (extent − 1) + output_padding + dilation · (kernel − 1)
/// + 1 − pads.
fn conv_transpose(o: &Operands) -> Result<Vec<Value>, String> {
    let (x, w, bias) = (o.input(0)?, o.input(1)?, o.optional(2));
    let windows = Windows::of(o)?;
    let more = o.naturals("output_padding")?;
    let groups = o.attributes().int("group") as usize;
    let (channels, filters) = (x.shape()[1], w.shape()[1]);
    let mut shape = vec![x.shape()[0], groups * filters];
    for (a, extent) in x.shape()[2..].iter().enumerate() {
        let whole = windows.strides[a] * (extent - 1) + more[a] + windows.dilations[a] * (windows.kernel[a] - 1) + 1;
        let left = whole.checked_sub(windows.begins[a] + windows.ends[a]);
        shape.push(left.ok_or("its pads leave nothing")?);
    }
    let mut y = table(&shape, |i| bias.map_or(0.0, |b| b[[i[1]]]));
    each(x.shape(), |i| {
        let (image, channel, window) = (i[0], i[1], &i[2..]);
        let group = channel / (channels / groups);
        each(&windows.kernel, |k| {
            let Some(place) = inside(&windows.places(window, k), &shape[2..]) else { return };
            for filter in 0..filters {
                let to = [&[image, group * filters + filter], place.as_slice()].concat();
                y[to.as_slice()] += x[i] * element(w, [channel, filter], k);
            }
        });
    });
    one(y)
}

fn pool(o: &Operands, mut f: impl FnMut(&ArrayD<f64>, &Windows, &[usize]) -> f64) -> Result<Vec<Value>, String> {
    let (x, windows) = (o.input(0)?, Windows::of(o)?);
    let counts = windows.counts(&x.shape()[2..], o.attributes().flag("ceil_mode"))?;
    one(table(&[&x.shape()[..2], counts.as_slice()].concat(), |i| f(x, &windows, i)))
}

/// The greatest element of the window that is not padding.
fn max_pool(o: &Operands) -> Result<Vec<Value>, String> {
    pool(o, |x, windows, i| {
        let mut most = f64::NEG_INFINITY;
        each(&windows.kernel, |k| {
            if let Some(place) = inside(&windows.places(&i[2..], k), &x.shape()[2..]) {
                most = most.max(element(x, [i[0], i[1]], &place));
            }
        });
        most
    })
}

/// The mean of the window's elements. With `count_include_pad` the padding's zeros count too; what `ceil_mode` lets a
/// window reach behind the padding never does.
fn average_pool(o: &Operands) -> Result<Vec<Value>, String> {
    let include_pads = o.attributes().flag("count_include_pad");
    pool(o, |x, windows, i| {
        let extents = &x.shape()[2..];
        let (mut sum, mut count) = (0.0, 0.0);
        each(&windows.kernel, |k| {
            let places = windows.places(&i[2..], k);
            if let Some(place) = inside(&places, extents) {
                sum += element(x, [i[0], i[1]], &place);
                count += 1.0;
            } else if include_pads && (0..places.len()).all(|a| places[a] < (extents[a] + windows.ends[a]) as i64) {
                count += 1.0;
            }
        });
        sum / count
    })
}

fn global(o: &Operands, f: impl Fn(&[f64]) -> f64) -> Result<Vec<Value>, String> {
    let x = o.input(0)?;
    let shape: Vec<usize> = x.shape().iter().enumerate().map(|(a, n)| if a < 2 { *n } else { 1 }).collect();
    one(table(&shape, |i| {
        let mut elements = Vec::new();
        each(&x.shape()[2..], |place| elements.push(x[[&i[..2], place].concat().as_slice()]));
        f(&elements)
    }))
}

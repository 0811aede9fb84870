//! How pictures become this network's input: what the user says, else what the file's metadata says, else what its first
//! nodes do themselves, else torchvision's way.

use onnx_graph::{DataType, Dim, Graph, Tensor, show_shape};

use super::in_graph::{Normalisation, Samples};
use crate::picture::{ChannelOrder, Filter, Fit, Layout, Preprocess, Preset, numbers};
use crate::target::layout_in;

/// What the user says about preprocessing; what is left open comes from the preset.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preprocessing {
    /// The preset; else the one that the file names in its metadata, else [`Preset::Torchvision`].
    pub preset: Option<Preset>,
    /// How the shape is met.
    pub fit: Option<Fit>,
    /// The filter of the resize.
    pub filter: Option<Filter>,
    /// What a sample 0..=255 is multiplied with first.
    pub scale: Option<f32>,
    /// What is subtracted then, for red, green, blue.
    pub mean: Option<[f32; 3]>,
    /// What is divided by last, for red, green, blue.
    pub std: Option<[f32; 3]>,
    /// Order of the channels in the input.
    pub order: Option<ChannelOrder>,
    /// Where the channels stand in the input.
    pub layout: Option<Layout>,
}

/// Why pictures cannot become this network's input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PreprocessingError {
    /// The input is no picture.
    #[error(
        "the network's input is {shape}, and pictures come as [N, channels, height, width] or [N, height, width, channels]\nhint: a float32 .npy file in the network's own layout can be explained all the same"
    )]
    NoPicture {
        /// The input's shape.
        shape: String,
    },
    /// Neither colour nor grey.
    #[error(
        "the network's input {shape} has {channels} channels as {layout}; pictures have 3, or 1 where they are grey\nhint: --layout says where the channels are; a float32 .npy file is fed as it is"
    )]
    Channels {
        /// The input's shape.
        shape: String,
        /// How many channels that is.
        channels: usize,
        /// In this layout.
        layout: Layout,
    },
    /// The order asked for has another number of channels.
    #[error("channels {order} do not fit the network's input {shape}")]
    Order {
        /// The order asked for.
        order: ChannelOrder,
        /// The input's shape.
        shape: String,
    },
}

/// What was settled.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SettledPreprocessing {
    pub preprocess: Preprocess,
    /// What was assumed, a sentence for the user.
    pub note: Option<String>,
}

impl Preprocessing {
    /// For this input of a graph that makes `scores`. Integer inputs take samples 0..=255 as they are, signed bytes
    /// these less 128; `named` is the preset that the file names.
    pub(super) fn settle(
        &self,
        graph: &Graph,
        input: Tensor,
        scores: Tensor,
        named: Option<&str>,
    ) -> Result<SettledPreprocessing, PreprocessingError> {
        let info = graph.tensor(input);
        let shape = info.shape.as_deref().unwrap_or_default();
        let integer = info.dtype.is_some_and(|d| !d.is_float());
        let (layout, channels, height, width) = self.axes(shape, layout_in(graph, input))?;
        let from_file = named.and_then(|name| name.parse::<Preset>().ok());
        let preset = self.preset.or(from_file);
        let mut preprocess =
            Preprocess::preset(preset.unwrap_or(Preset::Torchvision), height, width).with_layout(layout);
        let middle = if info.dtype == Some(DataType::I8) { 128.0 } else { 0.0 };
        let plain = Preprocess { scale: 1.0, mean: [middle; 3], std: [1.0; 3], ..preprocess.clone() };
        let said = self.scale.is_some() || self.mean.is_some() || self.std.is_some();
        let inside = Normalisation::of(graph, input, scores, layout).filter(|_| preset.is_none() && !said);
        let inside = inside.and_then(|n| Some((n.clone().behind_subtraction(middle.into()).samples()?, n)));
        let inside = inside.filter(|(samples, _)| !integer || *samples == Samples::Bytes);
        if let Some((samples, _)) = &inside {
            preprocess = plain.with_scale(samples.scale());
        } else if preset.is_none() && integer {
            preprocess = plain;
        }
        let order = match (self.order, channels) {
            (Some(order), _) if (order == ChannelOrder::Grey) != (channels == 1) => {
                return Err(PreprocessingError::Order { order, shape: show_shape(shape) });
            }
            (Some(order), _) => order,
            (None, 1) => ChannelOrder::Grey,
            (None, _) => preprocess.order,
        };
        let preprocess = Preprocess {
            fit: self.fit.unwrap_or(preprocess.fit),
            filter: self.filter.unwrap_or(preprocess.filter),
            scale: self.scale.unwrap_or(preprocess.scale),
            mean: self.mean.unwrap_or(preprocess.mean),
            std: self.std.unwrap_or(preprocess.std),
            order,
            ..preprocess
        };
        let note = match (preset, inside) {
            (Some(_), _) => None,
            (None, Some((samples, inside))) => {
                let samples = if middle == 0.0 { samples.to_string() } else { "−128..127".to_owned() };
                let open = self.open_ways(&preprocess);
                let assumed = if open.is_empty() { String::new() } else { format!("assumed: {}; ", open.join(", ")) };
                Some(format!(
                    "the model normalises inside: {inside}; pictures are fed as {samples}, not normalised again; \
                     {assumed}--preset says otherwise"
                ))
            }
            (None, None) => self.assumption(&preprocess, integer),
        };
        Ok(SettledPreprocessing { preprocess, note })
    }

    /// What is assumed where neither preset nor file say it, in so far as the user does not.
    fn assumption(&self, preprocess: &Preprocess, integer: bool) -> Option<String> {
        let whose = if integer { "the network takes whole numbers, so samples are fed" } else { "as torchvision does" };
        if *self == (Preprocessing { layout: self.layout, ..Preprocessing::default() }) {
            let all = preprocess.describe();
            return Some(format!(
                "preprocessing is assumed, {whose}: {all}; --preset, --mean and others say otherwise"
            ));
        }
        let mut open = self.open_ways(preprocess);
        let arithmetic = [
            ("scale", self.scale.is_none(), &[preprocess.scale][..]),
            ("mean", self.mean.is_none(), &preprocess.mean),
            ("std", self.std.is_none(), &preprocess.std),
        ];
        let open_numbers = arithmetic.into_iter().filter(|(_, open, _)| *open);
        open.extend(open_numbers.map(|(name, _, values)| format!("{name} {}", numbers(values))));
        let open = (!open.is_empty()).then(|| open.join(", "));
        open.map(|open| format!("what is not said of preprocessing is assumed, {whose}: {open}"))
    }

    /// Fit, filter and channel order where the user does not say them.
    fn open_ways(&self, preprocess: &Preprocess) -> Vec<String> {
        let colour = preprocess.order != ChannelOrder::Grey;
        let ways = [
            (self.fit.is_none(), preprocess.describe_fit()),
            (self.filter.is_none(), preprocess.filter.to_string()),
            (self.order.is_none() && colour, preprocess.order.to_string()),
        ];
        ways.into_iter().filter(|(open, _)| *open).map(|(_, way)| way).collect()
    }

    /// Layout, channels, height and width: what the user says, what the graph shows, what the shape suggests.
    fn axes(&self, shape: &[Dim], shown: Option<Layout>) -> Result<(Layout, usize, usize, usize), PreprocessingError> {
        let sizes = |dims: &[Dim]| dims.iter().map(|d| usize::try_from(d.known()?).ok()).collect::<Option<Vec<_>>>();
        let sizes = shape.get(1..).and_then(sizes);
        let Some(&[a, b, c]) = sizes.as_deref() else {
            return Err(PreprocessingError::NoPicture { shape: show_shape(shape) });
        };
        let is_channels = |n: usize| n == 1 || n == 3;
        let behind = is_channels(c) && !is_channels(a);
        let suggested = if behind { Layout::Nhwc } else { Layout::Nchw };
        let layout = self.layout.or(shown).unwrap_or(suggested);
        let (channels, height, width) = match layout {
            Layout::Nchw => (a, b, c),
            Layout::Nhwc => (c, a, b),
        };
        if !is_channels(channels) {
            return Err(PreprocessingError::Channels { shape: show_shape(shape), channels, layout });
        }
        Ok((layout, channels, height, width))
    }
}

#[cfg(test)]
mod tests {
    use onnx_graph::DataType;

    use super::*;

    fn shape(sizes: [i64; 3]) -> Vec<Dim> {
        [Dim::BATCH].into_iter().chain(sizes.map(Dim::new)).collect()
    }

    fn named(
        options: &Preprocessing,
        shape: Vec<Dim>,
        dtype: DataType,
        preset: Option<&str>,
    ) -> Result<SettledPreprocessing, PreprocessingError> {
        let mut graph = Graph::new();
        let x = graph.add_input("x", dtype, shape);
        options.settle(&graph, x, x, preset)
    }

    fn settle(options: &Preprocessing, sizes: [i64; 3]) -> Result<SettledPreprocessing, PreprocessingError> {
        named(options, shape(sizes), DataType::F32, None)
    }

    #[test]
    fn the_users_word_comes_first_then_the_files_then_torchvisions() {
        let nothing = Preprocessing::default();
        let assumed = settle(&nothing, [3, 224, 224]).unwrap();
        assert_eq!(assumed.preprocess, Preprocess::preset(Preset::Torchvision, 224, 224));
        assert!(assumed.note.unwrap().contains("shorter side to 256"));

        let file = named(&nothing, shape([3, 224, 224]), DataType::F32, Some("efficientnet-lite")).unwrap();
        assert_eq!(
            file,
            SettledPreprocessing { preprocess: Preprocess::preset(Preset::EfficientNetLite, 224, 224), note: None }
        );

        let user = Preprocessing { preset: Some(Preset::Tf), std: Some([2.0; 3]), ..nothing };
        let said = named(&user, shape([3, 224, 224]), DataType::F32, Some("caffe")).unwrap();
        assert_eq!(said.preprocess, Preprocess::preset(Preset::Tf, 224, 224).with_std([2.0; 3]));
        assert_eq!(said.note, None);
    }

    #[test]
    fn channels_are_found_in_front_or_behind() {
        let nothing = Preprocessing::default();
        let of = |sizes| settle(&nothing, sizes).unwrap().preprocess;
        assert_eq!((of([3, 20, 30]).layout, of([3, 20, 30]).size), (Layout::Nchw, (20, 30)));
        assert_eq!((of([20, 30, 3]).layout, of([20, 30, 3]).size), (Layout::Nhwc, (20, 30)));
        assert_eq!((of([1, 20, 30]).order, of([20, 30, 1]).order), (ChannelOrder::Grey, ChannelOrder::Grey));
        let behind = Preprocessing { layout: Some(Layout::Nhwc), ..nothing.clone() };
        assert_eq!(settle(&behind, [3, 20, 3]).unwrap().preprocess.size, (3, 20));
        assert!(matches!(settle(&behind, [3, 20, 30]), Err(PreprocessingError::Channels { channels: 30, .. })));
        assert!(matches!(settle(&nothing, [4, 20, 30]), Err(PreprocessingError::Channels { channels: 4, .. })));
        let grey = Preprocessing { order: Some(ChannelOrder::Grey), ..nothing };
        assert!(matches!(settle(&grey, [3, 20, 30]), Err(PreprocessingError::Order { .. })));
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        let error = named(&Preprocessing::default(), vec![Dim::BATCH, Dim::new(10)], DataType::F32, None).unwrap_err();
        assert!(error.to_string().contains("[N,10]"), "{error}");
    }

    #[test]
    fn whole_numbers_are_fed_as_they_are() {
        let settled = named(&Preprocessing::default(), shape([8, 8, 3]), DataType::U8, None).unwrap();
        assert_eq!(
            (settled.preprocess.scale, settled.preprocess.mean, settled.preprocess.std),
            (1.0, [0.0; 3], [1.0; 3])
        );
        assert!(settled.note.is_some());
    }

    #[test]
    fn only_what_is_not_said_is_called_assumed() {
        let of = |options: Preprocessing| settle(&options, [3, 8, 8]).unwrap().note;
        let arithmetic = Preprocessing { mean: Some([0.5; 3]), std: Some([0.5; 3]), ..Preprocessing::default() };
        let fitted = Preprocessing { fit: Some(Fit::Stretch), ..arithmetic.clone() };
        assert_eq!(
            of(fitted.clone()).unwrap(),
            "what is not said of preprocessing is assumed, as torchvision does: bilinear, rgb, scale 0.003922"
        );
        assert!(
            of(arithmetic).unwrap().contains("assumed, as torchvision does: shorter side to 9, centre 8×8, bilinear")
        );
        let all =
            Preprocessing { filter: Some(Filter::Box), scale: Some(1.0), order: Some(ChannelOrder::Bgr), ..fitted };
        assert_eq!(of(all), None);
    }
}

//! How pictures become this network's input: what the user says, else what the file says, else torchvision's way.

use onnx_graph::{Dim, show_shape};

use crate::picture::{ChannelOrder, Filter, Fit, Layout, Preprocess, Preset};

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
    /// For an input of this shape. `integer` inputs take samples 0..=255 as they are; `named` is the preset that the
    /// file names.
    pub(super) fn settle(
        &self,
        shape: &[Dim],
        integer: bool,
        named: Option<&str>,
    ) -> Result<SettledPreprocessing, PreprocessingError> {
        let (layout, channels, height, width) = self.axes(shape)?;
        let from_file = named.and_then(|name| name.parse::<Preset>().ok());
        let preset = self.preset.or(from_file);
        let mut preprocess =
            Preprocess::preset(preset.unwrap_or(Preset::Torchvision), height, width).with_layout(layout);
        if preset.is_none() && integer {
            preprocess = Preprocess { scale: 1.0, mean: [0.0; 3], std: [1.0; 3], ..preprocess };
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
        let note = preset.is_none().then(|| {
            let whose =
                if integer { "the network takes whole numbers, so samples are fed" } else { "as torchvision does" };
            format!(
                "preprocessing is assumed, {whose}: {}; --preset, --mean and others say otherwise",
                preprocess.describe()
            )
        });
        Ok(SettledPreprocessing { preprocess, note })
    }

    fn axes(&self, shape: &[Dim]) -> Result<(Layout, usize, usize, usize), PreprocessingError> {
        let sizes = |dims: &[Dim]| dims.iter().map(|d| usize::try_from(d.known()?).ok()).collect::<Option<Vec<_>>>();
        let sizes = shape.get(1..).and_then(sizes);
        let Some(&[a, b, c]) = sizes.as_deref() else {
            return Err(PreprocessingError::NoPicture { shape: show_shape(shape) });
        };
        let is_channels = |n: usize| n == 1 || n == 3;
        let inferred = if !is_channels(a) && is_channels(c) { Layout::Nhwc } else { Layout::Nchw };
        let layout = self.layout.unwrap_or(inferred);
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
    use super::*;

    fn shape(sizes: [i64; 3]) -> Vec<Dim> {
        [Dim::BATCH].into_iter().chain(sizes.map(Dim::new)).collect()
    }

    fn settle(options: &Preprocessing, sizes: [i64; 3]) -> Result<SettledPreprocessing, PreprocessingError> {
        options.settle(&shape(sizes), false, None)
    }

    #[test]
    fn the_users_word_comes_first_then_the_files_then_torchvisions() {
        let nothing = Preprocessing::default();
        let assumed = settle(&nothing, [3, 224, 224]).unwrap();
        assert_eq!(assumed.preprocess, Preprocess::preset(Preset::Torchvision, 224, 224));
        assert!(assumed.note.unwrap().contains("shorter side to 256"));

        let file = nothing.settle(&shape([3, 224, 224]), false, Some("efficientnet-lite")).unwrap();
        assert_eq!(
            file,
            SettledPreprocessing { preprocess: Preprocess::preset(Preset::EfficientNetLite, 224, 224), note: None }
        );

        let user = Preprocessing { preset: Some(Preset::Tf), std: Some([2.0; 3]), ..nothing };
        let said = user.settle(&shape([3, 224, 224]), false, Some("caffe")).unwrap();
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
        let error = Preprocessing::default().settle(&[Dim::BATCH, Dim::new(10)], false, None).unwrap_err();
        assert!(error.to_string().contains("[N,10]"), "{error}");
    }

    #[test]
    fn whole_numbers_are_fed_as_they_are() {
        let settled = Preprocessing::default().settle(&shape([8, 8, 3]), true, None).unwrap();
        assert_eq!(
            (settled.preprocess.scale, settled.preprocess.mean, settled.preprocess.std),
            (1.0, [0.0; 3], [1.0; 3])
        );
        assert!(settled.note.is_some());
    }
}

//! Options of preprocessing.

use anyhow::bail;
use onnxcam::classifier::Preprocessing;
use onnxcam::picture::{ChannelOrder, Filter, Fit, Layout, Preset};

/// How a picture becomes the network's input.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Preprocessing")]
pub struct PreprocessOptions {
    /// torchvision, tf, caffe, efficientnet-lite or unit [default: as the model says, else torchvision]
    #[arg(long, value_name = "NAME")]
    preset: Option<Preset>,
    /// crop: resize the shorter side and take the centre; stretch: the whole picture, proportions lost
    #[arg(long, value_name = "HOW", value_parser = ["crop", "stretch"])]
    fit: Option<String>,
    /// Length of the shorter side before the crop [default: 256 for 224]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    resize: Option<u32>,
    /// Filter of the resize, always antialiased: box, bilinear, bicubic or lanczos
    #[arg(long, value_name = "NAME")]
    filter: Option<Filter>,
    /// What each sample 0…255 is multiplied with first
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    scale: Option<f32>,
    /// What is subtracted then: for red, green and blue, or one number for all
    #[arg(long, value_name = "R,G,B", value_parser = three, allow_hyphen_values = true)]
    mean: Option<[f32; 3]>,
    /// What is divided by last: for red, green and blue, or one number for all
    #[arg(long, value_name = "R,G,B", value_parser = three)]
    std: Option<[f32; 3]>,
    /// Order of the input's channels: rgb, bgr or grey
    #[arg(long, value_name = "ORDER")]
    channels: Option<ChannelOrder>,
    /// Where the channels stand in the input: nchw or nhwc [default: as its shape suggests]
    #[arg(long, value_name = "LAYOUT")]
    layout: Option<Layout>,
}

impl PreprocessOptions {
    /// Each option, and whether it was given.
    pub fn given(&self) -> [(&'static str, bool); 9] {
        [
            ("--preset", self.preset.is_some()),
            ("--fit", self.fit.is_some()),
            ("--resize", self.resize.is_some()),
            ("--filter", self.filter.is_some()),
            ("--scale", self.scale.is_some()),
            ("--mean", self.mean.is_some()),
            ("--std", self.std.is_some()),
            ("--channels", self.channels.is_some()),
            ("--layout", self.layout.is_some()),
        ]
    }

    /// These options, as the library takes them.
    pub fn preprocessing(&self) -> anyhow::Result<Preprocessing> {
        let fit = match (self.fit.as_deref(), self.resize) {
            (Some("stretch"), Some(_)) => bail!("--resize has no meaning where the whole picture is stretched"),
            (Some("stretch"), None) => Some(Fit::Stretch),
            (_, side) => side.map(|side| Fit::ShortSide { side }),
        };
        Ok(Preprocessing {
            preset: self.preset,
            fit,
            filter: self.filter,
            scale: self.scale,
            mean: self.mean,
            std: self.std,
            order: self.channels,
            layout: self.layout,
        })
    }
}

/// `0.5`, or `0.485,0.456,0.406`.
fn three(text: &str) -> Result<[f32; 3], String> {
    let numbers: Result<Vec<f32>, _> = text.split(',').map(|part| part.trim().parse::<f32>()).collect();
    match numbers.as_deref() {
        Ok(&[one]) => Ok([one; 3]),
        Ok(&[red, green, blue]) => Ok([red, green, blue]),
        _ => Err("one number is wanted, or three with commas between".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::three;

    #[test]
    fn one_number_or_three() {
        assert_eq!(three("0.5"), Ok([0.5; 3]));
        assert_eq!(three("1, -2,3e1"), Ok([1.0, -2.0, 30.0]));
        for wrong in ["", "1,2", "1,2,3,4", "a", "1;2;3"] {
            assert!(three(wrong).is_err(), "{wrong}");
        }
    }
}

//! `onnxcam methods [NAME]`

mod compare;

use std::path::PathBuf;
use std::process::ExitCode;

use onnxcam::method::{METHODS, Method, find_variant, variants};
use serde_json::{Value, json};

use self::compare::CompareOptions;
use crate::out;
use crate::table::{Align, print_table};

/// List the methods, or show one: its equation, its source, its cost
///
/// With --compare, show how far the formulas that go by the name of a method are apart, on one's own picture and network:
/// correlation and greatest difference of maps (stretched to 0 … 1) and weights (divided by the largest), those of the
/// paper's methods among them.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// The method to show, such as grad-cam++
    name: Option<String>,
    /// Show the formula of this name instead of the published one, such as torch-cam's
    #[arg(long, value_name = "NAME", requires = "name")]
    variant: Option<String>,
    /// A picture for which the method's formulas are compared
    #[arg(long, value_name = "IMAGE", requires = "name", conflicts_with = "variant")]
    compare: Option<PathBuf>,
    /// Print JSON: one object for the method named or its comparison, or a list of all
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    options: CompareOptions,
}

const EXAMPLES: &str = "\
Examples:
  onnxcam methods
  onnxcam methods grad-cam++
  onnxcam methods grad-cam++ --variant pytorch-grad-cam
  onnxcam methods grad-cam++ --compare photo.jpg --model resnet50.onnx
  onnxcam methods --json";

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if let Some(option) = arguments.options.given().filter(|_| arguments.compare.is_none()) {
        anyhow::bail!(
            "{option} plays no part here: methods are told of without a network\nhint: with --compare IMAGE the formulas of a \
             method are compared on a network; `onnxcam explain IMAGE --model FILE` explains one"
        );
    }
    let shown =
        || find_variant(arguments.name.as_deref().unwrap_or_default(), arguments.variant.as_deref().unwrap_or("paper"));
    match (&arguments.name, arguments.json) {
        (Some(_), json) if let Some(picture) = &arguments.compare => {
            compare::run(shown()?.name(), picture, &arguments.options, json)?;
        }
        (Some(_), false) => out::all(shown()?.description().as_bytes())?,
        (Some(_), true) => out::line(to_json(shown()?))?,
        (None, true) => out::line(METHODS.iter().map(|m| to_json(*m)).collect::<Value>())?,
        (None, false) => {
            let rows = METHODS.iter().map(|m| [m.name(), m.variant(), first_line(*m)].map(str::to_owned));
            print_table(Some(["method", "variant", ""]), &[Align::Left; 3], rows)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The first line names the method.
fn first_line(method: &dyn Method) -> &'static str {
    method.description().lines().next().unwrap_or_default()
}

fn to_json(method: &dyn Method) -> Value {
    json!({
        "name": method.name(),
        "title": method.title(),
        "variant": method.variant(),
        "variants": variants(method.name()).map(|m| m.variant()).collect::<Value>(),
        "space": if method.needs().pixels.is_some() || !method.needs().features { "picture" } else { "layer" },
        "description": method.description(),
    })
}

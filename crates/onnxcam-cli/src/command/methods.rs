//! `onnxcam methods [NAME]`

use std::process::ExitCode;

use onnxcam::method::{METHODS, Method, find};
use serde_json::{Value, json};

use crate::out;
use crate::table::{Align, print_table};

/// List the methods, or show one: its equation, its source, its cost
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// The method to show, such as grad-cam++
    name: Option<String>,
    /// Print JSON: one object for the method named, or a list of all
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  onnxcam methods
  onnxcam methods grad-cam++
  onnxcam methods --json";

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match (&arguments.name, arguments.json) {
        (Some(name), false) => out::all(find(name)?.description().as_bytes())?,
        (Some(name), true) => out::line(to_json(find(name)?))?,
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
        "description": method.description(),
    })
}

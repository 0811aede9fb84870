//! `onnxcam methods [NAME]`

use std::process::ExitCode;

use onnxcam::method::{METHODS, Method, find};
use serde_json::{Value, json};

use crate::table::{Align, print_table};

/// List the methods, or show one: its equation, its source, its cost
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The method to show, such as grad-cam++
    name: Option<String>,
    /// Print JSON: one object for the method named, or a list of all
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match (&arguments.name, arguments.json) {
        (Some(name), false) => print!("{}", find(name)?.description()),
        (Some(name), true) => println!("{}", to_json(find(name)?)),
        (None, true) => println!("{}", METHODS.iter().map(|m| to_json(*m)).collect::<Value>()),
        (None, false) => {
            let rows = METHODS.iter().map(|m| [m.name(), m.variant(), first_line(*m)].map(str::to_owned));
            print_table(Some(["method", "variant", ""]), &[Align::Left; 3], rows);
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

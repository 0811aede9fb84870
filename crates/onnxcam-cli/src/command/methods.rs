//! `onnxcam methods [NAME]`

use std::process::ExitCode;

use onnxcam::method::{METHODS, find};

/// List the methods, or show one: its equation, its source, its cost
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The method to show, such as grad-cam++
    name: Option<String>,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.name {
        Some(name) => print!("{}", find(name)?.description()),
        None => METHODS.iter().for_each(|m| {
            let title = m.description().lines().next().unwrap_or_default();
            println!("{:<12} {title}", m.name());
        }),
    }
    Ok(ExitCode::SUCCESS)
}

//! The program `onnxcam`: why a convolutional network said what it said.

mod command;
mod options;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Shows why an image classifier said what it said: Grad-CAM++ and its family, for any ONNX model.
#[derive(Debug, Parser)]
#[command(name = "onnxcam", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Layers(command::layers::Arguments),
    Methods(command::methods::Arguments),
}

fn main() -> ExitCode {
    let run = match Arguments::parse().command {
        Command::Layers(arguments) => command::layers::run(&arguments),
        Command::Methods(arguments) => command::methods::run(&arguments),
    };
    match run {
        Ok(status) => status,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

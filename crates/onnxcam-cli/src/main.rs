//! The program `onnxcam`: why a convolutional network said what it said.

mod command;
mod failure;
mod interrupt;
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
    Explain(Box<command::explain::Arguments>),
    Layers(command::layers::Arguments),
    Methods(command::methods::Arguments),
}

fn main() -> ExitCode {
    let run = match Arguments::parse().command {
        Command::Explain(arguments) => command::explain::run(&arguments),
        Command::Layers(arguments) => command::layers::run(&arguments),
        Command::Methods(arguments) => command::methods::run(&arguments),
    };
    match run {
        Ok(status) => status,
        Err(error) if failure::is_closed_pipe(&error) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {}", failure::in_words(&error));
            ExitCode::FAILURE
        }
    }
}

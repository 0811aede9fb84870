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
    Bench(command::bench::Arguments),
    Doctor(command::doctor::Arguments),
}

fn main() -> ExitCode {
    keep_engine_panics_quiet();
    let run = match Arguments::parse().command {
        Command::Explain(arguments) => command::explain::run(&arguments),
        Command::Layers(arguments) => command::layers::run(&arguments),
        Command::Methods(arguments) => command::methods::run(&arguments),
        Command::Bench(arguments) => command::bench::run(&arguments),
        Command::Doctor(arguments) => command::doctor::run(&arguments),
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

/// A panic inside an engine comes back as an error, which is shown; the usual hook would print it a second time, in its
/// own words, even where another engine or a rewritten graph then does the work.
fn keep_engine_panics_quiet() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !onnxcam::engine::panics_become_errors() {
            usual(panic);
        }
    }));
}

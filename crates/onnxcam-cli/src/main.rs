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
    Doctor(command::doctor::Arguments),
    Bench(command::bench::Arguments),
    Layers(command::layers::Arguments),
    Methods(command::methods::Arguments),
}

fn main() -> ExitCode {
    keep_engine_panics_quiet();
    let run = match Arguments::parse().command {
        Command::Doctor(arguments) => command::doctor::run(&arguments),
        Command::Bench(arguments) => command::bench::run(&arguments),
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

//! The program `onnxcam`: why a convolutional network said what it said.

mod command;
mod failure;
mod interrupt;
mod options;
mod out;
mod places;
mod table;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// Shows why an image classifier said what it said: Grad-CAM++ and its family, for any ONNX model.
#[derive(Debug, Parser)]
#[command(name = "onnxcam", version, arg_required_else_help = true, after_long_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Leave out notes and progress on standard error; errors are still told
    #[arg(short, long, global = true)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Explain(Box<command::explain::Arguments>),
    Layers(command::layers::Arguments),
    Export(Box<command::export::Arguments>),
    Show(command::show::Arguments),
    Strip(command::strip::Arguments),
    Methods(command::methods::Arguments),
    Models(command::models::Arguments),
    Engine(command::engine::Arguments),
    Bench(command::bench::Arguments),
    Doctor(command::doctor::Arguments),
    Completions(command::completions::Arguments),
    Man(command::man::Arguments),
}

const EXAMPLES: &str = "\
Results go to standard output, notes, progress and errors to standard error.

Exit status:
  0    all went well
  1    something failed, or of several images at least one; the error says what
  2    the command line cannot be understood
  130  interrupted; what was being written is whole

Environment:
  ONNXCAM_CACHE   the folder for models and ONNX Runtime, unless --cache-dir names one
  ORT_DYLIB_PATH  ONNX Runtime's library, or a folder that holds it; nothing else is looked at then
  NO_COLOR        no colours in help and errors

Examples:
  onnxcam explain photo.jpg
  onnxcam explain photos/ --model net.onnx --class top3 --save overlay,panel -o out/
  onnxcam layers net.onnx
  onnxcam export net.onnx -o explained.onnx
  onnxcam engine install";

fn main() -> ExitCode {
    keep_engine_panics_quiet();
    let arguments = Arguments::parse();
    if arguments.quiet {
        out::be_quiet();
    }
    let run = match arguments.command {
        Command::Explain(arguments) => command::explain::run(&arguments),
        Command::Layers(arguments) => command::layers::run(&arguments),
        Command::Export(arguments) => command::export::run(&arguments),
        Command::Show(arguments) => command::show::run(&arguments),
        Command::Strip(arguments) => command::strip::run(&arguments),
        Command::Methods(arguments) => command::methods::run(&arguments),
        Command::Models(arguments) => command::models::run(&arguments),
        Command::Engine(arguments) => command::engine::run(&arguments),
        Command::Bench(arguments) => command::bench::run(&arguments),
        Command::Doctor(arguments) => command::doctor::run(&arguments),
        Command::Completions(arguments) => command::completions::run(&arguments),
        Command::Man(arguments) => command::man::run(&arguments),
    };
    match run {
        Ok(status) => status,
        Err(error) if failure::is_closed_pipe(&error) => ExitCode::FAILURE,
        Err(error) => {
            out::aside(format_args!("error: {}", failure::in_words(&error)));
            ExitCode::FAILURE
        }
    }
}

/// The program as the command line sees it.
fn program() -> clap::Command {
    Arguments::command()
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

//! `onnxcam completions SHELL`

use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Arg, Command};
use clap_complete::{Shell, generate};
use onnxcam::heatmap::Colormap;
use onnxcam::method::{METHODS, variants};
use onnxcam::model::catalogue::CATALOGUE;
use onnxcam::output::Kind;
use onnxcam::picture::{ChannelOrder, Filter, Layout, Preset};

use crate::out;

/// Print a script that lets a shell complete commands, options and their values
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// The shell
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  onnxcam completions bash > ~/.local/share/bash-completion/completions/onnxcam
  onnxcam completions zsh > ~/.zfunc/_onnxcam        # where ~/.zfunc is in $fpath
  onnxcam completions fish > ~/.config/fish/completions/onnxcam.fish
  onnxcam completions powershell >> $PROFILE
  onnxcam completions elvish >> ~/.config/elvish/rc.elv";

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    generate(arguments.shell, &mut with_values(crate::program()), "onnxcam", &mut script);
    out::all(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// The program with what its options can be given. The program itself asks the library, which answers with hints.
fn with_values(command: Command) -> Command {
    let name = command.get_name().to_owned();
    let command = command.mut_args(|argument| match values(&name, &argument) {
        values if values.is_empty() => argument,
        values => argument.value_parser(PossibleValuesParser::new(values)),
    });
    command.mut_subcommands(with_values)
}

/// The values that an argument of a command can be given, where they can be listed.
fn values(command: &str, argument: &Arg) -> Vec<&'static str> {
    match (command, argument.get_id().as_str()) {
        (_, "method") | ("methods", "name") => METHODS.iter().map(|method| method.name()).collect(),
        (_, "variant") => variants("grad-cam++").map(|method| method.variant()).collect(),
        ("fetch" | "path", "name") => CATALOGUE.iter().map(|entry| entry.name).collect(),
        (_, "engine") => vec!["auto", "rten", "ort"],
        (_, "save") => Kind::ALL.map(Kind::name).to_vec(),
        (_, "colormap") => Colormap::ALL.map(Colormap::name).to_vec(),
        (_, "preset") => Preset::names().collect(),
        (_, "filter") => Filter::names().collect(),
        (_, "channels") => ChannelOrder::names().collect(),
        (_, "layout") => Layout::names().collect(),
        (_, "activation") => vec!["softmax", "sigmoid", "none"],
        _ => Vec::new(),
    }
}

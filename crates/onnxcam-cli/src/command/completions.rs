//! `onnxcam completions SHELL`

use std::process::ExitCode;

use clap_complete::{Shell, generate};

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
    generate(arguments.shell, &mut crate::program(), "onnxcam", &mut script);
    out::all(&script)?;
    Ok(ExitCode::SUCCESS)
}

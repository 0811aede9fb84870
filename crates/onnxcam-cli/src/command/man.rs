//! `onnxcam man [COMMAND…]`

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Command;
use clap_mangen::Man;
use onnxcam::heatmap::replace_file;

use crate::out;

/// Print the manual page of the program or of a command, or write all of them
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// The command, such as `explain` or `engine install`; none for the program's own page
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
    /// Write the pages of the program and all its commands into this folder
    #[arg(short, long = "out", value_name = "DIR", conflicts_with = "command")]
    out: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  onnxcam man explain | man -l -
  onnxcam man -o ~/.local/share/man/man1";

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let pages = pages();
    match &arguments.out {
        Some(folder) => {
            fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
            for (name, page) in &pages {
                let path = folder.join(format!("{name}.1"));
                replace_file(&path, page)?;
                out::line(format_args!("wrote {}", path.display()))?;
            }
        }
        None => {
            let name = [&["onnxcam".to_owned()], arguments.command.as_slice()].concat().join("-");
            let Some((_, page)) = pages.iter().find(|(known, _)| *known == name) else {
                bail!("there is no command `{}`\nhint: `onnxcam --help` lists them", arguments.command.join(" "));
            };
            out::all(page)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Every page by its name: `onnxcam`, `onnxcam-engine-install`.
fn pages() -> Vec<(String, Vec<u8>)> {
    let mut program = crate::program();
    program.build();
    let mut pages = Vec::new();
    collect(&program, &mut pages);
    pages
}

/// The pages of a command and of those below it.
fn collect(command: &Command, pages: &mut Vec<(String, Vec<u8>)>) {
    let mut page = Vec::new();
    let source = concat!("onnxcam ", env!("CARGO_PKG_VERSION"));
    Man::new(command.clone()).source(source).render(&mut page).expect("memory takes every page");
    let name = command.get_display_name().unwrap_or(command.get_name());
    pages.push((name.to_owned(), page));
    command.get_subcommands().filter(|below| below.get_name() != "help").for_each(|below| collect(below, pages));
}

//! `onnxcam strip FILE -o OUT`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use onnxcam::Model;
use onnxcam::digest::Digest;
use onnxcam::export::{Document, strip};
use onnxcam::output::check_file;

use super::export::onnx_files;
use crate::interrupt;
use crate::out;

/// Give the original of an explained model back: every node, name, weight and entry as its file had them
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// A file that `onnxcam export` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The file to write
    #[arg(short, long = "out", value_name = "FILE")]
    out: PathBuf,
    /// Replace a file that is there
    #[arg(long)]
    overwrite: bool,
}

const EXAMPLES: &str = "\
Examples:
  onnxcam strip explained.onnx -o original.onnx";

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    interrupt::install().context("cannot prepare for an interrupt")?;
    let model = Model::open(&arguments.file)?;
    let document = Document::of(model.file())?;
    let original = strip(model.file())?;
    let out = &arguments.out;
    let protected = onnx_files(&arguments.file);
    for file in [out.clone()].into_iter().chain(original.data_file(out)) {
        check_file(&file, &protected, arguments.overwrite, |_| false)?;
    }
    interrupt::whole(|| original.save(out))?;
    let same = Digest::of_file(out).is_ok_and(|(digest, _)| digest == document.original.sha256);
    let how = if same { "the original, byte for byte" } else { "the original, whole, in other bytes" };
    out::line(format_args!("{}: {how}", out.display()))?;
    Ok(ExitCode::SUCCESS)
}

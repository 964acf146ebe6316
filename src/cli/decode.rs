//! `dddns decode`: explains a datagram byte by byte.

use crate::cli::args::Global;
use crate::cli::failure::{Exit, Failure};

/// The arguments of `dddns decode`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The datagram in hexadecimal, or `-` to read it from standard input
    #[arg(value_name = "HEX")]
    hex: String,
}

pub(super) fn run(args: &Args, _global: &Global) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Failed, format!("{} stub", args.hex)))
}

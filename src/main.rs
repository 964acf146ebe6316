//! The program `dddns`; everything it does is in the library's `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    dddns::cli::main()
}

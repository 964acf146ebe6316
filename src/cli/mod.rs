//! The program `dddns`: one file a command. Here is only which of them runs, and how the program ends.

mod addr;
mod age;
mod args;
mod config;
#[cfg(feature = "conformance")]
mod conformance;
mod datagram_fields;
mod datagram_keys;
mod decode;
pub mod demo;
mod events;
mod failure;
mod forget;
mod init;
mod invite;
mod join;
mod leave;
mod log;
mod member_name;
mod node_client;
pub mod rewrite;
mod run;
mod sealed_fields;
mod setup;
#[cfg(feature = "sim")]
mod sim;
mod status;
mod stop_signal;
mod style;
mod table;

use std::process::ExitCode;

use clap::Parser;
use tracing::level_filters::LevelFilter;

use args::{Cli, Command, Global};
use failure::{Exit, Failure};

/// Runs the program as the command line says. Results go to standard output, everything else to standard error.
///
/// The exit code is 0 if it did what was asked, 1 if it failed, 2 for wrong usage, 3 for an unknown peer or one without
/// an address, 4 if the node is not running, 5 if it took too long, 6 if it was refused.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => {
            // Help that nobody reads to its end is no failure.
            let _ = usage.print();
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
        }
    };
    let (exit, last) = match dispatch(&cli) {
        Ok(exit) => (exit, String::new()),
        Err(failure) => (failure.exit(), last_line(&failure, &cli.global)),
    };
    log::end(&last);
    exit.into()
}

fn dispatch(cli: &Cli) -> Result<Exit, Failure> {
    let global = &cli.global;
    match &cli.command {
        Command::Init(args) => init::run(args, global),
        Command::Invite(args) => invite::run(args, global),
        Command::Join(args) => join::run(args, global),
        Command::Run => run::run(global),
        Command::Status(args) => status::run(args, global),
        Command::Addr(args) => addr::run(args, global),
        Command::Events(args) => events::run(args, global),
        Command::Forget(args) => forget::run(args, global),
        Command::Leave => leave::run(global),
        Command::Config(args) => config::run(args, global),
        Command::Demo => {
            log::start(global, LevelFilter::WARN);
            let healed = demo::run(&mut std::io::stdout().lock(), global.stdout_style().colored())?;
            Ok(if healed { Exit::Done } else { Exit::Failed })
        }
        Command::Decode(args) => decode::run(args, global),
        #[cfg(feature = "sim")]
        Command::Sim(args) => sim::run(args),
        #[cfg(feature = "conformance")]
        Command::Conformance(args) => conformance::run(args, global),
    }
}

/// A text with its control characters written out: it may quote a file or a path, which could otherwise steer the
/// terminal.
fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// What the program has to say about a failure.
fn last_line(failure: &Failure, global: &Global) -> String {
    let line = |message| format!("dddns: {}\n", harmless(&global.addressed(message)));
    failure.message().map(line).unwrap_or_default()
}

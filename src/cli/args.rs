//! The command line: the flags that every command has, and the commands.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use tracing::level_filters::LevelFilter;

#[cfg(feature = "conformance")]
use crate::cli::conformance;
use crate::cli::failure::Failure;
#[cfg(feature = "sim")]
use crate::cli::sim;
use crate::cli::style::Style;
use crate::cli::{addr, config, decode, events, forget, init, invite, join, status};
use crate::daemon::state_dir::StateDir;

/// Keeps your machines together while their addresses change, with no server between them.
#[derive(Parser)]
#[command(
    version,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 done, 1 failed, 2 usage, 3 unknown peer or no address, 4 the node is not running, \
                  5 timed out, 6 refused.\n\
                  First steps: `dddns demo` shows it, `dddns init` and `dddns run` start a cluster, `dddns invite` lets \
                  another machine `dddns join` it."
)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Make a key, a new cluster and a commented configuration file
    Init(init::Args),
    /// Print a token that lets one other node in
    Invite(invite::Args),
    /// Join a cluster with a token
    Join(join::Args),
    /// Run the node in the foreground, until SIGTERM or Ctrl-C
    ///
    /// The log goes to standard error. Under systemd (Type=notify) the node is ready once its sockets are bound. On
    /// SIGTERM or Ctrl-C it tells its peers and ends. The configuration is read at the start only: SIGHUP is ignored.
    Run,
    /// Show this node's addresses and where every peer is
    Status(status::Args),
    /// Print an address and nothing else: a peer's, or this node's own
    Addr(addr::Args),
    /// Follow changes, one line each
    Events(events::Args),
    /// Remove a member from the cluster, everywhere; only a new invite lets it back in
    Forget(forget::Args),
    /// Take this node out of its cluster, and end it
    ///
    /// The other members remove it. It keeps its key and its configuration, and may join again with a new invite.
    Leave,
    /// Check or show the configuration
    Config(config::Args),
    /// See it work: three nodes on this machine find each other and heal after moves
    Demo,
    /// Explain a datagram byte by byte
    Decode(decode::Args),
    /// See how long clusters take to heal, in virtual time
    #[cfg(feature = "sim")]
    Sim(sim::Args),
    /// Check another implementation against the specification
    ///
    /// Let the implementation run as the only node of a cluster made for this, have it make an invite, and give the token
    /// here. Four peers join (a fifth tries in vain), ask and provoke it for less than a minute, and are removed from its
    /// member list at the end. spec/conformance.md explains every check.
    #[cfg(feature = "conformance")]
    Conformance(conformance::Args),
}

#[derive(Args)]
pub(super) struct Global {
    /// Where the node's files are [env: DDDNS_STATE_DIR; else systemd's STATE_DIRECTORY, else the usual place]
    #[arg(long, value_name = "DIR", global = true)]
    state_dir: Option<PathBuf>,

    /// The configuration file [env: DDDNS_CONFIG] [default: dddns.toml in the state directory]
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,

    /// Whether to use colors; `auto` does on a terminal unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = When::Auto, global = true)]
    color: When,

    /// Log more; twice: everything
    #[arg(short, long, action = ArgAction::Count, conflicts_with = "quiet", global = true)]
    verbose: u8,

    /// Log warnings only, and give no hints; twice: errors only
    #[arg(short, long, action = ArgAction::Count, global = true)]
    quiet: u8,

    /// How to write the log
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text, global = true)]
    log_format: LogFormat,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
}

impl Global {
    /// The state directory: flag, environment, systemd, usual place.
    pub(super) fn state_dir(&self) -> Result<StateDir, Failure> {
        let asked = self.state_dir.clone().or_else(|| std::env::var_os("DDDNS_STATE_DIR").map(PathBuf::from));
        Ok(StateDir::locate(asked)?)
    }

    /// The configuration file that was named, by flag or environment.
    pub(super) fn config(&self) -> Option<PathBuf> {
        let from_environment = || std::env::var_os("DDDNS_CONFIG").map(PathBuf::from);
        self.config.clone().or_else(from_environment).filter(|path| !path.as_os_str().is_empty())
    }

    /// How a command is to be typed to act on the same node.
    pub(super) fn command(&self, command: &str) -> String {
        let quoted = |path: &PathBuf| {
            let text = path.display().to_string();
            // What no shell takes for anything but itself.
            let plain = |c: char| c.is_alphanumeric() || "/._-+:@%,".contains(c);
            if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
        };
        let dir = self.state_dir.as_ref().map(|dir| format!(" --state-dir {}", quoted(dir))).unwrap_or_default();
        let config = self.config.as_ref().map(|file| format!(" --config {}", quoted(file))).unwrap_or_default();
        format!("dddns{dir}{config} {command}")
    }

    /// An error with every command in it as it is to be typed to act on the same node. Most errors come from where nobody
    /// knows the command line, and set a command apart by two spaces: `run  dddns init  for a new cluster`.
    pub(super) fn addressed(&self, error: &str) -> String {
        let mut parts = error.split("  dddns ");
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            // Some were made where the command line is known.
            let typed = if part.starts_with("--") { format!("dddns {part}") } else { self.command(part) };
            text.push_str(&format!("  {typed}"));
        }
        text
    }

    /// Tells the person at the terminal what is no result: a next step, a reason to wait.
    pub(super) fn hint(&self, text: &str) {
        if self.quiet == 0 {
            // A hint that cannot be given is no failure.
            let _ = writeln!(std::io::stderr().lock(), "{text}");
        }
    }

    /// Warns the person at the terminal of what is wrong with a result.
    pub(super) fn warn(&self, text: &str) {
        if self.quiet < 2 {
            // As with a hint: the result counts.
            let _ = writeln!(std::io::stderr().lock(), "warning: {text}");
        }
    }

    /// How to write on standard output.
    pub(super) fn stdout_style(&self) -> Style {
        Style::new(self.color(std::io::stdout().is_terminal()))
    }

    /// Whether to color the log.
    pub(super) fn log_color(&self) -> bool {
        self.color(std::io::stderr().is_terminal())
    }

    fn color(&self, terminal: bool) -> bool {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        match self.color {
            When::Always => true,
            When::Never => false,
            When::Auto => terminal && !set("NO_COLOR") && !dumb(),
        }
    }

    /// How much to log, where this much is usual.
    pub(super) fn log_level(&self, usual: LevelFilter) -> LevelFilter {
        match (self.verbose, self.quiet) {
            (0, 0) => usual,
            (0, 1) => LevelFilter::WARN,
            (0, _) => LevelFilter::ERROR,
            (1, _) => LevelFilter::DEBUG,
            (_, _) => LevelFilter::TRACE,
        }
    }

    /// How to write the log.
    pub(super) fn log_format(&self) -> LogFormat {
        self.log_format
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn commands_to_type_name_the_same_node() {
        let cli = Cli::try_parse_from(["dddns", "run", "--state-dir", "/my dir", "--config", "/c.toml"]).ok().unwrap();
        assert_eq!(cli.global.command("status"), "dddns --state-dir '/my dir' --config /c.toml status");
        let error =
            |command: &str| format!("run  {command} init  or  {command} join TOKEN  with an invite of dddns invite");
        let whole = error("dddns --state-dir '/my dir' --config /c.toml");
        assert_eq!((cli.global.addressed(&error("dddns")), cli.global.addressed(&whole)), (whole.clone(), whole));
        for (dir, typed) in [("a&b", "'a&b'"), ("it's", r"'it'\''s'"), ("/mnt/ümlaut-1", "/mnt/ümlaut-1")] {
            let cli = Cli::try_parse_from(["dddns", "run", "--state-dir", dir]).ok().unwrap();
            assert_eq!(cli.global.command("status"), format!("dddns --state-dir {typed} status"));
        }
        let cli = Cli::try_parse_from(["dddns", "run"]).ok().unwrap();
        assert_eq!(cli.global.command("status"), "dddns status");
        assert_eq!(cli.global.addressed(&error("dddns")), error("dddns"));
    }
}

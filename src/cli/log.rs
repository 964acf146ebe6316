//! The log, on standard error.

use tracing::level_filters::LevelFilter;

use crate::cli::args::{Global, LogFormat};

/// Starts logging, at the level that is usual for the command unless the command line says otherwise.
pub(super) fn start(global: &Global, usual: LevelFilter) {
    let builder = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(global.log_level(usual))
        .with_ansi(global.log_color())
        .with_target(false)
        // Complaining about a log that nobody takes any more would end the node.
        .log_internal_errors(false);
    match global.log_format() {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
}

//! The signals that end a node in order.

/// Waits for one; its name.
///
/// SIGHUP is taken and ignored: a node outlives the terminal it was started from, and reads its configuration at the
/// start only.
#[cfg(unix)]
pub(super) async fn wait() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};

    let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hang_up)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()), signal(SignalKind::hangup()))
    else {
        tracing::warn!("signals cannot be handled here: the node will end without telling its peers");
        return std::future::pending().await;
    };
    loop {
        tokio::select! {
            _ = terminate.recv() => return "SIGTERM",
            _ = interrupt.recv() => return "SIGINT",
            _ = hang_up.recv() => tracing::info!("SIGHUP ignored: the configuration is read at the start only"),
        }
    }
}

/// Waits for one; its name.
#[cfg(windows)]
pub(super) async fn wait() -> &'static str {
    use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_shutdown};

    let (Ok(mut interrupt), Ok(mut pause), Ok(mut shutdown)) = (ctrl_c(), ctrl_break(), ctrl_shutdown()) else {
        tracing::warn!("signals cannot be handled here: the node will end without telling its peers");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => "Ctrl-C",
        _ = pause.recv() => "Ctrl-Break",
        _ = shutdown.recv() => "shutdown",
    }
}

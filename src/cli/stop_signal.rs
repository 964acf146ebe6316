//! The signals that end a node in order.

use std::io;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
#[cfg(windows)]
use tokio::signal::windows::{CtrlBreak, CtrlC, CtrlShutdown, ctrl_break, ctrl_c, ctrl_shutdown};

/// Takes the signals from the moment it is made: none of them ends the process by itself any more.
///
/// SIGHUP is taken and ignored: a node outlives the terminal it was started from, and reads its configuration at the
/// start only.
#[cfg(unix)]
#[derive(Debug)]
pub(super) struct StopSignal {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

#[cfg(unix)]
impl StopSignal {
    /// Takes the signals.
    pub(super) fn take() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one that is to end the node; its name.
    pub(super) async fn received(&mut self) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hang_up.recv() => tracing::info!("SIGHUP ignored: the configuration is read at the start only"),
            }
        }
    }
}

/// Takes the signals from the moment it is made: none of them ends the process by itself any more.
#[cfg(windows)]
#[derive(Debug)]
pub(super) struct StopSignal {
    interrupt: CtrlC,
    stop: CtrlBreak,
    shutdown: CtrlShutdown,
}

#[cfg(windows)]
impl StopSignal {
    /// Takes the signals.
    pub(super) fn take() -> io::Result<Self> {
        Ok(Self { interrupt: ctrl_c()?, stop: ctrl_break()?, shutdown: ctrl_shutdown()? })
    }

    /// Waits for one that is to end the node; its name.
    pub(super) async fn received(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "Ctrl-C",
            _ = self.stop.recv() => "Ctrl-Break",
            _ = self.shutdown.recv() => "shutdown",
        }
    }
}

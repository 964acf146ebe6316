//! `dddns run`: the node in the foreground.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::level_filters::LevelFilter;

use crate::cli::args::Global;
use crate::cli::failure::{Exit, Failure};
use crate::cli::stop_signal::StopSignal;
use crate::cli::{log, node_client, setup};
use crate::daemon::control_server::ControlServer;
use crate::daemon::control_socket;
use crate::daemon::file_store::FileStore;
use crate::daemon::start::{Start, StartError};
use crate::daemon::state_dir::StateDir;
use crate::daemon::state_file::Remover;
use crate::driver::Driver;
use crate::driver::error::RunError;
use crate::driver::event_stream::Events;
use crate::driver::handle::Handle;
use crate::node::event::Event;

/// How long the node may take to tell its peers that it ends and to store what it knows.
const GRACE: Duration = Duration::from_secs(5);

/// Runs until a signal ends it.
pub(super) fn run(global: &Global) -> Result<Exit, Failure> {
    log::start(global, LevelFilter::INFO);
    let dir = global.state_dir()?;
    dir.refuse_other_writers()?;
    // Where nothing is, nothing is made.
    let _lock = if dir.path().is_dir() { Some(dir.lock()?) } else { None };
    let start = Start::load(&dir, global.config().as_deref())?;
    let runtime = node_client::runtime()?;
    let ended = runtime.block_on(serve(dir, start, global));
    // A look-up of a host name may be under way, and nobody waits for its answer.
    runtime.shutdown_background();
    ended
}

async fn serve(dir: StateDir, start: Start, global: &Global) -> Result<Exit, Failure> {
    let no_signals = |error| Failure::new(Exit::Failed, format!("cannot take signals: {error}"));
    let mut signals = StopSignal::take().map_err(no_signals)?;
    tell_start(&dir, &start, global);
    let listen = start.settings.listen.clone();
    let store = FileStore::new(dir.clone(), start.identity.public_key(), start.state.joined_with);
    let (driver, node) = Driver::new(start.config, start.identity, start.state.saved, start.settings)?;
    let mut events = driver.events();
    let left = Arc::new(Notify::new());
    let listener = control_socket::listen(&dir)?;
    let mut running = tokio::spawn(driver.store(store).run());
    tokio::spawn(ControlServer { node: node.clone(), listen, left: Arc::clone(&left) }.run(listener));
    tell_systemd(Moment::Ready);
    tokio::select! {
        ended = &mut running => outcome(ended),
        signal = signals.received() => {
            tracing::info!(signal, "stopping");
            tell_systemd(Moment::Stopping);
            stop(&node, running).await
        }
        () = left.notified() => {
            tell_systemd(Moment::Stopping);
            stop(&node, running).await
        }
        by = removal(&mut events) => {
            tell_systemd(Moment::Stopping);
            stop(&node, running).await?;
            Err(StartError::Removed { dir: dir.path().to_owned(), by }.into())
        }
    }
}

/// Waits until another member has removed this node, and says who.
async fn removal(events: &mut Events) -> Remover {
    while let Some(event) = events.next().await {
        if let Event::Removed { by } = event {
            return Remover::Member(
                by.map_or_else(|| "a member that is not known any more".to_owned(), |by| by.name.to_string()),
            );
        }
    }
    std::future::pending().await
}

fn tell_start(dir: &StateDir, start: &Start, global: &Global) {
    let cluster = start.config.cluster.as_ref().map(|cluster| cluster.id.short()).unwrap_or_default();
    tracing::info!(name = %start.config.name, id = %start.identity.node_id(), cluster, "dddns {}", env!("CARGO_PKG_VERSION"));
    if start.state_is_lost {
        let path = dir.state();
        tracing::warn!("there is no {}: starting with the peers of the configuration only", path.display());
    }
    if start.state.join_is_open(&start.identity.public_key()) {
        let join = global.command("join TOKEN");
        tracing::warn!("the cluster has not confirmed this node yet: if no peer answers, run  {join}  once more");
    }
    setup::warn_of_namesake(&start.state, &start.identity, start.config.name);
}

async fn stop(node: &Handle, mut running: JoinHandle<Result<(), RunError>>) -> Result<Exit, Failure> {
    let ending = async {
        // It may have stopped by itself in this moment.
        let _ = node.shutdown().await;
        (&mut running).await
    };
    match timeout(GRACE, ending).await {
        Ok(ended) => outcome(ended),
        Err(_) => {
            running.abort();
            Err(Failure::new(Exit::TimedOut, "the node did not end in 5 s: what it learned last may not be stored"))
        }
    }
}

fn outcome(ended: Result<Result<(), RunError>, tokio::task::JoinError>) -> Result<Exit, Failure> {
    let ran = ended.map_err(|error| Failure::new(Exit::Failed, format!("the node broke down: {error}")))?;
    ran?;
    Ok(Exit::Done)
}

enum Moment {
    Ready,
    Stopping,
}

/// Tells systemd, where it started the node as Type=notify.
#[cfg(target_os = "linux")]
fn tell_systemd(moment: Moment) {
    use sd_notify::NotifyState;

    let state = match moment {
        Moment::Ready => NotifyState::Ready,
        Moment::Stopping => NotifyState::Stopping,
    };
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "systemd cannot be told");
    }
}

#[cfg(not(target_os = "linux"))]
fn tell_systemd(_: Moment) {}

//! `dddns join`: joins a cluster with a token, and saves what it was given.

use std::io::{Read, Write};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tracing::level_filters::LevelFilter;

use crate::auth::invite::{Token, TokenError};
use crate::cli::args::Global;
use crate::cli::failure::{Exit, Failure};
use crate::cli::setup::{NodeArgs, Setup};
use crate::cli::{log, node_client, setup};
use crate::config::Cluster;
use crate::daemon::file_store::FileStore;
use crate::daemon::state_file::State;
use crate::daemon::{duration_text, key_file, start, state_file};
use crate::driver::event_stream::Events;
use crate::driver::handle::RequestError;
use crate::driver::{Driver, clock};
use crate::node::error::CommandError;
use crate::node::event::{Event, Refusal};
use crate::wire::address::Address;

/// How long a join is tried at most: a person waits for it.
const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);

/// A token is some 200 characters; a longer text is no token.
const TOKEN_MAX: u64 = 4_096;

/// The arguments of `dddns join`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// What `dddns invite` printed, or `-` to read it from standard input, where no list of processes shows it
    token: String,

    #[command(flatten)]
    node: NodeArgs,

    /// How long to try: a whole number and ms, s, m, h or d, at most 24h
    #[arg(long, default_value = "30s", value_parser = patience)]
    timeout: Duration,
}

/// Joins, or goes on with a join that was cut short.
pub(super) fn run(args: &Args, global: &Global) -> Result<Exit, Failure> {
    let token = read_token(&args.token)?;
    log::start(global, LevelFilter::WARN);
    let setup = Setup::begin(&args.node, global)?;
    let stored = state_file::read(&setup.dir.state())?;
    // A key without a state: whatever the node knew of its cluster is lost, and it is let in as if it were new.
    let lost = stored.is_none();
    let state = stored.unwrap_or_default();
    let own = setup.identity.public_key();
    // A node that was removed, or has left, begins anew, and so does one with another token than it began to join with:
    // nothing of the old cluster may get into the next one.
    let anew = lost || state.removed_by(&own).is_some();
    let cluster = key_file::read_cluster(&setup.dir.cluster_key())?.filter(|_| !anew);
    let resumes = state.joined_with == Some(token.id()) && !anew;
    if let Some(cluster) = cluster.filter(|_| !state.join_is_open(&own)) {
        return if resumes { done(&setup, &cluster, global) } else { Err(member_already(&setup, &cluster, global)) };
    }
    let state = if resumes { state } else { State::default() };
    let runtime = node_client::runtime()?;
    let cluster = runtime.block_on(join(args, global, &setup, &token, &state));
    runtime.shutdown_background();
    done(&setup, &cluster?, global)
}

/// Tries the token. It may be tried again: a cluster that knows the node lets it in by a token that is spent, too.
async fn join(args: &Args, global: &Global, setup: &Setup, token: &Token, state: &State) -> Result<Cluster, Failure> {
    let addresses = list(token.addresses());
    global.hint(&format!("asking {addresses} …"));
    let deadline = Instant::from_std(clock::now()) + args.timeout;
    match attempt(setup, token, state, deadline).await? {
        Outcome::Confirmed => {
            let lost =
                || Failure::new(Exit::Failed, "the cluster's key was not stored: run the same command once more");
            key_file::read_cluster(&setup.dir.cluster_key())?.ok_or_else(lost)
        }
        Outcome::Refused(reason) => Err(refused(setup, token, reason, global)?),
        Outcome::Unconfirmed => Err(Failure::new(
            Exit::TimedOut,
            "the cluster answered, but has not confirmed this node yet: run the same command once more",
        )),
        Outcome::Silent => Err(Failure::new(
            Exit::TimedOut,
            format!(
                "no answer from {addresses} in {} s: check that the node that made the invite runs, that its address is \
                 right, and that its firewall or router lets this UDP port in; a token that expired more \
                 than a week ago, or whose maker has left its cluster since, gets no answer either: ask for a new one",
                args.timeout.as_secs()
            ),
        )),
    }
}

enum Outcome {
    /// Another member has told this node that it is one.
    Confirmed,
    /// The cluster let the node in, but no member has told it so.
    Unconfirmed,
    /// The inviter said no.
    Refused(Refusal),
    /// Nobody answered.
    Silent,
}

/// Runs the node until it is a confirmed member, refused, or out of time.
async fn attempt(setup: &Setup, token: &Token, state: &State, deadline: Instant) -> Result<Outcome, Failure> {
    let config = start::core_config(&setup.config, &setup.identity, None);
    let settings = start::settings(&setup.config, &setup.identity);
    let store = FileStore::new(setup.dir.clone(), setup.identity.public_key(), Some(token.id()))
        .with_config(setup.new_config.clone());
    let admitted = store.admitted();
    let (driver, node) = Driver::new(config, setup.identity.clone(), state.saved.clone(), settings)?;
    let events = driver.events();
    let running = tokio::spawn(driver.store(store).run());
    let unusable = RequestError::Refused(CommandError::UnusableInvite);
    node.join(token.clone()).await.map_err(|error| match error == unusable {
        true => Failure::new(Exit::Usage, error.to_string()),
        false => error.into(),
    })?;
    let outcome = watch(events, &admitted, deadline).await;
    // The end stores what was learned and tells the others; they will hear of the node again when it runs.
    let _ = node.shutdown().await;
    running.await.map_err(|error| Failure::new(Exit::Failed, format!("the node broke down: {error}")))??;
    Ok(outcome)
}

/// Waits until it is stored that another member knows this node.
async fn watch(mut events: Events, admitted: &Notify, deadline: Instant) -> Outcome {
    let mut member = false;
    loop {
        tokio::select! {
            () = admitted.notified() => return Outcome::Confirmed,
            event = events.next() => match event {
                Some(Event::Joined { .. }) => member = true,
                Some(Event::JoinRefused { reason }) => return Outcome::Refused(reason),
                Some(_) => {}
                None => return out_of_time(member),
            },
            () = sleep_until(deadline) => return out_of_time(member),
        }
    }
}

/// What to say of a refusal, which is final. The key that this attempt, or an earlier one with this token, has stored
/// goes: no member has told the node that it is one, and the key would keep it from every other cluster.
fn refused(setup: &Setup, token: &Token, reason: Refusal, global: &Global) -> Result<Failure, Failure> {
    let key = setup.dir.cluster_key();
    let unconfirmed =
        |state: State| state.joined_with == Some(token.id()) && !state.is_admitted(&setup.identity.public_key());
    if !key.exists() || !state_file::read(&setup.dir.state())?.is_some_and(unconfirmed) {
        return Ok(Failure::new(Exit::Refused, reason.to_string()));
    }
    key_file::remove_cluster(&key)?;
    let message = format!(
        "{reason}; this node was not let in, and belongs to no cluster: with a new token run  {}",
        global.command("join TOKEN")
    );
    Ok(Failure::new(Exit::Refused, message))
}

fn out_of_time(member: bool) -> Outcome {
    if member { Outcome::Unconfirmed } else { Outcome::Silent }
}

/// A time that can be waited for: a longer one would lie beyond what the clock can count.
fn patience(text: &str) -> Result<Duration, String> {
    let time = duration_text::parse(text).map_err(|error| error.to_string())?;
    if time <= TIMEOUT_MAX { Ok(time) } else { Err("a join is tried for at most 24h".to_owned()) }
}

pub(super) fn read_token(text: &str) -> Result<Token, Failure> {
    let mut from_stdin = String::new();
    let text = if text == "-" {
        let read = std::io::stdin().lock().take(TOKEN_MAX).read_to_string(&mut from_stdin);
        read.map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot read the token from standard input: {error}"))
        })?;
        &from_stdin
    } else {
        text
    };
    text.trim().parse().map_err(|error: TokenError| Failure::new(Exit::Usage, error.to_string()))
}

fn member_already(setup: &Setup, cluster: &Cluster, global: &Global) -> Failure {
    let message = format!(
        "the node in {} belongs to cluster {} already: give another directory with --state-dir, or take it out first: start \
         it with  {}  and then run  {}",
        setup.dir.path().display(),
        cluster.id.short(),
        global.command("run"),
        global.command("leave")
    );
    Failure::new(Exit::Failed, message)
}

fn done(setup: &Setup, cluster: &Cluster, global: &Global) -> Result<Exit, Failure> {
    let config = start::core_config(&setup.config, &setup.identity, None);
    let mut out = std::io::stdout().lock();
    writeln!(out, "joined cluster {} as {} ({})", cluster.id.short(), config.name, setup.identity.node_id())?;
    let state = state_file::read(&setup.dir.state())?.unwrap_or_default();
    setup::warn_of_namesake(&state, &setup.identity, config.name);
    global.hint(&format!("Next: start the node with  {}", global.command("run")));
    Ok(Exit::Done)
}

fn list(addresses: &[Address]) -> String {
    addresses.iter().map(Address::to_string).collect::<Vec<_>>().join(", ")
}

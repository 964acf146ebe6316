//! Conformance: some peers of the tester join a cluster and watch whether one node of it keeps to the specification.
//!
//! The tester is made of messages and cryptography alone, not of the state machine that it tests. Everything it does
//! follows from a seed; what the network does in between does not. `spec/conformance.md` has all checks.

mod admitting;
mod bait;
mod calling;
mod checks;
mod clones;
mod flood;
mod forge;
mod form;
mod handshakes;
mod joining;
mod life;
mod locating;
mod members;
mod network;
mod paths;
mod peer;
pub(crate) mod report;
mod stage;
mod tags;
mod time;
mod watch;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::auth::drbg::Drbg;
use crate::auth::invite::Token;
use crate::conformance::network::Network;
use crate::conformance::report::Report;
use crate::conformance::stage::Stage;
use crate::driver::clock;

/// What a run is told.
pub(crate) struct Settings {
    /// The invite of the target.
    pub(crate) token: Token,
    /// On which of its IP addresses the tester's peers are; none: on the loopback if the target is there, else on all.
    pub(crate) bind: Vec<IpAddr>,
    /// What the tester's keys, indices and challenges follow from.
    pub(crate) seed: [u8; 32],
    /// Which parts to run; none: all of them.
    pub(crate) only: Vec<Part>,
    /// Whether to flood the target with initiations, which keeps others out for some seconds.
    pub(crate) flood: bool,
}

/// A part of a run. Joining comes before each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Link time.
    Time,
    /// Tags.
    Tags,
    /// The replay window.
    Replay,
    /// Initiations.
    Handshakes,
    /// Datagrams against the format.
    Form,
    /// New addresses.
    Paths,
    /// Losing and finding.
    Locating,
    /// The member list.
    Members,
    /// Heartbeats and silence.
    Life,
    /// Goodbyes.
    Leave,
    /// Two machines with one identity.
    Clones,
}

impl Part {
    /// All parts, in the order in which they are run.
    pub(crate) const ALL: [Self; 11] = [
        Self::Time,
        Self::Tags,
        Self::Replay,
        Self::Handshakes,
        Self::Form,
        Self::Paths,
        Self::Locating,
        Self::Members,
        Self::Life,
        Self::Leave,
        Self::Clones,
    ];

    /// Its name on the command line.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Tags => "tags",
            Self::Replay => "replay",
            Self::Handshakes => "handshakes",
            Self::Form => "form",
            Self::Paths => "paths",
            Self::Locating => "locating",
            Self::Members => "members",
            Self::Life => "life",
            Self::Leave => "leave",
            Self::Clones => "clones",
        }
    }
}

/// Why nothing could be tested.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConformanceError {
    /// The tester has no sockets.
    #[error("cannot open the tester's sockets: {0}; give one of this machine's addresses with --bind")]
    Sockets(io::Error),
    /// The token names a key that is none.
    #[error("the token's public key is not one")]
    Token,
    /// Nobody answered.
    #[error(
        "no answer to an initiation: check that the target runs, that the token is fresh, and that UDP gets through"
    )]
    Silent,
    /// The target does not let the tester in.
    #[error("the target refuses the invite: {0}")]
    Refused(&'static str),
}

/// Runs the checks. Afterwards the tester's peers are removed from the cluster again; their records stay, as those of
/// removed members do.
pub(crate) fn run(settings: Settings) -> Result<Report, ConformanceError> {
    let began = clock::now();
    let first = settings.token.addresses().first().map(|address| address.socket_addr());
    let at = first.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let bind = if settings.bind.is_empty() { vec![usual(at.ip())] } else { settings.bind };
    let network = Network::open(&bind).map_err(ConformanceError::Sockets)?;
    let mut stage = Stage::new(network, settings.token, at, Drbg::new(settings.seed));
    if joining::run(&mut stage)? {
        play_all(&mut stage, &settings.only, settings.flood);
    }
    let took = clock::now().saturating_duration_since(began);
    Ok(stage.report.report(stage.target, stage.at, took))
}

fn play_all(stage: &mut Stage, only: &[Part], flood: bool) {
    let wanted = |part: &Part| only.is_empty() || only.contains(part);
    admitting::run(stage);
    Part::ALL.into_iter().filter(wanted).for_each(|part| play(stage, part));
    if flood {
        flood::run(stage);
    } else {
        for check in [&checks::COOKIE, &checks::COOKIE_TAKEN, &checks::COOKIE_BOUND] {
            stage.report.skip(check, "it would keep others out for some seconds: allow it with --flood");
        }
    }
    admitting::count_probes(stage);
    members::leave_no_trace(stage, wanted(&Part::Members));
}

fn play(stage: &mut Stage, part: Part) {
    match part {
        Part::Time => time::run(stage),
        Part::Tags => tags::run(stage),
        Part::Replay => tags::replay(stage),
        Part::Handshakes => calling::run(stage),
        Part::Form => form::run(stage),
        Part::Paths => paths::run(stage),
        Part::Locating => locating::run(stage),
        Part::Members => members::run(stage),
        Part::Life => life::run(stage),
        Part::Leave => life::goodbye(stage),
        Part::Clones => clones::run(stage),
    }
}

/// Where the tester is for a target there, if nobody says.
fn usual(target: IpAddr) -> IpAddr {
    match target {
        IpAddr::V4(ip) if ip.is_loopback() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(ip) if ip.is_loopback() => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

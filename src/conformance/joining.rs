//! Joining: the first peer comes in by the invite, against a rival who has the same one.

use std::time::Duration;

use crate::auth::handshake::{Initiator, Purpose};
use crate::auth::identity::Identity;
use crate::config::{Cluster, ClusterKey};
use crate::conformance::ConformanceError;
use crate::conformance::checks;
use crate::conformance::forge::Forge;
use crate::conformance::network::Place;
use crate::conformance::peer::Who;
use crate::conformance::stage::{PATIENCE, SILENCE, Seen, Stage, What};
use crate::driver::clock;
use crate::wire::heartbeat::Heartbeat;
use crate::wire::id::{Digest, Index};
use crate::wire::initiation::Initiation;
use crate::wire::response::Verdict;

/// How often the initiation goes to all addresses of the token, and how long an answer is waited for each time.
const ATTEMPTS: usize = 5;
const PAUSE: Duration = Duration::from_secs(1);

/// Joins, and tells whether that came to a session that works: without one there is nothing else to test.
pub(super) fn run(stage: &mut Stage) -> Result<bool, ConformanceError> {
    let identity = stage.first.identity.clone();
    let mut initiator = begin(stage, &identity, Who::First)?;
    let seen = call(stage, &initiator)?;
    stage.at = seen.from;
    let datagram = *initiator.datagram();
    same_again(stage, &datagram, initiator.sender(), &seen);
    let (session, payload) = match stage.finish(&identity, &mut initiator, &seen) {
        Ok(finished) => finished,
        Err(reason) => {
            stage.report.fail(&checks::JOIN, "a Response that decrypts", reason);
            return Ok(false);
        }
    };
    if let Some(why) = refusal(payload.verdict) {
        return Err(ConformanceError::Refused(why));
    }
    stage.report.pass(&checks::JOIN);
    stage.cluster = Some(Cluster { id: payload.cluster_id, key: ClusterKey(payload.cluster_key) });
    stage.first.sessions.push(session);

    let rival = Identity::from_secret(stage.drbg.array());
    let rivals = race(stage, &rival);
    let mark = stage.mark();
    let confirmed = stage.exchange(Who::First).is_some();
    let other = stage.since(mark).iter().find_map(|seen| seen.ack(Who::First));
    if let Some(other) = other.filter(|_| !confirmed) {
        stage.report.fail(&checks::ACK, "1 in an acknowledgement of the heartbeat 0", other.to_string());
    }
    stage.report.judge(&checks::CONFIRM, confirmed, "an acknowledgement of the first heartbeat", || "none".to_owned());
    if let Some(session) = rivals.filter(|_| confirmed) {
        too_late(stage, &rival, session);
    }
    Ok(confirmed)
}

/// Why the tester is not let in, and what to do, in words.
fn refusal(verdict: Verdict) -> Option<&'static str> {
    match verdict {
        Verdict::Accepted => None,
        Verdict::Expired => Some("it has expired: make a new one"),
        Verdict::Used => Some("another node has joined with it: make a new one"),
        Verdict::Full => Some("its cluster has as many members as it may have: give one of a cluster made for this"),
        Verdict::Barred => Some("the tester's peers are barred for ever: give another --seed, or one of a new cluster"),
    }
}

fn begin(stage: &mut Stage, identity: &Identity, who: Who) -> Result<Initiator, ConformanceError> {
    let index = stage.index();
    let name = stage.peer(who).name.ok_or(ConformanceError::Token)?;
    let token = stage.token.clone();
    let purpose = Purpose::Join { token: &token, name };
    let run = stage.peer(who).incarnation;
    Initiator::start(identity, &stage.target, purpose, run, index, &mut stage.drbg).map_err(|_| ConformanceError::Token)
}

/// Sends the initiation to all addresses of the token until one answers.
fn call(stage: &mut Stage, initiator: &Initiator) -> Result<Seen, ConformanceError> {
    let mark = stage.mark();
    let index = initiator.sender();
    for _ in 0..ATTEMPTS {
        for address in stage.token.addresses().to_vec() {
            stage.network.send(Place::First, address.socket_addr(), initiator.datagram());
        }
        if let Some(seen) = stage.wait(mark, PAUSE, |seen| seen.answers() == Some(index)) {
            return Ok(seen);
        }
    }
    Err(ConformanceError::Silent)
}

/// The same initiation, and the same with another mac2, get the same bytes.
fn same_again(stage: &mut Stage, datagram: &[u8; Initiation::LEN], index: Index, first: &Seen) {
    let mut with_mac2 = *datagram;
    if let Some(last) = with_mac2.last_mut() {
        *last ^= 1;
    }
    for again in [datagram, &with_mac2] {
        let mark = stage.mark();
        stage.send(Place::First, again);
        let second = stage.wait(mark, PATIENCE, |seen| seen.answers() == Some(index));
        let same = second.as_ref().is_some_and(|second| response(second) == response(first));
        stage.report.judge(&checks::SAME_RESPONSE, same, "the same Response, byte for byte", || {
            second.map_or_else(|| "silence".to_owned(), |_| "another Response".to_owned())
        });
    }
}

fn response(seen: &Seen) -> Option<Vec<u8>> {
    match &seen.what {
        What::Response(response) => Some(response.to_bytes().to_vec()),
        What::Tagged(..) | What::Initiation(..) | What::Cookie(_) | What::Flawed => None,
    }
}

/// A rival gets as far as the first peer, and does not confirm.
fn race(stage: &mut Stage, rival: &Identity) -> Option<Forge> {
    let mut initiator = begin(stage, rival, Who::Ghost).ok()?;
    let datagram = *initiator.datagram();
    let seen = stage.initiate(Place::Stranger, &datagram, initiator.sender())?;
    let (session, payload) = stage.finish(rival, &mut initiator, &seen).ok()?;
    (payload.verdict == Verdict::Accepted).then_some(session)
}

/// The rival confirms when the first peer has been admitted, and then comes again.
fn too_late(stage: &mut Stage, rival: &Identity, mut session: Forge) {
    let mark = stage.mark();
    let plan = session.plan(clock::now());
    let heartbeat = Heartbeat { seen: 0, digest: Digest::default(), reflection: None };
    let datagram = session.make(plan, &heartbeat);
    stage.send(Place::Stranger, &datagram);
    stage.pass(SILENCE);
    let answer = stage.since(mark).iter().find(|seen| seen.place == Place::Stranger).map(Seen::describe);
    let silent = answer.is_none();
    stage
        .report
        .judge(&checks::RACE, silent, "silence to the joiner that confirms second", || answer.unwrap_or_default());

    let Ok(mut initiator) = begin(stage, rival, Who::Ghost) else { return };
    let datagram = *initiator.datagram();
    let answered = stage.initiate(Place::Stranger, &datagram, initiator.sender());
    let payload = answered
        .ok_or_else(|| "silence".to_owned())
        .and_then(|seen| stage.finish(rival, &mut initiator, &seen))
        .map(|(_, payload)| payload);
    let used = payload.as_ref().is_ok_and(|payload| payload.verdict == Verdict::Used);
    stage.report.judge(&checks::USED, used, "the verdict 2, without index, cluster and key", || match payload {
        Ok(payload) => format!("the verdict {:?}", payload.verdict),
        Err(reason) => reason,
    });
}

//! The other peers come in: by the first one's word, and by handshakes that the target and the third peer begin.

use std::time::Duration;

use crate::auth::mac::Mac1Key;
use crate::conformance::checks;
use crate::conformance::network::Place;
use crate::conformance::peer::Who;
use crate::conformance::stage::{PATIENCE, Seen, Stage};
use crate::wire::datagram::Datagram;
use crate::wire::id::NodeId;
use crate::wire::initiation::Mode;
use crate::wire::list::List;
use crate::wire::located::{Located, LocatedEntry, Source};
use crate::wire::members::Members;
use crate::wire::members_request::MembersRequest;
use crate::wire::message::Message;
use crate::wire::record::{MemberRecord, MemberState};
use crate::wire::response::Response;

/// The clock of the second peer: far from any real one, 12 s after the beginning of a time step.
pub(super) const OTHER_CLOCK_MS: u64 = 4_102_444_812_000;

/// How long the target may take until it looks for a new member, and until it has probed where that is said to be.
const LOOKS: Duration = Duration::from_secs(3);
/// How soon a heartbeat follows a Response.
const AT_ONCE: Duration = Duration::from_millis(700);

impl Stage {
    /// The target's whole member list, page by page, and the pages' lengths.
    pub(super) fn pages(&mut self, who: Who) -> Result<Vec<Members>, String> {
        let mut pages: Vec<Members> = Vec::new();
        let mut after = NodeId::NONE;
        loop {
            let answer = self.ask(who, &MembersRequest { after }, |seen| page_after(seen, who, after).is_some());
            let page = answer.as_ref().and_then(|seen| page_after(seen, who, after)).ok_or("silence")?;
            pages.push(page);
            match page.records.as_slice().last() {
                Some(last) if page.more && pages.len() < 300 => after = last.id(),
                Some(_) | None => return Ok(pages),
            }
        }
    }

    /// The records of the target's member list; none if it does not give them.
    pub(super) fn records(&mut self, who: Who) -> Vec<MemberRecord> {
        let pages = self.pages(who).unwrap_or_default();
        pages.iter().flat_map(|page| page.records.iter().copied()).collect()
    }

    /// Tells the target records that are news.
    pub(super) fn push(&mut self, who: Who, records: &[MemberRecord]) {
        let mut records = records.to_vec();
        records.sort_by_key(MemberRecord::id);
        if let Ok(records) = List::try_from(records.as_slice()) {
            self.tell(who, &Members { more: false, records });
        }
    }

    /// The number of a next admission.
    pub(super) fn next_admission(records: &[MemberRecord]) -> u32 {
        records.iter().map(|record| record.admission).max().unwrap_or(0).saturating_add(1)
    }

    /// The record by which the first peer admits, or removes, another one.
    pub(super) fn record(&mut self, who: Who, admission: u32, state: MemberState) -> Option<MemberRecord> {
        let admitted_by = self.first.id();
        let peer = self.peer(who);
        Some(MemberRecord {
            public_key: peer.identity.public_key(),
            admitted_by,
            admission,
            state,
            revision: 0,
            name: peer.name?,
        })
    }
}

/// The page, if it is one to this peer that answers a request for what comes after this ID.
fn page_after(seen: &Seen, who: Who, after: NodeId) -> Option<Members> {
    let Some(Message::Members(page)) = seen.message(who) else { return None };
    let fits = page.records.iter().all(|record| record.id() > after);
    fits.then_some(*page)
}

/// Brings all peers in.
pub(super) fn run(stage: &mut Stage) {
    let records = stage.records(Who::First);
    let admission = Stage::next_admission(&records);
    let admitted: Vec<_> = [Who::Second, Who::Third, Who::Ghost]
        .into_iter()
        .filter_map(|who| stage.record(who, admission, MemberState::Member))
        .collect();
    let mark = stage.mark();
    for _ in 0..2 {
        // Twice: one of them may be lost, and the second one is no news.
        stage.push(Who::First, &admitted);
    }
    let third = stage.handshake(Who::Third);
    let acked = third.is_ok() && stage.exchange(Who::Third).is_some();
    stage.report.judge(&checks::MEMBER, acked, "a Response, and an acknowledgement under its session", || {
        third.err().unwrap_or_else(|| "no acknowledgement".to_owned())
    });

    let second = stage.second.id();
    let asked = stage.wait(mark, LOOKS, |seen| {
        [Who::First, Who::Third].into_iter().any(|who| match seen.message(who) {
            Some(Message::Locate(locate)) => locate.ids.iter().any(|id| *id == second),
            _ => false,
        })
    });
    stage.report.judge(&checks::ASKS, asked.is_some(), "a Locate for the second peer", || "none".to_owned());
    if let Err(reason) = called(stage) {
        stage.report.fail(&checks::CALLS, "an initiation of the target to the second peer", reason);
        stage.second.sessions.clear();
        let _ = stage.handshake(Who::Second);
    }
    let _ = stage.exchange(Who::Second);
}

/// The target is told where the second peer and the ghost are, and calls them.
fn called(stage: &mut Stage) -> Result<(), String> {
    let mark = stage.mark();
    let mut entries = List::new();
    for (who, place) in [(Who::Second, Place::Second), (Who::Ghost, Place::Ghost)] {
        let address = stage.address(place).ok_or("the tester does not know its own address")?;
        let entry = LocatedEntry { id: stage.peer(who).id(), source: Source::LastSeen, age_s: 60, address };
        entries.push(entry).map_err(|_| "no room")?;
    }
    stage.tell(Who::First, &Located { entries });
    let is_call = |seen: &Seen| seen.place == Place::Second && seen.initiation(Who::Second).is_some();
    let seen = stage.wait(mark, LOOKS, is_call).ok_or("none")?;
    let initiation = *seen.initiation(Who::Second).ok_or("none")?;
    let received = stage.read_initiation(Who::Second, &initiation)?;
    let right = initiation.mode == Mode::Member && received.initiator() == stage.target;
    stage.report.judge(&checks::CALLS, right, "an initiation of mode 0 with the target's key", || {
        format!("mode {:?}, another key", initiation.mode)
    });

    // Wrong answers first, under the same index.
    let response = stage.respond(Who::Second, received, initiation.sender, OTHER_CLOCK_MS)?;
    for wrong in wrong_responses(stage, &response) {
        stage.send(Place::Second, &wrong);
    }
    // Its next initiation is the same, as long as it is of the same attempt: and it is not answered yet.
    let mark = stage.mark();
    if let Some(again) = stage.wait(mark, PATIENCE, is_call) {
        let same = again.initiation(Who::Second) == Some(&initiation);
        stage.report.judge(&checks::SAME_INITIATION, same, "the same initiation again", || "another one".to_owned());
    } else {
        stage.report.skip(&checks::SAME_INITIATION, "the initiation came once only");
    }
    let fooled = stage.everything().iter().any(|seen| seen.header(Who::Second).is_some());
    let mark = stage.mark();
    stage.send(Place::Second, &response);
    let heartbeat = stage.wait(mark, AT_ONCE, |seen| seen.is_heartbeat(Who::Second));
    let lives = heartbeat.is_some();
    stage.report.judge(&checks::BAD_RESPONSE, !fooled, "no session from a wrong response", || {
        "a datagram under that session".to_owned()
    });
    stage.report.judge(&checks::BAD_RESPONSE, lives, "the right Response to be taken after wrong ones", || {
        "no heartbeat under its session".to_owned()
    });
    stage.report.judge(&checks::AT_ONCE, lives, "a heartbeat within 0.7 s", || "none".to_owned());
    let first = heartbeat.as_ref().and_then(|seen| seen.header(Who::Second)).map(|header| header.counter);
    stage.report.judge(&checks::TARGET_FIRST, first.is_none_or(|counter| counter == 0), "counter 0", || {
        format!("counter {}", first.unwrap_or_default())
    });
    lives.then_some(()).ok_or_else(|| "it took no Response".to_owned())
}

/// Responses that must leave the attempt as it was: another mac1, another ciphertext under a right mac1, another index.
fn wrong_responses(stage: &Stage, right: &[u8; Response::LEN]) -> Vec<Vec<u8>> {
    let key = Mac1Key::of(&stage.target);
    let flipped = |at: usize| {
        let mut wrong = *right;
        if let Some(byte) = wrong.get_mut(at) {
            *byte ^= 0x20;
        }
        wrong
    };
    let signed = |datagram: [u8; Response::LEN]| {
        let mut datagram = datagram;
        let parsed = Datagram::parse(&datagram);
        if let Ok(Datagram::Response(mut response)) = parsed {
            response.mac1 = key.mac1(&response);
            datagram = response.to_bytes();
        }
        datagram.to_vec()
    };
    vec![flipped(Response::BEFORE_MAC1).to_vec(), signed(flipped(100)), signed(flipped(20)), signed(flipped(7))]
}

/// At the end: how often the ghost was called.
pub(super) fn count_probes(stage: &mut Stage) {
    let is_call = |seen: &&Seen| seen.place == Place::Ghost && seen.initiation(Who::Ghost).is_some();
    let calls: Vec<_> = stage.everything().iter().filter(is_call).map(|seen| seen.at).collect();
    let gaps = calls.windows(2).filter_map(|pair| match pair {
        [before, after] => Some(after.saturating_duration_since(*before)),
        _ => None,
    });
    let least = gaps.min();
    let fine = !calls.is_empty() && calls.len() <= 3 && least.is_none_or(|gap| gap >= Duration::from_millis(400));
    let seen =
        || format!("{} initiations, the closest two {} ms apart", calls.len(), least.unwrap_or_default().as_millis());
    stage.report.judge(&checks::PROBES, fine, "one to three probes, 0.5 s apart", seen);
}

//! The target's member list: its pages, its digest, and which records it takes.

use std::time::Duration;

use ring::digest;

use crate::conformance::bait::Baits;
use crate::conformance::checks;
use crate::conformance::peer::Who;
use crate::conformance::stage::{Mark, PATIENCE, Seen, Stage};
use crate::driver::clock;
use crate::wire::id::{Digest, NodeId, PublicKey};
use crate::wire::list::List;
use crate::wire::members::Members;
use crate::wire::members_request::MembersRequest;
use crate::wire::message::Message;
use crate::wire::record::{MemberRecord, MemberState};

/// How long news may take to be passed on: `NEWS_PAUSE` may be 2 s.
const NEWS: Duration = Duration::from_millis(2_500);

impl Stage {
    /// The target's whole member list, page by page.
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

/// Runs the checks.
pub(super) fn run(stage: &mut Stage) {
    admitted(stage);
    passed_on(stage);
    pages(stage);
    ignored(stage);
}

fn admitted(stage: &mut Stage) {
    let records = stage.records(Who::First);
    let (own, target) = (stage.first.id(), NodeId::from(&stage.target));
    let name = stage.first.name;
    let record = records.iter().find(|record| record.id() == own);
    let right = record.is_some_and(|record| {
        record.admitted_by == target
            && record.admission > 0
            && record.state == MemberState::Member
            && Some(record.name) == name
    });
    stage.report.judge(
        &checks::ADMITTED,
        right,
        "the joiner's record, made by the target, with an admission above 0",
        || record.map_or_else(|| "no record of the joiner".to_owned(), |record| format!("{record:?}")),
    );
}

/// Removed members that never were: they fill the list without asking anything of anybody.
fn strangers(stage: &mut Stage, count: usize) -> Vec<MemberRecord> {
    let Some(like) = stage.record(Who::Ghost, 1, MemberState::Removed) else { return Vec::new() };
    (0..count).map(|_| MemberRecord { public_key: PublicKey(stage.drbg.array()), ..like }).collect()
}

fn tells(seen: &Seen, who: Who, id: NodeId) -> bool {
    let Some(Message::Members(page)) = seen.message(who) else { return false };
    page.records.iter().any(|record| record.id() == id)
}

fn passed_on(stage: &mut Stage) {
    let news = strangers(stage, Members::MAX);
    let Some(id) = news.first().map(MemberRecord::id) else { return };
    let mark = stage.mark();
    stage.push(Who::First, &news);
    let second = stage.wait(mark, NEWS, |seen| tells(seen, Who::Second, id)).is_some();
    let third = stage.wait(mark, NEWS, |seen| tells(seen, Who::Third, id)).is_some();
    let back = stage.since(mark).iter().any(|seen| tells(seen, Who::First, id));
    stage.report.judge(
        &checks::ON,
        second && third && !back,
        "the news at both other peers, and not back at the first",
        || {
            let word = |came: bool| if came { "told" } else { "not told" };
            format!("second: {}, third: {}, first: {}", word(second), word(third), word(back))
        },
    );
}

fn pages(stage: &mut Stage) {
    let pages = match stage.pages(Who::First) {
        Ok(pages) => pages,
        Err(seen) => {
            stage.report.fail(&checks::PAGES, "the member list", seen);
            return;
        }
    };
    let lengths: Vec<usize> = pages.iter().map(|page| page.records.len()).collect();
    let records: Vec<MemberRecord> = pages.iter().flat_map(|page| page.records.iter().copied()).collect();
    let ascending = records.is_sorted_by(|a, b| a.id() < b.id());
    let whole = [stage.first.id(), stage.second.id(), stage.third.id(), stage.ghost.id(), NodeId::from(&stage.target)];
    let complete = whole.into_iter().all(|id| records.iter().any(|record| record.id() == id));
    stage.report.judge(
        &checks::PAGES,
        ascending && complete && pages.len() > 1,
        "all members, in order, in two pages or more",
        || format!("pages of {lengths:?} records, in order: {ascending}, complete: {complete}"),
    );
    let own = digest_of(&records);
    let said = stage.exchange(Who::First).and_then(|seen| match seen.message(Who::First) {
        Some(Message::HeartbeatAck(ack)) => Some(ack.digest),
        Some(_) | None => None,
    });
    stage.report.judge(&checks::DIGEST, said == Some(own), &format!("{own:?}"), || format!("{said:?}"));
}

/// The fingerprint of a list in ascending order. Spec: MEMB-5.
fn digest_of(records: &[MemberRecord]) -> Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"dddns/1 members");
    records.iter().for_each(|record| context.update(&record.to_bytes()));
    Digest(context.finish().as_ref().first_chunk().copied().unwrap_or_default())
}

/// Records that change nothing: lesser ones, and a member's own greater admission.
fn ignored(stage: &mut Stage) {
    let before = stage.records(Who::First);
    let of = |id: NodeId| before.iter().find(|record| record.id() == id).copied();
    let (Some(second), Some(third)) = (of(stage.second.id()), of(stage.third.id())) else { return };
    let Ok(name) = "conformance-other".parse() else { return };
    let lesser = MemberRecord { admission: second.admission.saturating_sub(1), revision: 9, name, ..second };
    let own = MemberRecord { admission: third.admission.saturating_add(7), name, ..third };
    stage.push(Who::First, &[lesser]);
    stage.push(Who::Third, &[own]);
    let _ = stage.exchange(Who::Third);
    let after = stage.records(Who::First);
    let now = |id: NodeId| after.iter().find(|record| record.id() == id).copied();
    let (kept, same) = (now(second.id()), now(third.id()));
    stage.report.judge(&checks::LESSER, kept == Some(second), "the record as it was", || format!("{kept:?}"));
    stage.report.judge(&checks::SELF, same == Some(third), "the record as it was", || format!("{same:?}"));
}

/// Takes the tester's peers out of the cluster again, at the end of a run, and looks at what that does if `tested`.
pub(super) fn leave_no_trace(stage: &mut Stage, tested: bool) {
    let before = stage.records(Who::First);
    let own = stage.first.id();
    let of = |id: NodeId| before.iter().find(|record| record.id() == id).copied();
    let removed = |record: MemberRecord| MemberRecord { state: MemberState::Removed, admitted_by: own, ..record };
    let third = of(stage.third.id());
    let others = [third, of(stage.second.id()), of(stage.ghost.id())];
    let others: Vec<_> = others.into_iter().flatten().map(removed).collect();
    let mark = stage.mark();
    stage.push(Who::First, &others);
    stage.push(Who::First, &others);
    if let Some(third) = third.filter(|_| tested) {
        outcast(stage, mark, &third);
    }
    if let Some(own) = of(own) {
        stage.push(Who::First, &[removed(own)]);
    }
}

/// The third peer is no member any more: it is told so, and is not answered else. `record`: what made it a member.
fn outcast(stage: &mut Stage, mark: Mark, record: &MemberRecord) {
    let told = stage.wait(mark, PATIENCE, is_removal).is_some();
    stage.report.judge(&checks::TOLD, told, "a Members message with its removal", || "none".to_owned());
    // The old record cannot bring it back.
    stage.push(Who::First, &[*record]);
    let heartbeat = stage.heartbeat_of(Who::Third);
    let place = stage.third.place;
    let mut baits = Baits::new(stage);
    if let Some(session) = stage.third.session() {
        let plan = session.plan(clock::now());
        let datagram = session.make(plan, &heartbeat);
        baits.throw(stage, &checks::REMOVED, "a heartbeat of a removed member", (place, &datagram), move |seen| {
            seen.ack(Who::Third) == Some(plan.counter + 1)
        });
    }
    baits.reap(stage);

    let mark = stage.mark();
    if let Err(reason) = stage.handshake(Who::Third) {
        stage.report.fail(&checks::TOLD, "a Response to a removed member that calls", reason);
        return;
    }
    let counter = stage.heartbeat(Who::Third, place);
    let told = stage.wait(mark, PATIENCE, is_removal).is_some();
    let acked = stage.since(mark).iter().any(|seen| seen.ack(Who::Third) == Some(counter + 1));
    stage.report.judge(&checks::TOLD, told, "its removal in answer to its first datagram", || "none".to_owned());
    stage.report.judge(&checks::REMOVED, !acked, "no acknowledgement for a removed member", || "one".to_owned());
}

/// Whether the third peer is told of its own removal.
fn is_removal(seen: &Seen) -> bool {
    let Some(Message::Members(page)) = seen.message(Who::Third) else { return false };
    let own = Who::Third.label();
    page.records.iter().any(|record| record.name.as_str() == own && record.state == MemberState::Removed)
}

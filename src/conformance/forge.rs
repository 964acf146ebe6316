//! The tester's end of a session: makes right datagrams, and wrong ones whose tag is right all the same.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::auth::keys::{Direction, SessionKeys};
use crate::auth::tag::TagKey;
use crate::auth::totp::{STEP_MS, low8, value};
use crate::wire::body::{Body, MAX_BODY};
use crate::wire::datagram::Datagram;
use crate::wire::header::{Header, MAGIC_VERSION, TAG_LEN};
use crate::wire::id::Index;
use crate::wire::kind::Kind;
use crate::wire::message::Message;

/// One end of a session. Unlike [`Session`](crate::auth::session::Session) it refuses nothing to its owner.
pub(super) struct Forge {
    keys: SessionKeys,
    pub(super) local: Index,
    remote: Index,
    /// Link time at `began`, in milliseconds since 1970.
    clock_ms: u64,
    began: Instant,
    /// By how much the target has set its link time forward (AUTH-6), in milliseconds.
    pub(super) ahead_ms: u64,
    /// The counter of the next datagram.
    pub(super) next: u64,
    /// What came under each counter: none may come twice (AUTH-9).
    received: BTreeMap<u64, Vec<u8>>,
}

/// All that a tagged datagram says about itself. What [`Forge::plan`] gives is right; a test changes one thing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) magic: u8,
    pub(super) kind: Kind,
    /// The step whose V(T) makes the tag.
    pub(super) step: u64,
    pub(super) flags: u8,
    pub(super) receiver: Index,
    pub(super) counter: u64,
    /// Whose secret makes the tag: [`Direction::Received`] is that of what the target sends.
    pub(super) direction: Direction,
}

/// What is wrong with a datagram from the target.
#[derive(Clone, Debug)]
pub(super) enum Flaw {
    /// Its step is not that of link time.
    Step(String),
    /// Its tag is wrong.
    Tag,
    /// Its sealed body does not open.
    Seal,
    /// Its body is not one that the type has, or not in its one encoding.
    Body(String),
    /// Its counter is one that was used before, or that nobody may use.
    Counter(String),
}

impl Forge {
    /// The session that a handshake gave. `clock_ms` is the responder's clock, and `began` when it was read or written.
    pub(super) fn new(keys: SessionKeys, local: Index, remote: Index, clock_ms: u64, began: Instant) -> Self {
        Self { keys, local, remote, clock_ms, began, ahead_ms: 0, next: 0, received: BTreeMap::new() }
    }

    /// Link time, in milliseconds since 1970.
    pub(super) fn link_ms(&self, now: Instant) -> u64 {
        let passed = u64::try_from(now.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX);
        self.clock_ms.saturating_add(passed).saturating_add(self.ahead_ms)
    }

    /// The time step T.
    pub(super) fn step(&self, now: Instant) -> u64 {
        self.link_ms(now) / STEP_MS
    }

    /// The plan of the next right datagram.
    pub(super) fn plan(&mut self, now: Instant) -> Plan {
        let counter = self.next;
        self.next += 1;
        Plan {
            magic: MAGIC_VERSION,
            kind: Kind::HEARTBEAT,
            step: self.step(now),
            flags: 0,
            receiver: self.remote,
            counter,
            direction: Direction::Sent,
        }
    }

    /// The datagram of a plan, with this body.
    pub(super) fn make<B: Body>(&self, plan: Plan, body: &B) -> Vec<u8> {
        let header = Header { kind: B::KIND, step: low8(plan.step), receiver: plan.receiver, counter: plan.counter };
        let mut plain = vec![0; MAX_BODY];
        let length = body.encode(&header, &mut plain);
        plain.truncate(length);
        self.make_raw(Plan { kind: B::KIND, ..plan }, plain)
    }

    /// The datagram of a plan, with any bytes for a plain body.
    pub(super) fn make_raw(&self, plan: Plan, mut body: Vec<u8>) -> Vec<u8> {
        let header = Header { kind: plan.kind, step: low8(plan.step), receiver: plan.receiver, counter: plan.counter };
        let mut head = header.to_bytes();
        let [magic, _, _, flags, ..] = &mut head;
        (*magic, *flags) = (plan.magic, plan.flags);
        if plan.kind.is_sealed() {
            let seal = self.keys.seal(plan.direction).seal(&head, plan.counter, &mut body);
            body.extend(seal);
        }
        self.tagged(plan, [head.as_slice(), &body].concat())
    }

    /// These bytes, and the tag over them.
    pub(super) fn tagged(&self, plan: Plan, mut datagram: Vec<u8>) -> Vec<u8> {
        let tag = self.key(plan.direction, plan.step).sign(&datagram);
        datagram.extend(tag);
        datagram
    }

    /// Judges a datagram of the target, and reads it.
    pub(super) fn open(&mut self, now: Instant, header: &Header, datagram: &[u8]) -> Result<Message, Flaw> {
        let own = self.step(now);
        // The target may be up to a step ahead of what the tester has noticed (AUTH-6), and time passes on the way.
        let near = own.saturating_sub(2)..=own.saturating_add(2);
        let step = near.into_iter().find(|step| low8(*step) == header.step);
        let step = step.ok_or_else(|| Flaw::Step(step_text(header.step, own)))?;
        let (covered, tag) = datagram.split_last_chunk::<TAG_LEN>().ok_or(Flaw::Tag)?;
        if !self.key(Direction::Received, step).verify(covered, tag) {
            return Err(Flaw::Tag);
        }
        let (head, body) = covered.split_first_chunk::<{ Header::LEN }>().ok_or(Flaw::Tag)?;
        let mut body = body.to_vec();
        let key = self.keys.seal(Direction::Received);
        let plain = if header.kind.is_sealed() {
            key.open(head, header.counter, &mut body).ok_or(Flaw::Seal)?
        } else {
            body.as_slice()
        };
        let message =
            Message::decode(header, plain).map_err(|error| Flaw::Body(format!("{}: {error}", header.kind)))?;
        self.count(header.counter, datagram)?;
        Ok(message)
    }

    /// Each counter is used for one datagram. The same bytes twice are a network's doing.
    fn count(&mut self, counter: u64, datagram: &[u8]) -> Result<(), Flaw> {
        if counter >= 1 << 63 {
            return Err(Flaw::Counter(format!("counter {counter}, which nobody may use")));
        }
        let before = self.received.entry(counter).or_insert_with(|| datagram.to_vec());
        if before.as_slice() == datagram {
            Ok(())
        } else {
            Err(Flaw::Counter(format!("counter {counter} for two different datagrams")))
        }
    }

    fn key(&self, direction: Direction, step: u64) -> TagKey {
        TagKey::new(&value(&self.keys.totp(direction), step))
    }
}

/// The header of a datagram that has the form of a tagged one.
pub(super) fn header_of(datagram: &[u8]) -> Option<Header> {
    match Datagram::parse(datagram).ok()? {
        Datagram::Tagged(header) => Some(header),
        Datagram::Initiation(_) | Datagram::Response(_) | Datagram::CookieReply(_) => None,
    }
}

fn step_text(seen: u8, own: u64) -> String {
    format!("step {seen} in the header, where link time says {} (T = {own})", low8(own))
}

//! What the costliest input takes to judge, against a valid datagram of the greatest length: nobody gets a node to work
//! harder by malformed bytes than by talking to it.

use std::time::{Duration, Instant};

use dddns::auth::session::Session;
use dddns::wire::body::{Body, Lengths};
use dddns::wire::datagram::{Datagram, MAX_DATAGRAM, SEAL_LEN};
use dddns::wire::error::DecodeError;
use dddns::wire::header::Header;
use dddns::wire::id::{NodeId, PublicKey};
use dddns::wire::kind::Kind;
use dddns::wire::list::List;
use dddns::wire::members::Members;
use dddns::wire::message::Message;
use dddns::wire::name::Name;
use dddns::wire::record::{MemberRecord, MemberState};

use super::sessions::sessions;

/// The input that the others are held against: the longest valid datagram there is.
pub(crate) const VALID: &str = "a full page of the member list";

/// Inputs that could cost more, by what is the matter with them.
pub(crate) const OTHERS: [&str; 8] = [
    "wrong tag",
    "wrong tag in the step before",
    "wrong tag in the step after",
    "seal broken under a right tag",
    "last record wrong",
    "last record out of order",
    "longer than the type",
    "longer than anything",
];

/// How many datagrams are prepared, of which some are judged.
pub(crate) const PREPARED: usize = 64;

/// Judges the first `count` of so many datagrams of this kind, as a node does before it touches its state.
pub(crate) fn judge(input: &str, start: Instant, count: usize) {
    let (mut sender, mut receiver) = sessions(start);
    // A step in the middle of the session's life; the receiver is in it.
    let now = start + Duration::from_secs(45);
    let sent = match input {
        "wrong tag in the step before" => now - Duration::from_secs(30),
        "wrong tag in the step after" => now + Duration::from_secs(30),
        _ => now,
    };
    let mut prepared: Vec<Vec<u8>> = (0..PREPARED).map(|_| prepare(input, &mut sender, sent)).collect();
    for datagram in prepared.iter_mut().take(count) {
        let accepted = decode(&mut receiver, now, datagram);
        assert_eq!(accepted, input == VALID, "{input}");
    }
}

/// Whether a datagram passes every check that needs no state but the session's.
fn decode(session: &mut Session, now: Instant, datagram: &mut [u8]) -> bool {
    let Ok(Datagram::Tagged(header)) = Datagram::parse(datagram) else { return false };
    let Ok(opened) = session.open(now, &header, datagram) else { return false };
    Message::decode(&header, opened.body).is_ok()
}

fn prepare(input: &str, sender: &mut Session, now: Instant) -> Vec<u8> {
    let mut page: Vec<MemberRecord> = (1..=9).map(record).collect();
    page.sort_by_key(MemberRecord::id);
    if input == "last record out of order" {
        page.swap(7, 8);
    }
    let members = Members { more: true, records: List::try_from(page.as_slice()).expect("nine fit") };
    let mut datagram = Vec::new();
    match input {
        "last record wrong" => sender.encode(now, &Wrong(members), &mut datagram),
        "seal broken under a right tag" => sender.encode(now, &Unsealed, &mut datagram),
        _ => sender.encode(now, &members, &mut datagram),
    }
    .expect("a counter");
    match input {
        "wrong tag" | "wrong tag in the step before" | "wrong tag in the step after" => {
            *datagram.last_mut().expect("it has a tag") ^= 1;
        }
        "longer than the type" => datagram.resize(MAX_DATAGRAM, 0),
        "longer than anything" => datagram.resize(MAX_DATAGRAM + 1, 0),
        _ => {}
    }
    datagram
}

/// A full page of which the last record is in no state.
struct Wrong(Members);

impl Body for Wrong {
    const KIND: Kind = Kind::MEMBERS;
    const LENGTHS: Lengths = Members::LENGTHS;

    fn decode(_header: &Header, _body: &[u8]) -> Result<Self, DecodeError> {
        Err(DecodeError::State)
    }

    fn encode(&self, header: &Header, out: &mut [u8]) -> usize {
        let length = self.0.encode(header, out);
        let state = length - MemberRecord::LEN + 52;
        *out.get_mut(state).expect("it is in the last record") = 9;
        length
    }
}

/// As many bytes as a full page, in clear where they should be sealed.
struct Unsealed;

impl Body for Unsealed {
    const KIND: Kind = Kind::MEMBERS;
    const LENGTHS: Lengths = Lengths::fixed(Members::LENGTHS.max_len() + SEAL_LEN);
    const SEALED: bool = false;

    fn decode(_header: &Header, _body: &[u8]) -> Result<Self, DecodeError> {
        Err(DecodeError::Length)
    }

    fn encode(&self, _header: &Header, out: &mut [u8]) -> usize {
        out.iter_mut().for_each(|byte| *byte = 7);
        Self::LENGTHS.max_len()
    }
}

fn record(number: u8) -> MemberRecord {
    MemberRecord {
        public_key: PublicKey([number; 32]),
        admitted_by: NodeId([number; 16]),
        admission: 1,
        state: MemberState::Member,
        revision: 0,
        name: "n".repeat(Name::MAX).parse().expect("a label"),
    }
}

//! Any valid message.

use std::net::{IpAddr, Ipv6Addr};

use dddns::wire::address::Address;
use dddns::wire::conflict::Conflict;
use dddns::wire::heartbeat::{Heartbeat, HeartbeatAck};
use dddns::wire::id::{Digest, NodeId, PublicKey};
use dddns::wire::kind::Kind;
use dddns::wire::leave::Leave;
use dddns::wire::list::{List, Slot};
use dddns::wire::locate::Locate;
use dddns::wire::located::{Located, LocatedEntry, Source};
use dddns::wire::members::Members;
use dddns::wire::members_request::MembersRequest;
use dddns::wire::message::Message;
use dddns::wire::name::Name;
use dddns::wire::path::{PathChallenge, PathResponse};
use dddns::wire::record::{MemberRecord, MemberState};
use dddns::wire::rendezvous::Rendezvous;
use libfuzzer_sys::arbitrary::{self, Arbitrary, Unstructured};

/// A message that the specification allows.
#[derive(Clone, Copy, Debug)]
pub struct AnyMessage(pub Message);

impl<'a> Arbitrary<'a> for AnyMessage {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        message(u).map(Self)
    }
}

/// An address that the specification allows.
///
/// # Errors
/// The bytes stand for none.
pub fn address(u: &mut Unstructured<'_>) -> arbitrary::Result<Address> {
    let ip = IpAddr::V6(Ipv6Addr::from(u.arbitrary::<[u8; 16]>()?));
    Address::new(ip, u.arbitrary()?).ok_or(arbitrary::Error::IncorrectFormat)
}

fn message(u: &mut Unstructured<'_>) -> arbitrary::Result<Message> {
    let kind = *u.choose(Message::KINDS)?;
    Ok(match kind {
        Kind::HEARTBEAT => Message::Heartbeat(Heartbeat {
            seen: u.arbitrary()?,
            digest: Digest(u.arbitrary()?),
            reflection: u.arbitrary::<bool>()?.then(|| address(u)).transpose()?,
        }),
        Kind::HEARTBEAT_ACK => Message::HeartbeatAck(HeartbeatAck {
            acked: u.arbitrary::<u64>()?.max(1),
            digest: Digest(u.arbitrary()?),
            reflection: address(u)?,
        }),
        Kind::PATH_CHALLENGE => Message::PathChallenge(PathChallenge(u.arbitrary()?)),
        Kind::PATH_RESPONSE => Message::PathResponse(PathResponse(u.arbitrary()?)),
        Kind::LEAVE => Message::Leave(Leave),
        Kind::CONFLICT => Message::Conflict(Conflict),
        Kind::LOCATE => Message::Locate(Locate { ids: wanted(u)? }),
        Kind::LOCATED => Message::Located(Located { entries: list(u, 0, entry)? }),
        Kind::RENDEZVOUS => {
            Message::Rendezvous(Rendezvous { seeker: NodeId(u.arbitrary()?), addresses: list(u, 1, address)? })
        }
        Kind::MEMBERS_REQUEST => Message::MembersRequest(MembersRequest { after: NodeId(u.arbitrary()?) }),
        Kind::MEMBERS => {
            let records = records(u)?;
            Message::Members(Members { more: !records.is_empty() && u.arbitrary()?, records })
        }
        other => unreachable!("a message of a type that this target cannot make: {other}"),
    })
}

/// Values that a list may hold, at least `min`.
fn list<T: Slot, const N: usize>(
    u: &mut Unstructured<'_>,
    min: usize,
    one: impl Fn(&mut Unstructured<'_>) -> arbitrary::Result<T>,
) -> arbitrary::Result<List<T, N>> {
    let mut values = List::new();
    for _ in 0..u.int_in_range(min..=N)? {
        assert!(values.try_push(one(u)?));
    }
    Ok(values)
}

/// Ascending, as the specification demands.
fn wanted<const N: usize>(u: &mut Unstructured<'_>) -> arbitrary::Result<List<NodeId, N>> {
    let mut ids = Vec::new();
    for _ in 0..u.int_in_range(1..=N)? {
        ids.push(NodeId(u.arbitrary()?));
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(List::try_from(ids.as_slice()).expect("no more than the list holds"))
}

/// In ascending order of node ID, as the specification demands.
fn records<const N: usize>(u: &mut Unstructured<'_>) -> arbitrary::Result<List<MemberRecord, N>> {
    let mut records = Vec::new();
    for _ in 0..u.int_in_range(0..=N)? {
        records.push(MemberRecord {
            public_key: PublicKey(u.arbitrary()?),
            admitted_by: NodeId(u.arbitrary()?),
            admission: u.arbitrary()?,
            state: *u.choose(&[MemberState::Member, MemberState::Removed])?,
            revision: u.arbitrary()?,
            name: name(u)?,
        });
    }
    records.sort_by_key(MemberRecord::id);
    records.dedup_by_key(|record| record.id());
    Ok(List::try_from(records.as_slice()).expect("no more than the list holds"))
}

fn entry(u: &mut Unstructured<'_>) -> arbitrary::Result<LocatedEntry> {
    Ok(LocatedEntry {
        id: NodeId(u.arbitrary()?),
        source: *u.choose(&[Source::Up, Source::LastSeen])?,
        age_s: u.arbitrary()?,
        address: address(u)?,
    })
}

fn name(u: &mut Unstructured<'_>) -> arbitrary::Result<Name> {
    let mut text = String::new();
    for _ in 0..u.int_in_range(1..=Name::MAX)? {
        text.push(char::from(*u.choose(b"abcdefghijklmnopqrstuvwxyz0123456789-")?));
    }
    text.parse().map_err(|_| arbitrary::Error::IncorrectFormat)
}

//! Laws of the formats: what is encoded is decoded to the same, what is accepted is encoded to the same bytes, and nothing
//! shorter or longer is accepted.

use std::fmt::Debug;
use std::net::IpAddr;

use dddns::auth::invite::Token;
use dddns::wire::address::Address;
use dddns::wire::body::{Body, MAX_BODY};
use dddns::wire::conflict::Conflict;
use dddns::wire::cookie_reply::CookieReply;
use dddns::wire::datagram::{Datagram, MAX_DATAGRAM};
use dddns::wire::header::Header;
use dddns::wire::heartbeat::{Heartbeat, HeartbeatAck};
use dddns::wire::id::{ClusterId, Digest, Incarnation, Index, InviteId, NodeId, PublicKey};
use dddns::wire::initiation::{Initiation, Mode};
use dddns::wire::kind::Kind;
use dddns::wire::leave::Leave;
use dddns::wire::list::List;
use dddns::wire::locate::Locate;
use dddns::wire::located::{Located, LocatedEntry, Source};
use dddns::wire::members::Members;
use dddns::wire::members_request::MembersRequest;
use dddns::wire::message::Message;
use dddns::wire::name::Name;
use dddns::wire::path::{PathChallenge, PathResponse};
use dddns::wire::record::{MemberRecord, MemberState};
use dddns::wire::rendezvous::Rendezvous;
use dddns::wire::response::{Response, ResponsePayload, Verdict};
use proptest::collection::vec;
use proptest::prelude::*;

fn node_id() -> impl Strategy<Value = NodeId> {
    any::<[u8; 16]>().prop_map(NodeId)
}

fn address() -> impl Strategy<Value = Address> {
    let ip = prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from)];
    (ip, any::<u16>()).prop_filter_map("an address", |(ip, port)| Address::new(ip, port))
}

fn name() -> impl Strategy<Value = Name> {
    "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?".prop_map(|text| text.parse().expect("a DNS label"))
}

fn record() -> impl Strategy<Value = MemberRecord> {
    let state = prop_oneof![Just(MemberState::Member), Just(MemberState::Removed)];
    (any::<[u8; 32]>(), node_id(), any::<u32>(), state, any::<u32>(), name()).prop_map(
        |(key, admitted_by, admission, state, revision, name)| MemberRecord {
            public_key: PublicKey(key),
            admitted_by,
            admission,
            state,
            revision,
            name,
        },
    )
}

fn entry() -> impl Strategy<Value = LocatedEntry> {
    let source = prop_oneof![Just(Source::Up), Just(Source::LastSeen)];
    (node_id(), source, any::<u32>(), address()).prop_map(|(id, source, age_s, address)| LocatedEntry {
        id,
        source,
        age_s,
        address,
    })
}

fn members(mut records: Vec<MemberRecord>, more: bool) -> Members {
    records.sort_by_key(MemberRecord::id);
    records.dedup_by_key(|record| record.id());
    let more = more && !records.is_empty();
    Members { more, records: List::try_from(records.as_slice()).expect("at most nine") }
}

fn message() -> impl Strategy<Value = Message> {
    let digest = || any::<[u8; 8]>().prop_map(Digest);
    prop_oneof![
        (any::<u64>(), digest(), prop::option::of(address()))
            .prop_map(|(seen, digest, reflection)| { Message::Heartbeat(Heartbeat { seen, digest, reflection }) }),
        (1_u64.., digest(), address()).prop_map(|(acked, digest, reflection)| {
            Message::HeartbeatAck(HeartbeatAck { acked, digest, reflection })
        }),
        any::<[u8; 8]>().prop_map(|bytes| Message::PathChallenge(PathChallenge(bytes))),
        any::<[u8; 8]>().prop_map(|bytes| Message::PathResponse(PathResponse(bytes))),
        Just(Message::Leave(Leave)),
        Just(Message::Conflict(Conflict)),
        vec(node_id(), 1..=8).prop_map(|ids| Message::Locate(Locate::of(&ids).expect("one to eight"))),
        vec(entry(), 0..=16).prop_map(|entries| {
            Message::Located(Located { entries: List::try_from(entries.as_slice()).expect("at most sixteen") })
        }),
        (node_id(), vec(address(), 1..=4)).prop_map(|(seeker, addresses)| {
            let addresses = List::try_from(addresses.as_slice()).expect("at most four");
            Message::Rendezvous(Rendezvous { seeker, addresses })
        }),
        node_id().prop_map(|after| Message::MembersRequest(MembersRequest { after })),
        (vec(record(), 0..=9), any::<bool>()).prop_map(|(records, more)| Message::Members(members(records, more))),
    ]
}

fn header(kind: Kind) -> impl Strategy<Value = Header> {
    (any::<u8>(), 1_u32.., any::<u64>()).prop_map(move |(step, receiver, counter)| Header {
        kind,
        step,
        receiver: Index(receiver),
        counter,
    })
}

fn tagged() -> impl Strategy<Value = (Header, Message)> {
    message().prop_flat_map(|message| (header(message.kind()), Just(message)))
}

/// Bytes that are nearly right: those of a message with some of them replaced.
fn nearly(bytes: Vec<u8>, damage: &[(prop::sample::Index, u8)]) -> Vec<u8> {
    let mut bytes = bytes;
    for (at, value) in damage {
        if !bytes.is_empty() {
            *at.get_mut(&mut bytes) = *value;
        }
    }
    bytes
}

fn encode(header: &Header, message: &Message) -> Vec<u8> {
    let mut out = [0xEE; MAX_BODY];
    let length = message.encode(header, &mut out);
    let (body, rest) = out.split_at(length);
    assert!(rest.iter().all(|&byte| byte == 0xEE), "wrote beyond its end");
    body.to_vec()
}

/// A body as a datagram of its type, unsealed: only the form counts here.
fn frame(header: &Header, body: &[u8]) -> Vec<u8> {
    let overhead = if header.kind.is_sealed() { 32 } else { 16 };
    [header.to_bytes().as_slice(), body, &vec![0; overhead]].concat()
}

fn exact<T: PartialEq + Debug, E: PartialEq + Debug>(good: &[u8], decode: impl Fn(&[u8]) -> Result<T, E>) {
    for shorter in 0..good.len() {
        assert!(decode(good.split_at(shorter).0).is_err(), "accepted {shorter} of {} bytes", good.len());
    }
    let mut longer = good.to_vec();
    for _ in 0..200 {
        longer.push(0);
        assert!(decode(&longer).is_err(), "accepted {} bytes instead of {}", longer.len(), good.len());
    }
}

proptest! {
    #[test]
    fn a_body_is_decoded_to_what_was_encoded((header, message) in tagged()) {
        let body = encode(&header, &message);
        prop_assert_eq!(Message::decode(&header, &body), Ok(message));
        prop_assert_eq!(Datagram::parse(&frame(&header, &body)), Ok(Datagram::Tagged(header)));
        exact(&body, |bytes| Message::decode(&header, bytes));
    }

    #[test]
    fn an_accepted_body_has_one_encoding(
        (header, message) in tagged(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let body = nearly(encode(&header, &message), &damage);
        if let Ok(other) = Message::decode(&header, &body) {
            prop_assert_eq!(encode(&header, &other), body);
        }
    }

    #[test]
    fn random_bodies_that_are_accepted_have_one_encoding(
        header in prop::sample::select(Message::KINDS).prop_flat_map(header),
        count in 0..20_u8,
        bytes in vec(prop_oneof![0..3_u8, any::<u8>()], 0..700),
    ) {
        for body in [bytes.clone(), [&[count], bytes.as_slice()].concat()] {
            if let Ok(message) = Message::decode(&header, &body) {
                prop_assert_eq!(message.kind(), header.kind);
                prop_assert_eq!(encode(&header, &message), body);
            }
        }
    }

    #[test]
    fn a_header_has_one_encoding(bytes in any::<[u8; 16]>(), receiver in any::<u32>()) {
        let mut bytes = bytes;
        bytes[0] = 0xD1;
        bytes[3] &= 1;
        bytes[4..8].copy_from_slice(&receiver.to_be_bytes());
        if let Ok(header) = Header::from_bytes(&bytes) {
            prop_assert_eq!(header.to_bytes(), bytes);
        } else {
            prop_assert!(bytes[3] != 0 || receiver == 0);
        }
    }

    #[test]
    fn a_handshake_datagram_has_one_encoding(
        kind in 1..=3_u8,
        flat in vec(any::<u8>(), Initiation::LEN),
        head in any::<[u8; 2]>(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..2),
    ) {
        let length = match kind { 1 => Initiation::LEN, 2 => Response::LEN, _ => CookieReply::LEN };
        let mut bytes = flat[..length].to_vec();
        bytes[..4].copy_from_slice(&[0xD1, kind, head[0] & 1, 0]);
        if kind != 1 || bytes[2] == 0 {
            bytes[2] = 0;
            bytes[8..16].fill(if kind == 1 { 0 } else { head[1] });
        }
        let bytes = nearly(bytes, &damage);
        let again = match Datagram::parse(&bytes) {
            Ok(Datagram::Initiation(initiation)) => initiation.to_bytes().to_vec(),
            Ok(Datagram::Response(response)) => response.to_bytes().to_vec(),
            Ok(Datagram::CookieReply(reply)) => reply.to_bytes().to_vec(),
            Ok(Datagram::Tagged(_)) | Err(_) => return Ok(()),
        };
        prop_assert_eq!(&again, &bytes);
        exact(&bytes, Datagram::parse);
    }

    #[test]
    fn any_bytes_are_parsed_without_panic(bytes in vec(any::<u8>(), 0..1400), kind in 0..0x40_u8) {
        let mut bytes = bytes;
        prop_assert!(bytes.len() <= MAX_DATAGRAM || Datagram::parse(&bytes).is_err());
        if let [magic, at, ..] = bytes.as_mut_slice() {
            (*magic, *at) = (0xD1, kind);
        }
        let _ = Datagram::parse(&bytes);
    }

    #[test]
    fn a_response_payload_is_decoded_to_what_was_encoded(
        verdict in prop::sample::select(vec![
            Verdict::Accepted, Verdict::Expired, Verdict::Used, Verdict::Full,
        ]),
        sender in 1_u32..,
        observed in address(),
        clock_ms in any::<u64>(),
        incarnation in any::<[u8; 8]>(),
        cluster in any::<([u8; 16], [u8; 32])>(),
    ) {
        let told = verdict == Verdict::Accepted;
        let payload = ResponsePayload {
            sender: if told { Index(sender) } else { Index::NONE },
            verdict,
            observed,
            clock_ms,
            incarnation: Incarnation(incarnation),
            cluster_id: if told { ClusterId(cluster.0) } else { ClusterId([0; 16]) },
            cluster_key: if told { cluster.1 } else { [0; 32] },
        };
        prop_assert_eq!(ResponsePayload::from_bytes(Mode::Join, &payload.to_bytes()), Ok(payload));
    }

    #[test]
    fn a_record_has_one_encoding(record in record(), damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..3)) {
        prop_assert_eq!(MemberRecord::from_bytes(&record.to_bytes()), Ok(record));
        exact(&record.to_bytes(), MemberRecord::from_bytes);
        let bytes = nearly(record.to_bytes().to_vec(), &damage);
        if let Ok(other) = MemberRecord::from_bytes(&bytes) {
            prop_assert_eq!(other.to_bytes().to_vec(), bytes);
        }
    }

    #[test]
    fn an_address_has_one_encoding(bytes in any::<[u8; 18]>(), mapped in any::<bool>()) {
        let mut bytes = bytes;
        if mapped {
            bytes[..12].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
        }
        if let Ok(address) = Address::from_bytes(&bytes) {
            prop_assert_eq!(address.to_bytes(), bytes);
            prop_assert_eq!(Address::try_from(address.socket_addr()), Ok(address));
        }
    }

    #[test]
    fn a_token_is_read_as_it_is_printed(
        id in any::<[u8; 8]>(),
        secret in any::<[u8; 32]>(),
        key in any::<[u8; 32]>(),
        expiry in any::<u64>(),
        addresses in vec(address(), 1..=4),
    ) {
        let token = Token::new(InviteId(id), secret, PublicKey(key), expiry, &addresses).expect("one to four");
        prop_assert_eq!(token.to_string().parse(), Ok(token));
    }

    #[test]
    fn any_text_is_read_without_panic(text in ".{0,300}", rest in "(dddns1)?[a-z2-7]{0,300}") {
        prop_assert!(text.parse::<Token>().is_err());
        prop_assert!(rest.parse::<Token>().is_err());
    }
}

#[test]
fn every_type_is_generated() {
    // The strategies above cover a message only if it is one of these.
    assert_eq!(Message::KINDS.len(), 11);
    assert_eq!(MAX_BODY, Members::LENGTHS.max_len());
}

//! Bytes and their meaning: keys, invites, steps, masks, datagrams, bodies, payloads.

use dddns::auth::identity::Identity;
use dddns::auth::invite::{Token, TokenError};
use dddns::auth::totp::{STEP_MS, Secret, code, value};
use dddns::wire::address::Address;
use dddns::wire::body::{Body, MAX_BODY};
use dddns::wire::datagram::Datagram;
use dddns::wire::error::DecodeError;
use dddns::wire::header::{Header, TAG_LEN};
use dddns::wire::heartbeat::Heartbeat;
use dddns::wire::id::{Digest, NodeId, PublicKey};
use dddns::wire::initiation::{InitiationPayload, Mode};
use dddns::wire::kind::Kind;
use dddns::wire::message::Message;
use dddns::wire::record::MemberState;
use dddns::wire::response::{ResponsePayload, Verdict};
use serde_json::{Value, json};

use crate::each;
use crate::text::{Vector, hex};

#[test]
fn keys() {
    each("keys", |vector| {
        let identity = Identity::from_secret(vector.array("secret"));
        assert_eq!(identity.public_key().0, vector.array("public_key"));
        assert_eq!(identity.node_id().0, vector.array("node_id"));
        assert_eq!(vector.text("public_key_text").parse(), Ok(identity.public_key()));
        assert_eq!(vector.text("node_id_text").parse(), Ok(identity.node_id()));
        assert_eq!(vector.text("node_id_text"), NodeId::from(&PublicKey(vector.array("public_key"))).to_string());
        if vector.name().starts_with("Bob") {
            let published = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f";
            assert_eq!(vector.text("public_key"), published);
        }
    });
}

#[test]
fn invites() {
    each("invites", |vector| match vector.text("text").parse::<Token>() {
        Ok(token) => {
            assert_eq!(vector.text("verdict"), "accepted");
            let fields = vector.get("fields");
            assert_eq!(token.id().0, fields.array("invite_id"));
            assert_eq!(*token.secret(), fields.array("secret"));
            assert_eq!(token.inviter().0, fields.array("inviter"));
            assert_eq!(token.expiry(), fields.u64("expiry"));
            let addresses: Vec<Address> =
                fields.list("addresses").map(|text| crate::text::address(text.as_text())).collect();
            assert_eq!(token.addresses(), addresses);
            assert_eq!(token.psk_hash(), vector.array("psk"));
            assert_eq!(token.to_string(), vector.text("text").trim().to_ascii_lowercase());
        }
        Err(error) => assert_eq!(vector.text("verdict"), token_fault(error)),
    });
}

/// The names of `spec/formats.md` section 7.
pub(super) fn token_fault(error: TokenError) -> &'static str {
    match error {
        TokenError::Prefix => "no-prefix",
        TokenError::Version => "other-version",
        TokenError::Character(_) => "bad-character",
        TokenError::Length => "bad-length",
        TokenError::Checksum => "bad-checksum",
        TokenError::AddressCount => "bad-count",
        TokenError::Address => "bad-address",
    }
}

#[test]
fn steps() {
    each("steps", |vector| {
        let step = vector.u64("link_time_ms") / STEP_MS;
        assert_eq!(step, vector.u64("step"));
        assert_eq!(u64::from(vector.u32("header_step")), step % 256);
        let value = value(&Secret(vector.array("secret")), step);
        assert_eq!(value, vector.array("value"));
        assert_eq!(format!("{:08}", code(&value, 8)), vector.text("code"));
    });
}

#[test]
fn masks() {
    each("masks", |vector| {
        let header = Header::from_bytes(&vector.array("header")).expect("a header");
        let (mask, plain, masked): ([u8; 18], [u8; 18], [u8; 18]) =
            (vector.array("mask"), vector.array("plain"), vector.array("masked"));
        assert!(mask.iter().all(|byte| byte % 2 == 1), "a byte of the mask may be zero");
        assert!(plain.iter().zip(mask).map(|(plain, mask)| plain ^ mask).eq(masked));
        let body = [[0; 16].as_slice(), &masked].concat();
        let reflection = vector.maybe("address").map(|_| vector.address("address"));
        let says = Heartbeat { seen: 0, digest: Digest([0; 8]), reflection };
        assert_eq!(reflection.map_or([0; 18], Address::to_bytes), plain);
        let mut encoded = [0; 34];
        says.encode(&header, &mut encoded);
        assert_eq!(encoded.as_slice(), body);
        if header.kind == Kind::HEARTBEAT {
            assert_eq!(Heartbeat::decode(&header, &body), Ok(says));
        }
    });
}

#[test]
fn datagrams() {
    each("datagrams", |vector| {
        let datagram = vector.bytes("datagram");
        match verdict(&datagram) {
            Ok((kind, again)) => {
                assert_eq!(kind.to_string(), vector.text("verdict"));
                assert_eq!(again, datagram, "what was read is written otherwise");
            }
            Err(error) => assert_eq!(error.as_str(), vector.text("verdict")),
        }
    });
}

/// What a datagram is without keys, and its bytes written again.
fn verdict(datagram: &[u8]) -> Result<(Kind, Vec<u8>), DecodeError> {
    let header = match Datagram::parse(datagram)? {
        Datagram::Initiation(initiation) => return Ok((Kind::INITIATION, initiation.to_bytes().to_vec())),
        Datagram::Response(response) => return Ok((Kind::RESPONSE, response.to_bytes().to_vec())),
        Datagram::CookieReply(reply) => return Ok((Kind::COOKIE_REPLY, reply.to_bytes().to_vec())),
        Datagram::Tagged(header) => header,
    };
    let (covered, tag) = datagram.split_at(datagram.len() - TAG_LEN);
    let mut body = covered[Header::LEN..].to_vec();
    if !header.kind.is_sealed() {
        body = encoded(&header, &Message::decode(&header, &body)?);
    }
    Ok((header.kind, [&header.to_bytes(), body.as_slice(), tag].concat()))
}

pub(super) fn encoded(header: &Header, message: &Message) -> Vec<u8> {
    let mut out = [0; MAX_BODY];
    let length = message.encode(header, &mut out);
    out[..length].to_vec()
}

#[test]
fn bodies() {
    each("bodies", |vector| {
        let header = Header::from_bytes(&vector.array("header")).expect("a header");
        assert_eq!(header.kind.to_string(), vector.text("type"));
        let body = vector.bytes("body");
        match Message::decode(&header, &body) {
            Ok(message) => {
                assert_eq!(message.kind().to_string(), vector.text("verdict"));
                assert_eq!(&fields(&message), vector.get("fields").0);
                assert_eq!(encoded(&header, &message), body, "what was read is written otherwise");
            }
            Err(error) => assert_eq!(error.as_str(), vector.text("verdict")),
        }
    });
}

/// What a body says, as the vectors write it.
fn fields(message: &Message) -> Value {
    let reflection = |address: Option<Address>| address.map(|address| address.to_string());
    match message {
        Message::Heartbeat(body) => json!({
            "seen": body.seen.to_string(),
            "digest": hex(body.digest.0),
            "reflection": reflection(body.reflection),
        }),
        Message::HeartbeatAck(body) => json!({
            "acked": body.acked.to_string(),
            "digest": hex(body.digest.0),
            "reflection": reflection(Some(body.reflection)),
        }),
        Message::PathChallenge(body) => json!({"bytes": hex(body.0)}),
        Message::PathResponse(body) => json!({"bytes": hex(body.0)}),
        Message::Leave(_) | Message::Conflict(_) => json!({}),
        Message::Locate(body) => json!({"ids": body.ids.iter().map(|id| hex(id.0)).collect::<Vec<_>>()}),
        Message::Located(body) => {
            let entry = |entry: &dddns::wire::located::LocatedEntry| {
                json!({
                    "id": hex(entry.id.0),
                    "source": match entry.source {
                        dddns::wire::located::Source::Up => 1,
                        dddns::wire::located::Source::LastSeen => 2,
                    },
                    "age_s": entry.age_s,
                    "address": entry.address.to_string(),
                })
            };
            json!({"entries": body.entries.iter().map(entry).collect::<Vec<_>>()})
        }
        Message::Rendezvous(body) => json!({
            "seeker": hex(body.seeker.0),
            "addresses": body.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }),
        Message::MembersRequest(body) => json!({"after": hex(body.after.0)}),
        Message::Members(body) => {
            let record = |record: &dddns::wire::record::MemberRecord| {
                json!({
                    "public_key": hex(record.public_key.0),
                    "admitted_by": hex(record.admitted_by.0),
                    "admission": record.admission,
                    "state": match record.state {
                        MemberState::Member => 1,
                        MemberState::Removed => 2,
                    },
                    "revision": record.revision,
                    "name": record.name.as_str(),
                })
            };
            json!({"more": u8::from(body.more), "records": body.records.iter().map(record).collect::<Vec<_>>()})
        }
    }
}

#[test]
fn payloads() {
    each("payloads", |vector| {
        let mode = if vector.u32("mode") == 1 { Mode::Join } else { Mode::Member };
        let payload = vector.bytes("payload");
        match read_payload(vector.text("type"), mode, &payload) {
            Ok((fields, again)) => {
                assert_eq!(vector.text("verdict"), vector.text("type"));
                assert_eq!(&fields, vector.get("fields").0);
                assert_eq!(again, payload, "what was read is written otherwise");
            }
            Err(error) => assert_eq!(error.as_str(), vector.text("verdict")),
        }
    });
}

fn read_payload(kind: &str, mode: Mode, payload: &[u8]) -> Result<(Value, Vec<u8>), DecodeError> {
    if kind == "Initiation" {
        let read = InitiationPayload::from_bytes(mode, payload.try_into().expect("72 bytes"))?;
        let fields = json!({"incarnation": hex(read.incarnation.0), "name": read.name.map(|name| name.to_string())});
        return Ok((fields, read.to_bytes().to_vec()));
    }
    let read = ResponsePayload::from_bytes(mode, payload.try_into().expect("87 bytes"))?;
    let number = match read.verdict {
        Verdict::Accepted => 0,
        Verdict::Expired => 1,
        Verdict::Used => 2,
        Verdict::Full => 3,
        Verdict::Barred => 4,
    };
    let fields = json!({
        "index": hex(read.sender.0.to_be_bytes()),
        "verdict": number,
        "observed": read.observed.to_string(),
        "clock_ms": read.clock_ms.to_string(),
        "incarnation": hex(read.incarnation.0),
        "cluster_id": hex(read.cluster_id.0),
        "cluster_key": hex(read.cluster_key),
    });
    Ok((fields, read.to_bytes().to_vec()))
}

#[test]
fn orders() {
    each("orders", |vector| {
        let broken = match (vector.maybe("datagram"), vector.maybe("body")) {
            (Some(_), None) => verdict(&vector.bytes("datagram")).err(),
            (None, Some(_)) => {
                let header = Header::from_bytes(&vector.array("header")).expect("a header");
                Message::decode(&header, &vector.bytes("body")).err()
            }
            _ => read_payload(vector.text("type"), Mode::Join, &vector.bytes("payload")).err(),
        };
        assert_eq!(broken.map(DecodeError::as_str), Some(vector.text("verdict")));
        let faults: Vec<&str> = vector.list("faults").map(Vector::as_text).collect();
        assert!(faults.len() > 1 && faults[0] == vector.text("verdict"));
    });
}

/// What the vector is a fault of, if it is one.
pub(super) fn base(vector: Vector<'_>) -> Option<String> {
    vector.maybe("fault_of").map(|base| base.as_text().to_owned())
}

//! What the library reads in a datagram, to be compared with what the dissector shows.

use std::collections::BTreeMap;

use dddns::wire::address::Address;
use dddns::wire::cookie_reply::CookieReply;
use dddns::wire::datagram::{Datagram, SEAL_LEN};
use dddns::wire::error::DecodeError;
use dddns::wire::header::{Header, MAGIC_VERSION, TAG_LEN};
use dddns::wire::id::Digest;
use dddns::wire::initiation::{Initiation, Mode};
use dddns::wire::kind::Kind;
use dddns::wire::message::Message;
use dddns::wire::response::Response;

use super::tshark::Shown;

type Fields = BTreeMap<&'static str, String>;

/// Asserts that the dissector shows what the library reads: every field of a well-formed datagram, the broken rule of
/// another. Returns that rule.
#[track_caller]
pub(crate) fn check(shown: &Shown) -> Option<DecodeError> {
    match read(&shown.payload) {
        Ok(fields) => {
            assert_eq!(shown.fields, fields, "{:02x?}", shown.payload);
            assert_eq!((&shown.malformed, &shown.surplus), (&None, &None), "{:02x?}", shown.payload);
            None
        }
        Err(reason) => {
            assert_eq!(shown.malformed.as_deref(), Some(reason.as_str()), "{:02x?}", shown.payload);
            let expert = shown.expert.as_deref().unwrap_or_default();
            assert!(expert.starts_with(&format!("{reason}: ")), "{expert:?} in place of {reason}");
            Some(reason)
        }
    }
}

/// All fields that can be seen without a key, or the first rule that the datagram breaks.
fn read(datagram: &[u8]) -> Result<Fields, DecodeError> {
    let mut fields = match Datagram::parse(datagram)? {
        Datagram::Initiation(initiation) => of_initiation(&initiation),
        Datagram::Response(response) => of_response(&response),
        Datagram::CookieReply(reply) => of_cookie_reply(&reply),
        Datagram::Tagged(header) => of_tagged(&header, datagram)?,
    };
    fields.insert("dddns.magic", MAGIC_VERSION.to_string());
    fields.insert("dddns.version", "1".to_owned());
    Ok(fields)
}

fn of_initiation(initiation: &Initiation) -> Fields {
    let (ephemeral, rest) = initiation.noise.split_at(32);
    let (encrypted_static, payload) = rest.split_at(48);
    let mode = match initiation.mode {
        Mode::Member => "0",
        Mode::Join => "1",
    };
    Fields::from([
        ("dddns.type", Kind::INITIATION.0.to_string()),
        ("dddns.mode", mode.to_owned()),
        ("dddns.zero", hex(&[0])),
        ("dddns.sender", initiation.sender.0.to_string()),
        ("dddns.invite", hex(&initiation.invite.0)),
        ("dddns.noise.e", hex(ephemeral)),
        ("dddns.noise.s", hex(encrypted_static)),
        ("dddns.noise.payload", hex(payload)),
        ("dddns.mac1", hex(&initiation.mac1)),
        ("dddns.mac2", hex(&initiation.mac2)),
    ])
}

fn of_response(response: &Response) -> Fields {
    let (ephemeral, payload) = response.noise.split_at(32);
    Fields::from([
        ("dddns.type", Kind::RESPONSE.0.to_string()),
        ("dddns.zero", hex(&[0, 0])),
        ("dddns.receiver", response.receiver.0.to_string()),
        ("dddns.noise.e", hex(ephemeral)),
        ("dddns.noise.payload", hex(payload)),
        ("dddns.mac1", hex(&response.mac1)),
    ])
}

fn of_cookie_reply(reply: &CookieReply) -> Fields {
    Fields::from([
        ("dddns.type", Kind::COOKIE_REPLY.0.to_string()),
        ("dddns.zero", hex(&[0, 0])),
        ("dddns.receiver", reply.receiver.0.to_string()),
        ("dddns.cookie.random", hex(&reply.nonce)),
        ("dddns.cookie.sealed", hex(&reply.sealed)),
    ])
}

fn of_tagged(header: &Header, datagram: &[u8]) -> Result<Fields, DecodeError> {
    let (covered, tag) = datagram.split_at(datagram.len() - TAG_LEN);
    let (_, body) = covered.split_at(Header::LEN);
    let mut fields = Fields::from([
        ("dddns.type", header.kind.0.to_string()),
        ("dddns.step", header.step.to_string()),
        ("dddns.flags", "0".to_owned()),
        ("dddns.receiver", header.receiver.0.to_string()),
        ("dddns.counter", header.counter.to_string()),
        ("dddns.tag", hex(tag)),
    ]);
    if header.kind.is_sealed() {
        let (sealed, seal) = body.split_at(body.len() - SEAL_LEN);
        fields.extend([("dddns.sealed", hex(sealed)), ("dddns.seal", hex(seal))]);
        return Ok(fields);
    }
    match Message::decode(header, body)? {
        Message::Heartbeat(heartbeat) => {
            fields.insert("dddns.seen", heartbeat.seen.to_string());
            reflect(&mut fields, heartbeat.digest, heartbeat.reflection, body);
        }
        Message::HeartbeatAck(ack) => {
            fields.insert("dddns.acked", ack.acked.to_string());
            reflect(&mut fields, ack.digest, Some(ack.reflection), body);
        }
        Message::PathChallenge(challenge) => {
            fields.insert("dddns.challenge", hex(&challenge.0));
        }
        Message::PathResponse(response) => {
            fields.insert("dddns.response", hex(&response.0));
        }
        Message::Leave(_) | Message::Conflict(_) => {}
        sealed @ (Message::Locate(_)
        | Message::Located(_)
        | Message::Rendezvous(_)
        | Message::MembersRequest(_)
        | Message::Members(_)) => panic!("not in clear: {sealed:?}"),
    }
    Ok(fields)
}

fn reflect(fields: &mut Fields, digest: Digest, reflection: Option<Address>, body: &[u8]) {
    let (_, masked) = body.split_at(body.len() - Address::LEN);
    fields.extend([("dddns.digest", hex(&digest.0)), ("dddns.reflection", hex(masked))]);
    let Some(address) = reflection else { return };
    let family = if address.ip().is_ipv4() { "dddns.reflection.ipv4" } else { "dddns.reflection.ipv6" };
    fields.extend([(family, address.ip().to_string()), ("dddns.reflection.port", address.port().to_string())]);
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

//! Tagged datagrams at the receiving end of a session: step, tag, window, seal, body.

use std::time::Duration;

use dddns::auth::keys::SessionKeys;
use dddns::auth::session::{AuthError, Session};
use dddns::auth::totp::STEP_MS;
use dddns::wire::body::Body;
use dddns::wire::datagram::Datagram;
use dddns::wire::id::Index;
use dddns::wire::leave::Leave;
use dddns::wire::message::Message;

use super::bytes::encoded;
use super::handshakes::{named, rebuild, start};
use crate::each;
use crate::text::{Vector, hex};

/// The keys of both ends after a handshake of the file, the initiator's first.
fn keys(handshake: Vector<'_>) -> (SessionKeys, SessionKeys) {
    let mut made = rebuild(handshake);
    let Ok(Datagram::Response(response)) = Datagram::parse(&made.response) else { panic!("no response") };
    let (ours, _) = made.initiator.finish(&response).expect("it decrypts");
    (ours, made.responder_keys)
}

fn indices(handshake: Vector<'_>) -> (Index, Index) {
    let index = |end| Index(u32::from_be_bytes(handshake.get(end).array("index")));
    (index("initiator"), index("responder"))
}

#[test]
fn sessions() {
    each("sessions", |vector| {
        let now = start();
        let mut receiver = named(vector.text("handshake"), |handshake| {
            let ((ours, theirs), (initiator, responder)) = (keys(handshake), indices(handshake));
            let clock_ms = handshake.u64("clock_ms");
            match vector.text("from") {
                "initiator" => Session::new(theirs, responder, initiator, clock_ms, now),
                "responder" => Session::new(ours, initiator, responder, clock_ms, now),
                other => panic!("no end is the {other}"),
            }
        });
        for (number, entry) in vector.list("datagrams").enumerate() {
            let mut datagram = entry.bytes("datagram");
            let Ok(Datagram::Tagged(header)) = Datagram::parse(&datagram) else {
                panic!("datagram {number} is not tagged")
            };
            assert_eq!(header.receiver, receiver.local_index(), "datagram {number} is for another session");
            let at = now + Duration::from_millis(entry.u64("at_ms"));
            let verdict = match receiver.open(at, &header, &mut datagram) {
                Err(error) => error.as_str().to_owned(),
                Ok(opened) => match Message::decode(&header, opened.body) {
                    Err(error) => error.as_str().to_owned(),
                    Ok(message) => {
                        assert_eq!(hex(opened.body), entry.text("body"), "datagram {number}");
                        assert_eq!(hex(encoded(&header, &message)), entry.text("body"), "datagram {number}");
                        header.kind.to_string()
                    }
                },
            };
            assert_eq!(verdict, entry.text("verdict"), "datagram {number}");
        }
    });
}

#[test]
fn rebuilt_steps() {
    each("rebuilt-steps", |vector| {
        let own = vector.u64("own_step");
        let byte = u64::from(vector.u32("header_step"));
        let wanted = vector.maybe("step").map(|_| vector.u64("step"));
        // Somebody whose step has that byte: the one that is meant, or another one.
        let senders = wanted.unwrap_or(own / 256 * 256 + byte);
        let now = start();
        let mut datagram = Vec::new();
        let opened = named("between members", |handshake| {
            let ((ours, theirs), (initiator, responder)) = (keys(handshake), indices(handshake));
            let mut sender = Session::new(ours, initiator, responder, senders * STEP_MS, now);
            sender.encode(now, &Leave, &mut datagram).expect("a counter");
            let Ok(Datagram::Tagged(header)) = Datagram::parse(&datagram) else { panic!("it is tagged") };
            assert_eq!((header.kind, u64::from(header.step)), (Leave::KIND, byte));
            let mut receiver = Session::new(theirs, responder, initiator, own * STEP_MS, now);
            receiver.open(now, &header, &mut datagram).map(|_| ())
        });
        assert_eq!(opened, if wanted.is_some() { Ok(()) } else { Err(AuthError::Step) });
        assert_eq!(vector.text("verdict"), if opened.is_ok() { "accepted" } else { "bad-step" });
    });
}

//! Whoever has the keys of a conversation finds every datagram to be what the file says.

use dddns::auth::invite::Token;
use dddns::wire::header::Header;
use dddns::wire::initiation::Initiation;
use dddns::wire::kind::Kind;
use dddns::wire::message::Message;

use crate::each;
use crate::noise::{Direction, Handshake, Keys, decrypt, hmac_sha256, sha256};
use crate::text::{Vector, hex};

/// What the file says of one handshake.
struct Met {
    initiator: String,
    responder: String,
    /// The two indices, the initiator's first.
    indices: [Vec<u8>; 2],
    message_1: Vec<u8>,
    /// Message 2 and the keys, if there was an answer.
    answer: Option<(Vec<u8>, Keys)>,
    /// The responder's clock at the handshake.
    clock_ms: u64,
}

fn met(conversation: Vector<'_>, handshake: Vector<'_>, token: Option<&Token>) -> Met {
    let secret = |end: &str| {
        let machine = conversation.list("machines").find(|machine| machine.text("label") == handshake.text(end));
        machine.expect("a machine").array::<32>("secret")
    };
    let invite = token.filter(|_| handshake.u32("mode") == 1);
    let mode = u8::try_from(handshake.u32("mode")).expect("0 or 1");
    let index = handshake.bytes("initiator_index");
    let header = [[0xD1, 1, mode, 0].as_slice(), &index, &invite.map_or([0; 8], |token| token.id().0)].concat();
    let (bound, psk) = match invite {
        Some(token) => {
            ([b"dddns/1 join".as_slice(), &token.id().0].concat(), sha256(&[b"dddns/1 invite", token.secret()]))
        }
        None => (
            [b"dddns/1 member", conversation.bytes("cluster_id").as_slice()].concat(),
            conversation.array("cluster_key"),
        ),
    };
    let answered = handshake.maybe("responder_ephemeral").is_some();
    let secrets = Handshake {
        initiator: secret("initiator"),
        responder: secret("responder"),
        initiator_ephemeral: handshake.array("initiator_ephemeral"),
        responder_ephemeral: if answered { handshake.array("responder_ephemeral") } else { [0; 32] },
        prologue: [bound, header].concat(),
        psk,
    };
    let payload_2 = if answered { handshake.bytes("payload_2") } else { vec![0; 87] };
    let finished = secrets.run(&handshake.bytes("payload_1"), &payload_2);
    let keys = Keys::derive(&finished.hash, &finished.k1, &finished.k2);
    if let Some(session) = handshake.maybe("session") {
        assert_eq!(keys.prk, session.array("prk"));
        for (direction, end) in [(&keys.initiator, "initiator"), (&keys.responder, "responder")] {
            assert_eq!(direction.totp, session.array(&format!("totp_{end}")));
            assert_eq!(direction.seal, session.array(&format!("seal_{end}")));
        }
        assert_eq!(payload_2[..4], handshake.bytes("responder_index"));
    }
    Met {
        initiator: handshake.text("initiator").to_owned(),
        responder: handshake.text("responder").to_owned(),
        indices: [index, if answered { handshake.bytes("responder_index") } else { Vec::new() }],
        message_1: finished.message_1,
        answer: answered.then_some((finished.message_2, keys)),
        clock_ms: u64::from_be_bytes(payload_2[23..31].try_into().expect("8 bytes")),
    }
}

#[test]
fn every_datagram_is_what_the_file_says() {
    each("conversations", |conversation| {
        let invite = conversation.list("events").find(|event| event.text("event") == "invite");
        let token: Option<Token> = invite.map(|invite| invite.text("text").parse().expect("a token"));
        let handshakes: Vec<Met> =
            conversation.list("handshakes").map(|handshake| met(conversation, handshake, token.as_ref())).collect();
        for event in conversation.list("events").filter(|event| event.text("event") == "datagram") {
            let datagram = event.bytes("datagram");
            assert_eq!(Kind(datagram[1]).to_string(), event.text("type"));
            match Kind(datagram[1]) {
                Kind::INITIATION if event.text("by") == "stranger" => {}
                Kind::INITIATION => {
                    assert!(handshakes.iter().any(|met| is_initiation(met, event, &datagram)), "{}", event.0)
                }
                Kind::RESPONSE => {
                    assert!(handshakes.iter().any(|met| is_response(met, event, &datagram)), "{}", event.0)
                }
                Kind::COOKIE_REPLY => is_used(conversation, event, &datagram),
                _ => assert!(handshakes.iter().any(|met| is_tagged(met, event, &datagram)), "{}", event.0),
            }
        }
    });
}

/// A cookie that reaches a machine opens, and the machine's next initiation shows it.
fn is_used(conversation: Vector<'_>, event: Vector<'_>, reply: &[u8]) {
    if event.maybe("arrives").is_none() {
        return;
    }
    let initiations: Vec<Vec<u8>> = conversation
        .list("events")
        .filter(|other| other.maybe("from").is_some_and(|from| from.as_text() == event.text("to")))
        .map(|other| other.bytes("datagram"))
        .filter(|datagram| datagram[1] == Kind::INITIATION.0 && datagram[4..8] == reply[4..8])
        .collect();
    let [first, second] = initiations.as_slice() else { panic!("not two initiations: {initiations:?}") };
    let responder = conversation.list("machines").find(|machine| machine.text("label") == event.text("by"));
    let label = sha256(&[b"dddns/1 cookie", &responder.expect("a machine").bytes("public_key")]);
    let key = hmac_sha256(&label, &[&reply[8..24], &first[Initiation::BEFORE_MAC1..Initiation::BEFORE_MAC2]].concat());
    let cookie = decrypt(&key, [0; 12], &[], &reply[24..]).expect("it opens");
    let (covered, mac2) = second.split_at(Initiation::BEFORE_MAC2);
    assert_eq!(covered, &first[..Initiation::BEFORE_MAC2], "the same but for mac2");
    assert_eq!(mac2, &hmac_sha256(&cookie, covered)[..16]);
}

fn is_initiation(met: &Met, event: Vector<'_>, datagram: &[u8]) -> bool {
    met.initiator == event.text("by") && datagram[16..Initiation::BEFORE_MAC1] == met.message_1
}

fn is_response(met: &Met, event: Vector<'_>, datagram: &[u8]) -> bool {
    let Some((message, _)) = &met.answer else { return false };
    met.responder == event.text("by") && datagram[8..143] == *message
}

/// It was made with the keys of this session, in a step that is not long after the handshake, and holds this body.
fn is_tagged(met: &Met, event: Vector<'_>, datagram: &[u8]) -> bool {
    let Some((_, keys)) = &met.answer else { return false };
    let ends = [(&met.initiator, &met.indices[1], &keys.initiator), (&met.responder, &met.indices[0], &keys.responder)];
    let by = event.text("by");
    ends.into_iter().any(|(sender, index, own): (&String, &Vec<u8>, &Direction)| {
        let (covered, tag) = datagram.split_at(datagram.len() - 16);
        let (header, body) = covered.split_at(Header::LEN);
        let header: &[u8; 16] = header.try_into().expect("16 bytes");
        let first = met.clock_ms / 30_000;
        let tagged =
            (first..first + 3).any(|step| datagram[2] == step.to_le_bytes()[0] && own.tag(covered, step) == tag);
        if header[4..8] != index[..] || !tagged || (by != sender && by != "stranger") {
            return false;
        }
        let parsed = Header::from_bytes(header).expect("a header");
        let plain = if parsed.kind.is_sealed() { own.open(header, body).expect("it opens") } else { body.to_vec() };
        assert_eq!(hex(&plain), event.text("body"));
        let message = Message::decode(&parsed, &plain).expect("it decodes");
        message.kind().to_string() == event.text("type")
    })
}

//! The program initiates, and somebody else answers: first with anything, then with what the responder's key made.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use dddns::auth::drbg::Drbg;
use dddns::auth::handshake::{HandshakeError, Initiator, Purpose};
use dddns::auth::mac::Mac1Key;
use dddns::auth::onlooker::Onlooker;
use dddns::auth::session::Session;
use dddns::wire::datagram::Datagram;
use dddns::wire::id::{Incarnation, Index};
use dddns::wire::name::Name;
use dddns::wire::response::{Response, ResponsePayload, Verdict};
use dddns_fuzz::messages::AnyMessage;
use dddns_fuzz::{forge, judge, raw_body};
use libfuzzer_sys::arbitrary::{self, Arbitrary};

use crate::{Damage, Setting};

/// Time begins here, in every run.
#[expect(clippy::disallowed_methods, reason = "virtual time has to begin somewhere")]
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

#[derive(Arbitrary, Debug)]
pub struct Input {
    join: bool,
    sender: u32,
    /// What comes before the right response.
    noise: Vec<Noise>,
    ephemeral: [u8; 32],
    payload: Payload,
    message: Box<AnyMessage>,
    /// When the first message is sent, in seconds after the handshake.
    passed: u16,
}

/// What the responder says under encryption.
#[derive(Arbitrary, Debug)]
enum Payload {
    /// Anything.
    Any([u8; 87]),
    /// What is nearly as it should be.
    Near { sender: u32, verdict: u8, port: u16, clock_ms: u64, cluster: [u8; 2] },
}

/// What is not the right response.
#[derive(Arbitrary, Debug)]
enum Noise {
    /// A response with any content.
    Any { receiver: Option<u32>, noise: [u8; 8] },
    /// The right one, damaged.
    Damaged(Damage),
    /// One by a responder with other keys.
    Other { psk: [u8; 2], identity: u8 },
}

pub fn play(input: &Input) {
    let setting = Setting::new(input.join);
    let name: Name = "joiner".parse().expect("a label");
    let purpose =
        if input.join { Purpose::Join { token: &setting.token, name } } else { Purpose::Member(&setting.cluster) };
    let called = setting.responder.public_key();
    let mut drbg = Drbg::new([10; 32]);
    let sender = Index(input.sender);
    let started = Initiator::start(&setting.initiator, &called, purpose, Incarnation([1; 8]), sender, &mut drbg);
    assert_eq!(started.is_err(), input.sender == 0, "{started:?}");
    let Ok(mut initiator) = started else { return };
    assert!(judge::is_datagram(initiator.datagram()));

    let payload = input.payload.to_bytes(input.join);
    let caller = setting.initiator.public_key();
    let answer =
        forge::response(&setting.responder, &caller, setting.terms(), &input.ephemeral, initiator.datagram(), &payload);
    let (right, noise) = answer.expect("an initiation opens for its responder");
    for wrong in input.noise.iter().take(8) {
        disturb(&setting, &mut initiator, wrong, &right);
    }
    let Ok(Datagram::Response(response)) = Datagram::parse(&right) else { panic!("a response is one") };
    assert!(Mac1Key::of(&caller).verify_mac1(&response));
    let finished = initiator.finish(&response);
    let allowed = judge::is_response_payload(input.join, &payload);
    match finished {
        Ok((keys, read)) => {
            assert!(allowed && read.to_bytes() == payload);
            let prk = forge::prk(noise);
            if read.verdict == Verdict::Accepted {
                let session = Session::new(keys, sender, read.sender, read.clock_ms, *START);
                overhear(session, &prk, &read, input);
            }
        }
        Err(HandshakeError::Payload(_)) => assert!(!allowed),
        Err(error) => panic!("made with the right keys, and yet: {error}"),
    }
    let again = initiator.finish(&response).err();
    assert!(matches!(again, Some(HandshakeError::State | HandshakeError::Decrypt)), "it ends once: {again:?}");
}

/// What the responder did not make for this initiation ends nothing.
fn disturb(setting: &Setting, initiator: &mut Initiator, wrong: &Noise, right: &[u8]) {
    let datagram = match wrong {
        Noise::Any { receiver, noise } => {
            let response = Response {
                receiver: receiver.map_or(initiator.sender(), Index),
                noise: std::array::from_fn(|at| noise[at % noise.len()]),
                mac1: [0; 16],
            };
            response.to_bytes().to_vec()
        }
        Noise::Damaged(damage) => damage.of(right),
        Noise::Other { psk, identity } => {
            let other = dddns::auth::identity::Identity::from_secret([*identity; 32]);
            let mut psk_used = setting.psk;
            psk_used[0] ^= psk[0];
            psk_used[31] ^= psk[1];
            let terms = forge::Terms { psk: &psk_used, ..setting.terms() };
            let caller = setting.initiator.public_key();
            let datagram = initiator.datagram();
            let made = forge::response(&other, &caller, terms, &[11; 32], datagram, &[1; 87]);
            // Only the true responder reads the initiation at all.
            let Some((made, _)) = made else { return };
            if psk_used == setting.psk {
                return;
            }
            made
        }
    };
    let Ok(Datagram::Response(response)) = Datagram::parse(&datagram) else { return };
    if datagram.get(..Response::BEFORE_MAC1) == right.get(..Response::BEFORE_MAC1) {
        assert!(!Mac1Key::of(&setting.initiator.public_key()).verify_mac1(&response), "mac1 is not looked at");
        return;
    }
    let finished = initiator.finish(&response).err();
    let expected = if response.receiver == initiator.sender() {
        matches!(finished, Some(HandshakeError::Decrypt | HandshakeError::ZeroDh))
    } else {
        finished == Some(HandshakeError::Index)
    };
    assert!(expected, "{finished:?}");
}

/// Somebody who has the keys reads what is said by them, and nobody else does.
fn overhear(mut session: Session, prk: &[u8; 32], payload: &ResponsePayload, input: &Input) {
    let onlooker = Onlooker::new(prk, session.local_index(), session.remote_index(), payload.clock_ms);
    let other = Onlooker::new(&[0; 32], session.local_index(), session.remote_index(), payload.clock_ms);
    let AnyMessage(message) = *input.message;
    let now = *START + Duration::from_secs(input.passed.into());
    let mut datagram = Vec::new();
    let sent = raw_body::encode_message(&mut session, now, &message, &mut datagram);
    assert_eq!(sent, Ok(0), "the first datagram has the first counter");
    let Ok(Datagram::Tagged(header)) = Datagram::parse(&datagram) else { panic!("a tagged datagram is one") };
    assert!(onlooker.knows(header.receiver) && other.open(&header, &mut datagram.clone()).is_err());
    let opened = onlooker.open(&header, &mut datagram);
    // A clock at the end of time stands still.
    let clock = payload.clock_ms.saturating_add(u64::from(input.passed) * 1000);
    if clock < u64::MAX - 1_000_000_000 {
        let opened = opened.expect("it was said with these keys");
        assert!(opened.from_initiator && opened.step == clock / 30_000);
        let read = dddns::wire::message::Message::decode(&header, opened.body);
        assert_eq!(read, Ok(message));
    }
    assert!(!format!("{onlooker:?}{session:?}").contains("prk"));
}

impl Payload {
    fn to_bytes(&self, join: bool) -> [u8; 87] {
        match self {
            Self::Any(bytes) => *bytes,
            Self::Near { sender, verdict, port, clock_ms, cluster } => {
                let mut bytes = [0; 87];
                bytes[..4].copy_from_slice(&sender.to_be_bytes());
                bytes[4] = *verdict;
                bytes[15..21].copy_from_slice(&[0xFF, 0xFF, 192, 0, 2, 1]);
                bytes[21..23].copy_from_slice(&port.to_be_bytes());
                bytes[23..31].copy_from_slice(&clock_ms.to_be_bytes());
                if join {
                    bytes[39] = cluster[0];
                    bytes[86] = cluster[1];
                }
                bytes
            }
        }
    }
}

//! The program responds to an initiation that somebody else made.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use dddns::auth::cookie::{Cookies, LIFETIME};
use dddns::auth::drbg::Drbg;
use dddns::auth::handshake::{HandshakeError, Prologue, Received};
use dddns::auth::mac::Mac1Key;
use dddns::wire::datagram::Datagram;
use dddns::wire::id::{ClusterId, Incarnation, Index, InviteId};
use dddns::wire::initiation::Initiation;
use dddns::wire::response::{ResponsePayload, Verdict};
use dddns_fuzz::{forge, judge};
use libfuzzer_sys::arbitrary::{self, Arbitrary};

use crate::{Damage, Setting, address};

/// Time begins here, in every run.
#[expect(clippy::disallowed_methods, reason = "virtual time has to begin somewhere")]
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

#[derive(Arbitrary, Debug)]
pub struct Input {
    join: bool,
    /// What the head says that it is for; mostly the truth.
    mode: Option<u8>,
    zero: u8,
    sender: u32,
    invite: Option<[u8; 8]>,
    ephemeral: [u8; 32],
    payload: Payload,
    damage: Damage,
    /// Seconds until the cookie is shown, and whether that is where it was given.
    cookie: (u16, bool),
    answer: Answer,
}

/// What the initiator says under encryption.
#[derive(Arbitrary, Debug)]
enum Payload {
    /// Anything.
    Any([u8; 72]),
    /// A run and a name, or what could be taken for one.
    Name([u8; 8], String),
}

/// What the responder says.
#[derive(Arbitrary, Debug)]
struct Answer {
    sender: u32,
    verdict: u8,
    clock_ms: u64,
    cluster: Option<[u8; 16]>,
}

pub fn play(input: &Input) {
    let setting = Setting::new(input.join);
    let mode = input.mode.unwrap_or(input.join.into());
    let invite = input.invite.unwrap_or(if input.join { setting.token.id().0 } else { [0; 8] });
    let head = forge::head(mode, input.zero, Index(input.sender), invite);
    let called = setting.responder.public_key();
    let payload = input.payload.to_bytes();
    let (datagram, noise) =
        forge::initiation(&setting.initiator, &called, setting.terms(), &input.ephemeral, head, &payload);
    let parsed = Datagram::parse(&datagram);
    assert_eq!(parsed.is_ok(), judge::is_datagram(&datagram), "{parsed:?}");
    let Ok(Datagram::Initiation(initiation)) = parsed else { return };

    let own = Mac1Key::of(&called);
    assert!(own.verify_mac1(&initiation), "a right mac1 is refused");
    assert!(!Mac1Key::of(&setting.initiator.public_key()).verify_mac1(&initiation), "mac1 is for anybody");
    show_cookie(&setting, &initiation, input.cookie);
    reject_damaged(&setting, &datagram, input);

    let mut drbg = Drbg::new([7; 32]);
    let received = Received::read(&setting.responder, prologue(&setting, input.join), &initiation, &mut drbg);
    match received {
        Ok(received) => {
            assert!(judge::is_initiation_payload(mode == 1, &payload));
            assert_eq!(received.initiator(), setting.initiator.public_key());
            assert_eq!(received.incarnation(), Incarnation(*payload.first_chunk().expect("it is longer")));
            assert!(format!("{received:?}").starts_with("Received { initiator: "));
            let name = received.name().map(|name| name.to_bytes().to_vec());
            assert_eq!(name, (mode == 1).then(|| payload[8..].to_vec()));
            respond(&setting, received, &input.answer, noise);
        }
        Err(HandshakeError::Payload(_)) => assert!(!judge::is_initiation_payload(mode == 1, &payload)),
        Err(error) => panic!("made with the right keys, and yet: {error}"),
    }
}

fn prologue(setting: &Setting, join: bool) -> Prologue<'_> {
    if join { Prologue::Join(setting.token.id()) } else { Prologue::Member(&setting.cluster.id) }
}

/// An initiation of which anything but mac2 was changed on the way, or that is for others, opens for nobody.
fn reject_damaged(setting: &Setting, datagram: &[u8], input: &Input) {
    let mut damaged = input.damage.of(datagram);
    if damaged.len() == datagram.len()
        && damaged.get(..Initiation::BEFORE_MAC2) != datagram.get(..Initiation::BEFORE_MAC2)
    {
        // With a new mac1 even.
        let mac1 = forge::mac1(&setting.responder.public_key(), &damaged[..Initiation::BEFORE_MAC1]);
        damaged[Initiation::BEFORE_MAC1..Initiation::BEFORE_MAC2].copy_from_slice(&mac1);
        let noise_same = damaged[..Initiation::BEFORE_MAC1] == datagram[..Initiation::BEFORE_MAC1];
        if let (false, Ok(Datagram::Initiation(initiation))) = (noise_same, Datagram::parse(&damaged)) {
            read_fails(setting, prologue(setting, input.join), &initiation);
        }
    }
    let Ok(Datagram::Initiation(initiation)) = Datagram::parse(datagram) else { return };
    let other = ClusterId([9; 16]);
    read_fails(setting, Prologue::Member(&other), &initiation);
    read_fails(setting, Prologue::Join(InviteId([9; 8])), &initiation);
}

fn read_fails(setting: &Setting, prologue: Prologue<'_>, initiation: &Initiation) {
    let read = Received::read(&setting.responder, prologue, initiation, &mut Drbg::new([7; 32]));
    let refused = matches!(read, Err(HandshakeError::Decrypt | HandshakeError::ZeroDh));
    assert!(refused, "a handshake that was changed or is for others opens: {read:?}");
}

/// A cookie serves where it was given, and not for ever.
fn show_cookie(setting: &Setting, initiation: &Initiation, (seconds, same_place): (u16, bool)) {
    let mut cookies = Cookies::new(setting.responder.public_key());
    let begin = *START;
    assert!(!cookies.mac2_valid(begin, address(7), initiation), "no cookie was given yet");
    let reply = cookies.reply(begin, address(7), initiation, &mut Drbg::new([8; 32]));
    let Ok(Datagram::CookieReply(parsed)) = Datagram::parse(&reply) else { panic!("a cookie reply is one") };
    assert_eq!(parsed.receiver, initiation.sender);
    let time = Duration::from_secs(seconds.into());
    let place = if same_place { address(7) } else { address(8) };
    let valid = cookies.mac2_valid(begin + time, place, initiation);
    assert!(!valid, "an initiation without mac2 shows a cookie");
    assert!(format!("{cookies:?}").contains("Cookies") && LIFETIME > Duration::ZERO);
}

/// The answer opens for the initiator, whatever it says.
fn respond(setting: &Setting, received: Received, answer: &Answer, mut noise: snow::HandshakeState) {
    let verdict = [Verdict::Accepted, Verdict::Expired, Verdict::Used, Verdict::Full, Verdict::Barred];
    let payload = ResponsePayload {
        sender: Index(answer.sender),
        verdict: *verdict.get(usize::from(answer.verdict) % verdict.len()).expect("the remainder is one"),
        observed: address(answer.verdict),
        clock_ms: answer.clock_ms,
        incarnation: Incarnation([9; 8]),
        cluster_id: ClusterId(answer.cluster.unwrap_or_default()),
        cluster_key: answer.cluster.map_or([0; 32], |byte| [byte[0]; 32]),
    };
    assert!(!format!("{payload:?}").contains("cluster_key"), "Debug shows the cluster's key");
    let fits = (answer.sender != 0) == (payload.verdict == Verdict::Accepted);
    match received.respond(&setting.psk, &payload) {
        Ok((datagram, keys)) => {
            assert!(fits && judge::is_datagram(&datagram));
            let Ok(Datagram::Response(response)) = Datagram::parse(&datagram) else { panic!("a response is one") };
            assert!(Mac1Key::of(&setting.initiator.public_key()).verify_mac1(&response));
            let mut opened = [0; 256];
            let length = noise.read_message(&response.noise, &mut opened).expect("a response opens for its initiator");
            assert_eq!(opened.get(..length), Some(payload.to_bytes().as_slice()));
            assert_eq!(format!("{keys:?}"), "SessionKeys { initiator: false, .. }");
        }
        Err(error) => assert!(!fits && error == HandshakeError::Index, "{error}"),
    }
}

impl Payload {
    fn to_bytes(&self) -> [u8; 72] {
        match self {
            Self::Any(bytes) => *bytes,
            Self::Name(run, text) => {
                let mut bytes = [0; 72];
                let text = text.get(..text.floor_char_boundary(63)).unwrap_or_default().as_bytes();
                bytes[..8].copy_from_slice(run);
                bytes[8] = u8::try_from(text.len()).unwrap_or_default();
                bytes[9..].iter_mut().zip(text).for_each(|(to, from)| *to = *from);
                bytes
            }
        }
    }
}

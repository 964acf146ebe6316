//! The program on both sides: a handshake with cookies, then a session in which anything happens to what is sent.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use dddns::auth::cookie::{Cookies, LIFETIME};
use dddns::auth::drbg::Drbg;
use dddns::auth::handshake::{Initiator, Prologue, Purpose, Received};
use dddns::auth::incarnation::Incarnations;
use dddns::auth::mac::Mac1Key;
use dddns::auth::replay::Window;
use dddns::auth::seal::SealKey;
use dddns::auth::session::{AuthError, Session};
use dddns::auth::tag::TagKey;
use dddns::auth::totp::{self, STEP, Secret};
use dddns::wire::address::Address;
use dddns::wire::body::MAX_BODY;
use dddns::wire::datagram::Datagram;
use dddns::wire::header::Header;
use dddns::wire::id::{ClusterId, Incarnation, Index, PublicKey};
use dddns::wire::initiation::Initiation;
use dddns::wire::kind::Kind;
use dddns::wire::message::Message;
use dddns::wire::name::Name;
use dddns::wire::response::{ResponsePayload, Verdict};
use dddns_fuzz::messages::AnyMessage;
use dddns_fuzz::{judge, raw_body};
use libfuzzer_sys::arbitrary::{self, Arbitrary};

use crate::{Damage, Setting, address, discreet};

/// Time begins here, in every run.
#[expect(clippy::disallowed_methods, reason = "virtual time has to begin somewhere")]
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// How long after the responder the initiator begins its session.
const TRAVEL: Duration = Duration::from_secs(2);

#[derive(Arbitrary, Debug)]
pub struct Input {
    join: bool,
    cookie: Option<Cookie>,
    clock_ms: u32,
    acts: Vec<Act>,
    /// The TOTP secret of somebody, and a step.
    totp: ([u8; 20], u64),
    /// How far the counters are apart of which a window is asked, one after the other.
    counters: Vec<i16>,
}

/// What is done with a cookie.
#[derive(Arbitrary, Debug)]
struct Cookie {
    damage: Option<Damage>,
    /// Seconds until it is shown, and where.
    passed: u16,
    place: u8,
}

/// What happens in a session.
#[derive(Arbitrary, Debug)]
enum Act {
    /// Time passes, in seconds.
    Pass(u16),
    /// The initiator, or the responder, says something.
    Say { from_initiator: bool, what: What, fate: Fate },
    /// What was said before comes again, to either end.
    Replay { which: u8, to_initiator: bool },
}

#[derive(Arbitrary, Debug)]
enum What {
    Message(Box<AnyMessage>),
    Raw(u8, Vec<u8>),
    /// In clear what should be sealed.
    Unsealed(Vec<u8>),
}

#[derive(Arbitrary, Debug)]
enum Fate {
    Arrives,
    Damaged(Damage),
    Late(u16),
    Lost,
}

/// The two ends, and what is known of them from outside.
struct Talk {
    now: Instant,
    ends: [Session; 2],
    /// What each has accepted.
    accepted: [BTreeSet<u64>; 2],
    said: Vec<(usize, u64, Vec<u8>)>,
}

pub fn play(input: &Input) {
    watch(&input.counters);
    sign(&input.totp);
    let setting = Setting::new(input.join);
    let (initiator, responder) = shake(&setting, input);
    let mut talk = Talk {
        now: *START + TRAVEL,
        ends: [initiator, responder],
        accepted: [BTreeSet::new(), BTreeSet::new()],
        said: Vec::new(),
    };
    for act in input.acts.iter().take(64) {
        talk.act(act);
    }
}

/// A window takes a counter exactly if it is not too old and was not taken before.
fn watch(distances: &[i16]) {
    let (mut window, mut taken) = (Window::default(), BTreeSet::new());
    let mut counter: u64 = 1 << 20;
    for distance in distances.iter().take(256) {
        counter = counter.saturating_add_signed((*distance).into());
        let highest = taken.last().copied();
        let fresh = !taken.contains(&counter) && highest.is_none_or(|highest| counter + Window::SIZE > highest);
        assert_eq!(window.check(counter), fresh, "counter {counter}, the highest is {highest:?}");
        window.accept(counter);
        if fresh {
            taken.insert(counter);
        }
        assert_eq!(window.highest(), taken.last().copied());
    }
}

/// A code has as many digits as are asked for, a tag is of one step and one text, and no key is shown.
fn sign((secret, step): &([u8; 20], u64)) {
    let value = totp::value(&Secret(*secret), *step);
    assert!((1..=8).all(|digits| totp::code(&value, digits) < 10_u32.pow(digits)));
    let key = TagKey::new(&value);
    let tag = key.sign(secret);
    assert!(key.verify(secret, &tag) && !key.verify(&value, &tag) && !key.verify(secret, &tag[1..]));
    assert!(!TagKey::new(&totp::value(&Secret(*secret), !step)).verify(secret, &tag), "a tag is of any step");
    let seal = SealKey([secret[0]; 32]);
    let incarnations = Incarnations::new(&seal.0);
    let shown = format!("{:?}{key:?}{seal:?}{incarnations:?}{:?}", Secret(*secret), Mac1Key::of(&PublicKey(seal.0)));
    assert_eq!(shown, "Secret(..)TagKey(..)SealKey(..)Incarnations(..)Mac1Key(..)");
}

/// A handshake by the program alone.
fn shake(setting: &Setting, input: &Input) -> (Session, Session) {
    let name: Name = "joiner".parse().expect("a label");
    let (purpose, prologue) = if input.join {
        (Purpose::Join { token: &setting.token, name }, Prologue::Join(setting.token.id()))
    } else {
        (Purpose::Member(&setting.cluster), Prologue::Member(&setting.cluster.id))
    };
    let mut drbg = Drbg::new([12; 32]);
    let called = setting.responder.public_key();
    let mut initiator =
        Initiator::start(&setting.initiator, &called, purpose, Incarnation([1; 8]), Index(1), &mut drbg)
            .expect("the key and the index are right");
    if let Some(cookie) = &input.cookie {
        show(setting, &mut initiator, cookie, &mut drbg);
    }
    let received = Received::read(&setting.responder, prologue, &read(initiator.datagram()), &mut drbg)
        .expect("an initiation opens for its responder, cookie or not");
    assert_eq!(received.name(), input.join.then_some(name));
    let told = if input.join { 13 } else { 0 };
    let payload = ResponsePayload {
        sender: Index(2),
        verdict: Verdict::Accepted,
        observed: address(1),
        clock_ms: input.clock_ms.into(),
        incarnation: Incarnation([2; 8]),
        cluster_id: ClusterId([told; 16]),
        cluster_key: [told; 32],
    };
    let (response, theirs) = received.respond(&setting.psk, &payload).expect("the index fits");
    let Ok(Datagram::Response(response)) = Datagram::parse(&response) else { panic!("a response is one") };
    let (ours, read) = initiator.finish(&response).expect("a response opens for its initiator");
    assert!(read == payload);
    let shown = format!("{initiator:?}{ours:?}{:?}{:?}{:?}{drbg:?}", setting.initiator, setting.token, setting.cluster);
    discreet(&shown, &[setting.initiator.secret(), setting.token.secret(), &setting.cluster.key.0]);
    let ours = Session::new(ours, Index(1), Index(2), payload.clock_ms, *START + TRAVEL);
    let theirs = Session::new(theirs, Index(2), Index(1), payload.clock_ms, *START);
    assert!(ours.is_initiator() && !theirs.is_initiator());
    (ours, theirs)
}

/// A cookie serves whoever got it, where it got it, and for a while.
fn show(setting: &Setting, initiator: &mut Initiator, cookie: &Cookie, drbg: &mut Drbg) {
    let mut cookies = Cookies::new(setting.responder.public_key());
    let reply = cookies.reply(*START, address(1), &read(initiator.datagram()), drbg);
    let damaged = cookie.damage.map(|damage| damage.of(&reply));
    if let Some(Ok(Datagram::CookieReply(damaged))) = damaged.as_deref().map(Datagram::parse) {
        assert_eq!(initiator.open_cookie(&damaged), None, "a cookie that was changed opens");
    }
    let Ok(Datagram::CookieReply(reply)) = Datagram::parse(&reply) else { panic!("a cookie reply is one") };
    let got = initiator.open_cookie(&reply).expect("a cookie opens for whoever it was made for");
    initiator.set_cookie(got);
    let shown = read(initiator.datagram());
    let passed = Duration::from_secs(cookie.passed.into());
    // Another secret serves meanwhile.
    if cookie.passed.is_multiple_of(2) {
        let _ = cookies.reply(*START + passed.min(LIFETIME), address(2), &shown, drbg);
    }
    let place: Address = address(1 + cookie.place % 2);
    let valid = cookies.mac2_valid(*START + passed, place, &shown);
    assert_eq!(valid, place == address(1) && passed < 2 * LIFETIME, "{cookie:?}");
}

fn read(datagram: &[u8]) -> Initiation {
    let Ok(Datagram::Initiation(initiation)) = Datagram::parse(datagram) else { panic!("an initiation is one") };
    initiation
}

impl Talk {
    fn act(&mut self, act: &Act) {
        match act {
            Act::Pass(seconds) => self.now += Duration::from_secs(u64::from(*seconds) % 4000),
            Act::Say { from_initiator, what, fate } => self.say(usize::from(!from_initiator), what, fate),
            Act::Replay { which, to_initiator } => {
                let Some((from, counter, datagram)) = self.said.get(usize::from(*which)).cloned() else { return };
                let to = usize::from(!to_initiator);
                let result = self.hear(to, &datagram);
                // What comes back to its sender was tagged for the other direction.
                assert!(result.is_err() || to != from, "a datagram was taken by its own sender");
                self.note(to, counter, result);
            }
        }
    }

    fn say(&mut self, from: usize, what: &What, fate: &Fate) {
        let (sent, to) = (self.now, 1 - from);
        let mut datagram = Vec::new();
        let counter = match what {
            What::Message(message) => raw_body::encode_message(&mut self.ends[from], sent, &message.0, &mut datagram),
            What::Raw(kind, body) => raw_body::encode(&mut self.ends[from], sent, Kind(*kind), body, &mut datagram),
            What::Unsealed(body) => raw_body::encode_unsealed(&mut self.ends[from], sent, body, &mut datagram),
        };
        let counter = counter.expect("there are counters enough");
        if matches!(what, What::Unsealed(_)) {
            assert_eq!(self.hear(to, &datagram), Err(AuthError::Seal), "a tag vouches for a seal");
            self.accepted[to].insert(counter);
            return;
        }
        self.said.push((from, counter, datagram.clone()));
        match fate {
            Fate::Arrives => {
                let result = self.hear(to, &datagram);
                let body = result.clone().expect("what is new and in time is accepted");
                let header = header(&datagram).expect("it was accepted");
                assert_eq!(header.receiver, self.ends[from].remote_index());
                what.check(&header, &body);
                self.note(to, counter, result);
            }
            Fate::Damaged(damage) => {
                let damaged = damage.of(&datagram);
                assert!(self.hear(to, &damaged).is_err(), "a datagram that was changed is accepted");
            }
            Fate::Late(seconds) => {
                self.now += Duration::from_secs(u64::from(*seconds) % 200);
                let result = self.hear(to, &datagram);
                let late = self.now - sent;
                let in_time = late + TRAVEL < STEP;
                assert!(result.is_ok() || !in_time, "{late:?} late, and refused: {result:?}");
                assert!(result.is_err() || late < 2 * STEP + TRAVEL, "{late:?} late, and accepted");
                self.note(to, counter, result);
            }
            Fate::Lost => {}
        }
    }

    /// What an end makes of a datagram: the body that it opens.
    fn hear(&mut self, to: usize, datagram: &[u8]) -> Result<Vec<u8>, AuthError> {
        let header = header(datagram).ok_or(AuthError::Tag)?;
        let before = self.ends[to].highest_received();
        let mut copy = datagram.to_vec();
        let opened = self.ends[to].open(self.now, &header, &mut copy);
        let opened = opened.map(|opened| (opened.newest, opened.body.to_vec()));
        let highest = self.ends[to].highest_received();
        match &opened {
            Ok((newest, _)) => {
                assert_eq!(*newest, before < Some(header.counter));
                assert_eq!(highest, before.max(Some(header.counter)));
            }
            Err(AuthError::Seal) => assert_eq!(highest, before.max(Some(header.counter))),
            Err(error) => assert!(highest == before && !error.as_str().is_empty()),
        }
        opened.map(|(_, body)| body)
    }

    /// Nothing is accepted twice, nor when it is too old.
    fn note(&mut self, to: usize, counter: u64, result: Result<Vec<u8>, AuthError>) {
        if result.is_ok() {
            let highest = self.accepted[to].last().copied().unwrap_or(0);
            assert!(counter + 1024 > highest, "counter {counter} is out of the window");
            assert!(self.accepted[to].insert(counter), "counter {counter} was accepted twice");
        }
    }
}

impl What {
    /// What arrives is what was said, and the decoder judges it as the specification does.
    fn check(&self, header: &Header, body: &[u8]) {
        let read = Message::decode(header, body);
        match self {
            Self::Message(message) => assert_eq!(read.as_ref(), Ok(&message.0)),
            Self::Raw(kind, raw) => {
                assert_eq!(body, raw.get(..MAX_BODY).unwrap_or(raw));
                let known = header.kind == Kind(*kind);
                assert_eq!(read.is_ok(), known && judge::is_body(*kind, &header.to_bytes(), body), "{read:?}");
            }
            Self::Unsealed(_) => panic!("what is not sealed is opened"),
        }
    }
}

/// The header, of whatever type. A session is asked about anything that has one.
fn header(datagram: &[u8]) -> Option<Header> {
    Header::from_bytes(datagram.first_chunk()?).ok()
}

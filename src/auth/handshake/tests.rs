use std::time::{Duration, Instant};

use super::*;
use crate::auth::cookie::Cookies;
use crate::auth::session::Session;
use crate::config::ClusterKey;
use crate::wire::address::Address;
use crate::wire::body::Body;
use crate::wire::datagram::Datagram;
use crate::wire::path::PathChallenge;
use crate::wire::response::Verdict;

/// Everything that a handshake takes.
struct Scene {
    initiator: Identity,
    responder: Identity,
    cluster: Cluster,
    token: Token,
    drbg: Drbg,
}

impl Scene {
    fn new() -> Self {
        let responder = Identity::from_secret([2; 32]);
        let token = Token::new(InviteId([5; 8]), [6; 32], responder.public_key(), 0, &[address()]).unwrap();
        let cluster = Cluster { id: ClusterId([3; 16]), key: ClusterKey([4; 32]) };
        Self { initiator: Identity::from_secret([1; 32]), responder, cluster, token, drbg: Drbg::new([7; 32]) }
    }

    fn start(&mut self, mode: Mode) -> Initiator {
        self.start_as(mode, Index(10))
    }

    fn start_as(&mut self, mode: Mode, sender: Index) -> Initiator {
        let purpose = match mode {
            Mode::Member => Purpose::Member(&self.cluster),
            Mode::Join => Purpose::Join { token: &self.token, name: name() },
        };
        let responder = self.responder.public_key();
        Initiator::start(&self.initiator, &responder, purpose, Incarnation([11; 8]), sender, &mut self.drbg).unwrap()
    }

    fn prologue(&self, mode: Mode) -> Prologue<'_> {
        match mode {
            Mode::Member => Prologue::Member(&self.cluster.id),
            Mode::Join => Prologue::Join(self.token.id()),
        }
    }

    fn psk(&self, mode: Mode) -> [u8; 32] {
        match mode {
            Mode::Member => self.cluster.key.0,
            Mode::Join => self.token.psk_hash(),
        }
    }

    fn read(&self, mode: Mode, initiation: &Initiation) -> Result<Received, HandshakeError> {
        Received::read(&self.responder, self.prologue(mode), initiation, &mut Drbg::new([8; 32]))
    }

    fn answer(&self, mode: Mode, initiator: &Initiator) -> (Response, SessionKeys) {
        let received = self.read(mode, &sent(initiator)).unwrap();
        let (bytes, keys) = received.respond(&self.psk(mode), &payload(mode)).unwrap();
        (parse(&bytes), keys)
    }
}

fn address() -> Address {
    Address::new([192, 0, 2, 1].into(), 4711).unwrap()
}

fn name() -> Name {
    "joiner".parse().unwrap()
}

fn payload(mode: Mode) -> ResponsePayload {
    let told = if mode == Mode::Join { 9 } else { 0 };
    ResponsePayload {
        sender: Index(20),
        verdict: Verdict::Accepted,
        observed: address(),
        clock_ms: 1_700_000_000_000,
        incarnation: Incarnation([12; 8]),
        cluster_id: ClusterId([told; 16]),
        cluster_key: [told; 32],
    }
}

fn sent(initiator: &Initiator) -> Initiation {
    match Datagram::parse(initiator.datagram()) {
        Ok(Datagram::Initiation(initiation)) => initiation,
        other => panic!("{other:?}"),
    }
}

fn parse(bytes: &[u8]) -> Response {
    match Datagram::parse(bytes) {
        Ok(Datagram::Response(response)) => response,
        other => panic!("{other:?}"),
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's beginning of time: only differences to it are used")]
fn start() -> Instant {
    Instant::now()
}

/// Whether both ends hold the same keys, in opposite roles.
fn understand(initiator: SessionKeys, responder: SessionKeys) -> bool {
    let now = start() + Duration::from_secs(1);
    let mut a = Session::new(initiator, Index(10), Index(20), 0, now);
    let mut b = Session::new(responder, Index(20), Index(10), 0, now);
    let mut heard = |from_a: bool| {
        let (from, to) = if from_a { (&mut a, &mut b) } else { (&mut b, &mut a) };
        let mut out = Vec::new();
        from.encode(now, &PathChallenge([1; 8]), &mut out).unwrap();
        let Ok(Datagram::Tagged(header)) = Datagram::parse(&out) else { return false };
        let body = to.open(now, &header, &mut out).map(|opened| PathChallenge::decode(&header, opened.body));
        body == Ok(Ok(PathChallenge([1; 8])))
    };
    heard(true) && heard(false)
}

#[test]
fn two_messages_make_a_session() {
    for mode in [Mode::Member, Mode::Join] {
        let mut scene = Scene::new();
        let mut initiator = scene.start(mode);
        let initiation = sent(&initiator);
        assert!(Mac1Key::of(&scene.responder.public_key()).verify_mac1(&initiation));
        let received = scene.read(mode, &initiation).unwrap();
        assert_eq!(received.initiator(), scene.initiator.public_key());
        assert_eq!(received.name(), (mode == Mode::Join).then(name));
        let (bytes, theirs) = received.respond(&scene.psk(mode), &payload(mode)).unwrap();
        let response = parse(&bytes);
        assert!(Mac1Key::of(&scene.initiator.public_key()).verify_mac1(&response));
        let (ours, told) = initiator.finish(&response).unwrap();
        assert_eq!(told, payload(mode));
        assert!(understand(ours, theirs));
        assert_eq!(initiator.finish(&response).err(), Some(HandshakeError::State), "it ends once");
    }
}

#[test]
fn the_same_seed_makes_the_same_handshake() {
    let run = || {
        let mut scene = Scene::new();
        let initiator = scene.start(Mode::Join);
        (*initiator.datagram(), scene.answer(Mode::Join, &initiator).0)
    };
    assert_eq!(run(), run());
    let mut scene = Scene::new();
    assert_ne!(scene.start(Mode::Join).datagram(), scene.start(Mode::Join).datagram());
}

#[test]
fn a_wrong_bit_is_refused_and_the_right_message_still_taken() {
    for mode in [Mode::Member, Mode::Join] {
        let mut scene = Scene::new();
        let mut initiator = scene.start(mode);
        let initiation = sent(&initiator);
        for byte in 0..initiation.noise.len() {
            let mut forged = initiation;
            forged.noise[byte] ^= 0x40;
            let error = scene.read(mode, &forged).map(drop).unwrap_err();
            assert_eq!(error, HandshakeError::Decrypt, "byte {byte} of message 1");
            assert!(!Mac1Key::of(&scene.responder.public_key()).verify_mac1(&forged));
        }
        let (response, theirs) = scene.answer(mode, &initiator);
        for byte in 0..response.noise.len() {
            let mut forged = response;
            forged.noise[byte] ^= 0x40;
            assert_eq!(initiator.finish(&forged).err(), Some(HandshakeError::Decrypt), "byte {byte} of message 2");
            assert!(!Mac1Key::of(&scene.initiator.public_key()).verify_mac1(&forged));
        }
        let misdirected = Response { receiver: Index(11), ..response };
        assert_eq!(initiator.finish(&misdirected).err(), Some(HandshakeError::Index));
        let (ours, _) = initiator.finish(&response).unwrap();
        assert!(understand(ours, theirs));
    }
}

#[test]
fn another_cluster_invite_or_key_does_not_answer() {
    let mut scene = Scene::new();
    let mut initiator = scene.start(Mode::Member);
    let initiation = sent(&initiator);
    let mut drbg = Drbg::new([8; 32]);
    let read = |identity, prologue, drbg: &mut Drbg| Received::read(identity, prologue, &initiation, drbg).err();
    let stranger = Identity::from_secret([9; 32]);
    let refused = Some(HandshakeError::Decrypt);
    assert_eq!(read(&stranger, Prologue::Member(&scene.cluster.id), &mut drbg), refused);
    assert_eq!(read(&scene.responder, Prologue::Member(&ClusterId([0; 16])), &mut drbg), refused);
    assert_eq!(read(&scene.responder, Prologue::Join(InviteId([3; 8])), &mut drbg), refused);

    let received = scene.read(Mode::Member, &initiation).unwrap();
    let (bytes, _) = received.respond(&[0; 32], &payload(Mode::Member)).unwrap();
    assert_eq!(initiator.finish(&parse(&bytes)).err(), refused, "another pre-shared key");
    let (response, theirs) = scene.answer(Mode::Member, &initiator);
    let (ours, _) = initiator.finish(&response).unwrap();
    assert!(understand(ours, theirs));
}

#[test]
fn a_changed_header_of_an_initiation_is_refused() {
    for mode in [Mode::Member, Mode::Join] {
        let mut scene = Scene::new();
        let mut initiator = scene.start(mode);
        let initiation = sent(&initiator);
        let mac1 = Mac1Key::of(&scene.responder.public_key());
        let other = if mode == Mode::Member { Mode::Join } else { Mode::Member };
        for (mut forged, changed) in [
            (Initiation { sender: Index(11), ..initiation }, "sender index"),
            (Initiation { invite: InviteId([9; 8]), ..initiation }, "invite ID"),
            (Initiation { mode: other, ..initiation }, "mode"),
        ] {
            forged.mac1 = mac1.mac1(&forged);
            assert!(mac1.verify_mac1(&forged));
            // The prologue of both modes, whichever the responder takes the initiation for.
            for prologue in [mode, other] {
                let error = scene.read(prologue, &forged).err();
                assert_eq!(error, Some(HandshakeError::Decrypt), "{changed}");
            }
        }
        let (response, theirs) = scene.answer(mode, &initiator);
        assert!(understand(initiator.finish(&response).unwrap().0, theirs));
    }
}

#[test]
fn a_changed_receiver_index_leaves_the_initiators_as_they_were() {
    for mode in [Mode::Member, Mode::Join] {
        let mut scene = Scene::new();
        let mut meant = scene.start(mode);
        let mut other = scene.start_as(mode, Index(11));
        let (response, theirs) = scene.answer(mode, &meant);
        let (to_other, of_other) = scene.answer(mode, &other);
        let mac1 = Mac1Key::of(&scene.initiator.public_key());
        let mut forged = Response { receiver: Index(11), ..response };
        forged.mac1 = mac1.mac1(&forged);
        assert!(mac1.verify_mac1(&forged));
        assert_eq!(meant.finish(&forged).err(), Some(HandshakeError::Index), "not its index");
        assert_eq!(other.finish(&forged).err(), Some(HandshakeError::Decrypt), "not its ephemeral key");
        assert!(understand(meant.finish(&response).unwrap().0, theirs));
        assert!(understand(other.finish(&to_other).unwrap().0, of_other));
    }
}

#[test]
fn a_refusal_has_no_index() {
    let mut scene = Scene::new();
    for verdict in [Verdict::Expired, Verdict::Used, Verdict::Full] {
        let none = Index::NONE;
        let refusal = ResponsePayload { sender: none, verdict, ..payload(Mode::Member).clone() };
        let mut initiator = scene.start(Mode::Join);
        let received = scene.read(Mode::Join, &sent(&initiator)).unwrap();
        let (bytes, _) = received.respond(&scene.psk(Mode::Join), &refusal).unwrap();
        assert_eq!(initiator.finish(&parse(&bytes)).unwrap().1, refusal);

        let indexed = ResponsePayload { sender: Index(20), ..refusal.clone() };
        let received = scene.read(Mode::Join, &sent(&initiator)).unwrap();
        let refused = received.respond(&scene.psk(Mode::Join), &indexed);
        assert_eq!(refused.err(), Some(HandshakeError::Index));
    }
    let initiator = scene.start(Mode::Join);
    let received = scene.read(Mode::Join, &sent(&initiator)).unwrap();
    let nameless = ResponsePayload { sender: Index::NONE, ..payload(Mode::Join).clone() };
    assert_eq!(received.respond(&scene.psk(Mode::Join), &nameless).err(), Some(HandshakeError::Index));
}

#[test]
fn a_responder_at_fault_ends_the_attempt() {
    let mut scene = Scene::new();
    let faults = [
        (ResponsePayload { sender: Index::NONE, ..payload(Mode::Member).clone() }, DecodeError::Index),
        (ResponsePayload { verdict: Verdict::Used, ..payload(Mode::Member).clone() }, DecodeError::Index),
        (ResponsePayload { cluster_key: [1; 32], ..payload(Mode::Member).clone() }, DecodeError::NotZero),
    ];
    for (fault, error) in faults {
        let mut initiator = scene.start(Mode::Member);
        let mut received = scene.read(Mode::Member, &sent(&initiator)).unwrap();
        received.noise.set_psk(&scene.cluster.key.0).unwrap();
        let noise = received.noise.write(&fault.to_bytes()).unwrap();
        let response = Response { receiver: Index(10), noise, mac1: [0; 16] };
        assert_eq!(initiator.finish(&response).err(), Some(HandshakeError::Payload(error)));
        let (right, _) = scene.answer(Mode::Member, &initiator);
        assert_eq!(initiator.finish(&right).err(), Some(HandshakeError::State));
    }
}

/// Spec: AUTH-3.
#[test]
fn keys_of_small_order_end_the_handshake() {
    let mut scene = Scene::new();
    // 0 and 1 are points of small order: whatever is multiplied with them gives zero.
    for point in [[0; 32], {
        let mut one = [0; 32];
        one[0] = 1;
        one
    }] {
        let purpose = Purpose::Member(&scene.cluster);
        let started = Initiator::start(
            &scene.initiator,
            &PublicKey(point),
            purpose,
            Incarnation([0; 8]),
            Index(1),
            &mut scene.drbg,
        );
        assert_eq!(started.err(), Some(HandshakeError::ZeroDh));

        let mut initiation = sent(&scene.start(Mode::Member));
        initiation.noise[..32].copy_from_slice(&point);
        assert_eq!(scene.read(Mode::Member, &initiation).err(), Some(HandshakeError::ZeroDh));

        let mut initiator = scene.start(Mode::Member);
        let (response, theirs) = scene.answer(Mode::Member, &initiator);
        let mut forged = response;
        forged.noise[..32].copy_from_slice(&point);
        assert_eq!(initiator.finish(&forged).err(), Some(HandshakeError::ZeroDh));
        assert!(understand(initiator.finish(&response).unwrap().0, theirs));
    }
}

#[test]
fn a_cookie_goes_into_the_same_initiation() {
    let mut scene = Scene::new();
    let mut initiator = scene.start(Mode::Member);
    let mut cookies = Cookies::new(scene.responder.public_key());
    let now = start();
    let bytes = cookies.reply(now, address(), &sent(&initiator), &mut scene.drbg);
    let Ok(Datagram::CookieReply(reply)) = Datagram::parse(&bytes) else { panic!("not a cookie reply") };
    assert_eq!(scene.start(Mode::Member).open_cookie(&reply), None, "another initiation");
    assert_eq!(initiator.open_cookie(&CookieReply { receiver: Index(11), ..reply }), None);
    let cookie = initiator.open_cookie(&reply).unwrap();
    let before = sent(&initiator);
    initiator.set_cookie(cookie);
    let after = sent(&initiator);
    assert_eq!(Initiation { mac2: [0; 16], ..after }, before);
    assert!(cookies.mac2_valid(now, address(), &after));
    assert!(!cookies.mac2_valid(now, address(), &before));
    let (response, theirs) = scene.answer(Mode::Member, &initiator);
    assert!(understand(initiator.finish(&response).unwrap().0, theirs));
}

//! Handshakes: the library makes the same bytes, its sessions have the keys that are written down, and faults are discarded
//! under the names that are written down.

use std::time::{Duration, Instant};

use dddns::auth::cookie::Cookies;
use dddns::auth::drbg::Drbg;
use dddns::auth::handshake::{HandshakeError, Initiator, Prologue, Purpose, Received};
use dddns::auth::identity::Identity;
use dddns::auth::invite::Token;
use dddns::auth::keys::SessionKeys;
use dddns::auth::mac::Mac1Key;
use dddns::auth::seal::SealKey;
use dddns::auth::session::Session;
use dddns::auth::tag::TagKey;
use dddns::auth::totp::{STEP_MS, Secret, value};
use dddns::config::{Cluster, ClusterKey, Config, Peer};
use dddns::node::Node;
use dddns::node::outbox::Output;
use dddns::node::saved::{Saved, SavedInvite};
use dddns::wire::datagram::Datagram;
use dddns::wire::header::Header;
use dddns::wire::id::{ClusterId, Incarnation, Index, InviteId, NodeId, PublicKey};
use dddns::wire::initiation::{Initiation, InitiationPayload, Mode};
use dddns::wire::kind::Kind;
use dddns::wire::members_request::MembersRequest;
use dddns::wire::response::{Response, ResponsePayload, Verdict};
use serde_json::Value;

use crate::fixed::{Role, cookie_seed};
use crate::text::{Vector, hex};
use crate::{each, read};

/// One handshake of the file, made by the library from what the file says goes into it.
pub(super) struct Rebuilt {
    pub(super) initiator: Initiator,
    pub(super) initiation: Initiation,
    pub(super) response: [u8; Response::LEN],
    pub(super) responder_keys: SessionKeys,
    mode: Mode,
}

#[expect(clippy::disallowed_methods, reason = "virtual time has to begin somewhere")]
pub(super) fn start() -> Instant {
    Instant::now()
}

/// The one handshake of the file that has this name.
pub(super) fn named<T>(name: &str, use_it: impl FnOnce(Vector<'_>) -> T) -> T {
    let file: Value = serde_json::from_str(&read("handshakes")).expect("JSON");
    let vector = Vector(&file).list("vectors").find(|vector| vector.name() == name);
    use_it(vector.unwrap_or_else(|| panic!("there is no handshake {name:?}")))
}

/// The seed of a generator whose first bytes are this ephemeral key.
fn seed(role: Role, vector: Vector<'_>) -> [u8; 32] {
    assert_eq!(
        hex(Drbg::new(role.seed).array::<32>()),
        vector.text("ephemeral"),
        "the tests have no seed for this key"
    );
    role.seed
}

fn index(vector: Vector<'_>) -> Index {
    Index(u32::from_be_bytes(vector.array("index")))
}

pub(super) fn rebuild(vector: Vector<'_>) -> Rebuilt {
    let (ours, theirs) = (vector.get("initiator"), vector.get("responder"));
    let (initiator, responder) =
        (Identity::from_secret(ours.array("secret")), Identity::from_secret(theirs.array("secret")));
    assert_eq!(initiator.public_key().0, ours.array("public_key"));
    assert_eq!(responder.public_key().0, theirs.array("public_key"));
    let cluster = Cluster { id: ClusterId(vector.array("cluster_id")), key: ClusterKey(vector.array("cluster_key")) };
    let observed = vector.address("observed");
    let mode = if vector.u32("mode") == 1 { Mode::Join } else { Mode::Member };
    let token = vector.maybe("invite_id").map(|_| {
        let id = InviteId(vector.array("invite_id"));
        Token::new(id, vector.array("invite_secret"), responder.public_key(), 0, &[observed]).expect("a token")
    });
    let (purpose, prologue, psk) = match &token {
        Some(token) => {
            let name = vector.text("wanted_name").parse().expect("a name");
            (Purpose::Join { token, name }, Prologue::Join(token.id()), token.psk_hash())
        }
        None => (Purpose::Member(&cluster), Prologue::Member(&cluster.id), cluster.key.0),
    };
    assert_eq!(psk, vector.array("psk"));
    let mut drbg = Drbg::new(seed(Role::INITIATOR, ours));
    let run = Incarnation(ours.array("incarnation"));
    let started = Initiator::start(&initiator, &responder.public_key(), purpose, run, index(ours), &mut drbg);
    let started = started.expect("a handshake");
    let initiation = parse_initiation(started.datagram());
    assert!(Mac1Key::of(&responder.public_key()).verify_mac1(&initiation));
    let mut drbg = Drbg::new(seed(Role::RESPONDER, theirs));
    let received = Received::read(&responder, prologue, &initiation, &mut drbg).expect("it decrypts");
    assert_eq!(received.initiator(), initiator.public_key());
    let payload = payload_2(vector, &cluster, mode);
    assert_eq!(payload.to_bytes(), vector.array::<87>("payload_2"));
    let (response, responder_keys) = received.respond(&psk, &payload).expect("an answer");
    Rebuilt { initiator: started, initiation, response, responder_keys, mode }
}

fn payload_2(vector: Vector<'_>, cluster: &Cluster, mode: Mode) -> ResponsePayload {
    let verdict = match vector.u32("response_verdict") {
        0 => Verdict::Accepted,
        2 => Verdict::Used,
        other => panic!("no vector has the verdict {other}"),
    };
    let accepted = verdict == Verdict::Accepted;
    let told = accepted && mode == Mode::Join;
    ResponsePayload {
        sender: if accepted { index(vector.get("responder")) } else { Index::NONE },
        verdict,
        observed: vector.address("observed"),
        clock_ms: vector.u64("clock_ms"),
        incarnation: Incarnation(vector.get("responder").array("incarnation")),
        cluster_id: if told { cluster.id } else { ClusterId([0; 16]) },
        cluster_key: if told { cluster.key.0 } else { [0; 32] },
    }
}

fn parse_initiation(datagram: &[u8]) -> Initiation {
    match Datagram::parse(datagram) {
        Ok(Datagram::Initiation(initiation)) => initiation,
        other => panic!("no initiation: {other:?}"),
    }
}

#[test]
fn handshakes() {
    each("handshakes", |vector| {
        let mut made = rebuild(vector);
        assert_eq!(made.initiator.datagram(), &vector.array("initiation"));
        assert_eq!(made.response, vector.array("response"));
        let payload = InitiationPayload::from_bytes(made.mode, &vector.array("payload_1")).expect("a payload");
        assert_eq!(payload.incarnation, Incarnation(vector.get("initiator").array("incarnation")));
        assert_eq!(
            payload.name.map(|name| name.to_string()),
            vector.maybe("wanted_name").map(|name| name.as_text().into())
        );
        cookie(vector, &mut made);
        let Ok(Datagram::Response(response)) = Datagram::parse(&made.response) else { panic!("no response") };
        let public_key = PublicKey(vector.get("initiator").array("public_key"));
        assert!(Mac1Key::of(&public_key).verify_mac1(&response));
        let (keys, payload) = made.initiator.finish(&response).expect("it decrypts");
        assert_eq!(payload.to_bytes(), vector.array::<87>("payload_2"));
        if let Some(session) = vector.maybe("session") {
            let clock_ms = vector.u64("clock_ms");
            let ends = ["initiator", "responder"].map(|end| index(vector.get(end)));
            let now = start();
            let first = Session::new(keys, ends[0], ends[1], clock_ms, now);
            let second = Session::new(made.responder_keys, ends[1], ends[0], clock_ms, now);
            for (mut sender, end) in [(first, "initiator"), (second, "responder")] {
                uses_keys(&mut sender, now, session, end, clock_ms / STEP_MS);
            }
        }
    });
}

/// The session makes tags and seals with the keys that are written down for this end.
fn uses_keys(sender: &mut Session, now: Instant, session: Vector<'_>, end: &str, step: u64) {
    let mut datagram = Vec::new();
    sender.encode(now, &MembersRequest { after: NodeId([7; 16]) }, &mut datagram).expect("a counter");
    let (covered, tag) = datagram.split_at(datagram.len() - 16);
    let secret = Secret(session.array(&format!("totp_{end}")));
    assert!(TagKey::new(&value(&secret, step)).verify(covered, tag), "not the secret of the {end}");
    let (header, sealed) = covered.split_at(Header::LEN);
    let key = SealKey(session.array(&format!("seal_{end}")));
    let header = header.try_into().expect("a header");
    assert_eq!(key.open(header, 0, &mut sealed.to_vec()), Some([7; 16].as_slice()), "not the seal key of the {end}");
}

/// The responder gives this cookie, and takes it from this source only.
fn cookie(vector: Vector<'_>, made: &mut Rebuilt) {
    let told = vector.get("cookie");
    let mut drbg = Drbg::new(cookie_seed());
    assert_eq!(drbg.clone().array::<32>(), told.array::<32>("rotating_secret"));
    let responder = PublicKey(vector.get("responder").array("public_key"));
    let (now, source) = (start(), told.address("source"));
    let mut cookies = Cookies::new(responder);
    assert_eq!(cookies.reply(now, source, &made.initiation, &mut drbg), told.array("cookie_reply"));
    let Ok(Datagram::CookieReply(reply)) = Datagram::parse(&told.bytes("cookie_reply")) else { panic!("no reply") };
    assert_eq!(reply.nonce, told.array("random"));
    let cookie = made.initiator.open_cookie(&reply).expect("it opens");
    assert_eq!(cookie, told.array("cookie"));
    made.initiator.set_cookie(cookie);
    assert_eq!(made.initiator.datagram(), &told.array("initiation"));
    let proven = parse_initiation(&told.bytes("initiation"));
    assert!(cookies.mac2_valid(now, source, &proven));
    assert!(!cookies.mac2_valid(now, crate::text::address("203.0.113.8:4711"), &proven));
    assert!(!cookies.mac2_valid(now, source, &made.initiation), "without mac2");
    assert!(!cookies.mac2_valid(now + Duration::from_secs(240), source, &proven), "too late");
}

#[test]
fn handshake_faults() {
    each("handshake-faults", |vector| {
        named(vector.text("fault_of"), |base| {
            let datagram = vector.bytes("datagram");
            let verdict = match vector.text("to") {
                "responder" => {
                    assert!(responder(base, &base.bytes("initiation")).is_ok(), "the right one is discarded");
                    responder(base, &datagram).expect_err("it is taken")
                }
                "initiator" => initiator(base, &datagram),
                other => panic!("no end is the {other}"),
            };
            assert_eq!(verdict, vector.text("verdict"));
        });
    });
}

/// What a node with the responder's key thinks of a datagram. It has the cluster, the initiator for its only other member,
/// and the invite. An initiation that it takes it answers.
fn responder(base: Vector<'_>, datagram: &[u8]) -> Result<(), &'static str> {
    let mut config = Config::new("responder".parse().expect("a label"));
    config.cluster =
        Some(Cluster { id: ClusterId(base.array("cluster_id")), key: ClusterKey(base.array("cluster_key")) });
    let mut saved = Saved::default();
    if base.maybe("invite_id").is_some() {
        let (id, hash) = (InviteId(base.array("invite_id")), base.array("psk"));
        saved.invites.push(SavedInvite { id, hash, expiry: u64::MAX, used: false });
    } else {
        let public_key = PublicKey(base.get("initiator").array("public_key"));
        config.peers.push(Peer { name: "initiator".parse().expect("a label"), public_key, addresses: Vec::new() });
    }
    let (now, unix) = (start(), Duration::from_millis(base.u64("clock_ms")));
    let identity = Identity::from_secret(base.get("responder").array("secret"));
    let mut node = Node::new(config, identity, saved, [1; 32], now, unix);
    while node.poll_output().is_some() {}
    let from = base.address("observed").socket_addr();
    node.handle_datagram(now, from, &mut datagram.to_vec()).map_err(|reason| reason.as_str())?;
    let Some(Output::Transmit { to, datagram }) = node.poll_output() else { panic!("it says nothing") };
    assert_eq!((to, datagram.get(1)), (from, Some(&Kind::RESPONSE.0)));
    Ok(())
}

/// What the initiator of this handshake thinks of an answer.
fn initiator(base: Vector<'_>, datagram: &[u8]) -> &'static str {
    let mut made = rebuild(base);
    match Datagram::parse(datagram).expect("its form is right") {
        Datagram::Response(response) => {
            let own = PublicKey(base.get("initiator").array("public_key"));
            if !Mac1Key::of(&own).verify_mac1(&response) {
                return "mac1";
            }
            match made.initiator.finish(&response).expect_err("it is taken") {
                HandshakeError::Index => "unknown-index",
                HandshakeError::Decrypt | HandshakeError::ZeroDh | HandshakeError::Payload(_) => "handshake",
                HandshakeError::State => panic!("the handshake is over"),
            }
        }
        Datagram::CookieReply(reply) => {
            assert_eq!(made.initiator.open_cookie(&reply), None, "it is taken");
            if reply.receiver == made.initiator.sender() { "handshake" } else { "unknown-index" }
        }
        other @ (Datagram::Initiation(_) | Datagram::Tagged(_)) => panic!("no answer: {other:?}"),
    }
}

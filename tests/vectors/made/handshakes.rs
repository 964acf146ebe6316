//! Whole handshakes with fixed keys, and handshake datagrams that are discarded.

use std::time::Instant;

use dddns::auth::cookie::Cookies;
use dddns::auth::drbg::Drbg;
use dddns::auth::handshake::{Initiator, Prologue, Purpose, Received};
use dddns::auth::identity::Identity;
use dddns::auth::invite::Token;
use dddns::config::{Cluster, ClusterKey};
use dddns::wire::datagram::Datagram;
use dddns::wire::header::Header;
use dddns::wire::id::{ClusterId, Incarnation, Index, InviteId};
use dddns::wire::initiation::{Initiation, InitiationPayload, Mode};
use dddns::wire::kind::Kind;
use dddns::wire::response::{Response, ResponsePayload, Verdict};
use serde_json::{Value, json};

use crate::fixed::{CLUSTER_ID, CLUSTER_KEY, INVITE_ID, INVITE_SECRET, Role, ascending, cookie_seed};
use crate::noise::{Finished, Handshake, Keys, encrypt, hmac_sha256, mac1, public_key, sha256};
use crate::text::{address, hex};

pub(super) const MEMBERS: &str = "between members";
const JOINING: &str = "joining by invite";
const USED: &str = "joining by an invite that was used";
pub(super) const CLOCK_MS: u64 = 1_793_000_012_345;

/// A handshake that the library made.
pub(super) struct Made {
    name: &'static str,
    mode: Mode,
    verdict: Verdict,
    observed: &'static str,
    keys_of_noise: Handshake,
    payload_1: Vec<u8>,
    payload_2: Vec<u8>,
    pub(super) initiation: [u8; Initiation::LEN],
    pub(super) response: [u8; Response::LEN],
    cookie: Value,
    pub(super) cookie_reply: Vec<u8>,
    pub(super) keys: Keys,
    finished: Finished,
}

pub(super) fn all() -> [Made; 3] {
    [
        made(MEMBERS, Mode::Member, Verdict::Accepted, "203.0.113.7:4711"),
        made(JOINING, Mode::Join, Verdict::Accepted, "[2001:db8::7]:4711"),
        made(USED, Mode::Join, Verdict::Used, "203.0.113.7:4711"),
    ]
}

pub(super) fn vectors() -> Vec<Value> {
    all().iter().map(vector).collect()
}

fn made(name: &'static str, mode: Mode, verdict: Verdict, observed: &'static str) -> Made {
    let (initiator, responder) = (Role::INITIATOR, Role::RESPONDER);
    let (ours, theirs) = (Identity::from_secret(initiator.secret), Identity::from_secret(responder.secret));
    let cluster = Cluster { id: ClusterId(CLUSTER_ID), key: ClusterKey(CLUSTER_KEY) };
    let token =
        Token::new(InviteId(INVITE_ID), INVITE_SECRET, theirs.public_key(), 0, &[address(observed)]).expect("one");
    let wanted = "pi-4".parse().expect("a label");
    let (purpose, prologue, psk) = match mode {
        Mode::Member => (Purpose::Member(&cluster), Prologue::Member(&cluster.id), cluster.key.0),
        Mode::Join => (Purpose::Join { token: &token, name: wanted }, Prologue::Join(token.id()), token.psk_hash()),
    };
    let run = Incarnation(initiator.incarnation);
    let mut started =
        Initiator::start(&ours, &theirs.public_key(), purpose, run, initiator.index(), &mut Drbg::new(initiator.seed))
            .expect("a handshake");
    let first = *started.datagram();
    let Ok(Datagram::Initiation(parsed)) = Datagram::parse(&first) else { panic!("an initiation") };
    let received = Received::read(&theirs, prologue, &parsed, &mut Drbg::new(responder.seed)).expect("it decrypts");
    let accepted = verdict == Verdict::Accepted;
    let told = mode == Mode::Join && accepted;
    let payload_2 = ResponsePayload {
        sender: if accepted { responder.index() } else { Index::NONE },
        verdict,
        observed: address(observed),
        clock_ms: CLOCK_MS,
        incarnation: Incarnation(responder.incarnation),
        cluster_id: if told { cluster.id } else { ClusterId([0; 16]) },
        cluster_key: if told { cluster.key.0 } else { [0; 32] },
    };
    let (response, _) = received.respond(&psk, &payload_2).expect("an answer");
    let name_1 = (mode == Mode::Join).then_some(wanted);
    let payload_1 = InitiationPayload { incarnation: run, name: name_1 }.to_bytes().to_vec();
    let payload_2 = payload_2.to_bytes().to_vec();
    let label: &[u8] = if mode == Mode::Join { b"dddns/1 join" } else { b"dddns/1 member" };
    let bound: &[u8] = if mode == Mode::Join { &INVITE_ID } else { &CLUSTER_ID };
    let keys_of_noise = Handshake {
        initiator: initiator.secret,
        responder: responder.secret,
        initiator_ephemeral: initiator.ephemeral(),
        responder_ephemeral: responder.ephemeral(),
        prologue: [label, bound, &first[..Initiation::BEFORE_NOISE]].concat(),
        psk,
    };
    let finished = keys_of_noise.run(&payload_1, &payload_2);
    let keys = Keys::derive(&finished.hash, &finished.k1, &finished.k2);
    let (cookie, cookie_reply) = cookie(&mut started, &theirs, observed);
    Made {
        name,
        mode,
        verdict,
        observed,
        keys_of_noise,
        payload_1,
        payload_2,
        initiation: first,
        response,
        cookie,
        cookie_reply,
        keys,
        finished,
    }
}

/// The cookie that the responder would give, and the initiation that carries its proof.
fn cookie(started: &mut Initiator, responder: &Identity, source: &str) -> (Value, Vec<u8>) {
    let mut drbg = Drbg::new(cookie_seed());
    let mut preview = drbg.clone();
    let (secret, random) = (preview.array::<32>(), preview.array::<16>());
    let source_bytes = address(source).to_bytes();
    let Ok(Datagram::Initiation(parsed)) = Datagram::parse(started.datagram()) else { panic!("an initiation") };
    let reply = Cookies::new(responder.public_key()).reply(start(), address(source), &parsed, &mut drbg);
    let Ok(Datagram::CookieReply(parsed)) = Datagram::parse(&reply) else { panic!("a cookie reply") };
    started.set_cookie(started.open_cookie(&parsed).expect("it opens"));
    let vector = json!({
        "rotating_secret": hex(secret),
        "source": source,
        "cookie": hex(&hmac_sha256(&secret, &source_bytes)[..16]),
        "random": hex(random),
        "cookie_reply": hex(reply),
        "initiation": hex(started.datagram()),
    });
    (vector, reply.to_vec())
}

#[expect(clippy::disallowed_methods, reason = "virtual time has to begin somewhere")]
fn start() -> Instant {
    Instant::now()
}

fn vector(made: &Made) -> Value {
    let mode = u8::from(made.mode == Mode::Join);
    let role = |role: Role| {
        json!({
            "secret": hex(role.secret),
            "public_key": hex(public_key(&role.secret)),
            "ephemeral": hex(role.ephemeral()),
            "index": hex(role.index().0.to_be_bytes()),
            "incarnation": hex(role.incarnation),
        })
    };
    let (finished, keys) = (&made.finished, &made.keys);
    let refused = made.verdict != Verdict::Accepted;
    json!({
        "name": made.name,
        "mode": mode,
        "initiator": role(Role::INITIATOR),
        "responder": role(Role::RESPONDER),
        "cluster_id": hex(CLUSTER_ID),
        "cluster_key": hex(CLUSTER_KEY),
        "invite_id": (mode == 1).then(|| hex(INVITE_ID)),
        "invite_secret": (mode == 1).then(|| hex(INVITE_SECRET)),
        "wanted_name": (mode == 1).then_some("pi-4"),
        "observed": made.observed,
        "clock_ms": CLOCK_MS.to_string(),
        "response_verdict": if refused { 2 } else { 0 },
        "prologue": hex(&made.keys_of_noise.prologue),
        "psk": hex(made.keys_of_noise.psk),
        "payload_1": hex(&made.payload_1),
        "initiation": hex(made.initiation),
        "payload_2": hex(&made.payload_2),
        "response": hex(made.response),
        "handshake_hash": hex(finished.hash),
        "k1": hex(finished.k1),
        "k2": hex(finished.k2),
        "session": (!refused).then(|| json!({
            "prk": hex(keys.prk),
            "totp_initiator": hex(keys.initiator.totp),
            "totp_responder": hex(keys.responder.totp),
            "seal_initiator": hex(keys.initiator.seal),
            "seal_responder": hex(keys.responder.seal),
        })),
        "cookie": made.cookie,
    })
}

/// Datagrams of these handshakes, each with one fault.
pub(super) fn faults() -> Vec<Value> {
    let [members, joining, _] = all();
    let mut faults =
        [faulty_initiations(&members), faulty_joins(&joining), faulty_responses(&members), faulty_cookies(&members)]
            .concat();
    faults.push(without_session(&members));
    faults
}

fn faulty(of: &Made, to: &str, name: &str, datagram: &[u8], verdict: &str) -> Value {
    json!({"name": name, "fault_of": of.name, "to": to, "datagram": hex(datagram), "verdict": verdict})
}

/// The initiation with this header and Noise message, and a right mac1.
fn initiation(header: &[u8], message: &[u8]) -> Vec<u8> {
    let mut datagram = [header, message].concat();
    let mac = mac1(&public_key(&Role::RESPONDER.secret), &datagram);
    datagram.extend(mac);
    datagram.extend([0; 16]);
    datagram
}

fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes
}

fn faulty_initiations(of: &Made) -> Vec<Value> {
    let (header, rest) = of.initiation.split_at(16);
    let message = &rest[..168];
    let case = |name: &str, datagram: &[u8], verdict: &str| {
        faulty(of, "responder", &format!("an Initiation {name}"), datagram, verdict)
    };
    let by = |change: &dyn Fn(&mut Handshake)| {
        let mut keys = of.keys_of_noise.clone();
        change(&mut keys);
        initiation(header, &keys.run(&of.payload_1, &of.payload_2).message_1)
    };
    let mut named = of.payload_1.clone();
    named[8..13].copy_from_slice(b"\x04pi-4");
    let named = of.keys_of_noise.run(&named, &of.payload_2).message_1;
    let other_cluster = by(&|keys| keys.prologue[14] ^= 1);
    let mut foreign_mac = of.initiation;
    foreign_mac[184..200].copy_from_slice(&mac1(&public_key(&Role::INITIATOR.secret), &of.initiation[..184]));
    vec![
        case("with a changed mac1", &flipped(&of.initiation, 184), "mac1"),
        case("with a mac1 for another receiver", &foreign_mac, "mac1"),
        case("with another index than it was made with", &initiation(&flipped(header, 7), message), "handshake"),
        case("with a changed ephemeral key", &initiation(header, &flipped(message, 0)), "handshake"),
        case("with a changed static key", &initiation(header, &flipped(message, 32)), "handshake"),
        case("with a changed payload", &initiation(header, &flipped(message, 80)), "handshake"),
        case("for another cluster", &other_cluster, "handshake"),
        case(
            "with an ephemeral key of zeros",
            &initiation(header, &of.keys_of_noise.message_1_without_key(&of.payload_1)),
            "handshake",
        ),
        case("with a name in its payload", &initiation(header, &named), "handshake"),
        case("of somebody who is no member", &by(&|keys| keys.initiator = ascending(0x18)), "not-a-member"),
        case("of somebody with the responder's own key", &by(&|keys| keys.initiator = keys.responder), "not-a-member"),
    ]
}

fn faulty_joins(of: &Made) -> Vec<Value> {
    let header = &of.initiation[..16];
    let case = |name: &str, datagram: &[u8], verdict: &str| {
        faulty(of, "responder", &format!("a joiner's Initiation {name}"), datagram, verdict)
    };
    let other = flipped(header, 15);
    let mut keys = of.keys_of_noise.clone();
    keys.prologue = [b"dddns/1 join", &other[8..16], &other].concat();
    let unknown = keys.run(&of.payload_1, &of.payload_2).message_1;
    let mut capital = of.payload_1.clone();
    capital[9] = b'P';
    let capital = of.keys_of_noise.run(&capital, &of.payload_2).message_1;
    vec![
        case("with an invite that nobody made", &initiation(&other, &unknown), "unknown-invite"),
        case("with a name that is no label", &initiation(header, &capital), "handshake"),
        case("with a changed payload", &initiation(header, &flipped(&of.initiation[16..184], 80)), "handshake"),
    ]
}

/// The response with this header and Noise message, and a right mac1.
fn response(header: &[u8], message: &[u8]) -> Vec<u8> {
    let mut datagram = [header, message].concat();
    let mac = mac1(&public_key(&Role::INITIATOR.secret), &datagram);
    datagram.extend(mac);
    datagram
}

fn faulty_responses(of: &Made) -> Vec<Value> {
    let (header, rest) = of.response.split_at(8);
    let message = &rest[..135];
    let case = |name: &str, datagram: &[u8], verdict: &str| {
        faulty(of, "initiator", &format!("a Response {name}"), datagram, verdict)
    };
    let saying = |at: usize, new: &[u8]| {
        let mut payload = of.payload_2.clone();
        payload[at..at + new.len()].copy_from_slice(new);
        response(header, &of.keys_of_noise.run(&of.payload_1, &payload).message_2)
    };
    let mut other_key = of.keys_of_noise.clone();
    other_key.psk[0] ^= 1;
    let other_key = other_key.run(&of.payload_1, &of.payload_2).message_2;
    let without_key = of.keys_of_noise.message_2_without_key(&of.payload_1, &of.payload_2);
    vec![
        case("with a changed mac1", &flipped(&of.response, 143), "mac1"),
        case("with an index of no attempt", &response(&flipped(header, 7), message), "unknown-index"),
        case("with a changed ephemeral key", &response(header, &flipped(message, 0)), "handshake"),
        case("with a changed payload", &response(header, &flipped(message, 32)), "handshake"),
        case("with another cluster key", &response(header, &other_key), "handshake"),
        case("with an ephemeral key of zeros", &response(header, &without_key), "handshake"),
        case("that accepts without an index", &saying(0, &[0; 4]), "handshake"),
        case("with verdict 5", &saying(4, &[5]), "handshake"),
        case("without an address", &saying(5, &[0; 18]), "handshake"),
        case("that tells a member the cluster key", &saying(55, &CLUSTER_KEY), "handshake"),
    ]
}

fn faulty_cookies(of: &Made) -> Vec<Value> {
    let reply = &of.cookie_reply;
    let case = |name: &str, datagram: &[u8], verdict: &str| {
        faulty(of, "initiator", &format!("a CookieReply {name}"), datagram, verdict)
    };
    let key = |mac: &[u8]| {
        let label = sha256(&[b"dddns/1 cookie", &public_key(&Role::RESPONDER.secret)]);
        hmac_sha256(&label, &[&reply[8..24], mac].concat())
    };
    let other = encrypt(&key(&[0; 16]), [0; 12], &[], &ascending::<16>(1));
    vec![
        case("with an index of no attempt", &flipped(reply, 7), "unknown-index"),
        case("with changed random bytes", &flipped(reply, 8), "handshake"),
        case("with a changed cookie", &flipped(reply, 24), "handshake"),
        case("to another Initiation", &[&reply[..24], &other].concat(), "handshake"),
    ]
}

/// What the initiator would say next, had the responder answered.
fn without_session(of: &Made) -> Value {
    let t = CLOCK_MS / 30_000;
    let step = t.to_le_bytes()[0];
    let header = Header { kind: Kind::LEAVE, step, receiver: Role::RESPONDER.index(), counter: 0 };
    let datagram = of.keys.initiator.datagram(&header.to_bytes(), &[], false, t);
    faulty(of, "responder", "a Leave with an index of no session", &datagram, "unknown-index")
}

//! Two handshakes with fixed keys, and what is said after them, as `recorded.json` has them: the program still makes the
//! same bytes, and an independent implementation, `verify.py`, makes them too.

#![expect(clippy::disallowed_methods, reason = "virtual time has to begin somewhere")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use dddns::auth::cookie::Cookies;
use dddns::auth::drbg::Drbg;
use dddns::auth::handshake::{Initiator, Prologue, Purpose, Received};
use dddns::auth::identity::Identity;
use dddns::auth::invite::Token;
use dddns::auth::session::Session;
use dddns::config::{Cluster, ClusterKey};
use dddns::wire::address::Address;
use dddns::wire::body::Body;
use dddns::wire::datagram::Datagram;
use dddns::wire::header::Header;
use dddns::wire::heartbeat::{Heartbeat, HeartbeatAck};
use dddns::wire::id::{ClusterId, Digest, Incarnation, Index, InviteId, NodeId};
use dddns::wire::initiation::{Initiation, Mode};
use dddns::wire::members_request::MembersRequest;
use dddns::wire::response::{Response, ResponsePayload, Verdict};
use serde_json::{Value, json};

/// Set to write `recorded.json` anew, for a change of the wire format that is meant.
const RECORD: &str = "DDDNS_RECORD";

const INITIATOR_INDEX: Index = Index(0x0A0B_0C0D);
const RESPONDER_INDEX: Index = Index(0x1A1B_1C1D);
const INITIATOR_RUN: Incarnation = Incarnation([0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0xC5, 0xC6, 0xC7]);
const RESPONDER_RUN: Incarnation = Incarnation([0xD0, 0xD1, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7]);
const CLOCK_MS: u64 = 1_793_000_012_345;

#[test]
fn the_program_makes_what_was_recorded() {
    let made = Value::Array(vec![record(Mode::Member), record(Mode::Join)]);
    let path = file("recorded.json");
    if std::env::var_os(RECORD).is_some() {
        let text = serde_json::to_string_pretty(&made).expect("JSON");
        std::fs::write(&path, text + "\n").expect("recorded.json can be written");
    }
    let text = std::fs::read_to_string(&path).expect("recorded.json");
    let recorded: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(made, recorded, "the wire format changed; if that is meant, run this test with {RECORD}=1");
}

#[test]
fn an_independent_implementation_makes_it_too() {
    let required = std::env::var_os("DDDNS_REQUIRE_TOOLS").is_some();
    let Some(python) = std::env::var_os("DDDNS_PYTHON") else {
        assert!(!required, "DDDNS_PYTHON does not name a Python that has tests/noise/requirements.txt");
        eprintln!("skipped: DDDNS_PYTHON does not name a Python that has tests/noise/requirements.txt");
        return;
    };
    let output = Command::new(python).arg(file("verify.py")).arg(file("recorded.json")).output().expect("Python");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("2 handshakes"), "{said}");
}

fn file(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/noise").join(name)
}

/// Everything that goes into one handshake, and everything that comes out.
fn record(mode: Mode) -> Value {
    let initiator = Identity::from_secret(bytes(0x10));
    let responder = Identity::from_secret(bytes(0x20));
    let cluster = Cluster { id: ClusterId(bytes(0x30)), key: ClusterKey(bytes(0x40)) };
    let observed = Address::new([203, 0, 113, 7].into(), 4711).expect("an address");
    let token = Token::new(InviteId(bytes(0x50)), bytes(0x60), responder.public_key(), 1_793_086_400, &[observed])
        .expect("one");
    let name = "pi-4".parse().expect("a name");
    let (purpose, prologue, psk) = match mode {
        Mode::Member => (Purpose::Member(&cluster), Prologue::Member(&cluster.id), cluster.key.0),
        Mode::Join => (Purpose::Join { token: &token, name }, Prologue::Join(token.id()), token.psk_hash()),
    };
    let mut initiators = Drbg::new(bytes(0x70));
    let mut responders = Drbg::new(bytes(0x80));
    let (initiator_ephemeral, responder_ephemeral) = (initiators.clone().array(), responders.clone().array());
    let mut started =
        Initiator::start(&initiator, &responder.public_key(), purpose, INITIATOR_RUN, INITIATOR_INDEX, &mut initiators)
            .expect("a handshake");
    let received = Received::read(&responder, prologue, &initiation(started.datagram()), &mut responders).expect("it");
    let told = mode == Mode::Join;
    let payload = ResponsePayload {
        sender: RESPONDER_INDEX,
        verdict: Verdict::Accepted,
        observed,
        clock_ms: CLOCK_MS,
        incarnation: RESPONDER_RUN,
        cluster_id: if told { cluster.id } else { ClusterId([0; 16]) },
        cluster_key: if told { cluster.key.0 } else { [0; 32] },
    };
    let (response, theirs) = received.respond(&psk, &payload).expect("an answer");
    let (ours, _) = started.finish(&parse_response(&response)).expect("the end");
    let now = Instant::now();
    let mut a = Session::new(ours, INITIATOR_INDEX, RESPONDER_INDEX, CLOCK_MS, now);
    let mut b = Session::new(theirs, RESPONDER_INDEX, INITIATOR_INDEX, CLOCK_MS, now);
    json!({
        "join": told,
        "initiator_secret": hex(initiator.secret()),
        "responder_secret": hex(responder.secret()),
        "initiator_ephemeral": hex::<32>(&initiator_ephemeral),
        "responder_ephemeral": hex::<32>(&responder_ephemeral),
        "initiator_id": hex(&initiator.node_id().0),
        "cluster_id": hex(&cluster.id.0),
        "cluster_key": hex(&cluster.key.0),
        "invite_id": hex(&token.id().0),
        "invite_secret": hex(token.secret()),
        "token": token.to_string(),
        "expiry": token.expiry(),
        "name": name.as_str(),
        "initiator_index": INITIATOR_INDEX.0,
        "responder_index": RESPONDER_INDEX.0,
        "initiator_incarnation": hex(&INITIATOR_RUN.0),
        "responder_incarnation": hex(&RESPONDER_RUN.0),
        "observed": hex(&observed.to_bytes()),
        "clock_ms": CLOCK_MS,
        "initiation": hex(started.datagram()),
        "response": hex(&response),
        "cookie": cookie(&responder, &mut started, observed),
        "said": said(&mut a, &mut b, now, observed),
    })
}

/// What both ends say, and when: each in clear and sealed, in the first step and a later one.
fn said(a: &mut Session, b: &mut Session, now: Instant, observed: Address) -> Vec<Value> {
    let later = Duration::from_secs(95);
    let digest = Digest(bytes(0x90));
    let heartbeat = Heartbeat { seen: 0, digest, reflection: Some(observed) };
    let unknowing = Heartbeat { seen: 3, digest, reflection: None };
    let ack = HeartbeatAck { acked: 1, digest, reflection: observed };
    let request = MembersRequest { after: NodeId(bytes(0xA0)) };
    vec![
        say(a, b, now, Duration::ZERO, &heartbeat, true),
        say(b, a, now, Duration::ZERO, &ack, false),
        say(a, b, now, Duration::ZERO, &request, true),
        say(b, a, now, later, &request, false),
        say(b, a, now, later, &unknowing, false),
    ]
}

fn say<B: Body>(
    from: &mut Session,
    to: &mut Session,
    start: Instant,
    after: Duration,
    body: &B,
    initiator: bool,
) -> Value {
    let mut datagram = Vec::new();
    let counter = from.encode(start + after, body, &mut datagram).expect("a counter");
    let wire = hex_of(&datagram);
    let Ok(Datagram::Tagged(header)) = Datagram::parse(&datagram) else { panic!("not a tagged datagram") };
    let opened = to.open(start + after, &header, &mut datagram).expect("it opens");
    let plain = unmasked(&header, opened.body);
    let after_ms = u64::try_from(after.as_millis()).expect("a short time");
    json!({
        "from_initiator": initiator,
        "after_ms": after_ms,
        "kind": header.kind.0,
        "sealed": B::SEALED,
        "counter": counter,
        "body": plain,
        "datagram": wire,
    })
}

/// The body with its address in clear, for the other side to mask.
fn unmasked(header: &Header, body: &[u8]) -> String {
    let (numbers, _) = body.split_at(body.len().min(16));
    if let (Heartbeat::KIND, Ok(heartbeat)) = (header.kind, Heartbeat::decode(header, body)) {
        hex_of(numbers) + &hex_of(&heartbeat.reflection.map_or([0; 18], Address::to_bytes))
    } else if let (HeartbeatAck::KIND, Ok(ack)) = (header.kind, HeartbeatAck::decode(header, body)) {
        hex_of(numbers) + &hex_of(&ack.reflection.to_bytes())
    } else {
        hex_of(body)
    }
}

/// The cookie that the responder gives, and the initiation that carries its proof.
fn cookie(responder: &Identity, started: &mut Initiator, from: Address) -> Value {
    let drbg = Drbg::new(bytes(0xB0));
    let mut preview = drbg.clone();
    let (secret, nonce) = (preview.array::<32>(), preview.array::<16>());
    let mut cookies = Cookies::new(responder.public_key());
    let reply = cookies.reply(Instant::now(), from, &initiation(started.datagram()), &mut drbg.clone());
    let Ok(Datagram::CookieReply(parsed)) = Datagram::parse(&reply) else { panic!("not a cookie reply") };
    started.set_cookie(started.open_cookie(&parsed).expect("it opens"));
    json!({
        "secret": hex(&secret),
        "nonce": hex(&nonce),
        "reply": hex(&reply),
        "initiation": hex(started.datagram()),
    })
}

fn initiation(bytes: &[u8]) -> Initiation {
    match Datagram::parse(bytes) {
        Ok(Datagram::Initiation(initiation)) => initiation,
        other => panic!("{other:?}"),
    }
}

fn parse_response(bytes: &[u8]) -> Response {
    match Datagram::parse(bytes) {
        Ok(Datagram::Response(response)) => response,
        other => panic!("{other:?}"),
    }
}

/// `first`, `first + 1`, and so on: bytes that differ, so that none can stand in another's place unnoticed.
fn bytes<const N: usize>(first: u8) -> [u8; N] {
    let mut next = first;
    [(); N].map(|()| {
        let byte = next;
        next = next.wrapping_add(1);
        byte
    })
}

fn hex<const N: usize>(bytes: &[u8; N]) -> String {
    hex_of(bytes)
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

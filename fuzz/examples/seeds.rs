//! Writes the seeds: real encodings, so that a fuzzer begins where the interesting inputs are.

use std::fs;
use std::io;
use std::path::Path;

use dddns::auth::invite::Token;
use dddns::wire::address::Address;
use dddns::wire::body::{Body, MAX_BODY};
use dddns::wire::conflict::Conflict;
use dddns::wire::datagram::SEAL_LEN;
use dddns::wire::header::{Header, TAG_LEN};
use dddns::wire::heartbeat::{Heartbeat, HeartbeatAck};
use dddns::wire::id::{Digest, Index, InviteId, NodeId, PublicKey};
use dddns::wire::leave::Leave;
use dddns::wire::list::List;
use dddns::wire::locate::Locate;
use dddns::wire::located::{Located, LocatedEntry, Source};
use dddns::wire::members::Members;
use dddns::wire::members_request::MembersRequest;
use dddns::wire::path::{PathChallenge, PathResponse};
use dddns::wire::record::{MemberRecord, MemberState};
use dddns::wire::rendezvous::Rendezvous;

fn main() -> io::Result<()> {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    let address = Address::try_from(std::net::SocketAddr::from(([198, 51, 100, 23], 7733))).expect("it has a port");
    let ids = [NodeId([1; 16]), NodeId([2; 16])];
    let mut records = [record(1), record(2)];
    records.sort_by_key(MemberRecord::id);
    let entry = LocatedEntry { id: NodeId([3; 16]), source: Source::Up, age_s: 4, address };
    let bodies = [
        tagged(&Heartbeat { seen: 7, digest: Digest([5; 8]), reflection: Some(address) }),
        tagged(&Heartbeat { seen: 0, digest: Digest([0; 8]), reflection: None }),
        tagged(&HeartbeatAck { acked: 7, digest: Digest([5; 8]), reflection: address }),
        tagged(&PathChallenge([6; 8])),
        tagged(&PathResponse([6; 8])),
        tagged(&Leave),
        tagged(&Conflict),
        tagged(&Locate { ids: list(&ids) }),
        tagged(&Located { entries: list(&[entry, entry]) }),
        tagged(&Rendezvous { seeker: NodeId([3; 16]), addresses: list(&[address]) }),
        tagged(&MembersRequest { after: NodeId::NONE }),
        tagged(&Members { more: true, records: list(&records) }),
    ];
    for (kind, bytes) in bodies {
        write(&seeds.join("decode"), &kind, &bytes)?;
    }
    let mut initiation = vec![0xD1, 0x01, 1, 0, 0, 0, 0, 9];
    initiation.resize(216, 0x33);
    write(&seeds.join("decode"), "initiation", &initiation)?;
    let mut response = vec![0xD1, 0x02, 0, 0, 0, 0, 0, 9];
    response.resize(159, 0x33);
    write(&seeds.join("decode"), "response", &response)?;
    let mut cookie = vec![0xD1, 0x03, 0, 0, 0, 0, 0, 9];
    cookie.resize(56, 0x33);
    write(&seeds.join("decode"), "cookie-reply", &cookie)?;

    let token = Token::new(InviteId([1; 8]), [2; 32], PublicKey([3; 32]), 1_800_000_000, &[address]);
    let token = token.expect("a token with all it needs").to_string();
    // The first bytes choose among the target's inputs: text.
    let mut text = vec![0; 4];
    text.extend(token.as_bytes());
    write(&seeds.join("invite"), "token", &text)?;

    for number in 1..=6 {
        write(&seeds.join("node"), &format!("operations-{number}"), &operations(number))?;
    }
    Ok(())
}

/// Bytes that stand for a long list of operations: an odd byte, where the list may end, says that it goes on.
fn operations(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::new();
    while bytes.len() < 640 {
        // Knuth's multiplier; the high bits are the good ones.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let [high, ..] = state.to_be_bytes();
        bytes.push(high | 1);
    }
    bytes
}

/// A datagram with this body, and with bytes of the right number where encryption and tag would be.
fn tagged<B: Body>(body: &B) -> (String, Vec<u8>) {
    let header = Header { kind: B::KIND, step: 3, receiver: Index(0x0102_0304), counter: 9 };
    let mut plain = [0; MAX_BODY];
    let length = body.encode(&header, &mut plain);
    let mut datagram = header.to_bytes().to_vec();
    datagram.extend(plain.get(..length).expect("no body is longer than the longest"));
    let rest = TAG_LEN + if B::SEALED { SEAL_LEN } else { 0 };
    datagram.resize(datagram.len() + rest, 0x55);
    (format!("{}-{}", B::KIND, datagram.len()), datagram)
}

fn list<T: dddns::wire::list::Slot, const N: usize>(values: &[T]) -> List<T, N> {
    List::try_from(values).expect("few enough")
}

fn record(number: u8) -> MemberRecord {
    MemberRecord {
        public_key: PublicKey([number; 32]),
        admitted_by: NodeId::NONE,
        admission: 1,
        state: MemberState::Member,
        revision: 0,
        name: format!("node-{number}").parse().expect("a label"),
    }
}

fn write(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    fs::write(directory.join(name), bytes)
}

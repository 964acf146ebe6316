//! The state file: what is read is written as a file that reads the same, a torn one is refused, and a node starts from
//! whatever is read.

#![no_main]

use std::net::{IpAddr, Ipv6Addr};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use dddns::auth::identity::Identity;
use dddns::cli::rewrite;
use dddns::config::{Cluster, ClusterKey, Config};
use dddns::node::Node;
use dddns::node::saved::Saved;
use dddns::wire::address::Address;
use dddns::wire::id::{ClusterId, to_base32};
use dddns_fuzz::input::Input;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

/// Time begins here, in every run.
#[expect(clippy::disallowed_methods, reason = "virtual time has to begin somewhere")]
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// More steps than a node needs that is alone for a minute.
const STEPS_MAX: u32 = 100_000;

fuzz_target!(|input: Input<'_, Parts>| match input {
    Input::Text(text) => drop(read(text, 0)),
    Input::Parts(parts) => made(&parts),
});

#[derive(Arbitrary, Debug)]
struct Parts {
    members: Vec<Member>,
    addresses: Vec<(u8, [u8; 16], u16, u64)>,
    own: Vec<([u8; 16], u16)>,
    invites: Vec<([u8; 8], u8, u64, bool)>,
    joined_with: Option<[u8; 8]>,
    torn: u16,
}

#[derive(Arbitrary, Debug)]
struct Member {
    key: u8,
    by: u8,
    admission: u32,
    removed: bool,
    revision: u32,
    name: u8,
}

/// A file that is read is written as one that reads the same, and a node starts from it.
fn read(text: &str, torn: u16) -> Option<Saved> {
    let (saved, written) = match rewrite::state_file(text) {
        Ok(read) => read,
        Err(message) => {
            assert!(!message.is_empty());
            return None;
        }
    };
    let again = rewrite::state_file(&written);
    assert_eq!(again.as_ref(), Ok(&(saved.clone(), written.clone())), "what is written reads otherwise");
    let end = usize::from(torn) % written.trim_end().len();
    assert!(written.is_char_boundary(end) && rewrite::state_file(&written[..end]).is_err(), "a torn file is read");
    live(&saved);
    Some(saved)
}

/// A node that starts with this is within its bounds, keeps the laws of driving, and stores what it started with.
fn live(saved: &Saved) {
    let mut config = Config::new("pi".parse().expect("a label"));
    config.cluster = Some(Cluster { id: ClusterId([7; 16]), key: ClusterKey([9; 32]) });
    let (start, unix) = (*START, Duration::from_secs(1_800_000_000));
    let mut node = Node::new(config, Identity::from_secret([1; 32]), saved.clone(), [3; 32], start, unix);
    let end = start + Duration::from_secs(60);
    let mut now = start;
    for step in 0.. {
        while node.poll_output().is_some() {}
        let Some(next) = node.poll_timeout().filter(|next| *next <= end) else { break };
        assert!(next > now || now == start, "a busy loop");
        assert!(step < STEPS_MAX, "a busy loop");
        now = now.max(next);
        node.handle_timeout(now);
    }
    let kept = node.saved();
    assert!(kept.members.len() <= 2 * 1024 && kept.invites.len() <= 64);
    let known = |id| kept.members.iter().filter(|record| record.id() == id).count();
    assert!(kept.members.iter().all(|record| known(record.id()) == 1), "a member is there twice");
    assert!(saved.members.len() > 1024 || saved.members.iter().all(|record| known(record.id()) == 1));
}

/// A file is read exactly if each of its parts is valid.
fn made(parts: &Parts) {
    let address = |ip: &[u8; 16], port: u16| (Ipv6Addr::from(*ip), port);
    let good = |ip: &[u8; 16], port: u16| Address::new(IpAddr::V6(Ipv6Addr::from(*ip)), port).is_some();
    let members = parts.members.iter().take(32).map(|member| {
        let Member { key, by, admission, removed, revision, name } = member;
        let (key, by) = (to_base32(&[*key; 32]), to_base32(&[*by; 16]));
        let state = if *removed { "removed" } else { "member" };
        let name = char::from(b'a' + name % 26);
        format!(
            "{{\"public_key\":\"{key}\",\"admitted_by\":\"{by}\",\"admission\":{admission},\"state\":\"{state}\",\
             \"revision\":{revision},\"name\":\"{name}\"}}"
        )
    });
    let addresses = parts.addresses.iter().take(64).map(|(id, ip, port, seen)| {
        let (ip, port) = address(ip, *port);
        format!("{{\"id\":\"{}\",\"address\":\"[{ip}]:{port}\",\"seen\":{seen}}}", to_base32(&[*id; 16]))
    });
    let own = parts.own.iter().take(16).map(|(ip, port)| {
        let (ip, port) = address(ip, *port);
        format!("\"[{ip}]:{port}\"")
    });
    let invites = parts.invites.iter().take(80).map(|(id, hash, expiry, used)| {
        let (id, hash) = (to_base32(id), to_base32(&[*hash; 32]));
        format!("{{\"id\":\"{id}\",\"hash\":\"{hash}\",\"expiry\":{expiry},\"used\":{used}}}")
    });
    let joined_with = parts.joined_with.map_or("null".to_owned(), |id| format!("\"{}\"", to_base32(&id)));
    let text = format!(
        "{{\"schema\":\"dddns.state/1\",\"members\":[{}],\"addresses\":[{}],\"own\":[{}],\"invites\":[{}],\
         \"joined_with\":{joined_with}}}",
        members.collect::<Vec<_>>().join(","),
        addresses.collect::<Vec<_>>().join(","),
        own.collect::<Vec<_>>().join(","),
        invites.collect::<Vec<_>>().join(","),
    );
    let valid = parts.addresses.iter().take(64).all(|(_, ip, port, _)| good(ip, *port))
        && parts.own.iter().take(16).all(|(ip, port)| good(ip, *port));
    let saved = read(&text, parts.torn);
    assert_eq!(saved.is_some(), valid, "{text}");
    if let Some(saved) = saved {
        assert_eq!(saved.members.len(), parts.members.len().min(32));
    }
}

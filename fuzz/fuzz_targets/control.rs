//! The control socket's requests: what is read is written back as one line that reads the same, and nothing is too odd.

#![no_main]

use dddns::cli::rewrite;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: Input<'_>| match input {
    Input::Line(line) => drop(read(line)),
    Input::Parts(parts) => made(&parts),
});

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    /// Any line.
    Line(&'a [u8]),
    /// What is a request but for some parts of it.
    Parts(Parts<'a>),
}

#[derive(Arbitrary, Debug)]
struct Parts<'a> {
    schema: Option<&'a str>,
    command: Command<'a>,
    ttl_ms: Option<u64>,
    addresses: Option<Vec<&'a str>>,
    id: Option<&'a str>,
    other: Option<&'a str>,
    reversed: bool,
}

#[derive(Arbitrary, Debug)]
enum Command<'a> {
    Status,
    Events,
    Invite,
    Find,
    Forget,
    Leave,
    Other(&'a str),
}

/// A request that is read is written as a line that reads the same.
fn read(line: &[u8]) -> Option<String> {
    let written = match rewrite::control_request(line) {
        Ok(written) => written,
        Err(message) => {
            assert!(!message.is_empty() && !message.contains('\n'), "{message:?}");
            return None;
        }
    };
    let (text, end) = written.split_at(written.len() - 1);
    assert!(end == "\n" && !text.contains('\n'), "a request is one line: {written:?}");
    assert_eq!(rewrite::control_request(written.as_bytes()).as_deref(), Ok(written.as_str()));
    assert_eq!(rewrite::control_request(format!(" {text} ").as_bytes()).as_deref(), Ok(written.as_str()));
    // Torn anywhere, it is no request.
    let half = text.len() / 2;
    assert!(rewrite::control_request(&text.as_bytes()[..half]).is_err());
    Some(written)
}

/// A request is read exactly if it has what its command takes and nothing else.
fn made(parts: &Parts<'_>) {
    // Debug quotes printable ASCII as JSON does.
    let json = |text: &str| format!("{text:?}");
    let plain = |text: &str| text.chars().all(|c| (' '..='~').contains(&c));
    let texts = [parts.schema, parts.id, parts.other].into_iter().flatten();
    let mut texts = texts.chain(parts.addresses.iter().flatten().copied());
    if !texts.all(plain) || !plain(parts.command.word()) {
        return;
    }
    let mut keys = vec![
        format!("\"schema\":{}", json(parts.schema.unwrap_or("dddns.control/1"))),
        format!("\"command\":{}", json(parts.command.word())),
    ];
    keys.extend(parts.ttl_ms.map(|ttl| format!("\"ttl_ms\":{ttl}")));
    let list = |addresses: &Vec<&str>| addresses.iter().map(|text| json(text)).collect::<Vec<_>>().join(",");
    keys.extend(parts.addresses.as_ref().map(|addresses| format!("\"addresses\":[{}]", list(addresses))));
    keys.extend(parts.id.map(|id| format!("\"id\":{}", json(id))));
    keys.extend(parts.other.map(|key| format!("{}:null", json(&format!("x{key}")))));
    if parts.reversed {
        keys.reverse();
    }
    let written = read(format!("{{{}}}", keys.join(",")).as_bytes());
    let only = |ttl: bool, addresses: bool, id: bool| {
        parts.ttl_ms.is_some() == ttl && (addresses || parts.addresses.is_none()) && parts.id.is_some() == id
    };
    let fits = match parts.command {
        Command::Status | Command::Events | Command::Leave => only(false, false, false),
        Command::Invite => only(true, true, false),
        Command::Find | Command::Forget => only(false, false, true),
        Command::Other(_) => return,
    };
    let ours = parts.schema.is_none_or(|schema| schema == "dddns.control/1");
    assert_eq!(written.is_some(), fits && ours && parts.other.is_none(), "{keys:?}");
}

impl Command<'_> {
    fn word(&self) -> &str {
        match self {
            Self::Status => "status",
            Self::Events => "events",
            Self::Invite => "invite",
            Self::Find => "find",
            Self::Forget => "forget",
            Self::Leave => "leave",
            Self::Other(word) => word,
        }
    }
}

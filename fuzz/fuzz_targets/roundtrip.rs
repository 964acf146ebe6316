//! Any message: decoding its encoding gives it back, and nothing but its encoding does.

#![no_main]

use dddns::wire::body::MAX_BODY;
use dddns::wire::error::DecodeError;
use dddns::wire::header::Header;
use dddns::wire::id::{Index, NodeId};
use dddns::wire::kind::Kind;
use dddns::wire::locate::Locate;
use dddns::wire::message::Message;
use dddns_fuzz::judge;
use dddns_fuzz::messages::AnyMessage;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: Input| {
    let Input { message: AnyMessage(message), step, receiver, counter } = input;
    let header = Header { kind: message.kind(), step, receiver: Index(receiver.max(1)), counter };
    let mut bytes = [0xAA; MAX_BODY];
    let length = message.encode(&header, &mut bytes);
    let body = bytes.get(..length).expect("no body is longer than the longest");
    let again = Message::decode(&header, body);
    assert_eq!(again, Ok(message));
    // Now and then, since it takes long.
    if counter % 64 == 0 {
        assert_eq!(format!("{:?}", again.expect("it was read")), format!("{message:?}"));
    }
    if let Message::Locate(locate) = message {
        let reversed: Vec<NodeId> = locate.ids.iter().rev().copied().collect();
        assert_eq!(Locate::of(&reversed), Ok(locate), "it depends on the order in which one asks");
        assert_eq!(Locate::of(&reversed[..0]), Err(DecodeError::Count));
    }
    assert_eq!(Header::from_bytes(&header.to_bytes()), Ok(header));
    assert!(judge::is_body(header.kind.0, &header.to_bytes(), body), "what is written is against the specification");

    let lengths = Message::lengths(message.kind()).expect("every message has lengths");
    assert!(lengths.allow(length) && length <= lengths.max_len());
    if let Some((_, shorter)) = body.split_last() {
        assert!(Message::decode(&header, shorter).is_err(), "a byte is missing");
    }
    let mut longer = body.to_vec();
    longer.push(0);
    assert!(Message::decode(&header, &longer).is_err(), "a byte too many");
    if matches!(message.kind(), Kind::HEARTBEAT | Kind::HEARTBEAT_ACK) {
        let mut other = [0xAA; MAX_BODY];
        message.encode(&Header { counter: !counter, ..header }, &mut other);
        assert_ne!(other.get(16..length), body.get(16..), "an address looks the same in two datagrams");
    }
});

#[derive(Arbitrary, Debug)]
struct Input {
    message: AnyMessage,
    step: u8,
    receiver: u32,
    counter: u64,
}

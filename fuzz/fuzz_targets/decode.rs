//! Any bytes: what the decoder accepts encodes to the same bytes again.

#![no_main]

use dddns::wire::body::MAX_BODY;
use dddns::wire::datagram::{Datagram, SEAL_LEN};
use dddns::wire::header::{Header, TAG_LEN};
use dddns::wire::message::Message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match Datagram::parse(bytes) {
        Ok(Datagram::Initiation(initiation)) => assert_eq!(initiation.to_bytes(), bytes),
        Ok(Datagram::Response(response)) => assert_eq!(response.to_bytes(), bytes),
        Ok(Datagram::CookieReply(reply)) => assert_eq!(reply.to_bytes(), bytes),
        Ok(Datagram::Tagged(header)) => tagged(header, bytes),
        Err(error) => assert!(!error.as_str().is_empty()),
    }
});

/// A tagged datagram whose form is right: its body, if it were what stands there in clear.
fn tagged(header: Header, bytes: &[u8]) {
    assert!(bytes.starts_with(&header.to_bytes()));
    let seal = if header.kind.is_sealed() { SEAL_LEN } else { 0 };
    let end = bytes.len() - TAG_LEN - seal;
    let body = bytes.get(Header::LEN..end).expect("the form was judged");
    let Ok(message) = Message::decode(&header, body) else { return };
    assert_eq!(message.kind(), header.kind);
    let mut again = [0xAA; MAX_BODY];
    let length = message.encode(&header, &mut again);
    assert_eq!(again.get(..length), Some(body));
}

//! Any bytes: the decoder accepts what the specification allows and nothing else, and what it accepts encodes to the same
//! bytes again.

#![no_main]

use dddns::wire::body::MAX_BODY;
use dddns::wire::datagram::{Datagram, MAX_DATAGRAM, SEAL_LEN};
use dddns::wire::error::DecodeError;
use dddns::wire::header::{Header, TAG_LEN};
use dddns::wire::initiation::{InitiationPayload, Mode};
use dddns::wire::kind::Kind;
use dddns::wire::message::Message;
use dddns::wire::record::MemberRecord;
use dddns::wire::response::ResponsePayload;
use dddns_fuzz::judge;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(&kind) = bytes.get(1) {
        let kind = Kind(kind);
        let name = kind.name().map_or_else(|| format!("0x{:02x}", kind.0), ToOwned::to_owned);
        assert_eq!((kind.to_string(), format!("{kind:?}")), (name.clone(), name));
    }
    let parsed = Datagram::parse(bytes);
    assert_eq!(parsed.is_ok(), judge::is_datagram(bytes), "{parsed:?}");
    match parsed {
        Ok(Datagram::Initiation(initiation)) => assert_eq!(initiation.to_bytes(), bytes),
        Ok(Datagram::Response(response)) => assert_eq!(response.to_bytes(), bytes),
        Ok(Datagram::CookieReply(reply)) => assert_eq!(reply.to_bytes(), bytes),
        Ok(Datagram::Tagged(header)) => tagged(header, bytes),
        Err(error) => refused(error, bytes),
    }
    payloads(bytes);
});

/// A tagged datagram whose form is right: its body, if it were what stands there in clear.
fn tagged(header: Header, bytes: &[u8]) {
    let head = bytes.first_chunk().expect("the form was judged");
    assert_eq!(header.to_bytes(), *head);
    let field = |from: usize, to: usize| head[from..to].iter().fold(0, |number, &byte| number << 8 | u64::from(byte));
    assert_eq!((header.kind.0, header.step), (head[1], head[2]));
    assert_eq!((u64::from(header.receiver.0), header.counter), (field(4, 8), field(8, 16)));

    let seal = if header.kind.is_sealed() { SEAL_LEN } else { 0 };
    let end = bytes.len() - TAG_LEN - seal;
    let body = bytes.get(Header::LEN..end).expect("the form was judged");
    let decoded = Message::decode(&header, body);
    assert_eq!(decoded.is_ok(), judge::is_body(header.kind.0, head, body), "{decoded:?}");
    let message = match decoded {
        Ok(message) => message,
        Err(error) => return named(error),
    };
    assert_eq!(message.kind(), header.kind);
    let mut again = [0xAA; MAX_BODY];
    let length = message.encode(&header, &mut again);
    assert_eq!(again.get(..length), Some(body));
}

/// The first rule that is broken is the one that is named, as far as length and type tell.
fn refused(error: DecodeError, bytes: &[u8]) {
    named(error);
    assert_eq!(error == DecodeError::TooLong, bytes.len() > MAX_DATAGRAM);
    if bytes.len() <= MAX_DATAGRAM {
        assert_eq!(error == DecodeError::Magic, bytes.len() >= 2 && bytes[0] != 0xD1);
        assert!(bytes.len() >= 2 || error == DecodeError::Length);
    }
}

/// Every fault has a name.
fn named(error: DecodeError) {
    assert!(DecodeError::ALL.contains(&error) && error.to_string() == error.as_str());
}

/// What stands inside a handshake, and what a list is made of: each as if the bytes were one.
fn payloads(bytes: &[u8]) {
    for (mode, join) in [(Mode::Member, false), (Mode::Join, true)] {
        if let Some(payload) = bytes.first_chunk::<{ InitiationPayload::LEN }>() {
            let read = InitiationPayload::from_bytes(mode, payload);
            assert_eq!(read.is_ok(), judge::is_initiation_payload(join, payload), "{read:?}");
            match read {
                Ok(read) => assert_eq!(read.to_bytes(), *payload),
                Err(error) => named(error),
            }
        }
        if let Some(payload) = bytes.first_chunk::<{ ResponsePayload::LEN }>() {
            let read = ResponsePayload::from_bytes(mode, payload);
            assert_eq!(read.is_ok(), judge::is_response_payload(join, payload), "{read:?}");
            match read {
                Ok(read) => {
                    assert_eq!(read.to_bytes(), *payload);
                    assert!(read.cluster_id.to_string().starts_with(&read.cluster_id.short()));
                }
                Err(error) => named(error),
            }
        }
    }
    let read = MemberRecord::from_bytes(bytes);
    assert_eq!(read.is_ok(), judge::is_record(bytes), "{read:?}");
    match read {
        Ok(read) => {
            assert_eq!(read.to_bytes(), *bytes);
            assert!(read.id().to_string().starts_with(&read.id().short()));
        }
        Err(error) => named(error),
    }
}

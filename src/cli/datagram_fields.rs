//! The fields of a datagram, in the order of its bytes: the layouts of `spec/formats.md`, for people.

use crate::wire::body::Body;
use crate::wire::datagram::SEAL_LEN;
use crate::wire::header::{Header, MAGIC_VERSION, TAG_LEN};
use crate::wire::heartbeat::Heartbeat;
use crate::wire::id::{Index, InviteId};
use crate::wire::kind::Kind;
use crate::wire::message::Message;

/// One field.
#[derive(Debug)]
pub(super) struct Field<'d> {
    /// Its bytes, fewer than it should have if the datagram ends early.
    pub(super) bytes: &'d [u8],
    /// Its name in the specification.
    pub(super) name: &'static str,
    /// What it says.
    pub(super) meaning: String,
}

/// All fields of a datagram, well-formed or not: together they are its bytes.
pub(super) fn fields(datagram: &[u8]) -> Vec<Field<'_>> {
    let mut reader = Reader::new(datagram);
    reader.take(1, "magic, version", magic);
    if datagram.first() == Some(&MAGIC_VERSION) {
        reader.take(1, "type", |bytes| bytes.first().map(|&kind| name(Kind(kind))).unwrap_or_default());
        match datagram.get(1).map(|&kind| Kind(kind)) {
            Some(Kind::INITIATION) => initiation(&mut reader),
            Some(Kind::RESPONSE) => response(&mut reader),
            Some(Kind::COOKIE_REPLY) => cookie_reply(&mut reader),
            Some(kind) if Message::lengths(kind).is_some() => tagged(&mut reader, kind, datagram),
            Some(_) | None => {}
        }
    }
    reader.finish()
}

fn initiation(reader: &mut Reader<'_>) {
    reader.take(1, "mode", |bytes| match bytes {
        [0] => "0: between members".to_owned(),
        [1] => "1: joining by invite".to_owned(),
        _ => "unknown".to_owned(),
    });
    reader.take(1, "zero", zero);
    reader.take(4, "sender index", index);
    reader.take(8, "invite ID", |bytes| match <[u8; 8]>::try_from(bytes) {
        Ok([0, 0, 0, 0, 0, 0, 0, 0]) | Err(_) => "none".to_owned(),
        Ok(id) => InviteId(id).to_string(),
    });
    reader.take(32, "e", |_| "the initiator's ephemeral public key".to_owned());
    reader.take(48, "encrypted s", |_| "the initiator's public key, for the responder only".to_owned());
    reader.take(88, "payload", |_| "encrypted: the run of the initiator, and the name that a joiner wants".to_owned());
    reader.take(16, "mac1", |_| "shows that the sender knows the responder's public key".to_owned());
    reader.take(16, "mac2", |bytes| {
        let none = bytes.iter().all(|&byte| byte == 0);
        if none { "no cookie" } else { "shows that the sender got a cookie at its address" }.to_owned()
    });
}

fn response(reader: &mut Reader<'_>) {
    reader.take(2, "zero", zero);
    reader.take(4, "receiver index", index);
    reader.take(32, "e", |_| "the responder's ephemeral public key".to_owned());
    reader.take(103, "payload", |_| {
        "encrypted: sender index, verdict, observed address, clock, incarnation, cluster ID and key".to_owned()
    });
    reader.take(16, "mac1", |_| "shows that the sender knows the initiator's public key".to_owned());
}

fn cookie_reply(reader: &mut Reader<'_>) {
    reader.take(2, "zero", zero);
    reader.take(4, "receiver index", index);
    reader.take(16, "random", |_| "makes the cookie's key".to_owned());
    reader.take(32, "sealed cookie", |_| "for who sent the initiation".to_owned());
}

fn tagged(reader: &mut Reader<'_>, kind: Kind, datagram: &[u8]) {
    reader.take(1, "step", |bytes| {
        bytes.first().map(|step| format!("{step}: the sender's T modulo 256")).unwrap_or_default()
    });
    reader.take(1, "flags", zero);
    reader.take(4, "receiver index", index);
    reader.take(8, "counter", number);
    let body = reader.rest.len().saturating_sub(TAG_LEN);
    if kind.is_sealed() {
        reader.take(body.saturating_sub(SEAL_LEN), "sealed body", |_| {
            "encrypted: only the receiver can read it".to_owned()
        });
        reader.take(body.min(SEAL_LEN), "seal tag", |_| "Poly1305".to_owned());
    } else {
        let all = reader.rest;
        plain_body(reader, kind, datagram, body);
        let extra = body.saturating_sub(all.len() - reader.rest.len());
        if extra > 0 {
            reader.take(extra, "?", |_| "more than the type has".to_owned());
        }
    }
    reader.take(TAG_LEN, "tag", |_| "HMAC-SHA-256 under V(T), not checked".to_owned());
}

fn plain_body(reader: &mut Reader<'_>, kind: Kind, datagram: &[u8], body: usize) {
    let mut left = body;
    // What is missing is missing from the body: the last bytes are the tag.
    let mut part = |whole: usize, name: &'static str, meaning: &dyn Fn(&[u8]) -> String| {
        let length = whole.min(left);
        left -= length;
        reader.take(length, name, |bytes| if length < whole { cut_off(length, whole) } else { meaning(bytes) });
    };
    match kind {
        Kind::HEARTBEAT | Kind::HEARTBEAT_ACK => {
            part(8, if kind == Kind::HEARTBEAT { "seen" } else { "acked" }, &plus_one);
            part(8, "digest", &|_| "of the sender's member list".to_owned());
            part(18, "reflection", &|masked| reflection(datagram, masked));
        }
        Kind::PATH_CHALLENGE => part(8, "challenge", &|_| "to be sent back".to_owned()),
        Kind::PATH_RESPONSE => part(8, "response", &|_| "the challenge it answers".to_owned()),
        _ => {}
    }
}

/// What stands under the mask, whatever else is wrong with the datagram. The mask is made of the header, so where that is
/// malformed there is doubt.
fn reflection(datagram: &[u8], masked: &[u8]) -> String {
    let Some(head) = datagram.first_chunk::<{ Header::LEN }>() else { return String::new() };
    let &[_, kind, step, flags, a, b, c, d, ref counter @ ..] = head;
    let receiver = Index(u32::from_be_bytes([a, b, c, d]));
    let under = |flags: u8| {
        // The mask depends on the XOR of the header's halves alone. `Header` has no flags; the counter's bits below them
        // change it in the same way.
        let counter = u64::from_be_bytes(*counter) ^ u64::from(flags) << 32;
        unmasked(&Header { kind: Kind(kind), step, receiver, counter }, masked)
    };
    match (flags, receiver) {
        (0, Index::NONE) => format!("{} (masked; right only if index 0 is what was sent)", under(0)),
        (0, _) => format!("{} (masked)", under(0)),
        _ => format!("{} (masked; without the flags {})", under(flags), under(0)),
    }
}

/// An address that travelled under this header.
fn unmasked(header: &Header, masked: &[u8]) -> String {
    // A Heartbeat may say anything before its reflection.
    match Heartbeat::decode(header, &[&[0; 16], masked].concat()) {
        Ok(Heartbeat { reflection: Some(address), .. }) => address.to_string(),
        Ok(Heartbeat { reflection: None, .. }) => "none".to_owned(),
        Err(_) => "not an address".to_owned(),
    }
}

fn magic(bytes: &[u8]) -> String {
    match bytes.first() {
        Some(&MAGIC_VERSION) => "dddns, version 1".to_owned(),
        Some(byte) if byte >> 4 == MAGIC_VERSION >> 4 => format!("dddns, version {}: not known here", byte & 0x0F),
        Some(_) => "not dddns".to_owned(),
        None => String::new(),
    }
}

fn name(kind: Kind) -> String {
    kind.name().map_or_else(|| format!("{kind}: unknown"), str::to_owned)
}

fn zero(bytes: &[u8]) -> String {
    if bytes.iter().all(|&byte| byte == 0) { String::new() } else { "must be zero".to_owned() }
}

fn index(bytes: &[u8]) -> String {
    match bytes {
        [0, 0, 0, 0] => "0: must not be zero".to_owned(),
        _ => "names the session".to_owned(),
    }
}

fn number(bytes: &[u8]) -> String {
    <[u8; 8]>::try_from(bytes).map(|bytes| u64::from_be_bytes(bytes).to_string()).unwrap_or_default()
}

/// A counter plus one.
fn plus_one(bytes: &[u8]) -> String {
    match <[u8; 8]>::try_from(bytes).map(u64::from_be_bytes) {
        Ok(0) => "none".to_owned(),
        Ok(number) => format!("counter {}", number - 1),
        Err(_) => String::new(),
    }
}

fn cut_off(present: usize, whole: usize) -> String {
    format!("cut off: {present} of {whole} bytes")
}

/// Cuts bytes into fields.
pub(super) struct Reader<'d> {
    rest: &'d [u8],
    fields: Vec<Field<'d>>,
}

impl<'d> Reader<'d> {
    pub(super) fn new(bytes: &'d [u8]) -> Self {
        Self { rest: bytes, fields: Vec::new() }
    }

    /// Whether every byte belongs to a field.
    pub(super) fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next field, or what is there of it.
    pub(super) fn take(&mut self, length: usize, name: &'static str, meaning: impl Fn(&[u8]) -> String) {
        let (bytes, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, &[]));
        self.rest = rest;
        if length == 0 || bytes.is_empty() {
            return;
        }
        let meaning =
            if bytes.len() < length { format!("cut off: {} of {length} bytes", bytes.len()) } else { meaning(bytes) };
        self.fields.push(Field { bytes, name, meaning });
    }

    /// All fields, the last one for what is left over.
    pub(super) fn finish(mut self) -> Vec<Field<'d>> {
        let length = self.rest.len();
        self.take(length, "?", |_| "not part of the message".to_owned());
        self.fields
    }
}

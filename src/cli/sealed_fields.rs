//! The fields of sealed bodies, once they are opened: the layouts of `spec/formats.md` section 5, for people.

use crate::cli::datagram_fields::{Field, Reader};
use crate::wire::address::Address;
use crate::wire::id::{NodeId, PublicKey};
use crate::wire::kind::Kind;
use crate::wire::name::Name;

/// All fields of a plain body, well-formed or not: together they are its bytes.
pub(super) fn fields(kind: Kind, body: &[u8]) -> Vec<Field<'_>> {
    let mut reader = Reader::new(body);
    match kind {
        Kind::LOCATE => {
            reader.take(1, "n", number);
            while !reader.is_done() {
                reader.take(16, "node ID", node);
            }
        }
        Kind::LOCATED => {
            reader.take(1, "n", number);
            while !reader.is_done() {
                located(&mut reader);
            }
        }
        Kind::RENDEZVOUS => {
            reader.take(16, "seeker", node);
            reader.take(1, "n", number);
            while !reader.is_done() {
                reader.take(18, "address", address);
            }
        }
        Kind::MEMBERS_REQUEST => reader.take(16, "after", node),
        Kind::MEMBERS => {
            reader.take(1, "more", number);
            reader.take(1, "n", number);
            while !reader.is_done() {
                record(&mut reader);
            }
        }
        _ => {}
    }
    reader.finish()
}

fn located(reader: &mut Reader<'_>) {
    reader.take(16, "node ID", node);
    reader.take(1, "how known", |bytes| match bytes {
        [1] => "1: its link is up there".to_owned(),
        [2] => "2: last seen there".to_owned(),
        _ => "unknown".to_owned(),
    });
    reader.take(4, "age", |bytes| format!("{} s", number(bytes)));
    reader.take(18, "address", address);
}

fn record(reader: &mut Reader<'_>) {
    reader.take(32, "public key", |bytes| {
        let key = <[u8; 32]>::try_from(bytes).map(PublicKey);
        key.map(|key| format!("of node {}", NodeId::from(&key))).unwrap_or_default()
    });
    reader.take(16, "admitted by", node);
    reader.take(4, "admission", number);
    reader.take(1, "state", |bytes| match bytes {
        [1] => "1: member".to_owned(),
        [2] => "2: removed".to_owned(),
        _ => "unknown".to_owned(),
    });
    reader.take(4, "revision", number);
    reader.take(64, "name", |bytes| {
        let name = bytes.first_chunk().and_then(Name::from_bytes);
        name.map_or_else(|| "not a name".to_owned(), |name| name.to_string())
    });
}

fn node(bytes: &[u8]) -> String {
    match <[u8; 16]>::try_from(bytes).map(NodeId) {
        Ok(NodeId::NONE) => "none".to_owned(),
        Ok(id) => id.to_string(),
        Err(_) => String::new(),
    }
}

fn address(bytes: &[u8]) -> String {
    Address::from_bytes(bytes).map_or_else(|_| "not an address".to_owned(), |address| address.to_string())
}

fn number(bytes: &[u8]) -> String {
    bytes.iter().fold(0_u64, |number, &byte| number << 8 | u64::from(byte)).to_string()
}

//! A datagram as it arrives: what can be said of it without any key.

use crate::wire::body::Lengths;
use crate::wire::cookie_reply::CookieReply;
use crate::wire::error::DecodeError;
use crate::wire::header::{Header, MAGIC_VERSION, TAG_LEN};
use crate::wire::initiation::Initiation;
use crate::wire::kind::Kind;
use crate::wire::message::Message;
use crate::wire::response::Response;

/// The longest datagram, in bytes of UDP payload: what passes IPv6's minimum MTU of 1280. Spec: WIRE-2.
pub const MAX_DATAGRAM: usize = 1232;

/// How much longer a sealed body is than the plain one, in bytes. Spec: WIRE-12.
pub const SEAL_LEN: usize = 16;

/// A datagram whose form is right. Nothing in it is proven yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Datagram {
    /// The first message of a handshake.
    Initiation(Initiation),
    /// The second message of a handshake.
    Response(Response),
    /// "Prove your address first."
    CookieReply(CookieReply),
    /// Everything else. The body, [sealed](Kind::is_sealed) or not, stands between the header and the last
    /// [`TAG_LEN`] bytes.
    Tagged(Header),
}

impl Datagram {
    /// Judges a datagram's form: length, byte 0, type, the length for the type, zero fields, indices. In this order.
    ///
    /// # Errors
    ///
    /// The first rule that the datagram breaks.
    #[inline]
    pub fn parse(datagram: &[u8]) -> Result<Self, DecodeError> {
        if datagram.len() > MAX_DATAGRAM {
            return Err(DecodeError::TooLong);
        }
        let &[magic, kind, ..] = datagram else { return Err(DecodeError::Length) };
        if magic != MAGIC_VERSION {
            return Err(DecodeError::Magic);
        }
        match Kind(kind) {
            Kind::INITIATION => Initiation::from_bytes(datagram).map(Self::Initiation),
            Kind::RESPONSE => Response::from_bytes(datagram).map(Self::Response),
            Kind::COOKIE_REPLY => CookieReply::from_bytes(datagram).map(Self::CookieReply),
            kind => parse_tagged(kind, datagram).map(Self::Tagged),
        }
    }
}

#[inline]
fn parse_tagged(kind: Kind, datagram: &[u8]) -> Result<Header, DecodeError> {
    let lengths: Lengths = Message::lengths(kind).ok_or(DecodeError::Kind)?;
    let seal = if kind.is_sealed() { SEAL_LEN } else { 0 };
    let body = datagram.len().checked_sub(Header::LEN + seal + TAG_LEN).ok_or(DecodeError::Length)?;
    if !lengths.allow(body) {
        return Err(DecodeError::Length);
    }
    Header::from_bytes(datagram.first_chunk().ok_or(DecodeError::Length)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::id::Index;

    fn heartbeat() -> Vec<u8> {
        let header = Header { kind: Kind::HEARTBEAT, step: 0, receiver: Index(1), counter: 0 };
        let mut datagram = header.to_bytes().to_vec();
        datagram.resize(66, 0);
        datagram
    }

    #[test]
    fn the_first_broken_rule_is_named() {
        assert_eq!(Datagram::parse(&[]), Err(DecodeError::Length));
        assert_eq!(Datagram::parse(&[MAGIC_VERSION]), Err(DecodeError::Length));
        assert_eq!(Datagram::parse(&[0xD2, 0xff]), Err(DecodeError::Magic));
        assert_eq!(Datagram::parse(&[0; 1233]), Err(DecodeError::TooLong));
        assert_eq!(Datagram::parse(&[MAGIC_VERSION, 0x7f]), Err(DecodeError::Kind));
        let mut flagged = heartbeat();
        flagged[3] = 1;
        assert_eq!(Datagram::parse(&flagged[..65]), Err(DecodeError::Length));
        assert_eq!(Datagram::parse(&flagged), Err(DecodeError::NotZero));
    }

    #[test]
    fn reserved_types_are_unknown() {
        for kind in [Kind::RELAY, Kind::DATA] {
            let mut datagram = heartbeat();
            datagram[1] = kind.0;
            assert_eq!(Datagram::parse(&datagram), Err(DecodeError::Kind));
        }
    }

    #[test]
    fn every_type_has_its_lengths() {
        let lengths = |kind: u8| -> Vec<usize> {
            let mut datagram = heartbeat();
            datagram[1] = kind;
            datagram.resize(MAX_DATAGRAM, 0);
            (0..=MAX_DATAGRAM).filter(|&n| Datagram::parse(&datagram[..n]) != Err(DecodeError::Length)).collect()
        };
        assert_eq!(lengths(0x01), [216]);
        assert_eq!(lengths(0x02), [159]);
        assert_eq!(lengths(0x03), [56]);
        assert_eq!(lengths(0x10), [66]);
        assert_eq!(lengths(0x11), [66]);
        assert_eq!(lengths(0x12), [40]);
        assert_eq!(lengths(0x13), [40]);
        assert_eq!(lengths(0x14), [32]);
        assert_eq!(lengths(0x20), (1..=8).map(|n| 48 + 1 + 16 * n).collect::<Vec<_>>());
        assert_eq!(lengths(0x21), (0..=16).map(|n| 48 + 1 + 39 * n).collect::<Vec<_>>());
        assert_eq!(lengths(0x22), (1..=4).map(|n| 48 + 17 + 18 * n).collect::<Vec<_>>());
        assert_eq!(lengths(0x23), [64]);
        assert_eq!(lengths(0x24), (0..=9).map(|n| 48 + 2 + 121 * n).collect::<Vec<_>>());
    }
}

//! PathChallenge and PathResponse: whether a peer is at an address.

use crate::wire::body::{Body, Lengths};
use crate::wire::error::DecodeError;
use crate::wire::header::Header;
use crate::wire::kind::Kind;
use crate::wire::raw::{self, Bytes};

/// 8 unpredictable bytes, to be echoed from where they arrive. Spec: `spec/formats.md` section 5.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathChallenge(pub [u8; 8]);

/// The 8 bytes of a [`PathChallenge`]. Spec: `spec/formats.md` section 5.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathResponse(pub [u8; 8]);

impl Body for PathChallenge {
    const KIND: Kind = Kind::PATH_CHALLENGE;
    const LENGTHS: Lengths = Lengths::fixed(8);

    fn decode(_header: &Header, body: &[u8]) -> Result<Self, DecodeError> {
        raw::read::<Bytes<8>>(body).map(|bytes| Self(bytes.0))
    }

    fn encode(&self, _header: &Header, out: &mut [u8]) -> usize {
        raw::write(&Bytes(self.0), out)
    }
}

impl Body for PathResponse {
    const KIND: Kind = Kind::PATH_RESPONSE;
    const LENGTHS: Lengths = Lengths::fixed(8);

    fn decode(_header: &Header, body: &[u8]) -> Result<Self, DecodeError> {
        raw::read::<Bytes<8>>(body).map(|bytes| Self(bytes.0))
    }

    fn encode(&self, _header: &Header, out: &mut [u8]) -> usize {
        raw::write(&Bytes(self.0), out)
    }
}

//! Conflict: another machine has the receiver's identity.

use crate::wire::body::{Body, Lengths};
use crate::wire::error::DecodeError;
use crate::wire::header::Header;
use crate::wire::kind::Kind;

/// "I talk to another machine that is you, and it answers: I do not talk to you." Its body is empty.
/// Spec: `spec/formats.md` section 5.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict;

impl Body for Conflict {
    const KIND: Kind = Kind::CONFLICT;
    const LENGTHS: Lengths = Lengths::fixed(0);

    fn decode(_header: &Header, body: &[u8]) -> Result<Self, DecodeError> {
        if body.is_empty() { Ok(Self) } else { Err(DecodeError::Length) }
    }

    fn encode(&self, _header: &Header, _out: &mut [u8]) -> usize {
        0
    }
}

//! Any tagged message: for tools, fuzzers and tests, and the one list of the types that this version knows.

use crate::wire::body::{Body, Lengths};
use crate::wire::conflict::Conflict;
use crate::wire::error::DecodeError;
use crate::wire::header::Header;
use crate::wire::heartbeat::{Heartbeat, HeartbeatAck};
use crate::wire::kind::Kind;
use crate::wire::leave::Leave;
use crate::wire::locate::Locate;
use crate::wire::located::Located;
use crate::wire::members::Members;
use crate::wire::members_request::MembersRequest;
use crate::wire::path::{PathChallenge, PathResponse};
use crate::wire::rendezvous::Rendezvous;

/// Defines the enum and everything that goes through all types.
macro_rules! messages {
    ($($name:ident),* $(,)?) => {
        /// The plain body of a tagged datagram, of whatever type.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(clippy::large_enum_variant, reason = "a box would be an allocation, and decoding allocates nothing")]
        pub enum Message {
            $(
                #[doc = concat!("See [`", stringify!($name), "`].")]
                $name($name),
            )*
        }

        impl Message {
            /// Every type, in the order of its number.
            pub const KINDS: &[Kind] = &[$($name::KIND),*];

            /// Reads the plain body that stood under `header`.
            ///
            /// # Errors
            ///
            /// [`DecodeError::Kind`] if the header's type has no body, else whatever the message's own decoder says.
            pub fn decode(header: &Header, body: &[u8]) -> Result<Self, DecodeError> {
                match header.kind {
                    $($name::KIND => $name::decode(header, body).map(Self::$name),)*
                    _ => Err(DecodeError::Kind),
                }
            }

            /// Writes the plain body that is to stand under `header` at the beginning of `out`, which has
            /// [`MAX_BODY`](crate::wire::body::MAX_BODY) bytes, and returns its length.
            pub fn encode(&self, header: &Header, out: &mut [u8]) -> usize {
                match self {
                    $(Self::$name(body) => body.encode(header, out),)*
                }
            }

            /// The type.
            #[must_use]
            pub fn kind(&self) -> Kind {
                match self {
                    $(Self::$name(_) => $name::KIND,)*
                }
            }

            /// The lengths that the plain body of a type may have; `None` if the type has no body.
            #[inline]
            #[must_use]
            pub fn lengths(kind: Kind) -> Option<Lengths> {
                match kind {
                    $($name::KIND => Some($name::LENGTHS),)*
                    _ => None,
                }
            }
        }
    };
}

messages! {
    Heartbeat,
    HeartbeatAck,
    PathChallenge,
    PathResponse,
    Leave,
    Conflict,
    Locate,
    Located,
    Rendezvous,
    MembersRequest,
    Members,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::body::MAX_BODY;

    #[test]
    fn no_body_is_longer_than_the_longest() {
        let longest = Message::KINDS.iter().filter_map(|&kind| Message::lengths(kind)).map(Lengths::max_len).max();
        assert_eq!(longest, Some(MAX_BODY));
        assert!(Message::KINDS.is_sorted());
    }
}

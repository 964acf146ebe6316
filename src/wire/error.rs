//! Why bytes are not a message.

use std::fmt;

/// Why a datagram, or a body, was not decoded. It is discarded in silence; only a counter of this name changes
/// (`spec/formats.md` WIRE-8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum DecodeError {
    /// It is longer than 1232 bytes (WIRE-2).
    TooLong,
    /// Byte 0 is not this protocol and version (WIRE-3).
    Magic,
    /// The type is unknown or reserved (WIRE-4).
    Kind,
    /// The length is not what the type and the count call for (WIRE-6).
    Length,
    /// A field that must be zero is not (WIRE-5).
    NotZero,
    /// A session index is 0 where it must not be, or not 0 where it must.
    Index,
    /// The mode of an initiation is unknown.
    Mode,
    /// A name is not one DNS label in its one encoding (WIRE-9).
    Name,
    /// An address has port 0 or no IP address (WIRE-10).
    Address,
    /// An address is "none" where there must be one (WIRE-10).
    NoAddress,
    /// The verdict of a response is unknown.
    Verdict,
    /// An acknowledgement names no heartbeat.
    Acknowledged,
    /// A list has more entries than it may, or none where it needs one.
    Count,
    /// The entries of a list are not in strictly ascending order.
    Order,
    /// How an address is known is not one of the ways.
    Source,
    /// The state of a member record is unknown.
    State,
    /// More records are announced by a list that is empty, or in a way that does not exist.
    More,
}

impl DecodeError {
    /// Every reason, in the order of declaration.
    pub const ALL: [Self; 17] = [
        Self::TooLong,
        Self::Magic,
        Self::Kind,
        Self::Length,
        Self::NotZero,
        Self::Index,
        Self::Mode,
        Self::Name,
        Self::Address,
        Self::NoAddress,
        Self::Verdict,
        Self::Acknowledged,
        Self::Count,
        Self::Order,
        Self::Source,
        Self::State,
        Self::More,
    ];

    /// The stable name: that of the counter and of the expected result in the published vectors.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "too-long",
            Self::Magic => "bad-magic",
            Self::Kind => "unknown-type",
            Self::Length => "bad-length",
            Self::NotZero => "not-zero",
            Self::Index => "bad-index",
            Self::Mode => "unknown-mode",
            Self::Name => "bad-name",
            Self::Address => "bad-address",
            Self::NoAddress => "no-address",
            Self::Verdict => "unknown-verdict",
            Self::Acknowledged => "nothing-acknowledged",
            Self::Count => "bad-count",
            Self::Order => "not-ascending",
            Self::Source => "unknown-source",
            Self::State => "unknown-state",
            Self::More => "bad-more",
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

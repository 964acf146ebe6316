//! The type of a datagram: byte 1.

use std::fmt;

/// A datagram's type. Every byte is a value; those without a name are unknown. Spec: `spec/registries.md`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(pub u8);

impl Kind {
    /// The first message of a handshake.
    pub const INITIATION: Self = Self(0x01);
    /// The second message of a handshake.
    pub const RESPONSE: Self = Self(0x02);
    /// "Prove your address first": the answer to an initiation under load.
    pub const COOKIE_REPLY: Self = Self(0x03);
    /// "I am here, I see you there."
    pub const HEARTBEAT: Self = Self(0x10);
    /// The answer to a heartbeat.
    pub const HEARTBEAT_ACK: Self = Self(0x11);
    /// "Are you at this address?"
    pub const PATH_CHALLENGE: Self = Self(0x12);
    /// The answer to a path challenge.
    pub const PATH_RESPONSE: Self = Self(0x13);
    /// An orderly stop.
    pub const LEAVE: Self = Self(0x14);
    /// Another machine has the receiver's identity.
    pub const CONFLICT: Self = Self(0x15);
    /// "Where are these members?"
    pub const LOCATE: Self = Self(0x20);
    /// The answer to a locate.
    pub const LOCATED: Self = Self(0x21);
    /// "This member looks for you."
    pub const RENDEZVOUS: Self = Self(0x22);
    /// "Which members are there?"
    pub const MEMBERS_REQUEST: Self = Self(0x23);
    /// A page of the member list.
    pub const MEMBERS: Self = Self(0x24);
    /// Reserved: an inner datagram for another member.
    pub const RELAY: Self = Self(0x30);
    /// Reserved: an application's datagram.
    pub const DATA: Self = Self(0x31);

    /// The name in `spec/registries.md`, or `None` if the type has none.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::INITIATION => "Initiation",
            Self::RESPONSE => "Response",
            Self::COOKIE_REPLY => "CookieReply",
            Self::HEARTBEAT => "Heartbeat",
            Self::HEARTBEAT_ACK => "HeartbeatAck",
            Self::PATH_CHALLENGE => "PathChallenge",
            Self::PATH_RESPONSE => "PathResponse",
            Self::LEAVE => "Leave",
            Self::CONFLICT => "Conflict",
            Self::LOCATE => "Locate",
            Self::LOCATED => "Located",
            Self::RENDEZVOUS => "Rendezvous",
            Self::MEMBERS_REQUEST => "MembersRequest",
            Self::MEMBERS => "Members",
            Self::RELAY => "Relay",
            Self::DATA => "Data",
            _ => return None,
        })
    }

    /// Whether bodies of this type are encrypted: those about third parties are (`spec/formats.md` section 5).
    #[must_use]
    pub const fn is_sealed(self) -> bool {
        matches!(self, Self::LOCATE | Self::LOCATED | Self::RENDEZVOUS | Self::MEMBERS_REQUEST | Self::MEMBERS)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "0x{:02x}", self.0),
        }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_its_name_or_its_number() {
        assert_eq!(Kind::HEARTBEAT.to_string(), "Heartbeat");
        assert_eq!(Kind(0x7f).to_string(), "0x7f");
        assert_eq!(format!("{:?}", Kind::DATA), "Data");
    }
}

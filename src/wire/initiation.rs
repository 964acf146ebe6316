//! Initiation: the first message of a handshake.

use serde::{Deserialize, Serialize};

use crate::wire::error::DecodeError;
use crate::wire::header::MAGIC_VERSION;
use crate::wire::id::{Incarnation, Index, InviteId};
use crate::wire::kind::Kind;
use crate::wire::name::Name;
use crate::wire::raw::{self, Bytes, Raw};

/// The first message of a handshake. Spec: `spec/formats.md` section 3.1.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 2 | byte 0 and type |
/// | 2 | 1 | `mode` |
/// | 3 | 1 | zero |
/// | 4 | 4 | `sender` |
/// | 8 | 8 | `invite`; zero in mode 0 |
/// | 16 | 168 | `noise` |
/// | 184 | 16 | `mac1` |
/// | 200 | 16 | `mac2` |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Initiation {
    /// Between members, or joining by invite.
    pub mode: Mode,
    /// By which the initiator wants to be addressed; never 0.
    pub sender: Index,
    /// Which invite; zero bytes between members.
    pub invite: InviteId,
    /// Noise message 1.
    pub noise: [u8; 168],
    /// Shows that the sender knows the responder's public key.
    pub mac1: [u8; 16],
    /// Shows that the sender got a cookie at its address; zero bytes if it got none.
    pub mac2: [u8; 16],
}

/// What a handshake is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Between members of a cluster: 0 on the wire.
    Member,
    /// Joining by invite: 1 on the wire.
    Join,
}

/// What Noise message 1 carries: 72 bytes. Spec: `spec/formats.md` section 3.1.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 8 | `incarnation` |
/// | 8 | 64 | `name`; zero in mode 0 |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitiationPayload {
    /// Which run of the initiator this is.
    pub incarnation: Incarnation,
    /// The name that a joiner wants; between members there is none.
    pub name: Option<Name>,
}

impl Initiation {
    /// Size on the wire, in bytes.
    pub const LEN: usize = 216;

    /// What the Noise prologue covers: the bytes before Noise message 1 (AUTH-12).
    pub const BEFORE_NOISE: usize = 16;

    /// What mac1 covers: the bytes before it.
    pub const BEFORE_MAC1: usize = 184;

    /// What mac2 covers: the bytes before it.
    pub const BEFORE_MAC2: usize = 200;

    /// The bytes of the wire.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mode = match self.mode {
            Mode::Member => 0,
            Mode::Join => 1,
        };
        raw::to_array(&RawInitiation {
            magic: MAGIC_VERSION,
            kind: Kind::INITIATION.0,
            mode,
            zero: 0,
            sender: self.sender.0,
            invite: u64::from_be_bytes(self.invite.0),
            noise: Bytes(self.noise),
            mac1: Bytes(self.mac1),
            mac2: Bytes(self.mac2),
        })
    }

    /// Reads the bytes of the wire, of which byte 0 and the type have been judged.
    pub(super) fn from_bytes(datagram: &[u8]) -> Result<Self, DecodeError> {
        let raw: RawInitiation = raw::read(datagram)?;
        let mode = match raw.mode {
            0 => Mode::Member,
            1 => Mode::Join,
            _ => return Err(DecodeError::Mode),
        };
        if raw.zero != 0 || (mode == Mode::Member && raw.invite != 0) {
            return Err(DecodeError::NotZero);
        }
        Ok(Self {
            mode,
            sender: Index(raw.sender).some()?,
            invite: InviteId(raw.invite.to_be_bytes()),
            noise: raw.noise.0,
            mac1: raw.mac1.0,
            mac2: raw.mac2.0,
        })
    }
}

impl InitiationPayload {
    /// Size in bytes.
    pub const LEN: usize = Incarnation::LEN + Name::LEN;

    /// The 72 bytes inside Noise message 1.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let (incarnation, name) = bytes.split_at_mut(Incarnation::LEN);
        incarnation.copy_from_slice(&self.incarnation.0);
        if let Some(wanted) = self.name {
            name.copy_from_slice(&wanted.to_bytes());
        }
        bytes
    }

    /// Reads the 72 bytes inside a Noise message 1 of this mode.
    ///
    /// # Errors
    ///
    /// [`DecodeError::NotZero`] for a name between members, [`DecodeError::Name`] for none when joining.
    pub fn from_bytes(mode: Mode, bytes: &[u8; Self::LEN]) -> Result<Self, DecodeError> {
        let (incarnation, name) = bytes.split_first_chunk().ok_or(DecodeError::Length)?;
        let name = match mode {
            Mode::Member if name.iter().all(|&b| b == 0) => None,
            Mode::Member => return Err(DecodeError::NotZero),
            Mode::Join => {
                let name = name.first_chunk().and_then(Name::from_bytes);
                Some(name.ok_or(DecodeError::Name)?)
            }
        };
        Ok(Self { incarnation: Incarnation(*incarnation), name })
    }
}

#[derive(Serialize, Deserialize)]
struct RawInitiation {
    magic: u8,
    kind: u8,
    mode: u8,
    zero: u8,
    sender: u32,
    invite: u64,
    noise: Bytes<168>,
    mac1: Bytes<16>,
    mac2: Bytes<16>,
}

impl Raw for RawInitiation {
    const LEN: usize = Initiation::LEN;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join() -> Initiation {
        Initiation {
            mode: Mode::Join,
            sender: Index(0x0102_0304),
            invite: InviteId([5; 8]),
            noise: [6; 168],
            mac1: [7; 16],
            mac2: [8; 16],
        }
    }

    #[test]
    fn stands_as_the_spec_says() {
        let bytes = join().to_bytes();
        assert_eq!(bytes[..16], [0xD1, 1, 1, 0, 1, 2, 3, 4, 5, 5, 5, 5, 5, 5, 5, 5]);
        assert_eq!(bytes[16..184], [6; 168]);
        assert_eq!(bytes[184..200], [7; 16]);
        assert_eq!(bytes[200..], [8; 16]);
        assert_eq!(Initiation::from_bytes(&bytes), Ok(join()));
    }

    #[test]
    fn refuses_what_the_table_says() {
        let with = |offset: usize, value: u8| {
            let mut bytes = join().to_bytes();
            bytes[offset] = value;
            Initiation::from_bytes(&bytes)
        };
        assert_eq!(with(2, 2), Err(DecodeError::Mode));
        assert_eq!(with(3, 1), Err(DecodeError::NotZero));
        assert_eq!(with(2, 0), Err(DecodeError::NotZero), "an invite between members");
        let nobody = Initiation { sender: Index::NONE, ..join() };
        assert_eq!(Initiation::from_bytes(&nobody.to_bytes()), Err(DecodeError::Index));
    }

    #[test]
    fn the_payload_is_a_run_and_a_name_or_nothing() {
        let incarnation = Incarnation([9; 8]);
        let joiner = InitiationPayload { incarnation, name: Some("pi".parse().unwrap()) };
        let member = InitiationPayload { incarnation, name: None };
        assert_eq!(joiner.to_bytes()[..12], [9, 9, 9, 9, 9, 9, 9, 9, 2, b'p', b'i', 0]);
        assert_eq!(InitiationPayload::from_bytes(Mode::Join, &joiner.to_bytes()), Ok(joiner));
        assert_eq!(InitiationPayload::from_bytes(Mode::Member, &member.to_bytes()), Ok(member));
        assert_eq!(InitiationPayload::from_bytes(Mode::Member, &joiner.to_bytes()), Err(DecodeError::NotZero));
        assert_eq!(InitiationPayload::from_bytes(Mode::Join, &member.to_bytes()), Err(DecodeError::Name));
    }
}

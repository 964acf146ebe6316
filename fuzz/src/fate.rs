//! What becomes of a datagram under way.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dddns::wire::kind::Kind;
use libfuzzer_sys::arbitrary::{self, Arbitrary};

use crate::cluster::attacker;

/// A datagram under way.
pub struct Flying {
    pub due: Instant,
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub bytes: Vec<u8>,
    /// Whether it is not what any node sent: no node may accept or answer it.
    pub junk: bool,
}

/// What becomes of it.
#[derive(Arbitrary, Clone, Debug)]
pub enum Fate {
    /// It arrives.
    Arrive,
    /// It does not.
    Lose,
    /// It arrives twice.
    Double,
    /// It arrives later by some milliseconds.
    Delay(u16),
    /// One bit is wrong when it arrives.
    Flip { byte: u16, bit: u8 },
    /// Its end is missing when it arrives.
    Truncate(u16),
    /// A copy that was sent on from elsewhere arrives first.
    Race,
}

/// What arrives of a datagram.
#[must_use]
pub fn fly(fate: Fate, due: Instant, from: SocketAddr, to: SocketAddr, datagram: &[u8]) -> Vec<Flying> {
    let arrives = |from, due| Flying { due, from, to, bytes: datagram.to_vec(), junk: false };
    match fate {
        Fate::Arrive => vec![arrives(from, due)],
        Fate::Lose => Vec::new(),
        Fate::Double => vec![arrives(from, due), arrives(from, due)],
        Fate::Delay(milliseconds) => vec![arrives(from, due + Duration::from_millis(milliseconds.into()))],
        Fate::Flip { byte, bit } => {
            let byte = usize::from(byte) % datagram.len();
            // The last 16 bytes of an initiation, mac2, are not looked at without load.
            if datagram.get(1) == Some(&Kind::INITIATION.0) && byte >= datagram.len() - 16 {
                return vec![arrives(from, due)];
            }
            let mut bytes = datagram.to_vec();
            if let Some(byte) = bytes.get_mut(byte) {
                *byte ^= 1 << (bit % 8);
            }
            vec![Flying { due, from, to, bytes, junk: true }]
        }
        Fate::Truncate(length) => {
            let bytes = datagram.get(..usize::from(length) % datagram.len()).unwrap_or_default().to_vec();
            vec![Flying { due, from, to, bytes, junk: true }]
        }
        Fate::Race => vec![arrives(attacker(), due), arrives(from, due)],
    }
}

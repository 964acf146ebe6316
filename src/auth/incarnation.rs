//! Which run of a node a handshake is with: told to each peer in a number of its own, which only that peer can know.

use std::fmt;

use ring::hmac;

use crate::wire::id::{Incarnation, NodeId};

/// What one run of a node calls itself in its handshakes. Spec: `spec/cryptography.md` section 3.2.
pub struct Incarnations(hmac::Key);

impl Incarnations {
    /// The names of a run with this secret: 256 bits from the node's generator, used in no other run.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// What the run calls itself towards one peer. No other peer, and nobody who has the node's key, can tell it.
    #[must_use]
    pub fn toward(&self, peer: NodeId) -> Incarnation {
        let hash = hmac::sign(&self.0, &peer.0);
        Incarnation(hash.as_ref().first_chunk().copied().unwrap_or_default())
    }
}

impl fmt::Debug for Incarnations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Incarnations(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_one_to_a_peer_and_another_to_the_next() {
        let (this, next) = (Incarnations::new(&[1; 32]), Incarnations::new(&[2; 32]));
        let (peer, other) = (NodeId([3; 16]), NodeId([4; 16]));
        assert_eq!(this.toward(peer), Incarnations::new(&[1; 32]).toward(peer));
        assert_ne!(this.toward(peer), this.toward(other));
        assert_ne!(this.toward(peer), next.toward(peer));
    }
}

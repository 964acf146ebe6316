//! A node's static key pair.

use std::fmt;

use snow::params::DHChoice;
use snow::resolvers::{CryptoResolver, DefaultResolver};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::wire::id::{NodeId, PublicKey};

/// A node's static X25519 key pair: printed nowhere, wiped when dropped. Spec: `spec/cryptography.md` section 2.
///
/// The Noise library copies the secret key for every handshake, and does not wipe its copies.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Identity {
    secret: [u8; 32],
    #[zeroize(skip)]
    public: PublicKey,
}

impl Identity {
    /// The key pair of a secret key: 32 bytes from the operating system's generator.
    #[must_use]
    pub fn from_secret(secret: [u8; 32]) -> Self {
        let public = public_key(&secret);
        Self { secret, public }
    }

    /// The secret key, to be stored where only its owner can read it.
    #[must_use]
    pub fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.public
    }

    /// The node ID that follows from the public key.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        NodeId::from(&self.public)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("public_key", &self.public).finish_non_exhaustive()
    }
}

/// The handshake's own X25519 derives the key, so the two can never disagree.
fn public_key(secret: &[u8; 32]) -> PublicKey {
    let Some(mut dh) = DefaultResolver.resolve_dh(&DHChoice::Curve25519) else {
        unreachable!("the features of snow that this package asks for include X25519");
    };
    dh.set(secret);
    PublicKey(dh.pubkey().first_chunk().copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_key_is_that_of_rfc_7748() {
        // RFC 7748, section 6.1: Bob's key pair.
        let hex = |text: &str| data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap().try_into().unwrap();
        let bob = Identity::from_secret(hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"));
        assert_eq!(bob.public_key().0, hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"));
    }

    #[test]
    fn does_not_print_its_secret() {
        let identity = Identity::from_secret([0xAB; 32]);
        let shown = format!("{identity:?}");
        assert!(shown.contains(&identity.public_key().to_string()));
        assert!(!shown.contains("171") && !shown.contains("abab"));
    }
}

//! A node's static key pair.
use crate::wire::id::{NodeId, PublicKey};

/// A node's static X25519 key pair. Spec: `spec/cryptography.md` section 2.
#[derive(Clone)]
pub struct Identity {}

impl Identity {
    /// The key pair of a secret key: 32 bytes from the operating system's generator.
    pub fn from_secret(_secret: [u8; 32]) -> Self {
        todo!()
    }
    /// The secret key, to be stored where only its owner can read it.
    pub fn secret(&self) -> &[u8; 32] {
        todo!()
    }
    /// The public key.
    pub fn public_key(&self) -> PublicKey {
        todo!()
    }
    /// The node ID that follows from the public key.
    pub fn node_id(&self) -> NodeId {
        todo!()
    }
}

/// The node ID that follows from a public key.
pub fn node_id(_key: &PublicKey) -> NodeId {
    todo!()
}

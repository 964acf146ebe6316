//! Who may speak: identities, invites, handshakes and the tag on every datagram. No I/O, no clock.

pub mod identity;
pub mod invite;

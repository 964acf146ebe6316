//! Who may speak: identities, invites, handshakes and the tag on every datagram. No I/O, no clock.

pub mod cookie;
pub mod drbg;
pub mod handshake;
pub mod identity;
pub mod incarnation;
pub mod invite;
pub mod keys;
pub mod mac;
pub mod onlooker;
pub mod replay;
pub mod seal;
pub mod session;
pub mod tag;
pub mod totp;

mod noise;

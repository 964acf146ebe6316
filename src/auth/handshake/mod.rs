//! The handshake: two messages after which two nodes share keys and know each other's static key.

use std::fmt;

use zeroize::Zeroizing;

use crate::auth::cookie;
use crate::auth::drbg::Drbg;
use crate::auth::identity::Identity;
use crate::auth::invite::Token;
use crate::auth::keys::SessionKeys;
use crate::auth::mac::{Mac1Key, mac2};
use crate::auth::noise::Noise;
use crate::config::Cluster;
use crate::wire::cookie_reply::CookieReply;
use crate::wire::error::DecodeError;
use crate::wire::id::{ClusterId, Incarnation, Index, InviteId, PublicKey};
use crate::wire::initiation::{Initiation, InitiationPayload, Mode};
use crate::wire::name::Name;
use crate::wire::response::{Response, ResponsePayload};

/// What an initiator wants.
#[derive(Clone, Copy, Debug)]
pub enum Purpose<'a> {
    /// A session between members of this cluster.
    Member(&'a Cluster),
    /// To be let in.
    Join {
        /// The invite.
        token: &'a Token,
        /// The name that the joiner wants.
        name: Name,
    },
}

/// What both ends of a handshake must agree on before it begins, besides the header of the initiation. Spec: `spec/cryptography.md` section 3.
#[derive(Clone, Copy, Debug)]
pub enum Prologue<'a> {
    /// Between members of this cluster.
    Member(&'a ClusterId),
    /// Joining with this invite.
    Join(InviteId),
}

/// The initiator's side of a handshake under way. The Noise library inside keeps copies of secrets in memory that it does
/// not wipe; dddns wipes its own.
pub struct Initiator {
    noise: Noise,
    responder: PublicKey,
    initiation: Initiation,
    datagram: [u8; Initiation::LEN],
}

/// The responder's side: an initiation that was read and not answered yet. What [`Initiator`] says of secrets in memory
/// holds here too.
pub struct Received {
    noise: Noise,
    initiator: PublicKey,
    sender: Index,
    payload: InitiationPayload,
}

/// Why a handshake message is discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The Noise message does not decrypt: it was made for another key, cluster or invite, or it is not as it was sent,
    /// header included.
    #[error("the handshake message does not decrypt")]
    Decrypt,
    /// A Diffie-Hellman result is zero: the other end's key is not one (AUTH-3).
    #[error("a key of the other end is invalid")]
    ZeroDh,
    /// The message decrypts, and what it says is against the format: the other end is at fault.
    #[error("the handshake message says what it may not: {0}")]
    Payload(DecodeError),
    /// A session index is 0, belongs to no initiation under way, or does not fit the verdict.
    #[error("the session index does not fit")]
    Index,
    /// The handshake is not at this point: it has ended.
    #[error("the handshake has ended")]
    State,
}

impl Initiator {
    /// Begins a handshake. Takes 32 bytes from `drbg`: the ephemeral secret key. `incarnation` tells the responder which
    /// run of this end it is; `sender` is the index by which the responder is to address this end; not 0.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::ZeroDh`] if `responder` is not a public key, [`HandshakeError::Index`] if `sender` is 0.
    pub fn start(
        identity: &Identity,
        responder: &PublicKey,
        purpose: Purpose<'_>,
        incarnation: Incarnation,
        sender: Index,
        drbg: &mut Drbg,
    ) -> Result<Self, HandshakeError> {
        if sender == Index::NONE {
            return Err(HandshakeError::Index);
        }
        let (prologue, psk, name) = match purpose {
            Purpose::Member(cluster) => (Prologue::Member(&cluster.id), Zeroizing::new(cluster.key.0), None),
            Purpose::Join { token, name } => (Prologue::Join(token.id()), Zeroizing::new(token.psk_hash()), Some(name)),
        };
        let (mode, invite) = match prologue {
            Prologue::Member(_) => (Mode::Member, InviteId([0; 8])),
            Prologue::Join(invite) => (Mode::Join, invite),
        };
        let mut initiation = Initiation { mode, sender, invite, noise: [0; 168], mac1: [0; 16], mac2: [0; 16] };
        let mut noise = Noise::initiator(identity, responder, &prologue.to_bytes(&initiation), &psk, drbg.array())?;
        initiation.noise = noise.write(&InitiationPayload { incarnation, name }.to_bytes())?;
        initiation.mac1 = Mac1Key::of(responder).mac1(&initiation);
        Ok(Self { noise, responder: *responder, initiation, datagram: initiation.to_bytes() })
    }

    /// The datagram to send, and to send again until an answer comes.
    #[must_use]
    pub fn datagram(&self) -> &[u8; Initiation::LEN] {
        &self.datagram
    }

    /// The index by which the responder will address this end.
    #[must_use]
    pub fn sender(&self) -> Index {
        self.initiation.sender
    }

    /// The cookie in a reply to this initiation; `None` if it is not one that its responder made.
    #[must_use]
    pub fn open_cookie(&self, reply: &CookieReply) -> Option<[u8; 16]> {
        if reply.receiver != self.sender() {
            return None;
        }
        cookie::open(reply, &self.responder, &self.initiation.mac1)
    }

    /// Makes the datagram carry the proof that this end got `cookie` at its address.
    pub fn set_cookie(&mut self, cookie: [u8; 16]) {
        self.initiation.mac2 = mac2(&cookie, &self.datagram);
        self.datagram = self.initiation.to_bytes();
    }

    /// Ends the handshake with the responder's answer. The keys serve only if the verdict is
    /// [`Verdict::Accepted`](crate::wire::response::Verdict::Accepted). The caller has verified the response's mac1.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Index`], [`HandshakeError::Decrypt`] and [`HandshakeError::ZeroDh`] for a response that
    /// nobody with the responder's key made for this initiation: the handshake goes on, the right one may still come.
    /// [`HandshakeError::Payload`] if the responder itself answers against the format (its index does not fit the
    /// verdict, say): the handshake has ended, and a next call says [`HandshakeError::State`].
    pub fn finish(&mut self, response: &Response) -> Result<(SessionKeys, ResponsePayload), HandshakeError> {
        if response.receiver != self.sender() {
            return Err(HandshakeError::Index);
        }
        let payload = Zeroizing::new(self.noise.read(&response.noise)?);
        let payload = ResponsePayload::from_bytes(self.initiation.mode, &payload).map_err(HandshakeError::Payload)?;
        Ok((SessionKeys::derive(&self.noise.split()?, true), payload))
    }
}

impl fmt::Debug for Initiator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Initiator")
            .field("responder", &self.responder)
            .field("sender", &self.sender())
            .finish_non_exhaustive()
    }
}

impl Received {
    /// Reads an initiation whose mac1 the caller has verified. Takes 32 bytes from `drbg`: the ephemeral secret key.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Decrypt`] if it was not made for this identity and prologue, or if its header is not the one that
    /// it was made with (AUTH-12), [`HandshakeError::ZeroDh`] if a key in it is none, [`HandshakeError::Payload`] if its
    /// payload is against the format.
    pub fn read(
        identity: &Identity,
        prologue: Prologue<'_>,
        initiation: &Initiation,
        drbg: &mut Drbg,
    ) -> Result<Self, HandshakeError> {
        let mut noise = Noise::responder(identity, &prologue.to_bytes(initiation), drbg.array())?;
        let payload = noise.read(&initiation.noise)?;
        let payload = InitiationPayload::from_bytes(initiation.mode, &payload).map_err(HandshakeError::Payload)?;
        let initiator = noise.remote().ok_or(HandshakeError::State)?;
        Ok(Self { noise, initiator, sender: initiation.sender, payload })
    }

    /// Who initiated: its public key, proven by the initiation unless that is a replay.
    #[must_use]
    pub fn initiator(&self) -> PublicKey {
        self.initiator
    }

    /// The name that a joiner wants; `None` between members.
    #[must_use]
    pub fn name(&self) -> Option<Name> {
        self.payload.name
    }

    /// Which run of the initiator this is, by its own word.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.payload.incarnation
    }

    /// Answers. `psk` is the cluster key between members, the invite's hash when joining. The keys of a refusal serve
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Index`] if the payload accepts without an index or refuses with one, [`HandshakeError::ZeroDh`]
    /// if the initiator's ephemeral key is none.
    pub fn respond(
        mut self,
        psk: &[u8; 32],
        payload: &ResponsePayload,
    ) -> Result<([u8; Response::LEN], SessionKeys), HandshakeError> {
        if !payload.index_fits() {
            return Err(HandshakeError::Index);
        }
        self.noise.set_psk(psk)?;
        let noise = self.noise.write(Zeroizing::new(payload.to_bytes()).as_slice())?;
        let mut response = Response { receiver: self.sender, noise, mac1: [0; 16] };
        response.mac1 = Mac1Key::of(&self.initiator).mac1(&response);
        Ok((response.to_bytes(), SessionKeys::derive(&self.noise.split()?, false)))
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("initiator", &self.initiator)
            .field("payload", &self.payload)
            .finish_non_exhaustive()
    }
}

impl Prologue<'_> {
    /// The Noise prologue: this, and the header of the initiation, of which no byte can then be changed (AUTH-12).
    fn to_bytes(self, initiation: &Initiation) -> Vec<u8> {
        let initiation = initiation.to_bytes();
        let (header, _) = initiation.split_at(Initiation::BEFORE_NOISE);
        match self {
            Self::Member(cluster) => [b"dddns/1 member".as_slice(), &cluster.0, header].concat(),
            Self::Join(invite) => [b"dddns/1 join".as_slice(), &invite.0, header].concat(),
        }
    }
}

#[cfg(test)]
mod tests;

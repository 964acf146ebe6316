//! snow, set up for the one Noise protocol that is spoken here, without entropy of its own.

use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, Error, HandshakeState};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::auth::handshake::HandshakeError;
use crate::auth::identity::Identity;
use crate::auth::keys::Split;
use crate::wire::id::PublicKey;

/// Where the pre-shared key enters: at the end of message 2.
const PSK_LOCATION: u8 = 2;

/// A handshake under way. snow keeps copies of its secrets, the static key among them, in memory that it does not wipe;
/// what this module holds itself is wiped.
pub(super) struct Noise(HandshakeState);

impl Noise {
    /// The end that speaks first. `ephemeral` becomes its ephemeral secret key.
    pub(super) fn initiator(
        identity: &Identity,
        responder: &PublicKey,
        prologue: &[u8],
        psk: &[u8; 32],
        ephemeral: [u8; 32],
    ) -> Result<Self, HandshakeError> {
        let builder = builder(identity, prologue, ephemeral)?;
        let state = builder.remote_public_key(&responder.0)?.psk(PSK_LOCATION, psk)?.build_initiator()?;
        Ok(Self(state))
    }

    /// The end that answers. `ephemeral` becomes its ephemeral secret key.
    pub(super) fn responder(identity: &Identity, prologue: &[u8], ephemeral: [u8; 32]) -> Result<Self, HandshakeError> {
        Ok(Self(builder(identity, prologue, ephemeral)?.build_responder()?))
    }

    /// Sets the pre-shared key, for a responder that learns only from message 1 which one.
    pub(super) fn set_psk(&mut self, psk: &[u8; 32]) -> Result<(), HandshakeError> {
        Ok(self.0.set_psk(usize::from(PSK_LOCATION), psk)?)
    }

    /// Writes the next message; it has `M` bytes.
    pub(super) fn write<const M: usize>(&mut self, payload: &[u8]) -> Result<[u8; M], HandshakeError> {
        let mut message = [0; M];
        let written = self.0.write_message(payload, &mut message)?;
        if written == M { Ok(message) } else { Err(HandshakeError::State) }
    }

    /// Reads the next message; its payload has `P` bytes. A message that does not decrypt leaves the handshake as it
    /// was.
    pub(super) fn read<const P: usize>(&mut self, message: &[u8]) -> Result<[u8; P], HandshakeError> {
        let mut payload = [0; P];
        let read = self.0.read_message(message, &mut payload)?;
        if read == P { Ok(payload) } else { Err(HandshakeError::State) }
    }

    /// The other end's static public key, once it is known.
    pub(super) fn remote(&self) -> Option<PublicKey> {
        self.0.get_remote_static()?.first_chunk().copied().map(PublicKey)
    }

    /// The result, after both messages.
    pub(super) fn split(&mut self) -> Result<Split, HandshakeError> {
        if !self.0.is_handshake_finished() {
            return Err(HandshakeError::State);
        }
        let hash = self.0.get_handshake_hash().first_chunk().copied().ok_or(HandshakeError::State)?;
        let (mut k1, mut k2) = self.0.dangerously_get_raw_split();
        let mut split = Split { hash, keys: [0; 64] };
        let (first, second) = split.keys.split_at_mut(32);
        first.copy_from_slice(&k1);
        second.copy_from_slice(&k2);
        k1.zeroize();
        k2.zeroize();
        Ok(split)
    }
}

fn builder<'a>(identity: &'a Identity, prologue: &'a [u8], ephemeral: [u8; 32]) -> Result<Builder<'a>, HandshakeError> {
    let protocol = "Noise_IKpsk2_25519_ChaChaPoly_SHA256".parse()?;
    let builder = Builder::with_resolver(protocol, Box::new(Resolver { ephemeral }));
    Ok(builder.local_private_key(identity.secret())?.prologue(prologue)?)
}

impl From<Error> for HandshakeError {
    fn from(error: Error) -> Self {
        if error == Error::Dh {
            Self::ZeroDh
        } else if error == Error::Decrypt {
            Self::Decrypt
        } else {
            Self::State
        }
    }
}

/// snow's own functions, except that randomness is given and a shared secret of zeros is refused.
#[derive(Zeroize, ZeroizeOnDrop)]
struct Resolver {
    ephemeral: [u8; 32],
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Ephemeral { secret: self.ephemeral, used: false }))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        Some(Box::new(NonZeroDh(DefaultResolver.resolve_dh(choice)?)))
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

/// The randomness of one handshake: the ephemeral secret key, given out once.
#[derive(Zeroize, ZeroizeOnDrop)]
struct Ephemeral {
    secret: [u8; 32],
    used: bool,
}

impl Random for Ephemeral {
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Error> {
        if self.used || out.len() != self.secret.len() {
            return Err(Error::Rng);
        }
        self.used = true;
        out.copy_from_slice(&self.secret);
        self.secret.zeroize();
        Ok(())
    }
}

/// X25519 that refuses a result of 32 zero bytes: the other key was of small order (AUTH-3). snow itself does not.
struct NonZeroDh(Box<dyn Dh>);

impl Dh for NonZeroDh {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn pub_len(&self) -> usize {
        self.0.pub_len()
    }

    fn priv_len(&self) -> usize {
        self.0.priv_len()
    }

    fn set(&mut self, secret: &[u8]) {
        self.0.set(secret);
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), Error> {
        self.0.generate(rng)
    }

    fn pubkey(&self) -> &[u8] {
        self.0.pubkey()
    }

    fn privkey(&self) -> &[u8] {
        self.0.privkey()
    }

    fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), Error> {
        self.0.dh(public, out)?;
        let shared = out.get(..self.0.dh_len()).ok_or(Error::Dh)?;
        if shared.iter().fold(0, |any, byte| any | byte) == 0 { Err(Error::Dh) } else { Ok(()) }
    }
}

//! Handshake messages made with known keys, by a Noise library and a hash alone: what somebody else's program could send.
//!
//! Nothing here asks the code that the targets judge. Spec: `spec/cryptography.md` sections 3 and 5.

use dddns::auth::identity::Identity;
use dddns::wire::id::{Index, PublicKey};
use ring::{digest, hmac};
use snow::{Builder, HandshakeState};

/// What both ends of a handshake must agree on.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'t> {
    /// What the Noise prologue begins with: the label and the cluster's or the invite's ID.
    pub label: &'t [u8],
    /// The pre-shared key.
    pub psk: &'t [u8; 32],
}

/// The first 16 bytes of an initiation, as they are to stand there.
pub type Head = [u8; 16];

/// How long an initiation's payload is.
pub const INITIATION_PAYLOAD: usize = 72;

/// How long a response's payload is.
pub const RESPONSE_PAYLOAD: usize = 87;

/// An initiation with this head and payload, from `caller` to `called`, and the handshake that goes on from there. mac1 is
/// right.
#[must_use]
pub fn initiation(
    caller: &Identity,
    called: &PublicKey,
    terms: Terms<'_>,
    ephemeral: &[u8; 32],
    head: Head,
    payload: &[u8; INITIATION_PAYLOAD],
) -> (Vec<u8>, HandshakeState) {
    let prologue = [terms.label, &head].concat();
    let mut noise = builder(caller, &prologue, terms.psk, ephemeral)
        .remote_public_key(&called.0)
        .and_then(Builder::build_initiator)
        .expect("keys of 32 bytes");
    let mut datagram = head.to_vec();
    append(&mut noise, payload, &mut datagram);
    datagram.extend(mac1(called, &datagram));
    datagram.extend([0; 16]);
    (datagram, noise)
}

/// The response of `called` with this payload to an initiation, and the handshake that ended with it; `None` if the
/// initiation is not for `called`. mac1 is right.
#[must_use]
pub fn response(
    called: &Identity,
    caller: &PublicKey,
    terms: Terms<'_>,
    ephemeral: &[u8; 32],
    initiation: &[u8; 216],
    payload: &[u8; RESPONSE_PAYLOAD],
) -> Option<(Vec<u8>, HandshakeState)> {
    let (head, rest) = initiation.split_at(16);
    let (message, _) = rest.split_at(168);
    let prologue = [terms.label, head].concat();
    let mut noise = builder(called, &prologue, terms.psk, ephemeral).build_responder().expect("keys of 32 bytes");
    noise.read_message(message, &mut [0; INITIATION_PAYLOAD]).ok()?;
    let (_, sender) = head.split_at(4);
    let (sender, _) = sender.split_at(4);
    let mut datagram = [&[0xD1, 0x02, 0, 0], sender].concat();
    append(&mut noise, payload, &mut datagram);
    datagram.extend(mac1(caller, &datagram));
    Some((datagram, noise))
}

/// What HKDF-Extract gives at the end of a handshake.
#[must_use]
pub fn prk(mut noise: HandshakeState) -> [u8; 32] {
    let salt = hmac::Key::new(hmac::HMAC_SHA256, noise.get_handshake_hash());
    let (k1, k2) = noise.dangerously_get_raw_split();
    hmac::sign(&salt, &[k1, k2].concat()).as_ref().try_into().expect("SHA-256 gives 32 bytes")
}

/// mac1 for this receiver over the bytes before it.
#[must_use]
pub fn mac1(receiver: &PublicKey, covered: &[u8]) -> [u8; 16] {
    let key = digest::digest(&digest::SHA256, &[b"dddns/1 mac1".as_slice(), &receiver.0].concat());
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()), covered);
    *mac.as_ref().first_chunk().expect("SHA-256 gives 32 bytes")
}

/// The head of an initiation.
#[must_use]
pub fn head(mode: u8, zero: u8, sender: Index, invite: [u8; 8]) -> Head {
    let [a, b, c, d] = sender.0.to_be_bytes();
    let [e, f, g, h, i, j, k, l] = invite;
    [0xD1, 0x01, mode, zero, a, b, c, d, e, f, g, h, i, j, k, l]
}

fn builder<'k>(own: &'k Identity, prologue: &'k [u8], psk: &'k [u8; 32], ephemeral: &'k [u8; 32]) -> Builder<'k> {
    Builder::new("Noise_IKpsk2_25519_ChaChaPoly_SHA256".parse().expect("a protocol that the library has"))
        .local_private_key(own.secret())
        .and_then(|builder| builder.prologue(prologue))
        .and_then(|builder| builder.psk(2, psk))
        .expect("each is set once")
        .fixed_ephemeral_key_for_testing_only(ephemeral)
}

fn append(noise: &mut HandshakeState, payload: &[u8], datagram: &mut Vec<u8>) {
    let mut message = [0; 256];
    let length = noise.write_message(payload, &mut message).expect("it is this end's turn, and there is room");
    datagram.extend(message.get(..length).unwrap_or_default());
}

//! The cryptography of `spec/cryptography.md` once more, from primitives: what the vectors say of keys is computed here and
//! what they say of datagrams by the library, so that either is held against the other.

use ring::{aead, digest, hmac};
use snow::params::DHChoice;
use snow::resolvers::{CryptoResolver, DefaultResolver};

/// The label of the Noise protocol.
const PROTOCOL: &[u8] = b"Noise_IKpsk2_25519_ChaChaPoly_SHA256";

pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let hash = digest::digest(&digest::SHA256, &parts.concat());
    hash.as_ref().try_into().expect("32 bytes")
}

pub(crate) fn hmac_sha256(key: &[u8], data: &[u8]) -> [u8; 32] {
    let hash = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data);
    hash.as_ref().try_into().expect("32 bytes")
}

/// RFC 6238's value before truncation.
pub(crate) fn totp_value(secret: &[u8], step: u64) -> [u8; 20] {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    hmac::sign(&key, &step.to_be_bytes()).as_ref().try_into().expect("20 bytes")
}

fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    *bytes.first_chunk().expect("long enough")
}

pub(crate) fn public_key(secret: &[u8; 32]) -> [u8; 32] {
    let mut pair = DefaultResolver.resolve_dh(&DHChoice::Curve25519).expect("X25519");
    pair.set(secret);
    first(pair.pubkey())
}

fn dh(secret: &[u8; 32], public: &[u8; 32]) -> [u8; 32] {
    let mut pair = DefaultResolver.resolve_dh(&DHChoice::Curve25519).expect("X25519");
    pair.set(secret);
    let mut shared = [0; 32];
    pair.dh(public, &mut shared).expect("a result, whatever it is");
    shared
}

pub(crate) fn encrypt(key: &[u8; 32], nonce: [u8; 12], associated: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut bytes = plain.to_vec();
    let nonce = aead::Nonce::assume_unique_for_key(nonce);
    cipher(key).seal_in_place_append_tag(nonce, aead::Aad::from(associated), &mut bytes).expect("it is short");
    bytes
}

pub(crate) fn decrypt(key: &[u8; 32], nonce: [u8; 12], associated: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = sealed.to_vec();
    let nonce = aead::Nonce::assume_unique_for_key(nonce);
    Some(cipher(key).open_in_place(nonce, aead::Aad::from(associated), &mut bytes).ok()?.to_vec())
}

fn cipher(key: &[u8; 32]) -> aead::LessSafeKey {
    aead::LessSafeKey::new(aead::UnboundKey::new(&aead::CHACHA20_POLY1305, key).expect("32 bytes"))
}

/// Noise's `SymmetricState` with the `CipherState` of the moment.
#[derive(Clone)]
struct Symmetric {
    h: [u8; 32],
    ck: [u8; 32],
    k: [u8; 32],
    n: u64,
}

impl Symmetric {
    fn new(prologue: &[u8], responder: &[u8; 32]) -> Self {
        let h = sha256(&[PROTOCOL]);
        let mut state = Self { h, ck: h, k: [0; 32], n: 0 };
        state.mix_hash(prologue);
        state.mix_hash(responder);
        state
    }

    fn mix_hash(&mut self, data: &[u8]) {
        self.h = sha256(&[&self.h, data]);
    }

    fn mix_key(&mut self, material: &[u8]) {
        let [ck, k, _] = hkdf(&self.ck, material);
        (self.ck, self.k, self.n) = (ck, k, 0);
    }

    fn mix_key_and_hash(&mut self, material: &[u8]) {
        let [ck, hash, k] = hkdf(&self.ck, material);
        self.mix_hash(&hash);
        (self.ck, self.k, self.n) = (ck, k, 0);
    }

    fn nonce(&mut self) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.n.to_le_bytes());
        self.n += 1;
        nonce
    }

    fn encrypt(&mut self, plain: &[u8]) -> Vec<u8> {
        let (key, hash) = (self.k, self.h);
        let sealed = encrypt(&key, self.nonce(), &hash, plain);
        self.mix_hash(&sealed);
        sealed
    }

    fn decrypt(&mut self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (key, hash) = (self.k, self.h);
        let plain = decrypt(&key, self.nonce(), &hash, sealed)?;
        self.mix_hash(sealed);
        Some(plain)
    }
}

fn hkdf(ck: &[u8; 32], material: &[u8]) -> [[u8; 32]; 3] {
    let key = hmac_sha256(ck, material);
    let one = hmac_sha256(&key, &[1]);
    let two = hmac_sha256(&key, &[one.as_slice(), &[2]].concat());
    let three = hmac_sha256(&key, &[two.as_slice(), &[3]].concat());
    [one, two, three]
}

/// All that goes into a handshake. The secrets are X25519 secret keys.
#[derive(Clone)]
pub(crate) struct Handshake {
    pub(crate) initiator: [u8; 32],
    pub(crate) responder: [u8; 32],
    pub(crate) initiator_ephemeral: [u8; 32],
    pub(crate) responder_ephemeral: [u8; 32],
    pub(crate) prologue: Vec<u8>,
    pub(crate) psk: [u8; 32],
}

/// What comes out of it.
pub(crate) struct Finished {
    pub(crate) message_1: Vec<u8>,
    pub(crate) message_2: Vec<u8>,
    pub(crate) hash: [u8; 32],
    pub(crate) k1: [u8; 32],
    pub(crate) k2: [u8; 32],
}

impl Handshake {
    /// Both messages with these payloads, and the result.
    pub(crate) fn run(&self, payload_1: &[u8], payload_2: &[u8]) -> Finished {
        let mut state = Symmetric::new(&self.prologue, &public_key(&self.responder));
        let message_1 = self.message_1(&mut state, payload_1);
        let (message_2, state) = self.message_2(state, payload_2);
        let [k1, k2, _] = hkdf(&state.ck, &[]);
        Finished { message_1, message_2, hash: state.h, k1, k2 }
    }

    /// The payload of a message 1 that was made with this initiator's keys.
    pub(crate) fn open_message_1(&self, message_1: &[u8]) -> Option<Vec<u8>> {
        let mut state = Symmetric::new(&self.prologue, &public_key(&self.responder));
        let shared = dh(&self.initiator_ephemeral, &public_key(&self.responder));
        self.before_payload_1(&mut state, &public_key(&self.initiator_ephemeral), &shared);
        state.decrypt(message_1.get(80..)?)
    }

    /// The payload of a message 2 that answers this handshake's message 1.
    pub(crate) fn open_message_2(&self, payload_1: &[u8], message_2: &[u8]) -> Option<Vec<u8>> {
        let mut state = Symmetric::new(&self.prologue, &public_key(&self.responder));
        self.message_1(&mut state, payload_1);
        let (_, mut state) = self.before_payload_2(state);
        state.decrypt(message_2.get(32..)?)
    }

    /// Message 1 with 32 zero bytes for an ephemeral key: everybody knows the shared secret with it.
    pub(crate) fn message_1_without_key(&self, payload: &[u8]) -> Vec<u8> {
        let mut state = Symmetric::new(&self.prologue, &public_key(&self.responder));
        self.rest_of_message_1(&mut state, &[0; 32], &[0; 32], payload)
    }

    /// Message 2 with 32 zero bytes for an ephemeral key.
    pub(crate) fn message_2_without_key(&self, payload_1: &[u8], payload_2: &[u8]) -> Vec<u8> {
        let mut state = Symmetric::new(&self.prologue, &public_key(&self.responder));
        self.message_1(&mut state, payload_1);
        state.mix_hash(&[0; 32]);
        for shared in [[0; 32]; 3] {
            state.mix_key(&shared);
        }
        state.mix_key_and_hash(&self.psk);
        [[0; 32].as_slice(), &state.encrypt(payload_2)].concat()
    }

    fn message_1(&self, state: &mut Symmetric, payload: &[u8]) -> Vec<u8> {
        let shared = dh(&self.initiator_ephemeral, &public_key(&self.responder));
        self.rest_of_message_1(state, &public_key(&self.initiator_ephemeral), &shared, payload)
    }

    fn rest_of_message_1(&self, state: &mut Symmetric, ephemeral: &[u8; 32], es: &[u8; 32], payload: &[u8]) -> Vec<u8> {
        let encrypted_static = self.before_payload_1(state, ephemeral, es);
        [ephemeral.as_slice(), &encrypted_static, &state.encrypt(payload)].concat()
    }

    fn before_payload_1(&self, state: &mut Symmetric, ephemeral: &[u8; 32], es: &[u8; 32]) -> Vec<u8> {
        state.mix_hash(ephemeral);
        state.mix_key(ephemeral);
        state.mix_key(es);
        let encrypted_static = state.encrypt(&public_key(&self.initiator));
        state.mix_key(&dh(&self.initiator, &public_key(&self.responder)));
        encrypted_static
    }

    fn message_2(&self, state: Symmetric, payload: &[u8]) -> (Vec<u8>, Symmetric) {
        let (ephemeral, mut state) = self.before_payload_2(state);
        let message = [ephemeral.as_slice(), &state.encrypt(payload)].concat();
        (message, state)
    }

    fn before_payload_2(&self, mut state: Symmetric) -> ([u8; 32], Symmetric) {
        let ephemeral = public_key(&self.responder_ephemeral);
        state.mix_hash(&ephemeral);
        state.mix_key(&ephemeral);
        state.mix_key(&dh(&self.responder_ephemeral, &public_key(&self.initiator_ephemeral)));
        state.mix_key(&dh(&self.responder_ephemeral, &public_key(&self.initiator)));
        state.mix_key_and_hash(&self.psk);
        (ephemeral, state)
    }
}

/// The keys of a session. Spec: `spec/cryptography.md` section 3.1.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) prk: [u8; 32],
    pub(crate) initiator: Direction,
    pub(crate) responder: Direction,
}

/// The keys of what one end sends.
#[derive(Clone)]
pub(crate) struct Direction {
    pub(crate) totp: [u8; 20],
    pub(crate) seal: [u8; 32],
}

impl Keys {
    pub(crate) fn derive(hash: &[u8; 32], k1: &[u8; 32], k2: &[u8; 32]) -> Self {
        let prk = hmac_sha256(hash, &[k1.as_slice(), k2].concat());
        let expand = |info: &str| hmac_sha256(&prk, &[info.as_bytes(), &[1]].concat());
        let direction = |end: &str| Direction {
            totp: first(&expand(&format!("dddns/1 totp {end}"))),
            seal: expand(&format!("dddns/1 seal {end}")),
        };
        Self { prk, initiator: direction("initiator"), responder: direction("responder") }
    }
}

impl Direction {
    /// A whole datagram: this body under this header, sealed or not, with the tag of step `t`.
    pub(crate) fn datagram(&self, header: &[u8; 16], body: &[u8], sealed: bool, t: u64) -> Vec<u8> {
        let mut datagram = header.to_vec();
        if sealed {
            datagram.extend(encrypt(&self.seal, seal_nonce(header), header, body));
        } else {
            datagram.extend(body);
        }
        datagram.extend(self.tag(&datagram, t));
        datagram
    }

    /// The tag of step `t` over these bytes.
    pub(crate) fn tag(&self, covered: &[u8], t: u64) -> [u8; 16] {
        first(&hmac_sha256(&totp_value(&self.totp, t), covered))
    }

    /// The plain body of a sealed one.
    pub(crate) fn open(&self, header: &[u8; 16], sealed: &[u8]) -> Option<Vec<u8>> {
        decrypt(&self.seal, seal_nonce(header), header, sealed)
    }
}

fn seal_nonce(header: &[u8; 16]) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&header[8..]);
    nonce
}

/// mac1 for whoever has this public key.
pub(crate) fn mac1(receiver: &[u8; 32], covered: &[u8]) -> [u8; 16] {
    first(&hmac_sha256(&sha256(&[b"dddns/1 mac1", receiver]), covered))
}

"""Which function is applied to which bytes (cryptography.md): pure functions and the replay window."""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

STEP_MS = 30_000
WINDOW = 1024
LAST_COUNTER = 1 << 63


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, "sha256").digest()


def same(one: bytes, other: bytes) -> bool:
    """Compares in constant time (AUTH-5)."""
    return hmac.compare_digest(one, other)


def base32(data: bytes) -> str:
    """RFC 4648, lower case, no padding."""
    return base64.b32encode(data).decode("ascii").rstrip("=").lower()


def from_base32(text: str) -> bytes:
    """The inverse of `base32`, in either case; refuses unused last bits that are not zero (formats.md section 7)."""
    if "=" in text:
        raise ValueError("padding")
    data = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    if base32(data) != text.lower():
        raise ValueError("unused bits are not zero")
    return data


# --- session keys, section 3.1 ------------------------------------------------------------------------------------


class SessionKeys(NamedTuple):
    """TOTP secrets and seal keys of both directions, named by the end that sends."""

    totp_initiator: bytes
    totp_responder: bytes
    seal_initiator: bytes
    seal_responder: bytes


def session_keys(handshake_hash: bytes, k1: bytes, k2: bytes) -> SessionKeys:
    """HKDF with SHA-256 over the keys of Split(); every output fits into one block."""
    prk = hmac_sha256(handshake_hash, k1 + k2)

    def expand(info: bytes, length: int) -> bytes:
        return hmac_sha256(prk, info + b"\x01")[:length]

    return SessionKeys(
        expand(b"dddns/1 totp initiator", 20),
        expand(b"dddns/1 totp responder", 20),
        expand(b"dddns/1 seal initiator", 32),
        expand(b"dddns/1 seal responder", 32),
    )


def incarnation(secret: bytes, peer: bytes) -> bytes:
    """AUTH-13: which run of a node this is, another one towards each peer."""
    return hmac_sha256(secret, peer)[:8]


# --- tags, section 4 ----------------------------------------------------------------------------------------------


def step_of(link_time_ms: int) -> int:
    """T of RFC 6238."""
    return link_time_ms // STEP_MS


def full_step(low_bits: int, own_step: int) -> int:
    """AUTH-4: the one T with these low 8 bits and -128 <= T - T' < 128."""
    return own_step + (low_bits - own_step + 128) % 256 - 128


def totp_value(secret: bytes, step: int) -> bytes:
    """V(T): RFC 6238 before truncation."""
    return hmac.new(secret, struct.pack(">Q", step), "sha1").digest()


def totp_code(secret: bytes, step: int, digits: int = 6) -> str:
    """V(T) truncated as RFC 4226 section 5.3 says."""
    value = totp_value(secret, step)
    offset = value[-1] & 15
    number = struct.unpack(">I", value[offset : offset + 4])[0] & 0x7FFFFFFF
    return str(number % 10**digits).zfill(digits)


def tag(secret: bytes, step: int, covered: bytes) -> bytes:
    """The tag over every byte of a datagram before it."""
    return hmac_sha256(totp_value(secret, step), covered)[:16]


class ReplayWindow:
    """Which counters of one direction have been accepted (AUTH-8, AUTH-9)."""

    def __init__(self) -> None:
        self.highest = -1
        self._seen = 0

    def allows(self, counter: int) -> bool:
        """Whether a counter may be accepted; changes nothing."""
        behind = self.highest - counter
        return counter < LAST_COUNTER and behind < WINDOW and (behind < 0 or not self._seen >> behind & 1)

    def accept(self, counter: int) -> bool:
        """Takes a counter if it is allowed, which moves the window."""
        if not self.allows(counter):
            return False
        ahead = counter - self.highest
        if ahead > 0:
            self._seen = self._seen << ahead if ahead < WINDOW else 0
            self._seen &= (1 << WINDOW) - 1
            self.highest = counter
        self._seen |= 1 << self.highest - counter
        return True


# --- sealed bodies, section 4.2 -----------------------------------------------------------------------------------


def _nonce(header: bytes) -> bytes:
    return bytes(4) + header[8:16]


def seal(key: bytes, header: bytes, plain: bytes) -> bytes:
    return ChaCha20Poly1305(key).encrypt(_nonce(header), plain, header)


def unseal(key: bytes, header: bytes, sealed: bytes) -> bytes | None:
    """The plain body, or nothing if it does not open."""
    try:
        return ChaCha20Poly1305(key).decrypt(_nonce(header), sealed, header)
    except InvalidTag:
        return None


# --- mac1, mac2 and cookies, section 5 ----------------------------------------------------------------------------


def mac1(receiver: bytes, before: bytes) -> bytes:
    """Over every byte before mac1, with the receiver's public key."""
    return hmac_sha256(sha256(b"dddns/1 mac1", receiver), before)[:16]


def mac2(cookie: bytes, before: bytes) -> bytes:
    """Over every byte before mac2."""
    return hmac_sha256(cookie, before)[:16]


def make_cookie(secret: bytes, source: bytes) -> bytes:
    """The cookie for a source, given as an `address`."""
    return hmac_sha256(secret, source)[:16]


def cookie_key(responder: bytes, random: bytes, initiation_mac1: bytes) -> bytes:
    return hmac_sha256(sha256(b"dddns/1 cookie", responder), random + initiation_mac1)


def seal_cookie(responder: bytes, initiation_mac1: bytes, cookie: bytes, random: bytes) -> bytes:
    """The sealed cookie of a CookieReply."""
    key = cookie_key(responder, random, initiation_mac1)
    return ChaCha20Poly1305(key).encrypt(bytes(12), cookie, None)


def open_cookie(responder: bytes, initiation_mac1: bytes, random: bytes, sealed: bytes) -> bytes | None:
    """The cookie of a CookieReply, or nothing if it does not open."""
    try:
        return ChaCha20Poly1305(cookie_key(responder, random, initiation_mac1)).decrypt(bytes(12), sealed, None)
    except InvalidTag:
        return None

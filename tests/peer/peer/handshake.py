"""Noise_IKpsk2 handshakes from either end (cryptography.md sections 3 and 5), without any I/O.

The `noise` package changes its state when a message does not decrypt. An initiator therefore keeps its ephemeral key
and makes the state anew for every Response (a note of state-machine.md section 2).
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from noise.connection import Keypair, NoiseConnection
from noise.exceptions import NoiseInvalidMessage

from . import crypto
from .session import Keys, LinkTime, Session
from .timers import ATTEMPT, COOKIE
from .wire import (
    Address,
    CookieReply,
    Discard,
    Initiation,
    InitiationPayload,
    Malformed,
    Response,
    ResponsePayload,
    node_id,
)

PROTOCOL = b"Noise_IKpsk2_25519_ChaChaPoly_SHA256"
FAILURES = (NoiseInvalidMessage, InvalidTag, ValueError)  # ValueError: a DH result of zero bytes (AUTH-3)


class Identity:
    """A static key pair and the node ID that follows from it."""

    def __init__(self, private_key: bytes | None = None) -> None:
        self.private_key = private_key or os.urandom(32)
        key = X25519PrivateKey.from_private_bytes(self.private_key)
        self.public_key = key.public_key().public_bytes_raw()
        self.id = node_id(self.public_key)


def member_prologue(cluster_id: bytes) -> bytes:
    """What comes before the header in the prologue of mode 0."""
    return b"dddns/1 member" + cluster_id


def join_prologue(invite: bytes) -> bytes:
    """The same of mode 1."""
    return b"dddns/1 join" + invite


def _noise(identity: Identity, initiator: bool, prologue: bytes, psk: bytes, ephemeral: bytes) -> NoiseConnection:
    noise = NoiseConnection.from_name(PROTOCOL)
    noise.set_prologue(prologue)
    noise.set_psks(psk)
    (noise.set_as_initiator if initiator else noise.set_as_responder)()
    noise.set_keypair_from_private_bytes(Keypair.STATIC, identity.private_key)
    noise.set_keypair_from_private_bytes(Keypair.EPHEMERAL, ephemeral)
    return noise


def _start(noise: NoiseConnection) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the ephemeral key was set: it is this handshake's own and random
        noise.start_handshake()


def _session_keys(noise: NoiseConnection, initiator: bool) -> Keys:
    """Section 3.1: k1 is the key from initiator to responder, whichever end one is."""
    protocol = noise.noise_protocol
    k1, k2 = protocol.cipher_state_encrypt.k, protocol.cipher_state_decrypt.k
    if not initiator:
        k1, k2 = k2, k1
    return Keys.of(crypto.session_keys(noise.get_handshake_hash(), k1, k2), initiator)


@dataclass(frozen=True)
class Secrets:
    """What an initiation is made with beside the keys: mode, invite ID, prologue and psk."""

    mode: int
    invite: bytes
    prologue: bytes
    psk: bytes


class Attempt:
    """One initiation under way: one ephemeral key and index, perhaps several addresses (STATE-2)."""

    def __init__(
        self,
        identity: Identity,
        responder: bytes,
        secrets: Secrets,
        payload: InitiationPayload,
        index: int,
        ephemeral: bytes,
        now: float,
    ) -> None:
        self._identity, self.responder, self._secrets, self._payload = identity, responder, secrets, payload
        self.index, self.born = index, now
        self.sent: dict[Address, float] = {}
        self.spoiled = False  # a faulty responder: no other Response is accepted (STATE-2)
        self._ephemeral = ephemeral
        self._header = Initiation(secrets.mode, index, secrets.invite, b"", b"", b"").header
        before_mac1 = self._header + self._message_1()[1]
        self._before_mac2 = before_mac1 + crypto.mac1(responder, before_mac1)
        self._cookie, self._cookie_until = b"", now

    def _message_1(self) -> tuple[NoiseConnection, bytes]:
        noise = _noise(self._identity, True, self._secrets.prologue + self._header, self._secrets.psk, self._ephemeral)
        noise.set_keypair_from_public_bytes(Keypair.REMOTE_STATIC, self.responder)
        _start(noise)
        return noise, bytes(noise.write_message(self._payload.encode()))

    def expired(self, now: float) -> bool:
        return now - self.born >= ATTEMPT

    def due(self, address: Address, interval: float, now: float) -> bool:
        """Whether an initiation may go to this address again."""
        return now - self.sent.get(address, float("-inf")) >= interval

    def datagram(self, address: Address, now: float) -> bytes:
        """The initiation, always the same bytes but for mac2; notes that it goes to this address."""
        self.sent[address] = now
        fresh = now < self._cookie_until
        return self._before_mac2 + (crypto.mac2(self._cookie, self._before_mac2) if fresh else bytes(16))

    def read_cookie(self, reply: CookieReply, now: float) -> None:
        """Uses the cookie of a CookieReply for COOKIE (AUTH-10)."""
        cookie = crypto.open_cookie(self.responder, self._before_mac2[-16:], reply.random, reply.sealed)
        if cookie is None:
            raise Discard("handshake")
        self._cookie, self._cookie_until = cookie, now + COOKIE

    def read_response(self, response: Response, now: float) -> tuple[ResponsePayload, Session | None]:
        """The payload, and the session unless it is a refusal. What does not decrypt leaves no trace (STATE-2)."""
        if self.spoiled:
            raise Discard("handshake")
        noise = self._message_1()[0]
        try:
            raw = bytes(noise.read_message(response.noise))
        except FAILURES as failure:
            raise Discard("handshake") from failure
        try:
            payload = ResponsePayload.decode(raw, self._secrets.mode)
            if payload.index == 0 and self._secrets.mode == 0:
                raise Malformed("refusal")  # only who would join can be refused
        except Malformed as failure:
            self.spoiled = True
            raise Discard("handshake") from failure
        if payload.index == 0:
            return payload, None
        time = LinkTime(payload.clock, now)
        keys = _session_keys(noise, True)
        return payload, Session(keys, True, self.index, payload.index, payload.incarnation, time, self.born, now)


class Answer:
    """The responder's end: Noise message 1 read, message 2 not yet written."""

    def __init__(
        self, identity: Identity, initiation: Initiation, prologue: bytes, psk: bytes, ephemeral: bytes
    ) -> None:
        self._initiation = initiation
        self.noise = _noise(identity, False, prologue + initiation.header, psk, ephemeral)
        _start(self.noise)
        state = self.noise.noise_protocol.handshake_state
        try:
            raw = bytes(self.noise.read_message(initiation.noise))
            self.payload = InitiationPayload.decode(raw, initiation.mode)
        except (*FAILURES, Malformed) as failure:
            raise Discard("handshake") from failure
        self.public_key: bytes = state.rs.public_bytes

    def respond(self, payload: ResponsePayload, now: float) -> tuple[bytes, Session | None]:
        """The Response and, unless it is a refusal, the session that waits for its confirmation."""
        message = bytes(self.noise.write_message(payload.encode()))
        before_mac1 = Response(self._initiation.sender, message, b"").encode()
        datagram = before_mac1 + crypto.mac1(self.public_key, before_mac1)
        if payload.index == 0:
            return datagram, None
        time = LinkTime(payload.clock, now)
        keys = _session_keys(self.noise, False)
        remote, incarnation = self._initiation.sender, self.payload.incarnation
        session = Session(keys, False, payload.index, remote, incarnation, time, now, now)
        return datagram, session

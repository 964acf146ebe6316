"""One session: keys, indices, counters and link time from one handshake (cryptography.md sections 3.1 and 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from . import crypto, wire
from .timers import DRIFT_MAX_MS, PENDING
from .wire import Discard, Message, Tagged


class LinkTime:
    """The responder's clock from the handshake, carried on by a clock that never jumps (AUTH-6, AUTH-7)."""

    def __init__(self, clock_ms: int, now: float) -> None:
        self._clock_ms, self._at, self.drift_ms = clock_ms, now, 0

    def read(self, now: float) -> int:
        """Link time in milliseconds."""
        return self._clock_ms + int((now - self._at) * 1000)

    def step(self, now: float) -> int:
        return crypto.step_of(self.read(now))

    def follow(self, step: int, now: float) -> None:
        """AUTH-6: sets itself forward to the beginning of a step, by no more than 30 s in the life of a session."""
        ahead = min(step * crypto.STEP_MS - self.read(now), DRIFT_MAX_MS - self.drift_ms)
        if ahead > 0:
            self._clock_ms += ahead
            self.drift_ms += ahead


class Received(NamedTuple):
    """A tagged datagram that has passed checks 4 to 8."""

    message: Message
    counter: int
    newest: bool


@dataclass
class Keys:
    """Of one end: what it sends with and what it receives with."""

    totp_out: bytes
    totp_in: bytes
    seal_out: bytes
    seal_in: bytes

    @classmethod
    def of(cls, keys: crypto.SessionKeys, initiator: bool) -> Keys:
        if initiator:
            return cls(keys.totp_initiator, keys.totp_responder, keys.seal_initiator, keys.seal_responder)
        return cls(keys.totp_responder, keys.totp_initiator, keys.seal_responder, keys.seal_initiator)


class Session:
    """What two ends share after a handshake."""

    def __init__(
        self,
        keys: Keys,
        initiator: bool,
        local: int,
        remote: int,
        incarnation: bytes,
        time: LinkTime,
        begun: float,
        ended: float,
    ) -> None:
        self.keys, self.initiator, self.local, self.remote = keys, initiator, local, remote
        self.incarnation = incarnation
        self.time = time
        self.begun = begun  # STATE-5: when the handshake began at this node
        self.ended = ended  # state-machine.md section 6: when its Response came or was sent
        self.established = begun
        self.first_received = float("inf")  # STATE-5: when something first came under it
        self.window = crypto.ReplayWindow()
        self.next_counter = 0

    def crossed_by(self, other: Session) -> bool:
        """STATE-5: whether a new session was begun from the other end, and too early to follow this one."""
        if self.initiator == other.initiator:
            return False
        unheard = self.initiator and other.begun < self.first_received
        return other.begun <= self.established + (PENDING if unheard else 0.0)

    @property
    def seen(self) -> int:
        """The first field of a Heartbeat: the highest counter accepted, plus one."""
        return self.window.highest + 1

    def make(self, message: Message, now: float) -> tuple[bytes, int]:
        """The datagram for a message, and its counter, which is never used again (AUTH-9)."""
        counter, code, step = self.next_counter, wire.TYPES[type(message)], self.time.step(now)
        if counter >= crypto.LAST_COUNTER:
            raise OverflowError("the counters of a session are used up")
        self.next_counter += 1
        header = wire.tagged_header(code, step, self.remote, counter)
        body = wire.encode_body(code, header, message)
        if wire.is_sealed(code):
            body = crypto.seal(self.keys.seal_out, header, body)
        return header + body + crypto.tag(self.keys.totp_out, step, header + body), counter

    def open(self, tagged: Tagged, now: float) -> Received:
        """Checks 4 to 8 of state-machine.md section 1, in that order."""
        own = self.time.step(now)
        step = crypto.full_step(tagged.step, own)
        if abs(step - own) > 1 or step < 0:
            raise Discard("bad-step")
        if not crypto.same(crypto.tag(self.keys.totp_in, step, tagged.covered), tagged.tag):
            raise Discard("bad-tag")
        newest = tagged.counter > self.window.highest
        if not self.window.accept(tagged.counter):
            raise Discard("replay")
        if step == own + 1:
            self.time.follow(step, now)
        plain = tagged.body
        if wire.is_sealed(tagged.code):
            opened = crypto.unseal(self.keys.seal_in, tagged.header, tagged.body)
            if opened is None:
                raise Discard("bad-seal")
            plain = opened
        received = Received(wire.decode_body(tagged.code, tagged.header, plain), tagged.counter, newest)
        self.first_received = min(self.first_received, now)
        return received

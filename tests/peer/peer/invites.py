"""Invite tokens (formats.md section 7) and what an inviter keeps of them (membership.md section 3)."""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass

from .crypto import base32, from_base32, sha256
from .timers import INVITE_SLACK, INVITE_TTL_MAX
from .wire import Address, Malformed, require, unpack_some_address

WORD, VERSION = "dddns", "1"
BASE32 = re.compile("[a-zA-Z2-7]*")
ADDRESSES_MAX = 4


def invite_psk(secret: bytes) -> bytes:
    """The pre-shared key of mode 1; all that an inviter keeps of the secret (AUTH-1)."""
    return sha256(b"dddns/1 invite", secret)


def checksum(before: bytes) -> bytes:
    """cryptography.md section 6."""
    return sha256(b"dddns/1 token", before)[:4]


@dataclass(frozen=True)
class Token:
    """What a person carries from the inviter to the joiner."""

    invite: bytes
    secret: bytes
    inviter: bytes
    expiry: int
    addresses: tuple[Address, ...]

    def encode(self) -> str:
        raw = self.invite + self.secret + self.inviter + struct.pack(">QB", self.expiry, len(self.addresses))
        raw += b"".join(a.pack() for a in self.addresses)
        return WORD + VERSION + base32(raw + checksum(raw))

    @classmethod
    def decode(cls, text: str) -> Token:
        """The checks of section 7 in their order; raises `Malformed`. Expiry is not judged (MEMB-9)."""
        text = text.strip()
        require(text[:5].lower() == WORD, "no-prefix")
        require(text[5:6] == VERSION, "other-version")
        require(BASE32.fullmatch(text, 6) is not None, "bad-character")
        try:
            raw = from_base32(text[6:])
        except ValueError as failure:
            raise Malformed("bad-length") from failure
        count, rest = divmod(len(raw) - 85, 18)
        require(1 <= count <= ADDRESSES_MAX and rest == 0, "bad-length")
        require(checksum(raw[:-4]) == raw[-4:], "bad-checksum")
        require(raw[80] == count, "bad-count")
        places = [raw[at : at + 18] for at in range(81, len(raw) - 4, 18)]
        require(all(any(place) for place in places), "bad-address")
        addresses = tuple(unpack_some_address(place) for place in places)
        return cls(raw[:8], raw[8:40], raw[40:72], struct.unpack(">Q", raw[72:80])[0], addresses)

    @classmethod
    def fresh(cls, inviter: bytes, expiry: int, addresses: tuple[Address, ...]) -> Token:
        return cls(os.urandom(8), os.urandom(32), inviter, expiry, addresses)


@dataclass
class Invite:
    """What the inviter keeps: never the secret (AUTH-1)."""

    id: bytes
    psk: bytes
    expiry: int
    used_by: bytes | None = None

    def has_expired(self, wall_ms: int) -> bool:
        """MEMB-9: one that would live too long, even by a clock that was set back, was made by another clock."""
        return not 0 <= self.expiry * 1000 - wall_ms <= (INVITE_TTL_MAX + INVITE_SLACK) * 1000

    def to_json(self) -> dict[str, object]:
        used_by = self.used_by.hex() if self.used_by else None
        return {"id": self.id.hex(), "psk": self.psk.hex(), "expiry": self.expiry, "used_by": used_by}

    @classmethod
    def from_json(cls, value: dict) -> Invite:
        used_by = bytes.fromhex(value["used_by"]) if value["used_by"] else None
        return cls(bytes.fromhex(value["id"]), bytes.fromhex(value["psk"]), value["expiry"], used_by)

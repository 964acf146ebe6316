"""Every byte that travels (formats.md): datagrams, bodies, records, addresses, names.

`decode` turns a datagram into one of `Initiation`, `Response`, `CookieReply`, `Tagged`, or raises `Malformed` with the
name of the first check of its form that fails. `encode` is its exact inverse (WIRE-7). Bodies come after the checks of
keys: whoever has these opens what is sealed, and reads plain bodies by `decode_body`.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import struct
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple, Union

DATAGRAM_MAX = 1232
MAGIC_VERSION = 0xD1
HEADER, SEAL, TAG = 16, 16, 16
NO_ADDRESS = bytes(18)
NAME = re.compile(rb"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")


class Discard(Exception):
    """A datagram is discarded (WIRE-8): silently, only the counter of this name changes."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Malformed(Discard):
    """A datagram, or a body in it, is against the format."""


def require(condition: bool, name: str) -> None:
    """Raises `Malformed(name)` unless the condition holds."""
    if not condition:
        raise Malformed(name)


# --- field types, section 2 ---------------------------------------------------------------------------------------


class Address(NamedTuple):
    """An IP address, as text in its canonical form, and a port. IPv4 is always plain IPv4 here."""

    ip: str
    port: int

    @classmethod
    def of(cls, ip: str, port: int) -> Address:
        """From what a socket says: an IPv4 address inside IPv6 becomes plain IPv4, a zone is cut off."""
        address = ipaddress.ip_address(ip.split("%")[0])
        return cls(str(getattr(address, "ipv4_mapped", None) or address), port)

    @classmethod
    def parse(cls, text: str) -> Address:
        """From `1.2.3.4:5` or `[::1]:5`."""
        host, _, port = text.rpartition(":")
        return cls.of(host.strip("[]"), int(port))

    def pack(self) -> bytes:
        """The 18 bytes of section 2."""
        ip = ipaddress.ip_address(self.ip)
        return (ip.packed if ip.version == 6 else bytes(10) + b"\xff\xff" + ip.packed) + struct.pack(">H", self.port)

    def usable(self) -> bool:
        """Whether it is an address at all (WIRE-10)."""
        return self.port != 0 and int(ipaddress.ip_address(self.ip)) != 0

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


def pack_address(address: Address | None) -> bytes:
    """An address or "none"."""
    return NO_ADDRESS if address is None else address.pack()


def unpack_address(raw: bytes) -> Address | None:
    """WIRE-10: 18 zero bytes say "none", no other bytes without port or IP are an address."""
    if raw == NO_ADDRESS:
        return None
    address = Address.of(str(ipaddress.IPv6Address(raw[:16])), struct.unpack(">H", raw[16:])[0])
    require(address.usable(), "bad-address")
    return address


def unpack_some_address(raw: bytes) -> Address:
    """An address where "none" is not allowed."""
    address = unpack_address(raw)
    if address is None:
        raise Malformed("no-address")
    return address


def pack_name(name: str) -> bytes:
    """A name of section 2."""
    return bytes([len(name)]) + name.encode("ascii").ljust(63, b"\0")


def unpack_name(raw: bytes) -> str:
    """WIRE-9: one DNS label, and zero bytes after it."""
    length = raw[0]
    label = raw[1 : 1 + length]
    require(1 <= length <= 63 and NAME.match(label) is not None and not any(raw[1 + length :]), "bad-name")
    return label.decode("ascii")


def mask(header: bytes, address: bytes) -> bytes:
    """Masks or unmasks 18 bytes of address (WIRE-11), section 2.1."""
    u64 = (1 << 64) - 1

    def mix(z: int) -> int:
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & u64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & u64
        return z ^ (z >> 31)

    high, low = struct.unpack(">QQ", header)
    stream = b"".join(mix((high ^ low) + i * 0x9E3779B97F4A7C15 & u64).to_bytes(8, "big") for i in (1, 2, 3))
    return bytes(a ^ (m | 1) for a, m in zip(address, stream))


# --- member records, section 6 ------------------------------------------------------------------------------------

MEMBER, REMOVED = 1, 2


def node_id(public_key: bytes) -> bytes:
    """cryptography.md section 2."""
    return hashlib.sha256(b"dddns/1 node" + public_key).digest()[:16]


@dataclass(frozen=True)
class Record:
    """A member record. Its node ID is computed, never taken from elsewhere (MEMB-1)."""

    public_key: bytes
    admitted_by: bytes
    admission: int
    state: int
    revision: int
    name: str
    SIZE: ClassVar[int] = 121

    @cached_property
    def id(self) -> bytes:
        return node_id(self.public_key)

    def encode(self) -> bytes:
        fields = struct.pack(">IBI", self.admission, self.state, self.revision)
        return self.public_key + self.admitted_by + fields + pack_name(self.name)

    @classmethod
    def decode(cls, raw: bytes) -> Record:
        admission, state, revision = struct.unpack(">IBI", raw[48:57])
        require(state in (MEMBER, REMOVED), "unknown-state")
        return cls(raw[:32], raw[32:48], admission, state, revision, unpack_name(raw[57:]))


# --- bodies, section 5 --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Heartbeat:
    """Section 5.1. `seen`: the highest counter accepted from the receiver in this session, plus one."""

    seen: int
    digest: bytes
    reflection: Address | None

    def encode(self) -> bytes:
        return struct.pack(">Q", self.seen) + self.digest + pack_address(self.reflection)

    @classmethod
    def decode(cls, body: bytes) -> Heartbeat:
        return cls(struct.unpack(">Q", body[:8])[0], body[8:16], unpack_address(body[16:]))


@dataclass(frozen=True)
class HeartbeatAck:
    """Section 5.1. `acknowledged`: the counter of the heartbeat that it answers, plus one."""

    acknowledged: int
    digest: bytes
    reflection: Address

    def encode(self) -> bytes:
        return struct.pack(">Q", self.acknowledged) + self.digest + self.reflection.pack()

    @classmethod
    def decode(cls, body: bytes) -> HeartbeatAck:
        acknowledged = struct.unpack(">Q", body[:8])[0]
        require(acknowledged != 0, "nothing-acknowledged")
        return cls(acknowledged, body[8:16], unpack_some_address(body[16:]))


@dataclass(frozen=True)
class PathChallenge:
    """Section 5.2."""

    data: bytes

    def encode(self) -> bytes:
        return self.data

    @classmethod
    def decode(cls, body: bytes) -> PathChallenge:
        return cls(body)


class PathResponse(PathChallenge):
    """Section 5.2: repeats the bytes of the challenge."""


@dataclass(frozen=True)
class Leave:
    """Section 5.3."""

    def encode(self) -> bytes:
        return b""

    @classmethod
    def decode(cls, _body: bytes) -> Leave:
        return cls()


class Conflict(Leave):
    """Section 5.3."""


@dataclass(frozen=True)
class Locate:
    """Section 5.4."""

    wanted: tuple[bytes, ...]

    def encode(self) -> bytes:
        return bytes([len(self.wanted)]) + b"".join(self.wanted)

    @classmethod
    def decode(cls, body: bytes) -> Locate:
        require(1 <= body[0] <= 8, "bad-count")
        require(len(body) == 1 + 16 * body[0], "bad-length")
        wanted = tuple(body[1 + 16 * i : 17 + 16 * i] for i in range(body[0]))
        require(all(a < b for a, b in zip(wanted, wanted[1:])), "not-ascending")
        return cls(wanted)


UP_HERE, LAST_SEEN = 1, 2


class Entry(NamedTuple):
    """Where a member is, in a Located."""

    member: bytes
    how: int
    age: int
    address: Address


@dataclass(frozen=True)
class Located:
    """Section 5.5."""

    entries: tuple[Entry, ...]
    MOST: ClassVar[int] = 16

    def encode(self) -> bytes:
        rows = (e.member + struct.pack(">BI", e.how, e.age) + e.address.pack() for e in self.entries)
        return bytes([len(self.entries)]) + b"".join(rows)

    @classmethod
    def decode(cls, body: bytes) -> Located:
        require(body[0] <= cls.MOST, "bad-count")
        require(len(body) == 1 + 39 * body[0], "bad-length")
        entries = []
        for at in range(1, len(body), 39):
            how, age = struct.unpack(">BI", body[at + 16 : at + 21])
            require(how in (UP_HERE, LAST_SEEN), "unknown-source")
            entries.append(Entry(body[at : at + 16], how, age, unpack_some_address(body[at + 21 : at + 39])))
        return cls(tuple(entries))


@dataclass(frozen=True)
class Rendezvous:
    """Section 5.6."""

    seeker: bytes
    addresses: tuple[Address, ...]

    def encode(self) -> bytes:
        return self.seeker + bytes([len(self.addresses)]) + b"".join(a.pack() for a in self.addresses)

    @classmethod
    def decode(cls, body: bytes) -> Rendezvous:
        require(1 <= body[16] <= 4, "bad-count")
        require(len(body) == 17 + 18 * body[16], "bad-length")
        return cls(body[:16], tuple(unpack_some_address(body[at : at + 18]) for at in range(17, len(body), 18)))


@dataclass(frozen=True)
class MembersRequest:
    """Section 5.7."""

    after: bytes

    def encode(self) -> bytes:
        return self.after

    @classmethod
    def decode(cls, body: bytes) -> MembersRequest:
        return cls(body)


@dataclass(frozen=True)
class Members:
    """Section 5.8."""

    more: bool
    records: tuple[Record, ...]
    MOST: ClassVar[int] = 9

    def encode(self) -> bytes:
        return bytes([self.more, len(self.records)]) + b"".join(r.encode() for r in self.records)

    def removes(self, node: bytes) -> bool:
        """Whether it holds a node's removal; a record with a zero `admitted by` counts for nothing (MEMB-4)."""
        return any(r.id == node and r.state == REMOVED and any(r.admitted_by) for r in self.records)

    @classmethod
    def decode(cls, body: bytes) -> Members:
        require(body[0] <= 1 and (body[0] == 0 or body[1] > 0), "bad-more")
        require(body[1] <= cls.MOST, "bad-count")
        require(len(body) == 2 + 121 * body[1], "bad-length")
        records: list[Record] = []
        for at in range(2, len(body), 121):
            records.append(Record.decode(body[at : at + 121]))
            require(len(records) == 1 or records[-2].id < records[-1].id, "not-ascending")
        return cls(bool(body[0]), tuple(records))


Message = Union[
    Heartbeat, HeartbeatAck, PathChallenge, PathResponse, Leave, Conflict,
    Locate, Located, Rendezvous, MembersRequest, Members,
]  # fmt: skip


class Layout(NamedTuple):
    """The plain body of a tagged type: a fixed part and `least` to `most` entries of `entry` bytes."""

    message: type[Message]
    sealed: bool
    fixed: int
    entry: int = 0
    least: int = 0
    most: int = 0

    def allows(self, size: int) -> bool:
        """WIRE-6, as far as it can be seen without opening the body."""
        size -= self.fixed + (SEAL if self.sealed else 0)
        if not self.entry:
            return size == 0
        return size % self.entry == 0 and self.least <= size // self.entry <= self.most


LAYOUTS: dict[int, Layout] = {
    0x10: Layout(Heartbeat, False, 34),
    0x11: Layout(HeartbeatAck, False, 34),
    0x12: Layout(PathChallenge, False, 8),
    0x13: Layout(PathResponse, False, 8),
    0x14: Layout(Leave, False, 0),
    0x15: Layout(Conflict, False, 0),
    0x20: Layout(Locate, True, 1, 16, 1, 8),
    0x21: Layout(Located, True, 1, 39, 0, 16),
    0x22: Layout(Rendezvous, True, 17, 18, 1, 4),
    0x23: Layout(MembersRequest, True, 16),
    0x24: Layout(Members, True, 2, 121, 0, 9),
}
TYPES: dict[type, int] = {layout.message: code for code, layout in LAYOUTS.items()}
MASKED = (TYPES[Heartbeat], TYPES[HeartbeatAck])


def is_sealed(code: int) -> bool:
    """WIRE-12: whether the body of a type is sealed."""
    return LAYOUTS[code].sealed


def decode_body(code: int, header: bytes, plain: bytes) -> Message:
    """Reads the plain body of a tagged datagram, unmasking what is masked (WIRE-11); formats.md section 8.2."""
    layout = LAYOUTS[code]
    require(len(plain) >= layout.fixed if layout.entry else len(plain) == layout.fixed, "bad-length")
    if code in MASKED:
        plain = plain[:16] + mask(header, plain[16:])
    return layout.message.decode(plain)


def encode_body(code: int, header: bytes, message: Message) -> bytes:
    """The inverse of `decode_body`."""
    plain = message.encode()
    return plain[:16] + mask(header, plain[16:]) if code in MASKED else plain


# --- datagrams, sections 1, 3 and 4 -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Initiation:
    """Section 3.1."""

    mode: int
    sender: int
    invite: bytes
    noise: bytes
    mac1: bytes
    mac2: bytes
    CODE: ClassVar[int] = 0x01
    SIZE: ClassVar[int] = 216

    @property
    def header(self) -> bytes:
        return struct.pack(">BBBBI", MAGIC_VERSION, self.CODE, self.mode, 0, self.sender) + self.invite

    def encode(self) -> bytes:
        return self.header + self.noise + self.mac1 + self.mac2

    @classmethod
    def decode(cls, data: bytes) -> Initiation:
        require(len(data) == cls.SIZE, "bad-length")
        require(data[2] in (0, 1), "unknown-mode")
        require(data[3] == 0 and (data[2] == 1 or not any(data[8:16])), "not-zero")
        sender = struct.unpack(">I", data[4:8])[0]
        require(sender != 0, "bad-index")
        return cls(data[2], sender, data[8:16], data[16:184], data[184:200], data[200:])


@dataclass(frozen=True)
class Response:
    """Section 3.2."""

    receiver: int
    noise: bytes
    mac1: bytes
    CODE: ClassVar[int] = 0x02
    SIZE: ClassVar[int] = 159

    def encode(self) -> bytes:
        return struct.pack(">BBHI", MAGIC_VERSION, self.CODE, 0, self.receiver) + self.noise + self.mac1

    @classmethod
    def decode(cls, data: bytes) -> Response:
        return cls(_receiver_of_answer(data, cls.SIZE), data[8:143], data[143:])


@dataclass(frozen=True)
class CookieReply:
    """Section 3.3."""

    receiver: int
    random: bytes
    sealed: bytes
    CODE: ClassVar[int] = 0x03
    SIZE: ClassVar[int] = 56

    def encode(self) -> bytes:
        return struct.pack(">BBHI", MAGIC_VERSION, self.CODE, 0, self.receiver) + self.random + self.sealed

    @classmethod
    def decode(cls, data: bytes) -> CookieReply:
        return cls(_receiver_of_answer(data, cls.SIZE), data[8:24], data[24:])


def _receiver_of_answer(data: bytes, size: int) -> int:
    require(len(data) == size, "bad-length")
    require(data[2:4] == b"\0\0", "not-zero")
    receiver = struct.unpack(">I", data[4:8])[0]
    require(receiver != 0, "bad-index")
    return receiver


@dataclass(frozen=True)
class Tagged:
    """Section 4. `body` is as it stands in the datagram: masked or sealed."""

    code: int
    step: int
    receiver: int
    counter: int
    body: bytes
    tag: bytes

    @property
    def header(self) -> bytes:
        return tagged_header(self.code, self.step, self.receiver, self.counter)

    @property
    def covered(self) -> bytes:
        """What the tag covers: every byte before it."""
        return self.header + self.body

    def encode(self) -> bytes:
        return self.covered + self.tag

    @classmethod
    def decode(cls, data: bytes) -> Tagged:
        layout = LAYOUTS.get(data[1])
        if layout is None:
            raise Malformed("unknown-type")
        require(len(data) >= HEADER + TAG and layout.allows(len(data) - HEADER - TAG), "bad-length")
        require(data[3] == 0, "not-zero")
        receiver, counter = struct.unpack(">IQ", data[4:16])
        require(receiver != 0, "bad-index")
        return cls(data[1], data[2], receiver, counter, data[16:-TAG], data[-TAG:])


def tagged_header(code: int, step: int, receiver: int, counter: int) -> bytes:
    """The 16 bytes before the body; of the step only the low 8 bits travel (AUTH-4)."""
    return struct.pack(">BBBBIQ", MAGIC_VERSION, code, step & 0xFF, 0, receiver, counter)


Datagram = Union[Initiation, Response, CookieReply, Tagged]
HANDSHAKES: dict[int, type[Union[Initiation, Response, CookieReply]]] = {
    kind.CODE: kind for kind in (Initiation, Response, CookieReply)
}


def decode(data: bytes) -> Datagram:
    """WIRE-2 to WIRE-6, in the order of formats.md section 8.1: the form, without a look at bodies."""
    require(len(data) <= DATAGRAM_MAX, "too-long")
    require(len(data) >= 2, "bad-length")
    require(data[0] == MAGIC_VERSION, "bad-magic")
    return HANDSHAKES.get(data[1], Tagged).decode(data)


def type_name(datagram: Datagram) -> str:
    """The message type as registries.md names it."""
    return LAYOUTS[datagram.code].message.__name__ if isinstance(datagram, Tagged) else type(datagram).__name__


def verdict(data: bytes) -> str:
    """What can be said without keys: the first check of sections 8.1 and 8.2 that fails, or the message type."""
    try:
        datagram = decode(data)
        if isinstance(datagram, Tagged) and not is_sealed(datagram.code):
            decode_body(datagram.code, datagram.header, datagram.body)
        return type_name(datagram)
    except Malformed as failure:
        return failure.name


def reencode(data: bytes) -> bytes:
    """Decodes and encodes again: the same bytes (WIRE-7)."""
    datagram = decode(data)
    if isinstance(datagram, Tagged) and not is_sealed(datagram.code):
        header = datagram.header
        body = encode_body(datagram.code, header, decode_body(datagram.code, header, datagram.body))
        return header + body + datagram.tag
    return datagram.encode()


# --- payloads inside Noise, sections 3.1 and 3.2 ------------------------------------------------------------------

ACCEPTED, INVITE_EXPIRED, INVITE_USED, CLUSTER_FULL, BARRED = range(5)


@dataclass(frozen=True)
class InitiationPayload:
    """What Noise message 1 carries. `name` is empty in mode 0."""

    incarnation: bytes
    name: str

    def encode(self) -> bytes:
        return self.incarnation + (pack_name(self.name) if self.name else bytes(64))

    @classmethod
    def decode(cls, raw: bytes, mode: int) -> InitiationPayload:
        if mode == 1:
            return cls(raw[:8], unpack_name(raw[8:]))
        require(not any(raw[8:]), "not-zero")
        return cls(raw[:8], "")


@dataclass(frozen=True)
class ResponsePayload:
    """What Noise message 2 carries."""

    index: int
    verdict: int
    observed: Address
    clock: int
    incarnation: bytes
    cluster_id: bytes
    cluster_key: bytes

    def encode(self) -> bytes:
        start = struct.pack(">IB", self.index, self.verdict) + self.observed.pack() + struct.pack(">Q", self.clock)
        return start + self.incarnation + self.cluster_id + self.cluster_key

    @classmethod
    def decode(cls, raw: bytes, mode: int) -> ResponsePayload:
        index, code = struct.unpack(">IB", raw[:5])
        require(code <= BARRED, "unknown-verdict")
        observed = unpack_some_address(raw[5:23])
        require((index == 0) == (code != ACCEPTED), "bad-index")
        require(mode == 1 and code == ACCEPTED or not any(raw[39:]), "not-zero")
        return cls(index, code, observed, struct.unpack(">Q", raw[23:31])[0], raw[31:39], raw[39:55], raw[55:])

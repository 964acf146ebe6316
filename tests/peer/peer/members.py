"""The member list: a map that all members replicate (membership.md sections 1, 2 and 6), without any I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from enum import Enum

from .crypto import base32
from .timers import ADMISSION_COUNTED, ADMISSION_MAX, MEMBERS_MAX, REMOVED_MAX
from .wire import MEMBER, REMOVED, Members, Record, node_id

NOBODY = bytes(16)


def rank(record: Record) -> tuple[int, int, int, bytes, bytes]:
    """MEMB-2: of two records of one node the greater stays. A name compares as its bytes, the length last."""
    name = record.name.encode("ascii")
    padded = name.ljust(63, b"\0") + bytes([len(name)])
    return record.admission, record.state, record.revision, record.admitted_by, padded


def seniority(record: Record) -> tuple[int, bytes]:
    """MEMB-6, MEMB-10: who came first."""
    return record.admission, record.id


def first_record(public_key: bytes, name: str) -> Record:
    """MEMB-3: a node's first record of itself beats those of a configuration."""
    return Record(public_key, node_id(public_key), 0, MEMBER, 1, name)


def provisional(public_key: bytes) -> Record:
    """What a joiner knows of its inviter until the list arrives (section 3, step 6)."""
    return Record(public_key, NOBODY, 0, MEMBER, 0, "node-" + base32(node_id(public_key))[:8])


def is_provisional(record: Record) -> bool:
    """MEMB-3: nothing else has a zero `admitted by`; records of a configuration name the node that they are about."""
    return record.admitted_by == NOBODY


def digest(records: Iterable[Record]) -> bytes:
    """MEMB-5: of all records, removed ones too, in ascending order of node ID."""
    return hashlib.sha256(b"dddns/1 members" + b"".join(r.encode() for r in records)).digest()[:8]


class Merged(Enum):
    """What became of a record that somebody told."""

    NEWS = "news"
    KNOWN = "known"
    PUT_OFF = "put off"  # NEWS_BUDGET or NEWS_SHARE was spent: it will be told again


class MemberList:
    """Records by node ID, removed ones too, within the bounds of MEMB-10 and MEMB-11."""

    def __init__(self, own_id: bytes, members_max: int = MEMBERS_MAX) -> None:
        self.own_id, self.members_max = own_id, members_max
        self._records: dict[bytes, Record] = {}
        self._digest: bytes | None = None
        self._members: list[Record] | None = None
        self._names: dict[bytes, str] | None = None

    def __getitem__(self, member: bytes) -> Record:
        return self._records[member]

    def get(self, member: bytes) -> Record | None:
        return self._records.get(member)

    def __contains__(self, member: bytes) -> bool:
        return member in self._records

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        """In ascending order of node ID."""
        return (self._records[i] for i in sorted(self._records))

    def members(self) -> list[Record]:
        """Those that are not removed."""
        if self._members is None:
            self._members = [r for r in self if r.state == MEMBER]
        return self._members

    def is_member(self, member: bytes) -> bool:
        return member in self._records and self._records[member].state == MEMBER

    def is_removed(self, member: bytes) -> bool:
        return member in self._records and self._records[member].state == REMOVED

    def was_let_in(self, member: bytes) -> bool:
        """Whether another member made the record of a member: admission 0 is a configuration's, or the node's own."""
        return self.is_member(member) and self._records[member].admission > 0

    def digest(self) -> bytes:
        """MEMB-5."""
        if self._digest is None:
            self._digest = digest(self)
        return self._digest

    def page(self, after: bytes) -> Members:
        """The answer to a MembersRequest (formats.md section 5.7)."""
        ids = sorted(i for i in self._records if i > after or after == NOBODY)
        return Members(len(ids) > Members.MOST, tuple(self._records[i] for i in ids[: Members.MOST]))

    def full(self) -> bool:
        """MEMB-10: removed ones do not count."""
        return len(self.members()) >= self.members_max

    def has_room_for(self, joiner: bytes) -> bool:
        """Section 3, step 3: whoever is a member has its place already."""
        return self.is_member(joiner) or not self.full()

    def next_admission(self, member: bytes) -> int | None:
        """MEMB-3: the number that an admission gets, nothing if the node is barred."""
        counted = [r.admission for r in self if r.admission <= ADMISSION_COUNTED]
        if member in self._records:
            counted.append(self._records[member].admission)
        number = 1 + max(counted, default=0)
        return number if number <= ADMISSION_MAX else None

    def put(self, record: Record) -> None:
        """Writes a record of the node's own making."""
        self._records[record.id] = record
        self._digest = self._members = self._names = None

    def removal(self, member: bytes, by: bytes) -> Record:
        """Section 5: the record by which a member is removed."""
        return replace(self._records[member], state=REMOVED, admitted_by=by)

    def merge(self, record: Record, afford: Callable[[], bool]) -> Merged:
        """Takes a record that another node told, if it is greater. `afford` spends NEWS_BUDGET and NEWS_SHARE."""
        known = self._records.get(record.id)
        if known is not None and rank(known) >= rank(record):
            return Merged.KNOWN
        victim = self._victim(record, known)
        if victim == record.id:
            return Merged.KNOWN
        if (known is not None or victim is not None) and not afford():
            return Merged.PUT_OFF
        if victim is not None:
            del self._records[victim]
        self.put(record)
        return Merged.NEWS

    def _victim(self, record: Record, known: Record | None) -> bytes | None:
        """Which record gives way for this one: nothing if there is room, the record's own ID if it has none."""
        if record.state == MEMBER:
            if known is not None and known.state == MEMBER or not self.full() or record.id == self.own_id:
                return None
            others = (r for r in self.members() if r.id != self.own_id)
            youngest = max(others, key=seniority, default=None)
            return record.id if youngest is None or seniority(youngest) < seniority(record) else youngest.id
        removed = [r for r in self if r.state == REMOVED]
        if known is not None and known.state == REMOVED or len(removed) < REMOVED_MAX:
            return None
        if known is None and record.id != self.own_id:
            return record.id
        return min(removed, key=seniority).id

    def shown_names(self) -> dict[bytes, str]:
        """MEMB-6: of members with one name the first has it, the others a part of their ID behind it."""
        if self._names is None:
            owners: dict[str, bytes] = {}
            for record in sorted(self.members(), key=seniority):
                owners.setdefault(record.name, record.id)
            self._names = {record.id: record.name for record in self}
            for member, name in self._names.items():
                if owners.get(name, member) != member:
                    self._names[member] = f"{name}-{base32(member)[:8]}"
        return self._names

    def find(self, name: str) -> bytes | None:
        """A node by the name that it is shown with, or by its ID."""
        return next((i for i, shown in self.shown_names().items() if name in (shown, base32(i))), None)

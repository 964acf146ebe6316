"""Where members without a link are (scale.md section 4): sightings, hearsay and rumours. Only beyond a full mesh."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from .addresses import may_be_told
from .link import GUEST, Link
from .scale import is_full_mesh, rounded
from .timers import TELLINGS, jittered
from .wire import LAST_SEEN, UP_HERE, Address, Entry, Located

if TYPE_CHECKING:
    from .node import Node

AGE_UNKNOWN = (1 << 32) - 1


class Sighting(NamedTuple):
    """Where a member was, and when it was heard there; never, if that is not known."""

    address: Address
    at: float | None


def newer(one: Sighting, other: Sighting | None) -> bool:
    """Whether one is later than the other."""
    return other is None or one.at is not None and (other.at is None or one.at > other.at)


class Gossip:
    """What a node saw itself, what it was told, and whom it tells."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._seen: dict[bytes, Sighting] = {}
        self._hearsay: dict[bytes, Sighting] = {}
        self._rumours: dict[bytes, int] = {}
        self._turn = b""
        self._due = node.now() + node.intervals.heartbeat

    def addresses(self, member: bytes) -> list[Address]:
        """All that is known of a member beside its link, what was seen first."""
        known = (self._seen.get(member), self._hearsay.get(member))
        return [sighting.address for sighting in known if sighting is not None]

    def heard(self, member: bytes) -> float:
        """When a member was last heard, by anybody."""
        known = self._known(member)
        return float("-inf") if known is None or known.at is None else known.at

    def saw(self, link: Link) -> None:
        """A link ends: what the node saw itself stays."""
        address = link.last_known()
        if address is not None:
            self._seen[link.id] = Sighting(address, link.heard)

    def moved(self, member: bytes) -> None:
        """SCALE-8: a rumour begins where a member is found at another address than was known."""
        if not is_full_mesh(len(self._node.members.members())):
            self._rumours[member] = 0

    def hear(self, member: bytes, address: Address, at: float) -> None:
        """SCALE-9: hearsay replaces older hearsay, and is no sign of life."""
        told = Sighting(address, at)
        known = self._known(member)
        if newer(told, self._hearsay.get(member)):
            self._hearsay[member] = told
            if known is None or newer(told, known) and told.address != known.address:
                self.moved(member)

    def forget(self, member: bytes) -> None:
        """The member was removed."""
        for table in (self._seen, self._hearsay, self._rumours):
            table.pop(member, None)

    def entry(self, member: bytes, to: Link) -> Entry | None:
        """Where a member is, as far as a peer may know it (ADDR-10)."""
        now, link, known = self._node.now(), self._node.links.get(member), self._known(member)
        path = to.path.current
        if known is None or path is None or not may_be_told(known.address, path):
            return None
        how = UP_HERE if link is not None and link.is_up else LAST_SEEN
        age = AGE_UNKNOWN if known.at is None else min(AGE_UNKNOWN, max(0, round(now - known.at)))
        return Entry(member, how, age, known.address)

    def _known(self, member: bytes) -> Sighting | None:
        """The link's own address, else the later one of what was seen and what was told."""
        link = self._node.links.get(member)
        address = link.last_known() if link is not None else None
        if link is not None and address is not None:
            return Sighting(address, link.heard)
        seen, told = self._seen.get(member), self._hearsay.get(member)
        return told if told is not None and newer(told, seen) else seen

    def tick(self) -> None:
        """SCALE-7: one Located to one peer drawn by lot, more often while there are rumours."""
        now, n = self._node.now(), len(self._node.members.members())
        if is_full_mesh(n) or now < self._due:
            return
        most = TELLINGS * (rounded(n).bit_length() - 1)
        self._rumours = {member: told for member, told in self._rumours.items() if told < most}
        peers = [link for link in self._node.up_links() if link.role != GUEST]
        if peers:
            self._tell(random.choice(peers))
        interval = self._node.intervals.heartbeat / (10 if self._rumours else 1)
        self._due = now + jittered(interval, 0.8, 1.2)

    def _tell(self, link: Link) -> None:
        """First the rumours told least often, then the other members in turn."""
        rumours = sorted(self._rumours, key=self._rumours.__getitem__)
        entries = self._entries(rumours, link, Located.MOST)
        for entry in entries:
            self._rumours[entry.member] += 1
        others = [r.id for r in self._node.members.members() if r.id not in self._rumours]
        others = [i for i in others if i > self._turn] + [i for i in others if i <= self._turn]
        turn = self._entries(others, link, Located.MOST - len(entries))
        if turn:
            self._turn = turn[-1].member
        if entries or turn:
            self._node.send(link, Located(tuple(entries + turn)))

    def _entries(self, members: Iterable[bytes], to: Link, most: int) -> list[Entry]:
        """Members whose age is unknown are left out, and so is the receiver itself."""
        found: list[Entry] = []
        for member in members:
            if len(found) < most and member not in (to.id, self._node.identity.id):
                entry = self.entry(member, to)
                if entry is not None and entry.age != AGE_UNKNOWN:
                    found.append(entry)
        return found

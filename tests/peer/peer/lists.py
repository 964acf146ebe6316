"""Keeping member lists equal, leaving and removing (membership.md sections 2, 4 and 5)."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .crypto import base32
from .link import GUEST, SUSPECT, UP, Link
from .members import NOBODY, Merged, digest, first_record, is_provisional
from .scale import is_full_mesh
from .timers import (
    FAREWELL_RESEND,
    FAREWELLS_MAX,
    MEMBERS_MAX,
    NEWS_PAUSE,
    NEWS_PEERS,
    REMOVED_MAX,
    SYNC_DELAY,
    SYNC_FRUITLESS,
    SYNC_RESEND,
    SYNC_REST,
    SYNC_TRIES,
    jittered,
)
from .wire import MEMBER, REMOVED, Address, Leave, Members, MembersRequest, Record

if TYPE_CHECKING:
    from .node import Node

PAGES_MAX = (MEMBERS_MAX + REMOVED_MAX) // Members.MOST + 1


@dataclass
class Reading:
    """The list of a peer, page by page."""

    peer: bytes
    due: float
    after: bytes = NOBODY
    pages: int = 0
    tries: int = 0
    fruitful: bool = False
    records: list[Record] = field(default_factory=list)

    def answered_by(self, link: Link, message: Members) -> bool:
        """Whether this can be the page that was asked for."""
        return link.id == self.peer and (not message.records or message.records[0].id > self.after)


@dataclass
class Farewell:
    """A node that leaves the cluster tells it until each peer has confirmed it."""

    removal: Record
    due: float
    times: int = 0


class Lists:
    """What a node says and hears about the member list."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._digests: dict[bytes, bytes] = {}
        self._due: dict[bytes, float] = {}
        self._fruitless: dict[bytes, tuple[bytes, bytes, float]] = {}
        self._reading: Reading | None = None
        self._rest_until = float("-inf")
        self._news: dict[bytes, bytes | None] = {}
        self._news_at = float("-inf")
        self.farewell: Farewell | None = None

    # --- digests and pages ---

    def compare(self, link: Link, theirs: bytes) -> None:
        """A heartbeat or its acknowledgement told the digest of a peer's list."""
        self._digests[link.id] = theirs
        if theirs == self._node.members.digest():
            self._due.pop(link.id, None)
        elif link.id not in self._due and not self._is_fruitless(link.id):
            self._due[link.id] = self._node.now() + jittered(SYNC_DELAY, 0.5, 1.0)

    def read(self, link: Link) -> None:
        """Reads a peer's list as soon as no other is being read."""
        self._digests.setdefault(link.id, NOBODY[:8])
        self._due[link.id] = self._node.now()

    def is_reading(self) -> bool:
        return self._reading is not None

    def end_reading(self, peer: bytes) -> None:
        """The peer turned this node away: what it has told so far stays."""
        if self._reading is not None and self._reading.peer == peer:
            self._finish(self._reading)

    def _is_fruitless(self, peer: bytes) -> bool:
        """MEMB-13."""
        theirs, ours, until = self._fruitless.get(peer, (b"", b"", float("-inf")))
        unchanged = theirs == self._digests.get(peer) and ours == self._node.members.digest()
        return unchanged and self._node.now() < until

    def on_request(self, link: Link, message: MembersRequest, source: Address) -> None:
        """Answered where it came by the current path: elsewhere nobody may have asked, and pages are long."""
        now = self._node.now()
        if source == link.path.current and self._node.budgets.pages.of(link.id, now).take(now):
            self._node.send(link, self._node.members.page(message.after))

    def on_members(self, link: Link, message: Members) -> None:
        """A page that was asked for, or news: nothing in the message says which."""
        if self.farewell is not None:
            if message.removes(self._node.identity.id):
                self._node.forget_link(link)  # it has confirmed; no other record concerns a node that leaves
                self.tick()
            return
        reading = self._reading
        results = [self._take(link, record) for record in message.records]
        if self._node.cluster is None or link.id not in self._node.links:
            return
        if reading is not None and reading.answered_by(link, message):
            reading.fruitful |= any(result is not Merged.KNOWN for result in results)
            reading.pages += 1
            reading.records += message.records
            if message.more and reading.pages < PAGES_MAX:
                reading.after, reading.tries, reading.due = message.records[-1].id, 0, self._node.now()
            else:
                self._finish(reading)
        if Merged.NEWS in results:
            self._node.save()
            if not self.is_reading():
                self._node.choose_links()
        self.tick()

    def _finish(self, reading: Reading) -> None:
        """SCALE-10: a rest that grows with the list. MEMB-13: what taught nothing is left alone, if it was the whole
        list, which its digest shows: news that came in between may have been taken for the last page.
        """
        now, ours = self._node.now(), self._node.members.digest()
        self._reading = None
        self._rest_until = now + reading.pages * SYNC_REST
        theirs = self._digests.get(reading.peer)
        if theirs is not None and theirs == digest(reading.records) != ours and not reading.fruitful:
            self._fruitless[reading.peer] = theirs, ours, now + jittered(SYNC_FRUITLESS, 0.8, 1.2)
        self._node.choose_links()

    def _take(self, link: Link, record: Record) -> Merged:
        """One record that a peer told."""
        node = self._node
        if node.cluster is None:
            return Merged.KNOWN  # a record before this one removed this node
        if is_provisional(record):
            return Merged.KNOWN  # MEMB-4: nobody can make one for others
        known = node.members.get(record.id)
        if record.id == link.id and known is not None and record.state == MEMBER:
            if record.admission > known.admission and not is_provisional(known):
                return Merged.KNOWN  # MEMB-4: nobody undoes its own removal, but whoever tells one is believed
        result = node.members.merge(record, lambda: self._afford(link))
        if result is Merged.NEWS:
            if record.id != node.identity.id:
                node.event("member" if record.state == MEMBER else "removed", name=record.name, id=base32(record.id))
                self.spread(record, link.id)
                if record.state == REMOVED:
                    self._end_link(record)
            elif record.state == REMOVED:
                node.was_removed(record)
            else:
                self.spread(record, link.id)
                self.name_myself()
                node.own_record_came()
        return result

    def _afford(self, link: Link) -> bool:
        """NEWS_BUDGET, and NEWS_SHARE of it for whoever tells; neither is spent where the other one is."""
        now, budgets = self._node.now(), self._node.budgets
        share = budgets.news_shares.of(link.id, now)
        return share.left(now) >= 1 and budgets.news.take(now) and share.take(now)

    def name_myself(self) -> None:
        """MEMB-4: a node is the authority on its own name."""
        mine = self._node.members.get(self._node.identity.id)
        if mine is not None and mine.name != self._node.name and mine.revision < 0xFFFFFFFF:
            mine = replace(mine, name=self._node.name, revision=mine.revision + 1)
            self._node.members.put(mine)
            self.spread(mine, None)

    # --- news ---

    def spread(self, record: Record, source: bytes | None) -> None:
        """News go to all up peers but the one that they came from."""
        self._news[record.id] = source
        self._node.save()

    def _pass_on(self) -> None:
        """SCALE-11: at once, but at most once per NEWS_PAUSE; what came in between goes together."""
        now, members = self._node.now(), self._node.members
        if not self._news or now - self._news_at < NEWS_PAUSE:
            return
        news, self._news, self._news_at = self._news, {}, now
        peers = self._node.up_links()
        if not is_full_mesh(len(members.members())):
            peers = [link for link in peers if link.role != GUEST]
            peers = random.sample(peers, min(NEWS_PEERS, len(peers)))
        for link in peers:
            ids = sorted(i for i, source in news.items() if source != link.id and i in members)
            for start in range(0, len(ids), Members.MOST):
                records = tuple(members[i] for i in ids[start : start + Members.MOST])
                self._node.send(link, Members(False, records))

    # --- removing and leaving ---

    def remove(self, member: bytes) -> None:
        """Section 5: a member removes another, but not an inviter whose number it does not know yet."""
        if is_provisional(self._node.members[member]):
            raise ValueError("the record of this inviter has not come yet: its removal would not hold")
        removal = self._node.members.removal(member, self._node.identity.id)
        self._node.members.put(removal)
        self._node.event("removed", name=removal.name, id=base32(member))
        self.spread(removal, None)
        self._end_link(removal)
        self._node.choose_links()
        self._pass_on()

    def _end_link(self, removal: Record) -> None:
        """The removed peer is told, then the session and its indices are forgotten."""
        link = self._node.links.get(removal.id)
        if link is not None:
            self._node.send(link, Members(False, (removal,)))
            self._node.forget_link(link)
        self._node.finder.forget(removal.id)
        self._node.gossip.forget(removal.id)
        for table in (self._digests, self._due, self._fruitless):
            table.pop(removal.id, None)
        if self._reading is not None and self._reading.peer == removal.id:
            self._reading = None

    def leave_cluster(self) -> None:
        """Begins to say that this node removes itself; without its own record, or peers, it has only Leave to say."""
        if self.farewell is not None:
            return
        if self._node.identity.id not in self._node.members or not self._listening():
            self._say_leave()
            return
        removal = self._node.members.removal(self._node.identity.id, self._node.identity.id)
        self.farewell = Farewell(removal, self._node.now())
        self._node.joiner = None
        self._node.save()

    def _listening(self) -> list[Link]:
        """The peers that a node which leaves tells so, until they have confirmed it, which ends their link."""
        return [link for link in self._node.links.values() if link.state in (UP, SUSPECT)]

    def _say_farewell(self, farewell: Farewell) -> None:
        now, listening = self._node.now(), self._listening()
        if listening and now < farewell.due:
            return
        if listening and farewell.times < FAREWELLS_MAX:
            farewell.times, farewell.due = farewell.times + 1, now + FAREWELL_RESEND
            for link in listening:
                self._node.send(link, Members(False, (farewell.removal,)))
        else:
            self._say_leave()

    def _say_leave(self) -> None:
        """To all with which there still is a session: who has confirmed the removal has none (MEMB-17)."""
        for link in self._node.links.values():
            self._node.send(link, Leave())
        self._node.left_cluster()

    def first_record(self) -> None:
        """MEMB-3: made by who founds a cluster, and by who forgets the invite before its record has come (MEMB-16)."""
        self._node.members.put(first_record(self._node.identity.public_key, self._node.name))

    # --- time ---

    def tick(self) -> None:
        """Whatever is due. A node that leaves still tells whom it let in, and reads no list."""
        self._pass_on()
        if self.farewell is not None:
            self._say_farewell(self.farewell)
            return
        if self._reading is None:
            self._begin()
        if self._reading is not None:
            self._ask(self._reading)

    def _begin(self) -> None:
        now, ours = self._node.now(), self._node.members.digest()
        if now < self._rest_until:
            return
        for peer in sorted((p for p, due in self._due.items() if due <= now), key=self._due.__getitem__):
            del self._due[peer]
            link = self._node.links.get(peer)
            if link is not None and link.session is not None and self._digests.get(peer) != ours:
                self._reading = Reading(peer, now)
                return

    def _ask(self, reading: Reading) -> None:
        """A page that does not come is asked for again."""
        now, link = self._node.now(), self._node.links.get(reading.peer)
        if now < reading.due:
            return
        if link is None or link.session is None or reading.tries >= SYNC_TRIES:
            self._finish(reading)
            return
        reading.tries, reading.due = reading.tries + 1, now + SYNC_RESEND
        self._node.send(link, MembersRequest(reading.after))

"""Calling members that are no neighbours because any would do (scale.md 2, 3 and 6). Only beyond a full mesh."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from .link import GUEST, KEPT, SPARE, UNKNOWN, UP, WANTED, Link
from .scale import are_neighbours, is_full_mesh
from .timers import (
    CALLED_MAX,
    CONSULTED_MAX,
    NEIGHBOURS_CALLED,
    PEERS_MIN,
    PROBE_INTERVAL,
    SEARCH_AT_ONCE,
    SEARCH_DELAY,
    SEARCH_PAUSE,
    SEARCH_PAUSE_MAX,
    SEARCH_RECENT,
    SEARCH_STEP,
    jittered,
)
from .wire import UP_HERE, Locate, Located

if TYPE_CHECKING:
    from .node import Node


class Search:
    """Spare links: they come up within SPARE or are forgotten."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._consulted: dict[bytes, int] = {}
        self._queue: list[bytes] = []
        self._few_since: float | None = None
        self._pause = SEARCH_PAUSE
        self._due = node.now()

    def has_few_peers(self) -> bool:
        """Whether fewer than PEERS_MIN peers are up; guests do not count."""
        return sum(link.role != GUEST for link in self._node.up_links()) < PEERS_MIN

    def may_call(self, role: str) -> bool:
        """SCALE-4: CALLED_MAX wanted and spare links; a spare one displaces none, a wanted one the least needed."""
        called = [link for link in self._node.links.values() if link.role in (WANTED, SPARE)]
        if len(called) < CALLED_MAX:
            return True
        if role == WANTED:
            self._node.forget_link(min(called, key=lambda c: (c.role == WANTED, c.is_up, c.role_until)))
        return role == WANTED

    def call(self, member: bytes) -> None:
        """Makes a spare link, or calls a guest, once at each address that is known."""
        link = self._node.links.get(member)
        if link is None:
            if not self._node.gossip.addresses(member) or not self.may_call(SPARE):
                return
            link = self._node.make_link(member, SPARE)
        elif link.role == GUEST:
            self._node.liveness.heartbeat(link)
        for address in [*filter(None, [link.path.current]), *link.history, *self._node.gossip.addresses(member)]:
            self._node.initiate(link, address, PROBE_INTERVAL)

    # --- a missing member that no peer is a neighbour of, section 3 ---

    def round_for(self, link: Link) -> None:
        """SCALE-6: calls some of its neighbours, those heard last, so that they can be asked."""
        n, me = len(self._node.members.members()), self._node.identity.id
        self._consulted[link.id] = 0
        first = link.role == KEPT and link.state == UNKNOWN and link.rounds == 0
        if is_full_mesh(n) or first or not self._lacks_neighbour_of(link.id, n):
            return
        others = [r.id for r in self._node.members.members() if r.id not in (me, link.id)]
        others = [i for i in others if are_neighbours(i, link.id, n) and self._node.gossip.addresses(i)]
        for member in sorted(others, key=self._node.gossip.heard, reverse=True)[:NEIGHBOURS_CALLED]:
            self.call(member)

    def on_located(self, link: Link, message: Located) -> None:
        """SCALE-6: also calls some of those that a peer names, and asks that peer to introduce them."""
        n = len(self._node.members.members())
        if is_full_mesh(n):
            return
        for wanted in [w for w in self._node.links.values() if w.role in (KEPT, WANTED) and w.state != UP]:
            for entry in message.entries:
                named = entry.how == UP_HERE and are_neighbours(entry.member, wanted.id, n)
                if not named or entry.member in self._node.links or not self._lacks_neighbour_of(wanted.id, n):
                    continue
                if self._consulted.get(wanted.id, 0) < CONSULTED_MAX:
                    self._consulted[wanted.id] = self._consulted.get(wanted.id, 0) + 1
                    self.call(entry.member)
                    self._node.send(link, Locate((entry.member,)))

    def _lacks_neighbour_of(self, member: bytes, n: int) -> bool:
        return not self.has_few_peers() and not any(are_neighbours(p.id, member, n) for p in self._node.up_links())

    # --- few peers, section 6 ---

    def tick(self) -> None:
        """SCALE-12: calls everybody as long as few peers are up."""
        now = self._node.now()
        if is_full_mesh(len(self._node.members.members())) or not self.has_few_peers():
            self._few_since, self._queue, self._pause = None, [], SEARCH_PAUSE
            return
        if self._few_since is None:
            self._few_since = now
            self._due = now + jittered(SEARCH_DELAY, 0.8, 1.0)
        if now < self._due:
            return
        if not self._queue:
            up = {link.id for link in self._node.up_links() if link.role != GUEST}
            members = [r.id for r in self._node.members.members() if r.id not in up | {self._node.identity.id}]
            self._queue = self._order(members, now)
        for _ in range(min(SEARCH_AT_ONCE, len(self._queue))):
            self.call(self._queue.pop())
        self._due = now + jittered(SEARCH_STEP if self._queue else self._pause, 0.8, 1.0)
        if not self._queue:
            self._pause = min(SEARCH_PAUSE_MAX, 2 * self._pause)

    def _order(self, members: list[bytes], now: float) -> list[bytes]:
        """Whom to call, the first one last: those heard lately by lot, then the others, those heard last first."""
        heard = {member: self._node.gossip.heard(member) for member in members}
        recent = [member for member in members if now - heard[member] < SEARCH_RECENT]
        random.shuffle(recent)
        return sorted(set(members) - set(recent), key=lambda member: heard[member]) + recent

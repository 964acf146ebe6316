"""What a node knows of its own addresses, from what peers reflect and from nothing else (RULE-1, ADDR-1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .addresses import Observation, Realm, Vote, realm, vote
from .link import Link
from .timers import BURST_MAX, BURST_MIN, SOLE_PAUSE
from .wire import Address

if TYPE_CHECKING:
    from .node import Node


class OwnAddresses:
    """The vote in each realm, and the heartbeats that a move calls for (ADDR-6)."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.votes: dict[Realm, Vote] = {}
        self._burst_at = float("-inf")
        self._burst_gap = BURST_MIN
        self._changed_at = float("-inf")

    def addresses(self) -> list[Address]:
        """One in each realm, as far as known."""
        return [v.address for v in self.votes.values() if v.address is not None]

    def observe(self, link: Link, reflection: Address) -> None:
        """A Heartbeat, a HeartbeatAck or a Response said where this node is (ADDR-1)."""
        now = self._node.now()
        if link.reflected and link.reflected[0] != reflection and self._waits_for_others(link, now):
            return
        believed = self.votes.get(realm(reflection))
        before = link.reflected[0] if link.reflected else believed.address if believed else None
        link.reflected = reflection, now
        self.vote()
        if before is not None and before != reflection:
            self._seen_elsewhere(link, now)

    def _waits_for_others(self, link: Link, now: float) -> bool:
        """SOLE_PAUSE: nobody else would outvote this peer, so that each of its datagrams would be news."""
        alone = all(other is link or other.reflected_at == float("-inf") for other in self._node.up_links())
        return alone and now - self._changed_at < SOLE_PAUSE

    def vote(self) -> None:
        """Anew whenever a reflection, a path or a link's state changes, and when time passes (ADDR-2)."""
        oldest = self._node.now() - self._node.intervals.vote_lifetime
        counting = [
            Observation(link.path.current, *link.reflected)
            for link in self._node.up_links()
            if link.path.current is not None and link.reflected is not None and link.reflected_at >= oldest
        ]
        for own in {realm(o.reflection) for o in counting} | set(self.votes):
            before = self.votes.get(own)
            result = vote(counting, own, before.address if before else None)
            if result.address is None:
                continue
            self.votes[own] = result
            if before is None or before.address != result.address:
                self._changed_at = self._node.now()
                self._node.event("own-address", address=str(result.address), confidence=result.confidence)

    def _seen_elsewhere(self, link: Link, now: float) -> None:
        """ADDR-6: all peers are heartbeated, ever more rarely; in between that one peer."""
        if now - self._burst_at > 2 * BURST_MAX:
            self._burst_gap = BURST_MIN
        if now - self._burst_at >= self._burst_gap:
            self._burst_at, self._burst_gap = now, min(BURST_MAX, 2 * self._burst_gap)
            self._node.liveness.heartbeat_all()
        elif now - link.beaten_for_reflection >= BURST_MIN:
            link.beaten_for_reflection = now
            self._node.liveness.heartbeat(link)

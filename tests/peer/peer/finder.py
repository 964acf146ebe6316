"""Finding members: rounds of attempts, candidates, Locate, Located, Rendezvous (state-machine.md sections 4 and 5)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from . import link as states
from .addresses import may_be_candidate, may_be_told
from .link import GUEST, KEPT, SPARE, WANTED, Candidate, Link
from .scale import are_neighbours, is_full_mesh
from .timers import (
    CANDIDATES_MAX,
    HELPERS,
    HELPERS_MAX,
    INTRODUCERS_MAX,
    LOCATE_ALL,
    LOCATE_PEERS,
    PROBE_INTERVAL,
    PROBE_STAGGER,
    PROBES_MAX,
    RENDEZVOUS_MIN,
    RETRY_FIRST,
    RETRY_MAX,
    RETRY_MIN,
    RETRY_ORPHAN,
    RETRY_ROUNDS,
    SPARE_BUSY,
    SUBSCRIPTION,
    SUBSCRIPTIONS_MAX,
    jittered,
)
from .timers import SPARE as SPARE_FOR
from .wire import UP_HERE, Address, Locate, Located, PathChallenge, Rendezvous

if TYPE_CHECKING:
    from .node import Node

MISSING = (states.UNKNOWN, states.SUSPECT, states.LOST)
WANTED_MAX = 8


class Finder:
    """Looks for members, and helps others to find them."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._subscriptions: dict[tuple[bytes, bytes], float] = {}
        self._met: dict[tuple[bytes, bytes], float] = {}
        self.asked_by_owner: set[bytes] = set()

    # --- rounds ---

    def round(self, link: Link) -> None:
        """A round of attempts."""
        self.consider(link, self._known(link), None)
        self._node.search.round_for(link)
        link.rounds += 1
        if self._may_be_asked_about(link):
            self.ask_others([link.id])
        link.retry_at = self._node.now() + self._pause(link)

    def _known(self, link: Link) -> list[Address]:
        known = [a for a in (link.path.current, *link.history) if a is not None]
        return known + self._node.gossip.addresses(link.id)

    def _may_be_asked_about(self, link: Link) -> bool:
        """STATE-14: until the second round nobody is asked about an unknown peer of which an address is known."""
        return link.state != states.UNKNOWN or link.rounds > 1 or not self._known(link)

    def _pause(self, link: Link) -> float:
        orphan = self._node.liveness.orphan
        longest = RETRY_ORPHAN if orphan else RETRY_MAX
        if link.state == states.CONFLICT:
            longest = pause = RETRY_MAX
        elif link.state == states.LEFT:
            pause = longest
        elif link.state == states.UNKNOWN and link.rounds <= len(RETRY_FIRST):
            pause = RETRY_FIRST[link.rounds - 1]
        else:
            pause = RETRY_MIN * 2 ** max(0, min(8, link.rounds - 1 - RETRY_ROUNDS))
        return jittered(min(pause, longest), 0.8, 1.0)

    def ask_others(self, wanted: Iterable[bytes]) -> None:
        """Locate to LOCATE_PEERS others: first the member's neighbours, then those heard last (SCALE-5)."""
        n = len(self._node.members.members())
        for member in wanted:
            others = [link for link in self._node.up_links() if link.id != member]
            others.sort(key=lambda link: (not are_neighbours(link.id, member, n), -(link.heard or 0.0)))
            for link in others[:LOCATE_PEERS]:
                self._node.send(link, Locate((member,)))

    def came_up(self, link: Link) -> None:
        """Asks a peer that came up for all that are missing, and tells those who look for it."""
        links = self._node.links.values()
        missing = [o.id for o in links if o.state in MISSING and o.role != GUEST and self._may_be_asked_about(o)]
        n = len(self._node.members.members())
        missing.sort(key=lambda member: (not are_neighbours(link.id, member, n), member))  # SCALE-13
        many = not is_full_mesh(n) and self._node.search.has_few_peers()
        for start in range(0, min(len(missing), WANTED_MAX * (LOCATE_ALL if many else 1)), WANTED_MAX):
            self._node.send(link, Locate(tuple(sorted(missing[start : start + WANTED_MAX]))))
        self.tell(link)

    # --- candidates, addresses.md section 4 ---

    def consider(self, link: Link, addresses: Iterable[Address], told_by: Link | None) -> None:
        """ADDR-9: addresses become candidates, to be probed at once, PROBE_STAGGER apart."""
        now = self._node.now()
        by = told_by.id if told_by else None
        due = now
        for address in addresses:
            if not may_be_candidate(address, told_by.path.current if told_by else None):
                continue
            if link.is_up and address == link.path.current:
                continue
            known = link.candidates.get(address)
            if known is not None and (known.probes < PROBES_MAX or now < known.due):
                continue
            told = sum(c.told_by == by for a, c in link.candidates.items() if a != address)
            if by is not None and told >= CANDIDATES_MAX // 2:
                continue
            if known is None:
                self._make_room(link)
            link.candidates[address] = Candidate(due, os.urandom(8), by)
            due += PROBE_STAGGER
        self._probe_due(link)

    @staticmethod
    def _make_room(link: Link) -> None:
        """CANDIDATES_MAX: what others told, else what the node knows itself; the most probed, of equals the last."""

        def worth_least(address: Address) -> tuple[bool, int]:
            candidate = link.candidates[address]
            return candidate.told_by is not None, candidate.probes

        if len(link.candidates) >= CANDIDATES_MAX:
            del link.candidates[max(reversed(link.candidates), key=worth_least)]

    def proves_candidate(self, link: Link, data: bytes) -> Address | None:
        """Which candidate a PathResponse proves."""
        return next((a for a, c in link.candidates.items() if c.challenge == data), None)

    def sent_cookie(self, link: Link, address: Address) -> None:
        """SCALE-12: somebody is there, who is called twice more, and each SPARE like any candidate, for SPARE_BUSY."""
        now = self._node.now()
        if link.role not in (SPARE, GUEST):
            return
        candidate = link.candidates.get(address)
        if candidate is None:
            self._make_room(link)
            candidate = link.candidates[address] = Candidate(now + PROBE_INTERVAL, os.urandom(8), None)
        if candidate.busy_until is None:
            candidate.busy_until, candidate.again_at = now + SPARE_BUSY, now + SPARE_FOR
            candidate.probes = PROBES_MAX - 2
            link.role_until = max(link.role_until, now + SPARE_BUSY)

    def _probe_due(self, link: Link) -> None:
        """ADDR-11: PROBES_MAX times; with a session the first ones are PathChallenges."""
        now = self._node.now()
        for address, candidate in link.candidates.items():
            if candidate.busy_until is not None and candidate.again_at <= now < candidate.busy_until:
                candidate.probes, candidate.again_at = 0, now + SPARE_FOR
            if candidate.probes >= PROBES_MAX or now < candidate.due or not self._afford(candidate, now):
                continue
            candidate.probes += 1
            candidate.due = now + PROBE_INTERVAL
            if link.session is not None and candidate.probes < PROBES_MAX and candidate.busy_until is None:
                self._node.send(link, PathChallenge(candidate.challenge), address)
            else:
                self._node.initiate(link, address, PROBE_INTERVAL)

    def _afford(self, candidate: Candidate, now: float) -> bool:
        """PROBE_BUDGET, and PROBE_SHARE of it where another peer told of the address."""
        budget = self._node.budgets.probes
        left = budget.left(now)
        if candidate.told_by is not None and left <= budget.burst / 2:
            share = self._node.budgets.probe_shares.of(candidate.told_by, now)
            if left <= budget.burst / 4 or not share.take(now):
                return False
        return budget.take(now)

    # --- messages ---

    def on_locate(self, link: Link, message: Locate) -> None:
        """Subscribes the sender, makes the two meet, and answers, even if with nothing."""
        node, now, me = self._node, self._node.now(), self._node.identity.id
        entries, helpers = [], []
        n = len(node.members.members())
        for member in message.wanted:
            if member in (link.id, me) or not node.members.is_member(member):
                continue
            key = member, link.id
            if key in self._subscriptions or len(self._subscriptions) < SUBSCRIPTIONS_MAX:
                self._subscriptions[key] = now + SUBSCRIPTION
            entry = self._node.gossip.entry(member, link)
            if entry is not None:
                entries.append(entry)
            wanted = node.links.get(member)
            if wanted is not None and wanted.is_up:
                if now - self._met.get(key, float("-inf")) >= RENDEZVOUS_MIN and node.budgets.meetings.take(now):
                    self._introduce(link, wanted)
                    node.liveness.heartbeat(wanted)
                self._met[key] = now
            elif not is_full_mesh(n):
                helpers += [l for l in node.up_links() if l is not link and are_neighbours(l.id, member, n)][:HELPERS]
        named = {entry.member for entry in entries}
        entries += filter(
            None, (self._node.gossip.entry(h.id, link) for h in helpers[:HELPERS_MAX] if h.id not in named)
        )
        node.send(link, Located(tuple(entries[: Located.MOST])))

    def on_located(self, link: Link, message: Located) -> None:
        """Entries about members that are not up are candidates; of those without a link they are hearsay (SCALE-9)."""
        now = self._node.now()
        for entry in message.entries:
            wanted = self._node.links.get(entry.member)
            if entry.member in self.asked_by_owner:
                self.asked_by_owner.remove(entry.member)
                names = {"peer": self._node.label(link.id), "member": self._node.label(entry.member)}
                self._node.event("located", **names, address=str(entry.address), up=entry.how == UP_HERE)
            if wanted is not None and wanted.role != GUEST:
                if not wanted.is_up:
                    self.consider(wanted, [entry.address], link)
            elif entry.member != self._node.identity.id and self._node.members.is_member(entry.member):
                if may_be_candidate(entry.address, link.path.current):
                    self._node.gossip.hear(entry.member, entry.address, now - entry.age)
        self._node.search.on_located(link, message)

    def on_rendezvous(self, link: Link, message: Rendezvous) -> None:
        """Somebody looks for this node."""
        now, member = self._node.now(), message.seeker
        if member == self._node.identity.id or not self._node.members.is_member(member):
            return
        seeker = self._node.links.get(member) or self._node.make_link(member, GUEST)
        lately = {by: at for by, at in seeker.introduced.items() if now - at < RENDEZVOUS_MIN}
        if link.id in lately or len(lately) >= INTRODUCERS_MAX:
            return
        seeker.introduced = {**lately, link.id: now}
        if seeker.is_up and not seeker.outstanding:
            self._node.liveness.heartbeat(seeker)
        self.consider(seeker, message.addresses, link)

    def tell(self, link: Link) -> None:
        """A member became up, or its new address has answered: those who look for it hear, and those it looks for."""
        now = self._node.now()
        self._subscriptions = {key: until for key, until in self._subscriptions.items() if until > now}
        if not link.is_up:
            return
        for wanted, subscriber in list(self._subscriptions):
            other = self._node.links.get(subscriber if wanted == link.id else wanted)
            if other is None or not other.is_up or link.id not in (wanted, subscriber):
                continue
            if wanted == link.id:
                entry = self._node.gossip.entry(link.id, other)
                if entry is not None:
                    self._node.send(other, Located((entry,)))
                self._introduce(other, link)
            else:
                self._introduce(link, other)

    def forget(self, member: bytes) -> None:
        """Subscriptions of and for a removed node end."""
        self._subscriptions = {key: until for key, until in self._subscriptions.items() if member not in key}

    def _introduce(self, seeker: Link, wanted: Link) -> None:
        """Rendezvous to the wanted member with the seeker's address (ADDR-10)."""
        address, path = seeker.path.current, wanted.path.current
        if address is not None and path is not None and may_be_told(address, path):
            self._node.send(wanted, Rendezvous(seeker.id, (address,)))

    # --- time ---

    def tick_link(self, link: Link) -> None:
        """Probes, and the next round for a peer that is not there."""
        self._probe_due(link)
        looked_for = link.role in (KEPT, WANTED) and link.state not in (states.UP, states.SUSPECT)
        if looked_for and self._node.now() >= link.retry_at:
            self.round(link)

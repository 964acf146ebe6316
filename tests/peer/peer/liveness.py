"""Heartbeats and the state of a peer (state-machine.md sections 3 and 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import link as states
from .link import GUEST, SPARE, Beat, Link
from .session import Received, Session
from .timers import (
    ATTEMPT,
    INITIATION_RESEND,
    MOVED,
    REKEY_RETRY,
    RESEND_FIRST,
    RESEND_MAX,
    RETRY_FIRST,
    RETRY_MAX,
    RETRY_ORPHAN,
    RTT_MAX,
    SUSPECT_AFTER,
    SUSPECT_TIMES,
    jittered,
)
from .wire import Address, Heartbeat, HeartbeatAck

if TYPE_CHECKING:
    from .node import Node

ACK_SIZE = 66


class Liveness:
    """Who is there."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._last_exchange = node.now()
        self._exchange_due = node.now() + node.intervals.exchange
        self.orphan = False
        self.moved_until = float("-inf")

    # --- heartbeats ---

    def heartbeat(self, link: Link) -> None:
        """Sends a Heartbeat on the path in use; it is outstanding."""
        now, session = self._node.now(), link.session
        if session is None or link.path.current is None:
            return
        message = Heartbeat(session.seen, self._node.members.digest(), link.path.current)
        counter = self._node.send(link, message)
        if counter is None:
            return
        if not link.outstanding:
            link.resend_at = now + link.resend_first()
        link.outstanding.append(Beat(session, counter, now))

    def heartbeat_all(self) -> None:
        """ADDR-6; SUSPECT_AFTER is 1 for a while."""
        self.moved_until = self._node.now() + MOVED
        for link in self._node.up_links():
            if not link.outstanding:
                self.heartbeat(link)

    def on_heartbeat(
        self, link: Link, session: Session, received: Received, message: Heartbeat, source: Address
    ) -> None:
        """Acknowledged, as far as addresses.md section 3 lets it."""
        self._answered(link, session, message.seen)
        self._exchanged(link)
        self._observe(link, session, received, message.reflection)
        self._node.lists.compare(link, message.digest)
        path, counter = link.path, received.counter
        if session is not link.session or path.trial is None or source != path.trial.new:
            self.acknowledge(link, session, counter, path.current)
        elif path.spend(source, ACK_SIZE):
            self.acknowledge(link, session, counter, source)
        else:
            link.withheld_ack = session, counter

    def acknowledge(self, link: Link, session: Session, counter: int, address: Address | None) -> None:
        """addresses.md section 3: the reflection is the address to which it is sent."""
        if address is not None:
            self._node.send(link, HeartbeatAck(counter + 1, self._node.members.digest(), address), address, session)

    def on_ack(self, link: Link, session: Session, received: Received, message: HeartbeatAck) -> None:
        """Never answered (STATE-7)."""
        beats, now = link.outstanding, self._node.now()
        for beat in beats:
            if beat.session is session and beat.counter + 1 == message.acknowledged and beat in (beats[0], beats[-1]):
                sample = min(now - beat.sent, RTT_MAX)
                link.rtt = sample if link.rtt is None else link.rtt + (sample - link.rtt) / 8
        self._answered(link, session, message.acknowledged)
        self._exchanged(link)
        self._observe(link, session, received, message.reflection)
        self._node.lists.compare(link, message.digest)

    def _observe(self, link: Link, session: Session, received: Received, reflection: Address | None) -> None:
        """ADDR-2: what has not the highest counter of the current session may have been held back."""
        if reflection is not None and received.newest and session is link.session:
            self._node.own.observe(link, reflection)

    @staticmethod
    def _answered(link: Link, session: Session, seen: int) -> None:
        """The first field of either names the first attempt, or a later one."""
        if any(beat.session is session and beat.counter < seen for beat in link.outstanding):
            link.outstanding = []
            link.misses = link.suspect_in_a_row = 0

    def _exchanged(self, link: Link) -> None:
        """STATE-6: an exchange started by either side serves both."""
        now, intervals = self._node.now(), self._node.intervals
        self._last_exchange = now
        link.heartbeat_at = now + jittered(intervals.heartbeat, 0.8, 1.2)
        self._exchange_due = now + jittered(intervals.exchange, 0.8, 1.0)

    def new_session(self, link: Link) -> None:
        """STATE-5: forgets heartbeats outstanding under the session before; where none is due, one follows soon."""
        now = self._node.now()
        if link.is_up and (link.outstanding or now >= link.heartbeat_at):
            link.heartbeat_at = now + jittered(self._node.intervals.exchange, 0.2, 1.0)
        link.outstanding = []
        link.misses = 0

    # --- states ---

    def came_up(self, link: Link) -> None:
        """A valid tagged datagram of a peer that is not up."""
        now = self._node.now()
        before, link.state = link.state, states.UP
        link.up_since, link.misses, link.rounds = now, 0, 0
        link.heartbeat_at = now + jittered(self._node.intervals.exchange, 0.2, 1.0)
        link.candidates.clear()
        self._node.event("up", peer=self._node.label(link.id), before=before)
        self._node.finder.came_up(link)
        self._node.own.vote()

    def left(self, link: Link) -> None:
        """The peer said Leave."""
        link.left_at = self._node.now()
        self._change(link, states.LEFT)
        if link.contest is not None:
            self._node.runs.present_left(link)
            return
        link.retry_at = self._node.now() + self.longest_retry()
        if link.role in (GUEST, SPARE):
            self._node.forget_link(link)

    def turned_away(self, link: Link) -> None:
        """STATE-12: the peer says that there are two machines with this node's identity."""
        link.forget_sessions()
        link.retry_at = self._node.now() + jittered(RETRY_MAX, 0.8, 1.0)
        self._change(link, states.CONFLICT)
        self._node.lists.end_reading(link.id)

    def longest_retry(self) -> float:
        """For peers that left or are lost: rarer than every RETRY_ORPHAN only while somebody answers."""
        return jittered(RETRY_ORPHAN if self.orphan else RETRY_MAX, 0.8, 1.0)

    def _change(self, link: Link, state: str) -> None:
        before, link.state = link.state, state
        if before == states.UP:
            link.distrust_reflection()
        if state != states.SUSPECT:
            link.outstanding = []
        self._node.event(state, peer=self._node.label(link.id), before=before)
        self._node.own.vote()

    # --- time ---

    def tick(self) -> None:
        """What concerns all links together."""
        now, ups = self._node.now(), self._node.up_links()
        beaten = [link for link in ups if link.role != GUEST and not link.outstanding]
        if beaten and now >= self._exchange_due:
            self.heartbeat(min(beaten, key=lambda link: link.reflected_at))
            self._exchange_due = now + jittered(self._node.intervals.exchange, 0.8, 1.0)
        self._watch_for_orphan()

    def _watch_for_orphan(self) -> None:
        now, links = self._node.now(), self._node.links.values()
        if not links or any(link.state in (states.UP, states.SUSPECT, states.CONFLICT) for link in links):
            self.orphan = False
            return
        waits = all(link.state == states.UNKNOWN for link in links)
        first = min(link.unknown_since for link in links)
        if not self.orphan and (not waits or now - first >= self._node.intervals.lost_after):
            self.orphan = True
            self._node.event("orphan")
            for link in links:
                link.retry_at = min(link.retry_at, now + jittered(RETRY_ORPHAN, 0.8, 1.0))

    def tick_link(self, link: Link) -> None:
        """What concerns one link: no peer delays another (STATE-8)."""
        now = self._node.now()
        if link.outstanding and now >= link.resend_at and link.state in (states.UP, states.SUSPECT):
            self._missed(link)
        elif link.is_up and not link.outstanding and now >= link.heartbeat_at and link.role != GUEST:
            self.heartbeat(link)
        if link.state == states.SUSPECT:
            self._tick_suspect(link)
        elif link.is_up and now >= link.rekey_at and link.role != GUEST:
            self._rekey(link)

    def _missed(self, link: Link) -> None:
        now = self._node.now()
        link.misses += 1
        self.heartbeat(link)
        link.resend_at = now + min(RESEND_MAX, link.resend_first() * 2 ** min(link.misses, 8))
        if not link.is_up:
            return
        if link.misses == 1 and now - self._last_exchange >= RESEND_FIRST:
            self._ask_whether_all_are_gone(link)
        base = 1 if now < self.moved_until else SUSPECT_AFTER
        if link.misses >= base * min(SUSPECT_TIMES, 2**link.suspect_in_a_row):
            if link.role in (GUEST, SPARE):
                self._node.forget_link(link)
                return
            link.suspect_since = now
            link.suspect_in_a_row += 1
            link.rounds = 0
            self._change(link, states.SUSPECT)
            self._ask_about(link)

    def _ask_whether_all_are_gone(self, link: Link) -> None:
        others = [other for other in self._node.up_links() if other is not link]
        if any(other.misses for other in others):
            self.heartbeat_all()
        elif others:
            self.heartbeat(min(others, key=lambda other: other.reflected_at))

    def _tick_suspect(self, link: Link) -> None:
        now, intervals = self._node.now(), self._node.intervals
        heard = link.heard if link.heard is not None else float("-inf")
        if now >= max(heard + intervals.lost_after, link.suspect_since + intervals.lost_least):
            self._change(link, states.LOST)
            link.rounds = 0
            self._node.finder.round(link)
            return
        if link.path.current is not None:
            self._node.initiate(link, link.path.current, INITIATION_RESEND)
        if now >= link.retry_at:
            self._ask_about(link)

    def _ask_about(self, link: Link) -> None:
        """About a suspect peer others are asked again and again, after each pause of RETRY_FIRST."""
        self._node.finder.ask_others([link.id])
        pause = RETRY_FIRST[min(link.rounds, len(RETRY_FIRST) - 1)]
        link.rounds += 1
        link.retry_at = self._node.now() + jittered(pause, 0.8, 1.0)

    def _rekey(self, link: Link) -> None:
        """One attempt; if it is not answered the next one follows after REKEY_RETRY."""
        now = self._node.now()
        if link.rekey_until <= link.rekey_at:
            link.rekey_until = now + ATTEMPT
        if now < link.rekey_until and link.path.current is not None:
            self._node.initiate(link, link.path.current, INITIATION_RESEND)
        else:
            link.rekey_at = link.rekey_until - ATTEMPT + jittered(REKEY_RETRY, 1.0, 2.0)
            link.rekey_until = link.rekey_at

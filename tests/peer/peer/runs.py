"""When a session begins: crossing handshakes (STATE-5) and two machines with one identity (state-machine.md 6)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .link import LEFT, SUSPECT, UP, Contest, Link, Replaced
from .session import Session
from .timers import CONFLICT, CONTEST_CHALLENGES, CONTEST_MIN, PREVIOUS, REKEY, jittered
from .wire import Address, Conflict, PathChallenge

if TYPE_CHECKING:
    from .node import Node


class Runs:
    """Which run of a peer a link belongs to."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def begin(self, link: Link, session: Session, address: Address | None) -> bool:
        """A session begins, with an address that is proved, if any. Whether the link goes on with it."""
        now, present, replaced = self._node.now(), link.session, link.replaced
        if present is None or present.incarnation == session.incarnation:
            self._adopt(link, session, address)
            return True
        if session.begun < present.ended:
            return False  # held back on its way, and forgotten
        if link.state not in (UP, SUSPECT) or link.path.current is None:
            self._take_in(link, session, address)
            return True
        if replaced is not None and replaced.may_return(session.incarnation, now):
            self._node.send(link, Conflict())
            self._take_in(link, session, address)
            link.replaced = None
            self._reckon_with_two(link)
            return True
        if link.in_conflict(now):
            self._turn_away(link, session, address)
        elif link.contest is not None:
            link.contest.session, link.contest.address = session, address
        else:
            link.contest = Contest(session, address, os.urandom(8), now)
            link.attempt = None
            self._node.event("contested", peer=self._node.label(link.id))
        return False

    def answered(self, link: Link, data: bytes) -> None:
        """STATE-10: the present run answers, so the new one is turned away."""
        contest = link.contest
        if contest is not None and data == contest.challenge:
            link.contest = None
            self._turn_away(link, contest.session, contest.address)

    def present_left(self, link: Link) -> None:
        """STATE-10: the present run says Leave."""
        if link.contest is not None:
            self._win(link, link.contest)

    def tick(self, link: Link) -> None:
        """STATE-10: ten challenges, evenly spread, beginning at once; then the new run is taken in."""
        now, contest = self._node.now(), link.contest
        if link.previous is not None and now >= link.previous_until:
            link.previous = None
        if contest is None:
            return
        lasts = max(CONTEST_MIN, 3 * (link.rtt or 0.0))
        age = now - contest.begun
        if age >= lasts:
            self._win(link, contest)
        elif contest.challenges < CONTEST_CHALLENGES and age >= contest.challenges * lasts / CONTEST_CHALLENGES:
            contest.challenges += 1
            self._node.send(link, PathChallenge(contest.challenge))

    def _win(self, link: Link, contest: Contest) -> None:
        self._take_in(link, contest.session, contest.address)
        if contest.session.initiator:
            self._node.liveness.heartbeat(link)

    def _take_in(self, link: Link, session: Session, address: Address | None) -> None:
        """STATE-9: the sessions with the run before end at once, and with them what was known of its path."""
        if link.session is not None:
            link.replaced = Replaced(link.session.incarnation, self._node.now(), link.state == LEFT)
        link.forget_sessions()
        link.path.taken_in()
        link.conflict_until = float("-inf")
        self._adopt(link, session, address)
        self._node.event("taken-in", peer=self._node.label(link.id))

    def _turn_away(self, link: Link, session: Session, address: Address | None) -> None:
        """STATE-11."""
        if address is not None:
            self._node.send(link, Conflict(), address, session)
        self._reckon_with_two(link)

    def _reckon_with_two(self, link: Link) -> None:
        now = self._node.now()
        if not link.in_conflict(now):
            reason = "there are two machines with its identity"
            self._node.event("conflict", peer=self._node.label(link.id), reason=reason)
        link.conflict_until = now + CONFLICT

    def _adopt(self, link: Link, session: Session, address: Address | None) -> None:
        """STATE-5: the new session becomes current unless it crossed with one that counts more."""
        now, old = self._node.now(), link.session
        session.established = now
        crossed = old is not None and old.crossed_by(session)
        if crossed and session.initiator != (self._node.identity.id < link.id):
            link.previous = session
        else:
            link.session, link.previous = session, old
            self._node.liveness.new_session(link)
        link.previous_until = now + PREVIOUS
        link.attempt = None
        if link.rtt is None:
            link.rtt = min(1.0, now - session.begun)
        link.rekey_at = now + (jittered(REKEY, 0.8, 1.0) if session.initiator else jittered(REKEY, 1.1, 1.3))
        link.rekey_until = link.rekey_at
        self._node.counters["sessions"] += 1
        if address is not None and self._node.prove(link, address) and not session.initiator:
            self._node.liveness.heartbeat(link)  # an initiator sends one in any case (STATE-3)

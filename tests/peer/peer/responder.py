"""Answering Initiations: invites, budgets, cookies, unconfirmed handshakes (state-machine.md sections 1 and 2)."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import crypto
from .addresses import place
from .handshake import Answer, join_prologue, member_prologue
from .invites import Invite, Token, invite_psk
from .session import Session
from .timers import (
    COOKIE,
    INVITE_MEMORY,
    INVITE_TTL,
    INVITES_MAX,
    PENDING,
    PENDING_FRESH,
    PENDING_MAX,
    PENDING_PEER_MAX,
    SOURCES_MAX,
    Budget,
)
from .wire import (
    ACCEPTED,
    BARRED,
    CLUSTER_FULL,
    INVITE_EXPIRED,
    INVITE_USED,
    MEMBER,
    Address,
    CookieReply,
    Discard,
    Initiation,
    Members,
    Record,
    ResponsePayload,
    node_id,
)

if TYPE_CHECKING:
    from .node import Node


@dataclass
class Unconfirmed:
    """A handshake that waits for the initiator's first tagged datagram (STATE-3)."""

    session: Session
    public_key: bytes
    address: Address
    born: float
    invite: Invite | None
    name: str
    initiation: bytes
    response: bytes


class Responder:
    """The responder's end of all handshakes of a node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.invites: dict[bytes, Invite] = {}
        self.unconfirmed: dict[int, Unconfirmed] = {}
        self._sources: dict[bytes, Budget] = {}
        self._secrets = [os.urandom(32)]
        self._secret_at = node.now()

    # --- invites ---

    def make_invite(self, addresses: tuple[Address, ...]) -> str:
        """membership.md section 3, step 1."""
        wall_ms = self._node.wall_ms()
        now_s = wall_ms // 1000
        spent = (i for i in self.invites.values() if i.used_by or i.has_expired(wall_ms))
        for old in list(spent):
            if len(self.invites) >= INVITES_MAX or old.expiry + INVITE_MEMORY < now_s:
                del self.invites[old.id]
        if len(self.invites) >= INVITES_MAX:
            raise ValueError("too many invites are open")
        token = Token.fresh(self._node.identity.public_key, now_s + INVITE_TTL, addresses)
        self.invites[token.invite] = Invite(token.invite, invite_psk(token.secret), token.expiry)
        self._node.save()
        return token.encode()

    # --- Initiations ---

    def receive(self, data: bytes, initiation: Initiation, source: Address) -> None:
        """The checks of section 1 in their order, then a Response, a CookieReply or silence."""
        node, now = self._node, self._node.now()
        if not crypto.same(crypto.mac1(node.identity.public_key, data[:184]), initiation.mac1):
            raise Discard("mac1")
        cluster = node.cluster
        if cluster is None or node.lists.farewell is not None:
            raise Discard("no-cluster")
        invite = self.invites.get(initiation.invite) if initiation.mode == 1 else None
        if initiation.mode == 1 and invite is None:
            raise Discard("unknown-invite")
        self._forget_old(now)
        proven = self._has_cookie(data, initiation, source)
        self._afford(proven, initiation, source, now)
        for waiting in self.unconfirmed.values():
            if (waiting.initiation, waiting.address) == (data[:200], source):
                node.transmit(waiting.response, source)  # MEMB-8
                return
        if invite is not None:
            prologue, psk = join_prologue(invite.id), invite.psk
        else:
            prologue, psk = member_prologue(cluster.id), cluster.key
        answer = Answer(node.identity, initiation, prologue, psk, node.random(32))
        peer = node_id(answer.public_key)
        if peer == node.identity.id or invite is None and peer not in node.members:
            raise Discard("not-a-member")
        verdict = self._verdict(peer, invite)
        if verdict == ACCEPTED:
            self._make_room(peer, proven, initiation, source, now)
        self._respond(answer, verdict, invite, data, source, now)

    def _respond(
        self, answer: Answer, verdict: int, invite: Invite | None, data: bytes, source: Address, now: float
    ) -> None:
        node = self._node
        told = node.cluster if verdict == ACCEPTED and invite is not None else None
        payload = ResponsePayload(
            node.fresh_index() if verdict == ACCEPTED else 0,
            verdict,
            source,
            node.wall_ms(),
            node.incarnation(node_id(answer.public_key)),
            told.id if told else bytes(16),
            told.key if told else bytes(32),
        )
        response, session = answer.respond(payload, now)
        if session is not None:
            key, name = answer.public_key, answer.payload.name
            self.unconfirmed[session.local] = Unconfirmed(session, key, source, now, invite, name, data[:200], response)
        node.transmit(response, source)

    def _verdict(self, peer: bytes, invite: Invite | None) -> int:
        """membership.md section 3, step 3: who was let in is again; a member that nobody let in only needs no room."""
        members = self._node.members
        if invite is None or members.was_let_in(peer):
            return ACCEPTED
        if invite.used_by is not None:
            return INVITE_USED
        if invite.has_expired(self._node.wall_ms()):
            return INVITE_EXPIRED
        if not members.has_room_for(peer):
            return CLUSTER_FULL
        return ACCEPTED if members.next_admission(peer) is not None else BARRED

    def waiting(self, index: int) -> Unconfirmed | None:
        """Check 3: the handshake that waits under an index, for PENDING at most (STATE-3)."""
        self._forget_old(self._node.now())
        return self.unconfirmed.get(index)

    def confirm(self, index: int) -> Unconfirmed | None:
        """Check 9: the first valid tagged datagram came. Raises Discard for who is no member and becomes none.

        By an invite a member that nobody let in, and that it does not admit, counts as a stranger (MEMB-7). The
        handshake of who fails goes on waiting. A removed node's ends without a session: it is told (MEMB-12).
        """
        waiting, members = self.unconfirmed[index], self._node.members
        peer = node_id(waiting.public_key)
        if waiting.invite is not None:
            self._admit(peer, waiting, waiting.invite)
            lives = members.was_let_in(peer)
        else:
            lives = members.is_member(peer)
        if not lives and (waiting.invite is not None or not members.is_removed(peer)):
            raise Discard("not-a-member")
        del self.unconfirmed[index]
        if lives:
            return waiting
        self._tell_removed(waiting, members[peer])
        return None

    def _admit(self, peer: bytes, waiting: Unconfirmed, invite: Invite) -> None:
        """MEMB-7: the first to confirm burns the invite; where nobody is admitted the invite stays good.

        A member that nobody let in is admitted, too, in its own place: it waits for a record that another member made.
        """
        members, number = self._node.members, self._node.members.next_admission(peer)
        if invite.used_by is not None or members.was_let_in(peer):
            return
        if not members.has_room_for(peer) or number is None:
            return
        record = Record(waiting.public_key, self._node.identity.id, number, MEMBER, 0, waiting.name)
        members.put(record)
        invite.used_by = peer
        self._node.lists.spread(record, None)
        self._node.event("admitted", name=waiting.name, id=crypto.base32(peer))

    def _tell_removed(self, waiting: Unconfirmed, removal: Record) -> None:
        """MEMB-12: to the address to which the Response was sent; the session is forgotten with this."""
        datagram, _ = waiting.session.make(Members(False, (removal,)), self._node.now())
        self._node.transmit(datagram, waiting.address)

    # --- bounds ---

    def _afford(self, proven: bool, initiation: Initiation, source: Address, now: float) -> None:
        """STATE-4."""
        if self._node.budgets.handshakes_open.take(now):
            return
        if not proven:
            self._demand_cookie(initiation, source)
        key = place(source)
        if key not in self._sources and len(self._sources) < SOURCES_MAX:
            self._sources[key] = Budget(16, 0.1, now)
        bound = self._sources.get(key)
        if bound is not None and bound.left(now) < 1 or not self._node.budgets.handshakes_proven.take(now):
            raise Discard("overload")
        if bound is not None:
            bound.take(now)

    def _make_room(self, peer: bytes, proven: bool, initiation: Initiation, source: Address, now: float) -> None:
        """STATE-13 for one peer, PENDING_MAX for all together."""
        mine = [w for w in self.unconfirmed.values() if node_id(w.public_key) == peer]
        if len(mine) >= PENDING_PEER_MAX:
            places = Counter(place(w.address) for w in mine)
            places[place(source)] += 1
            most = max(places.values())
            crowded = [w for w in mine if places[place(w.address)] == most]
            oldest = min(crowded, key=lambda w: w.born)
            if most == 1 and now - oldest.born < PENDING_FRESH and not proven:
                self._demand_cookie(initiation, source)
            self._forget(oldest)
        if len(self.unconfirmed) >= PENDING_MAX:
            self._forget(min(self.unconfirmed.values(), key=lambda w: w.born))

    def _forget(self, waiting: Unconfirmed) -> None:
        del self.unconfirmed[waiting.session.local]

    def _forget_old(self, now: float) -> None:
        self.unconfirmed = {i: w for i, w in self.unconfirmed.items() if now - w.born < PENDING}
        self._sources = {key: b for key, b in self._sources.items() if b.left(now) < b.burst}

    # --- cookies ---

    def _cookies(self, source: Address) -> list[bytes]:
        """AUTH-10: under the present secret and the previous one."""
        now = self._node.now()
        if now - self._secret_at >= COOKIE:
            previous = self._secrets[:1] if now - self._secret_at < 2 * COOKIE else []
            self._secrets, self._secret_at = [os.urandom(32), *previous], now
        return [crypto.make_cookie(secret, source.pack()) for secret in self._secrets]

    def _has_cookie(self, data: bytes, initiation: Initiation, source: Address) -> bool:
        return any(crypto.same(crypto.mac2(c, data[:200]), initiation.mac2) for c in self._cookies(source))

    def _demand_cookie(self, initiation: Initiation, source: Address) -> None:
        cookie = self._cookies(source)[0]
        random = self._node.random(16)
        sealed = crypto.seal_cookie(self._node.identity.public_key, initiation.mac1, cookie, random)
        self._node.transmit(CookieReply(initiation.sender, random, sealed).encode(), source)
        raise Discard("cookie-demanded")

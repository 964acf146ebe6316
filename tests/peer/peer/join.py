"""Joining by invite, the joiner's end (membership.md section 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .handshake import Attempt, Secrets, join_prologue
from .invites import Token, invite_psk
from .timers import INITIATION_RESEND, PENDING, jittered
from .wire import ACCEPTED, InitiationPayload, ResponsePayload, node_id

if TYPE_CHECKING:
    from .node import Node

REFUSALS = {1: "the invite has expired", 2: "the invite has been used", 3: "the cluster is full", 4: "barred"}


class Joiner:
    """Goes on until a member has sent a tagged datagram and the own record has come, or the inviter has refused.

    Until it is accepted the node still is what it was before, and nothing but a verdict changes its joining (MEMB-16).
    """

    def __init__(self, node: Node, token: Token, accepted: bool = False) -> None:
        self._node, self.token, self.accepted = node, token, accepted
        self.attempt: Attempt | None = None
        self.inviter = node_id(token.inviter)
        self._waits = accepted  # for a sign of membership, perhaps since before a restart
        self._due = self._begin_again_at = node.now()
        self._secrets = Secrets(1, token.invite, join_prologue(token.invite), invite_psk(token.secret))

    def tick(self) -> None:
        """Steps 2 and 7: to all addresses of the token, with a new ephemeral key every ATTEMPT."""
        node, now = self._node, self._node.now()
        if now < self._begin_again_at or now < self._due:
            return
        self._due = now + jittered(INITIATION_RESEND, 0.8, 1.2)
        if self.attempt is None or self.attempt.expired(now):
            payload = InitiationPayload(node.incarnation(self.inviter), node.name)
            index, ephemeral = node.fresh_index(), node.random(32)
            self.attempt = Attempt(node.identity, self.token.inviter, self._secrets, payload, index, ephemeral, now)
        for address in self.token.addresses:
            node.transmit(self.attempt.datagram(address, now), address)

    def heard(self) -> bool:
        """A member sent a tagged datagram. Whether that was waited for; from now on only the own record is missing."""
        waited, self._waits = self._waits, False
        if waited:
            self.attempt, self._begin_again_at = None, float("inf")
        return waited

    def begin_again(self) -> None:
        """Step 7: at once, unless an attempt is under way. Until the inviter's verdict nobody else's word counts."""
        self._waits = False
        if self.attempt is None:
            self._due = self._begin_again_at = self._node.now()

    def answered(self, payload: ResponsePayload) -> bool:
        """The inviter's verdict. Whether this node is let in."""
        self.attempt = None
        if payload.verdict != ACCEPTED:
            self._node.refused(REFUSALS[payload.verdict], self.accepted)
            return False
        if not self._node.accepted(payload.cluster_id, payload.cluster_key, self.token.inviter):
            return False
        self.accepted = self._waits = True
        self._begin_again_at = self._node.now() + PENDING
        return True

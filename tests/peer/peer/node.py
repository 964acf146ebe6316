"""A node: one socket, one clock, and the parts that each know one idea (state-machine.md section 1)."""

from __future__ import annotations

import os
import select
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from . import crypto, wire
from .finder import Finder
from .gossip import Gossip
from .handshake import Attempt, Identity, Secrets, member_prologue
from .invites import Token
from .join import Joiner
from .link import GUEST, KEPT, LEFT, SPARE, WANTED, Link
from .lists import Lists
from .liveness import Liveness
from .members import MemberList, provisional
from .own import OwnAddresses
from .paths import Challenge, Current, Decision, Forgotten, PathConflict, Published
from .responder import Responder
from .runs import Runs
from .scale import are_neighbours
from .search import Search
from .session import Received, Session
from .store import Cluster, State
from .timers import START_SPREAD, Budgets, Intervals, jittered
from .timers import SPARE as SPARE_FOR
from .timers import WANTED as WANTED_FOR
from .wire import (
    Address,
    Conflict,
    CookieReply,
    Discard,
    Heartbeat,
    HeartbeatAck,
    Initiation,
    InitiationPayload,
    Leave,
    Locate,
    Located,
    Members,
    MembersRequest,
    Message,
    PathChallenge,
    PathResponse,
    Record,
    Rendezvous,
    Response,
    Tagged,
)

TICK = 0.025
AT_ONCE = 256


class Node:
    """One running peer."""

    def __init__(
        self,
        state: State,
        listen: Address,
        heartbeat: float = 10.0,
        save: Callable[[State], None] = lambda state: None,
        report: Callable[[dict], None] = lambda event: None,
    ) -> None:
        self._save, self._report, self._unsaved = save, report, False
        self._wall_at_start_ms, self._started = time.time_ns() // 1_000_000, time.monotonic()
        self.identity = Identity(state.private_key)
        self.name, self.cluster, self.removed_by = state.name, state.cluster, state.removed_by
        self._run_secret = os.urandom(32)
        self.intervals = Intervals(heartbeat)
        self.budgets = Budgets(self.now())
        self.counters: Counter[str] = Counter()
        self.members = MemberList(self.identity.id)
        self.links: dict[bytes, Link] = {}
        self.running, self.failure = True, ""
        self.runs, self.liveness, self.finder = Runs(self), Liveness(self), Finder(self)
        self.gossip, self.search = Gossip(self), Search(self)
        self.lists, self.own, self.responder = Lists(self), OwnAddresses(self), Responder(self)
        self._addresses = dict(state.addresses)
        self._socket = self._open(listen)
        self._voted_at = self.now()
        for record in state.records:
            self.members.put(record)
        self.responder.invites = {invite.id: invite for invite in state.invites}
        self.joiner = Joiner(self, Token.decode(state.token), state.accepted) if state.token else None
        if self.cluster is not None:
            if self.identity.id not in self.members and not self.was_accepted():
                self.lists.first_record()
            self.lists.name_myself()
            self.choose_links()

    # --- clocks, sockets, files ---

    @staticmethod
    def now() -> float:
        """A clock that never jumps."""
        return time.monotonic()

    def wall_ms(self) -> int:
        """The wall clock as it was read at the start, carried on by the other one."""
        return self._wall_at_start_ms + int((self.now() - self._started) * 1000)

    @staticmethod
    def random(size: int) -> bytes:
        """cryptography.md section 1; test vectors say here what is drawn."""
        return os.urandom(size)

    def incarnation(self, peer: bytes) -> bytes:
        """AUTH-13: which run this is, another one towards each peer."""
        return crypto.incarnation(self._run_secret, peer)

    @staticmethod
    def _open(address: Address) -> socket.socket:
        family = socket.AF_INET6 if ":" in address.ip else socket.AF_INET
        opened = socket.socket(family, socket.SOCK_DGRAM)
        opened.setblocking(False)
        opened.bind(address)
        return opened

    def rebind(self, address: Address) -> None:
        """Moves to another local address, as if the provider had changed it; nothing is told to anybody."""
        moved = self._open(address)
        self._socket.close()
        self._socket = moved

    def transmit(self, data: bytes, address: Address) -> None:
        """Sends a datagram; what the network refuses is lost like any other."""
        self.counters["sent"] += 1
        try:
            self._socket.sendto(data, address)
        except OSError:
            self.counters["send-failed"] += 1

    def send(
        self, link: Link, message: Message, address: Address | None = None, session: Session | None = None
    ) -> int | None:
        """A tagged datagram, if not said otherwise under the current session on the current path; its counter."""
        session, address = session or link.session, address or link.path.current
        if session is None or address is None:
            return None
        datagram, counter = session.make(message, self.now())
        self.transmit(datagram, address)
        return counter

    def event(self, kind: str, **what: object) -> None:
        """Tells the owner."""
        self._report({"event": kind, **what})

    def save(self) -> None:
        """What is stored has changed."""
        self._unsaved = True

    def state(self) -> State:
        """What is stored: of a node that leaves, that it is removed (MEMB-16)."""
        if self.lists.farewell is not None:
            return State(self.identity.private_key, self.name, removed_by=self.label(self.identity.id))
        for link in self.links.values():
            if link.history:
                self._addresses[link.id] = link.history
        addresses = {member: known for member, known in self._addresses.items() if self.members.is_member(member)}
        token = self.joiner.token.encode() if self.joiner else None
        invites = list(self.responder.invites.values())
        return State(
            self.identity.private_key,
            self.name,
            self.cluster,
            token,
            self.was_accepted(),
            self.removed_by,
            list(self.members),
            addresses,
            invites,
        )

    # --- links ---

    def up_links(self) -> list[Link]:
        return [link for link in self.links.values() if link.is_up]

    def label(self, member: bytes) -> str:
        """How people call a member."""
        return self.members.shown_names().get(member, crypto.base32(member)[:8])

    def fresh_index(self) -> int:
        """An index by which this node wants to be addressed: random, never 0, of no other session."""
        used = {session.local for link in self.links.values() for session in link.sessions()}
        used |= set(self.responder.unconfirmed) | {attempt.index for attempt, _ in self._attempts()}
        while True:
            index = int.from_bytes(self.random(4), "big")
            if index and index not in used:
                return index

    def make_link(self, member: bytes, role: str) -> Link:
        """A link with a member, with what is known of its addresses."""
        link = Link(self.members[member].public_key, role, history=list(self._addresses.get(member, [])))
        link.unknown_since = self.now()
        link.retry_at = self.now() + jittered(START_SPREAD, 0.0, 1.0)
        link.role_until = self.now() + (WANTED_FOR if role == WANTED else SPARE_FOR)
        self.links[member] = link
        return link

    def forget_link(self, link: Link) -> None:
        """The sessions and their indices are forgotten, nothing more is sent."""
        if link.history:
            self._addresses[link.id] = link.history
        self.gossip.saw(link)
        self.links.pop(link.id, None)

    def choose_links(self) -> None:
        """SCALE-2: kept links with all neighbours; others that are up become guests, and are forgotten otherwise."""
        members = self.members.members()
        for record in members:
            if record.id == self.identity.id:
                continue
            link = self.links.get(record.id)
            if are_neighbours(self.identity.id, record.id, len(members)):
                link = link or self.make_link(record.id, KEPT)
                link.role = KEPT
            elif link is not None and link.role == KEPT:
                link.role, link.role_until = GUEST, self.now()
                if not link.is_up:
                    self.forget_link(link)
        for link in list(self.links.values()):
            if not self.members.is_member(link.id):
                self.forget_link(link)

    def _end_role(self, link: Link) -> None:
        """scale.md section 2: how links for a while end."""
        now = self.now()
        if link.role == SPARE and link.is_up and link.up_since is not None:
            begun = max(link.role_until, link.up_since + WANTED_FOR)
            link.role_until = now + WANTED_FOR if now >= begun and self.search.has_few_peers() else begun
        if link.role in (WANTED, SPARE) and now >= link.role_until:
            if not link.is_up:
                self.forget_link(link)
                return
            link.role, link.role_until = GUEST, now
        if link.role == GUEST and now >= max(link.role_until, (link.heard or 0.0) + self.intervals.lost_after):
            self.forget_link(link)

    # --- receiving ---

    def receive(self, data: bytes, source: Address) -> None:
        """The checks in their order; the first that fails discards the datagram, silently (WIRE-8)."""
        self.counters["received"] += 1
        try:
            datagram = wire.decode(data)
            if not source.usable():
                raise Discard("source")
            if isinstance(datagram, Tagged):
                self._receive_tagged(datagram, source, len(data))
            elif isinstance(datagram, Initiation):
                self.responder.receive(data, datagram, source)
            elif isinstance(datagram, Response):
                self._receive_response(data, datagram, source)
            else:
                self._receive_cookie(datagram, source)
        except Discard as failure:
            self.counters["discarded " + failure.name] += 1

    def _receive_tagged(self, tagged: Tagged, source: Address, size: int) -> None:
        found = self._find(tagged.receiver)
        if found is None:
            waiting = self.responder.waiting(tagged.receiver)
            if waiting is None:
                raise Discard("unknown-index")
            received = waiting.session.open(tagged, self.now())
            waiting = self.responder.confirm(tagged.receiver)
            if waiting is None:
                return
            member, session = wire.node_id(waiting.public_key), waiting.session
            link = self.links.get(member) or self._link_for_caller(member)
            if not self.runs.begin(link, session, waiting.address):
                return
        else:
            link, session = found
            received = session.open(tagged, self.now())
            if link.contest is not None and session is link.contest.session:
                if isinstance(received.message, Leave):
                    link.contest = None
                return
        self._receive_message(link, session, received, source, size)

    def _find(self, index: int) -> tuple[Link, Session] | None:
        """Check 3."""
        for link in self.links.values():
            for session in link.sessions():
                if session.local == index:
                    return link, session
        return None

    def _link_for_caller(self, member: bytes) -> Link:
        """A neighbour's link is kept; anybody else is a guest."""
        neighbour = are_neighbours(self.identity.id, member, len(self.members.members()))
        return self.make_link(member, KEPT if neighbour else GUEST)

    def _receive_message(self, link: Link, session: Session, received: Received, source: Address, size: int) -> None:
        """STATE-1: only now anything changes."""
        message, newest = received.message, received.newest
        if isinstance(message, Conflict):
            if session is link.session:
                self.liveness.turned_away(link)
            return
        if link.state == LEFT and (isinstance(message, Leave) or not link.comes_back(session, newest, self.now())):
            return  # sent before the goodbye that overtook it, or by somebody who cannot decide
        if isinstance(message, Leave):
            if not link.is_up or newest and session is link.session:
                self.liveness.left(link)
            return
        if self.was_accepted() and isinstance(message, Members) and message.removes(self.identity.id):
            self.joiner.begin_again()  # membership.md section 3, step 7: news of an earlier membership
            return
        link.heard = self.now()
        if newest and session is link.session:
            self.apply(link, link.path.datagram(source, size, link.rtt, self.now()))
        if isinstance(message, PathResponse):
            self._receive_path_response(link, message)
        if not link.is_up:
            self.liveness.came_up(link)
        if self.joiner is not None and self.cluster is not None and self.joiner.heard():
            self._joined(link, self.cluster)
        self._act(link, session, received, source)

    def _act(self, link: Link, session: Session, received: Received, source: Address) -> None:
        """What each message calls for."""
        message = received.message
        self.counters["received " + type(message).__name__] += 1
        if isinstance(message, Heartbeat):
            self.liveness.on_heartbeat(link, session, received, message, source)
        elif isinstance(message, HeartbeatAck):
            self.liveness.on_ack(link, session, received, message)
        elif isinstance(message, PathChallenge) and not isinstance(message, PathResponse):
            self.send(link, PathResponse(message.data), source)
        elif isinstance(message, Locate):
            self.finder.on_locate(link, message)
        elif isinstance(message, Located):
            self.finder.on_located(link, message)
        elif isinstance(message, Rendezvous):
            self.finder.on_rendezvous(link, message)
        elif isinstance(message, MembersRequest):
            self.lists.on_request(link, message, source)
        elif isinstance(message, Members):
            self.lists.on_members(link, message)

    def _receive_path_response(self, link: Link, message: PathResponse) -> None:
        """An answer counts wherever it comes from."""
        self.runs.answered(link, message.data)
        decisions = link.path.response(message.data, self.now())
        candidate = self.finder.proves_candidate(link, message.data)
        if candidate is not None:
            decisions += self._proved(link, candidate)
            link.candidates.pop(candidate)
        self.apply(link, decisions)
        if any(isinstance(decision, Current) for decision in decisions):
            self.liveness.heartbeat(link)

    def prove(self, link: Link, address: Address) -> bool:
        """A handshake proved an address. Whether that is news, so that a Heartbeat is to be sent there."""
        decisions = self._proved(link, address)
        self.apply(link, decisions)
        return any(isinstance(decision, Current) for decision in decisions)

    def _proved(self, link: Link, address: Address) -> list[Decision]:
        """ADDR-15: what was held back for a trial is not sent where this ends it, not even where it proves the same."""
        link.withheld_ack = None
        return link.path.proved(address, link.rtt, self.now())

    def apply(self, link: Link, decisions: Iterable[Decision]) -> None:
        """Does what the path rule decided."""
        for decision in decisions:
            if isinstance(decision, Challenge):
                self.send(link, PathChallenge(decision.data), decision.address)
            elif isinstance(decision, Current):
                self._acknowledge_withheld(link, decision.address)
                self.finder.tell(link)
            elif isinstance(decision, Published):
                link.remember(decision.address)
                self.gossip.moved(link.id)
                self.event("address", peer=self.label(link.id), address=str(decision.address))
                self.own.vote()
                self.save()
            elif isinstance(decision, PathConflict):
                self.counters["path-conflicts"] += 1
                self.event("path-conflict", peer=self.label(link.id), new=str(decision.new))
                self._acknowledge_withheld(link, decision.old)
            elif isinstance(decision, Forgotten):
                link.withheld_ack = None

    def _acknowledge_withheld(self, link: Link, address: Address) -> None:
        """ADDR-15: a heartbeat held back is acknowledged when the trial is decided, if its session still is current."""
        if link.withheld_ack is not None:
            session, counter = link.withheld_ack
            link.withheld_ack = None
            if session is link.session:
                self.liveness.acknowledge(link, session, counter, address)

    # --- handshakes that this node begins ---

    def initiate(self, link: Link, address: Address, interval: float) -> None:
        """STATE-2: an Initiation to an address, unless one went there less than `interval` ago."""
        now = self.now()
        if self.cluster is None or link.contest is not None:
            return
        if link.attempt is None or link.attempt.expired(now):
            secrets = Secrets(0, bytes(8), member_prologue(self.cluster.id), self.cluster.key)
            payload = InitiationPayload(self.incarnation(link.id), "")
            index, ephemeral = self.fresh_index(), self.random(32)
            link.attempt = Attempt(self.identity, link.public_key, secrets, payload, index, ephemeral, now)
        if not link.attempt.spoiled and link.attempt.due(address, interval, now):
            self.transmit(link.attempt.datagram(address, now), address)

    def _attempts(self) -> list[tuple[Attempt, Link | None]]:
        found: list[tuple[Attempt, Link | None]] = []
        for link in self.links.values():
            if link.attempt is not None:
                found.append((link.attempt, link))
        if self.joiner is not None and self.joiner.attempt is not None:
            found.append((self.joiner.attempt, None))
        return found

    def _attempt(self, index: int) -> tuple[Attempt, Link | None]:
        for attempt, link in self._attempts():
            if attempt.index == index:
                return attempt, link
        raise Discard("unknown-index")

    def _receive_cookie(self, reply: CookieReply, source: Address) -> None:
        """The cookie goes with the next resend; of a probe, which might be the last one, there are some more."""
        attempt, link = self._attempt(reply.receiver)
        attempt.read_cookie(reply, self.now())
        if link is not None:
            self.finder.sent_cookie(link, source)

    def _receive_response(self, data: bytes, response: Response, source: Address) -> None:
        if not crypto.same(crypto.mac1(self.identity.public_key, data[:-16]), response.mac1):
            raise Discard("mac1")
        attempt, link = self._attempt(response.receiver)
        payload, session = attempt.read_response(response, self.now())
        if link is None:
            inviter = wire.node_id(attempt.responder)
            if self.joiner is None or not self.joiner.answered(payload):
                return
            link = self.links.get(inviter) or self._link_for_caller(inviter)
        link.attempt = None
        if session is None or not self.runs.begin(link, session, source if source in attempt.sent else None):
            return
        if source not in attempt.sent:
            self.apply(link, link.path.datagram(source, len(data), link.rtt, self.now()))
            self.finder.consider(link, attempt.sent, None)
        self.own.observe(link, payload.observed)
        self.liveness.heartbeat(link)

    # --- membership ---

    def was_accepted(self) -> bool:
        """Whether the membership hangs on a token still: *accepted* or *heard* (MEMB-16)."""
        return self.joiner is not None and self.joiner.accepted

    def accepted(self, cluster_id: bytes, cluster_key: bytes, inviter: bytes) -> bool:
        """membership.md section 3, steps 4 and 6; a node of another cluster gives the invite up."""
        if self.cluster is not None and self.cluster.id != cluster_id:
            self.refused("the invite is for another cluster", False)
            return False
        if self.cluster is None:
            self.cluster, self.removed_by = Cluster(cluster_id, cluster_key), None
            self.members = MemberList(self.identity.id)
        if wire.node_id(inviter) not in self.members:
            self.members.put(provisional(inviter))
        self.save()
        return True

    def _joined(self, link: Link, cluster: Cluster) -> None:
        """Step 8: a member has sent a tagged datagram. The token is kept until the own record has come (step 7)."""
        self.event("joined", cluster=crypto.base32(cluster.id), inviter=self.label(link.id))
        self.lists.read(link)
        self.own_record_came()

    def own_record_came(self) -> None:
        """The end of joining, if the inviter has accepted; only what another member made tells that it has let in."""
        if self.was_accepted() and self.members.was_let_in(self.identity.id):
            self.joiner = None
            self.save()

    def refused(self, why: str, ends_membership: bool) -> None:
        """An invite came to nothing; a membership that it gave ends with it, one from before stays (MEMB-16)."""
        self.event("refused", why=why)
        self.joiner = None
        self.save()
        if ends_membership:
            self._forget_cluster()
        if self.cluster is None and self.removed_by is None:
            self.running, self.failure = False, why

    def was_removed(self, removal: Record) -> None:
        """Section 5: a node that learns of its own removal ends all links and invites; an invite may let it back in."""
        self.removed_by = self.label(removal.admitted_by)
        self.event("removed-myself", by=self.removed_by)
        self._forget_cluster()

    def left_cluster(self) -> None:
        """The end of a farewell; who was removed says none."""
        self.removed_by = self.joiner = None
        self._forget_cluster()
        self.event("left-cluster")
        self.running = False

    def _forget_cluster(self) -> None:
        self.cluster = self.lists.farewell = None
        self.links.clear()
        self.responder.unconfirmed.clear()
        self.responder.invites.clear()
        self.members = MemberList(self.identity.id)
        self.save()

    # --- running ---

    def tick(self) -> None:
        """Whatever time calls for."""
        now = self.now()
        if self.joiner is not None:
            self.joiner.tick()
        if self.cluster is not None:
            for link in list(self.links.values()):
                self._tick_link(link)
            self.liveness.tick()
            self.lists.tick()
            self.gossip.tick()
            self.search.tick()
            if now - self._voted_at >= 1.0:
                self._voted_at = now
                self.own.vote()
        if self._unsaved:
            self._unsaved = False
            self._save(self.state())

    def _tick_link(self, link: Link) -> None:
        self.apply(link, link.path.tick(self.now()))
        self.runs.tick(link)
        self.liveness.tick_link(link)
        if link.id in self.links:
            self.finder.tick_link(link)
            self._end_role(link)

    def run(self, command: Callable[[str], None]) -> None:
        """Receives, ticks and obeys until it is told to stop; then says Leave (state-machine.md section 7)."""
        owner, text = [sys.stdin.fileno()], b""
        while self.running:
            ready = self.receive_all(TICK, owner)
            if ready:
                chunk = os.read(ready[0], 4096)
                owner = owner if chunk else []
                *lines, text = (text + chunk).split(b"\n")
                for line in lines:
                    command(line.decode("utf-8", "replace"))
            self.tick()
        self.stop()

    def receive_all(self, timeout: float, others: Sequence[int] = ()) -> list[int]:
        """Waits for datagrams and receives those that are there; says which other files can be read."""
        own = self._socket.fileno()
        ready = select.select([own, *others], [], [], timeout)[0]
        if own in ready:
            ready.remove(own)
            for _ in range(AT_ONCE):
                try:
                    data, source = self._socket.recvfrom(wire.DATAGRAM_MAX + 1)
                except OSError:
                    break
                self.receive(data, Address.of(source[0], source[1]))
        return ready

    def stop(self) -> None:
        """STATE-21: says Leave to every peer, stores what is to be kept, and is silent from then on."""
        for link in self.links.values():
            self.send(link, Leave())
        self._save(self.state())
        self._socket.close()

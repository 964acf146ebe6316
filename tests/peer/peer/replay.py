"""Conversations of the test vectors, played again by nodes of this package (vectors/README.md, conversations.json).

Each machine is a `Node` without a socket, on the conversation's own clock. It gets every datagram that arrives at it,
draws the random values of the file, and has to judge each datagram as the file says. What it answers has to be in the
file byte for byte, and it has to say all that is there. What a machine sends of its own accord it may send at another
time: so it is made to send that exactly when the file says, and what it would send besides is held back.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from . import crypto, wire
from .invites import Invite, Token, invite_psk
from .join import Joiner
from .link import Link
from .members import first_record
from .node import Node
from .session import Session
from .store import Cluster, State
from .wire import Address, Message, PathChallenge, Record, Tagged

Vector = dict[str, Any]
ANSWERS = ("Response", "CookieReply", "HeartbeatAck", "PathResponse", "Located", "Conflict")


class NoSocket:
    """There is nothing to receive from, and nothing to close."""

    def close(self) -> None:
        """Closes nothing."""


class Line:
    """A datagram that a machine sends, as the file has it."""

    def __init__(self, event: Vector) -> None:
        self.at, self.by, self.type = int(event["at_ms"]), event["by"], event["type"]
        self.source, self.to = Address.parse(event["from"]), Address.parse(event["to"])
        self.data, self.arrives = bytes.fromhex(event["datagram"]), event["arrives"]
        self.plain = None if event["body"] is None else bytes.fromhex(event["body"])
        self.decoded = wire.decode(self.data)

    def __str__(self) -> str:
        return f"{self.at} ms, {self.by}: {self.type} to {self.to}"


class Machine(Node):
    """A node that speaks by the file."""

    def __init__(self, replay: Replay, said: Vector, state: State, started: int) -> None:
        self.replay, self.label_of_machine = replay, said["label"]
        super().__init__(state, Address.parse(said["address"]), replay.heartbeat)
        self._wall_at_start_ms, self._started = int(said["clock_ms"]) + started, started / 1000
        self.lists._news_at = float("inf")  # news go out when the file says
        self.responder._cookies = self._cookies_of_the_file  # type: ignore[method-assign]

    @staticmethod
    def _open(_address: Address) -> Any:
        return NoSocket()

    def now(self) -> float:  # type: ignore[override]
        """Times never stand quite still, so that what is due is due."""
        return self.replay.clock()

    def due(self, kind: str | None = None) -> list[Line]:
        """What the file lets this machine send now."""
        return [line for line in self.replay.due(self.label_of_machine) if kind in (None, line.type)]

    # --- random values ---

    def random(self, size: int) -> bytes:  # type: ignore[override]
        """Indices, ephemeral keys and the random field of a CookieReply."""
        if size == 16 and self.due("CookieReply"):
            return self.due("CookieReply")[0].decoded.random
        for line in [line for line in self.due() if line.type in ("Initiation", "Response")]:
            begun = line.type == "Initiation"
            met = self.replay.handshakes.get(line.decoded.sender if begun else line.decoded.receiver)
            if met is not None:
                end = "initiator" if begun else "responder"
                drawn = bytes.fromhex(met[f"{end}_index"] if size == 4 else met[f"{end}_ephemeral"])
                if len(drawn) == size:
                    return drawn
        return os.urandom(size)

    def incarnation(self, peer: bytes) -> bytes:
        return self.replay.incarnations.get((self.label_of_machine, peer), b"unknown!")

    def _cookies_of_the_file(self, source: Address) -> list[bytes]:
        """The rotating secret is not told, but what a cookie is shows where it is sent."""
        cookies = []
        for line in self.due("CookieReply"):
            initiation = self.replay.initiations[line.decoded.receiver]
            opened = crypto.open_cookie(
                self.identity.public_key, initiation.mac1, line.decoded.random, line.decoded.sealed
            )
            if opened is None:
                self.replay.fault(f"{line}: the cookie does not open")
            elif line.to == source:
                self.replay.cookies[source] = opened
        cookies += [self.replay.cookies[source]] if source in self.replay.cookies else [bytes(16)]
        return cookies

    # --- sending ---

    def send(
        self, link: Link, message: Message, address: Address | None = None, session: Session | None = None
    ) -> int | None:
        """Only what the file has, with the counter that it has there."""
        session, address = session or link.session, address or link.path.current
        if session is None or address is None:
            return None
        kind = type(message).__name__
        for line in self.due(kind):
            said = line.decoded
            if not isinstance(said, Tagged) or line.to != address or said.receiver != session.remote:
                continue
            if isinstance(message, PathChallenge) and kind == "PathChallenge" and line.plain is not None:
                message = self._renamed(link, message, line.plain)
            if wire.encode_body(said.code, said.header, message) == line.plain:
                session.next_counter = said.counter
                return super().send(link, message, address, session)
        self.replay.held_back(self.label_of_machine, kind, address)
        return None

    @staticmethod
    def _renamed(link: Link, message: PathChallenge, drawn: bytes) -> PathChallenge:
        """The 8 bytes of a challenge are what the file says, wherever they are kept."""
        if link.path.trial is not None:
            for side in ("to_new", "to_old"):
                if getattr(link.path.trial, side) == message.data:
                    setattr(link.path.trial, side, drawn)
        for kept in (link.contest, *link.candidates.values()):
            if kept is not None and kept.challenge == message.data:
                kept.challenge = drawn
        return PathChallenge(drawn)

    def transmit(self, data: bytes, address: Address) -> None:
        self.replay.sent(self.label_of_machine, data, address)

    def initiate(self, link: Link, address: Address, interval: float) -> None:
        """An attempt begins when the file says."""
        if any(line.to == address for line in self.due("Initiation")):
            super().initiate(link, address, 0.0)

    # --- what it does of its own accord ---

    def make(self, line: Line) -> None:
        """Makes it send what it has not sent by itself now."""
        if isinstance(line.decoded, wire.Initiation) and line.decoded.mode == 1:
            if self.joiner is not None:
                self.joiner._due = 0.0
                self.joiner.tick()
            return
        link = self._addressed(line)
        if link is None:
            return
        if line.type == "Initiation":
            self.initiate(link, line.to, 0.0)
        elif line.type == "Heartbeat":
            self.liveness.heartbeat(link)
        elif line.type == "MembersRequest":
            if not self.lists.is_reading():
                self.lists.read(link)
                self.lists._rest_until = float("-inf")
            else:
                self.lists._reading.due = self.now()
            self.lists.tick()
        elif line.type == "Members":
            self.lists._news_at = float("-inf")
            self.lists._pass_on()
            self.lists._news_at = float("inf")

    def may_heartbeat(self, line: Line) -> bool:
        """Whether this is a Heartbeat that names the highest counter received so far: more may come in this instant."""
        link = self._addressed(line)
        if line.type != "Heartbeat" or line.plain is None or link is None or link.session is None:
            return False
        return link.session.seen == int.from_bytes(line.plain[:8], "big")

    def _addressed(self, line: Line) -> Link | None:
        for link in self.links.values():
            if isinstance(line.decoded, Tagged):
                if any(session.remote == line.decoded.receiver for session in link.sessions()):
                    return link
            elif isinstance(line.decoded, wire.Initiation):
                met = self.replay.handshakes.get(line.decoded.sender)
                if met is not None and link.public_key.hex() == self.replay.machines[met["responder"]]["public_key"]:
                    return link
        return None

    # --- receiving ---

    def verdict_on(self, data: bytes, source: Address) -> str:
        """Which counter a datagram leaves behind."""
        before = self.counters.copy()
        self.receive(data, source)
        discarded = [name for name in self.counters - before if name.startswith("discarded ")]
        return discarded[0].partition(" ")[2] if discarded else "accepted"


class Replay:
    """One conversation."""

    def __init__(self, vector: Vector) -> None:
        self.vector, self.heartbeat = vector, int(vector["heartbeat_ms"]) / 1000
        self.cluster = Cluster(bytes.fromhex(vector["cluster_id"]), bytes.fromhex(vector["cluster_key"]))
        self.machines: dict[str, Vector] = {machine["label"]: machine for machine in vector["machines"]}
        self.nodes: dict[str, Machine] = {}
        self.lines = [Line(event) for event in vector["events"] if event["event"] == "datagram"]
        self.handshakes: dict[int, Vector] = {int(h["initiator_index"], 16): h for h in vector["handshakes"]}
        self.initiations = {
            line.decoded.sender: line.decoded for line in self.lines if isinstance(line.decoded, wire.Initiation)
        }
        self.incarnations: dict[tuple[str, bytes], bytes] = {}
        for met in vector["handshakes"]:
            ends = [bytes.fromhex(self.machines[met[end]]["node_id"]) for end in ("initiator", "responder")]
            self.incarnations[met["initiator"], ends[1]] = bytes.fromhex(met["payload_1"])[:8]
            if met["payload_2"] is not None:
                self.incarnations[met["responder"], ends[0]] = bytes.fromhex(met["payload_2"])[31:39]
        self.places = {label: Address.parse(machine["address"]) for label, machine in self.machines.items()}
        self.cookies: dict[Address, bytes] = {}
        self.faults: list[str] = []
        self._ms, self._ticks = 0, 0
        self._waiting: list[Line] = []
        self._counts: Counter[str] = Counter()
        self._held: Counter[str] = Counter()
        self._making = False

    def clock(self) -> float:
        self._ticks += 1
        return self._ms / 1000 + self._ticks * 1e-9

    def fault(self, what: str) -> None:
        self.faults.append(f"{self._ms} ms: {what}")

    def due(self, label: str) -> list[Line]:
        """What the file has a machine send in this millisecond and it has not sent yet."""
        return [line for line in self._waiting if line.by == label]

    def sent(self, label: str, data: bytes, address: Address) -> None:
        """A machine has sent something: is it in the file?"""
        for line in self.due(label):
            if (line.data, line.to) == (data, address):
                self._waiting.remove(line)
                self._counts["made" if self._making else "by itself"] += 1
                return
        self.fault(f"{label} sends what the file has not: {wire.verdict(data)} to {address}, {data.hex()}")

    def held_back(self, label: str, kind: str, address: Address) -> None:
        """What a machine would have sent besides, which for an answer is a fault."""
        self._held[kind] += 1
        if kind in ANSWERS:
            self.fault(f"{label} would answer with {kind} to {address}")

    def told(self) -> str:
        """How it went."""
        besides = ", ".join(f"{count} {kind}" for kind, count in sorted(self._held.items()))
        counts = self._counts
        return (
            f"{counts['judged']} datagrams judged and {counts['opened']} opened; "
            f"{counts['by itself']} sent by themselves, {counts['made']} when told to; "
            f"{counts['states']} states; held back: {besides or 'nothing'}"
        )

    # --- the course of events ---

    def run(self) -> None:
        """Everything, millisecond by millisecond."""
        events = [event for event in self.vector["events"] if event["event"] != "datagram"]
        for met in self.vector["handshakes"]:
            self._keys(met)
        arrivals = [line for line in self.lines if line.arrives is not None]
        times = {int(event["at_ms"]) for event in events} | {line.at for line in self.lines}
        times |= {int(line.arrives["at_ms"]) for line in arrivals}
        for self._ms in sorted(times):
            now = [event for event in events if int(event["at_ms"]) == self._ms]
            self._waiting = [line for line in self.lines if line.at == self._ms and line.by in self.machines]
            for event in now:
                if event["event"] not in ("state", "stop"):
                    self._happen(event)
            for line in self._waiting:
                if line.source != self.places[line.by]:
                    self.fault(f"from {line.source}, where {line.by} is not: {line}")
            for line in arrivals:
                if int(line.arrives["at_ms"]) == self._ms:
                    self._arrive(line)
            for label in list(self.nodes):
                self.nodes[label].tick()
                self._make(label, self.due(label))
            for event in now:
                if event["event"] == "state":
                    self._compare(event)
            for event in now:
                if event["event"] == "stop":
                    self.nodes.pop(event["machine"]).stop()
            for line in self._waiting:
                self.fault(f"not sent: {line}")

    def _happen(self, event: Vector) -> None:
        kind, label = event["event"], event["machine"]
        if kind == "start":
            self.nodes[label] = self._start(self.machines[label])
        elif kind == "invite":
            token = Token.decode(event["text"])
            node = self.nodes[label]
            if token.inviter != node.identity.public_key:
                self.fault("the token is another machine's")
            node.responder.invites[token.invite] = Invite(token.invite, invite_psk(token.secret), token.expiry)
        elif kind == "join":
            node = self.nodes[label]
            node.joiner = Joiner(node, Token.decode(event["text"]))
        elif kind == "forget":
            self.nodes[label].lists.remove(bytes.fromhex(event["node_id"]))
        elif kind == "leave":
            self.nodes[label].lists.leave_cluster()
        elif kind == "move":
            self.places[label] = Address.parse(event["address"])
        else:
            self.fault(f"unknown event: {kind}")

    def _start(self, said: Vector) -> Machine:
        secret = bytes.fromhex(said["secret"])
        known = {bytes.fromhex(k["node_id"]): [Address.parse(k["address"])] for k in said["knows"]}
        records = [Record.decode(bytes.fromhex(encoded)) for encoded in said["members"]]
        cluster = self.cluster if said["member"] else None
        if cluster is not None and not records:
            records = [first_record(bytes.fromhex(said["public_key"]), said["name"])]
        state = State(secret, said["name"], cluster, records=records, addresses=known)
        return Machine(self, said, state, self._ms)

    def _arrive(self, line: Line) -> None:
        label = line.arrives["at"]
        node = self.nodes[label]
        self._open(line, node)
        verdict = node.verdict_on(line.data, line.source)
        self._counts["judged"] += 1
        if verdict != line.arrives["verdict"]:
            self.fault(f"{label} says {verdict} and not {line.arrives['verdict']} of {line}")
        node.tick()
        self._make(label, [heartbeat for heartbeat in self.due(label) if node.may_heartbeat(heartbeat)])

    def _make(self, label: str, lines: list[Line]) -> None:
        self._making = True
        for line in lines:
            if line.type != "Leave" and line in self._waiting:
                self.nodes[label].make(line)
        self._making = False

    # --- what is compared beside ---

    def _keys(self, met: Vector) -> None:
        """The payloads are those of the format."""
        wire.InitiationPayload.decode(bytes.fromhex(met["payload_1"]), met["mode"])
        if met["payload_2"] is not None:
            wire.ResponsePayload.decode(bytes.fromhex(met["payload_2"]), met["mode"])

    def _open(self, line: Line, node: Machine) -> None:
        """Tag, seal and body, with the keys that the file has: whatever the receiver makes of it later."""
        if not isinstance(line.decoded, Tagged):
            return
        for met in self.vector["handshakes"]:
            for end, other in (("initiator", "responder"), ("responder", "initiator")):
                if met["session"] is None or int(met[f"{other}_index"], 16) != line.decoded.receiver:
                    continue
                if self.machines[met[other]]["node_id"] != node.identity.id.hex():
                    continue
                clock = int.from_bytes(bytes.fromhex(met["payload_2"])[23:31], "big")
                step = crypto.full_step(line.decoded.step, crypto.step_of(clock))
                secret = bytes.fromhex(met["session"][f"totp_{end}"])
                if crypto.tag(secret, step, line.decoded.covered) != line.decoded.tag:
                    self.fault(f"wrong tag: {line}")
                plain: bytes | None = line.decoded.body
                if wire.is_sealed(line.decoded.code):
                    key = bytes.fromhex(met["session"][f"seal_{end}"])
                    plain = crypto.unseal(key, line.decoded.header, line.decoded.body)
                if plain != line.plain:
                    self.fault(f"another body: {line}")
                self._counts["opened"] += 1
                return
        self.fault(f"no session of the file: {line}")

    def _compare(self, event: Vector) -> None:
        """What a machine knows."""
        node = self.nodes[event["machine"]]
        now = node.now()
        node.own.vote()
        votes = sorted((str(v.address), v.confidence) for v in node.own.votes.values())
        peers = sorted(
            (link.id.hex(), node.label(link.id), link.shown_state(now), str(link.path.published or None))
            for link in node.links.values()
        )
        found = {
            "own": votes,
            "peers": peers,
            "members": [record.encode().hex() for record in node.members],
            "digest": node.members.digest().hex(),
            "orphan": node.liveness.orphan,
        }
        expected = {
            "own": sorted((own["address"], own["confidence"]) for own in event["own"]),
            "peers": sorted((p["node_id"], p["name"], p["state"], str(p["address"])) for p in event["peers"]),
            "members": sorted(event["members"], key=lambda text: wire.node_id(bytes.fromhex(text)[:32])),
            "digest": event["digest"],
            "orphan": event["orphan"],
        }
        self._counts["states"] += 1
        for key, value in expected.items():
            if found[key] != value:
                self.fault(f"{event['machine']} has another {key}: {found[key]} and not {value}")

"""The published test vectors, held against this package: every vector of every file, by name.

python -m unittest peer.vectors            DDDNS_VECTORS says where they are, if not in spec/vectors of the repository
"""

from __future__ import annotations

import base64
import json
import os
import pathlib
import unittest
from collections.abc import Callable
from typing import Any

from . import crypto, wire
from .addresses import Observation, realm, scope, vote
from .handshake import Answer, Attempt, Identity, Secrets, join_prologue, member_prologue
from .invites import Invite, Token, invite_psk
from .members import first_record
from .node import Node
from .paths import Challenge, Forgotten, Path, PathConflict, Published
from .replay import Replay
from .session import Keys, LinkTime, Session
from .store import Cluster, State
from .wire import Address, Discard, Entry, InitiationPayload, Record, ResponsePayload

Vector = dict[str, Any]
FILES = (
    "keys", "invites", "steps", "rebuilt-steps", "masks", "datagrams", "bodies", "payloads", "orders", "handshakes",
    "handshake-faults", "sessions", "replays", "scopes", "votes", "paths", "conversations",
)  # fmt: skip
NOT_CHECKABLE: dict[tuple[str, str], str] = {}
"""Vectors that this package cannot be held against, by file and name, and why. There is none."""


def folder() -> pathlib.Path:
    """Where the vectors are."""
    if "DDDNS_VECTORS" in os.environ:
        return pathlib.Path(os.environ["DDDNS_VECTORS"])
    above = pathlib.Path(__file__).resolve().parents
    found = [up / "spec" / "vectors" for up in above if (up / "spec" / "vectors").is_dir()]
    if not found:
        raise FileNotFoundError("spec/vectors is not found: say where it is in DDDNS_VECTORS")
    return found[0]


def load(file: str) -> list[Vector]:
    """The vectors of a file."""
    with open(folder() / f"{file}.json", encoding="utf-8") as opened:
        return json.load(opened)["vectors"]


def raw(text: str) -> bytes:
    """Bytes; `bytes.fromhex` alone would allow spaces."""
    return base64.b16decode(text.upper())


def address(text: str | None) -> Address | None:
    return None if text is None else Address.parse(text)


def verdict_of(read: Callable[[], object]) -> str:
    """What there is to say: accepted, or the name of the check that fails."""
    try:
        read()
    except Discard as failure:
        return failure.name
    return "accepted"


def record(fields: Vector) -> Record:
    """A member record from its fields."""
    return Record(
        raw(fields["public_key"]),
        raw(fields["admitted_by"]),
        fields["admission"],
        fields["state"],
        fields["revision"],
        fields["name"],
    )


def message(kind: str, fields: Vector) -> wire.Message:
    """A message from its fields."""
    if kind == "Heartbeat":
        return wire.Heartbeat(int(fields["seen"]), raw(fields["digest"]), address(fields["reflection"]))
    if kind == "HeartbeatAck":
        return wire.HeartbeatAck(int(fields["acked"]), raw(fields["digest"]), Address.parse(fields["reflection"]))
    if kind in ("PathChallenge", "PathResponse"):
        return getattr(wire, kind)(raw(fields["bytes"]))
    if kind in ("Leave", "Conflict"):
        return getattr(wire, kind)()
    if kind == "Locate":
        return wire.Locate(tuple(map(raw, fields["ids"])))
    if kind == "Located":
        rows = fields["entries"]
        return wire.Located(
            tuple(Entry(raw(e["id"]), e["source"], e["age_s"], Address.parse(e["address"])) for e in rows)
        )
    if kind == "Rendezvous":
        return wire.Rendezvous(raw(fields["seeker"]), tuple(map(Address.parse, fields["addresses"])))
    if kind == "MembersRequest":
        return wire.MembersRequest(raw(fields["after"]))
    if kind == "Members":
        return wire.Members(bool(fields["more"]), tuple(map(record, fields["records"])))
    raise AssertionError(f"unknown message: {kind}")


CODES = {layout.message.__name__: code for code, layout in wire.LAYOUTS.items()}


class OneHandshake:
    """A vector of handshakes.json, from both ends."""

    def __init__(self, vector: Vector) -> None:
        self.vector, self.mode = vector, vector["mode"]
        self.initiator = Identity(raw(vector["initiator"]["secret"]))
        self.responder = Identity(raw(vector["responder"]["secret"]))
        self.cluster = Cluster(raw(vector["cluster_id"]), raw(vector["cluster_key"]))
        if self.mode == 0:
            invite, prologue, self.psk = bytes(8), member_prologue(self.cluster.id), self.cluster.key
        else:
            invite, self.psk = raw(vector["invite_id"]), invite_psk(raw(vector["invite_secret"]))
            prologue = join_prologue(invite)
        self.secrets = Secrets(self.mode, invite, prologue, self.psk)

    def attempt(self) -> Attempt:
        """The initiator's end, with the given ephemeral key."""
        end = self.vector["initiator"]
        payload = InitiationPayload(raw(end["incarnation"]), self.vector["wanted_name"] or "")
        index, ephemeral = int(end["index"], 16), raw(end["ephemeral"])
        return Attempt(self.initiator, self.responder.public_key, self.secrets, payload, index, ephemeral, 0.0)

    def answer(self) -> Answer:
        """The responder's end, with the given ephemeral key."""
        initiation = wire.decode(raw(self.vector["initiation"]))
        assert isinstance(initiation, wire.Initiation)
        ephemeral = raw(self.vector["responder"]["ephemeral"])
        return Answer(self.responder, initiation, self.secrets.prologue, self.psk, ephemeral)

    def payload_2(self) -> ResponsePayload:
        """What the responder says."""
        vector, verdict = self.vector, self.vector["response_verdict"]
        told = self.mode == 1 and verdict == wire.ACCEPTED
        return ResponsePayload(
            int(vector["responder"]["index"], 16) if verdict == wire.ACCEPTED else 0,
            verdict,
            Address.parse(vector["observed"]),
            int(vector["clock_ms"]),
            raw(vector["responder"]["incarnation"]),
            self.cluster.id if told else bytes(16),
            self.cluster.key if told else bytes(32),
        )

    def both(self) -> tuple[Session | None, Session | None]:
        """The sessions of initiator and responder, both from the beginning of the handshake on."""
        response, theirs = self.answer().respond(self.payload_2(), 0.0)
        decoded = wire.decode(response)
        assert isinstance(decoded, wire.Response)
        return self.attempt().read_response(decoded, 0.0)[1], theirs


class Deaf(Node):
    """A node without a socket, for one datagram at a time."""

    def __init__(self, state: State) -> None:
        self.transmitted: list[bytes] = []
        super().__init__(state, Address("192.0.2.1", 7733))

    @staticmethod
    def _open(_address: Address) -> Any:
        return None

    def transmit(self, data: bytes, address: Address) -> None:
        self.transmitted.append(data)

    def verdict_on(self, data: bytes) -> str:
        """Which counter a datagram leaves behind."""
        self.counters.clear()
        self.receive(data, Address("203.0.113.7", 4711))
        discarded = [name.partition(" ")[2] for name in self.counters if name.startswith("discarded ")]
        return discarded[0] if discarded else "accepted"


class Vectors(unittest.TestCase):
    """One test a file; one subtest a vector."""

    checked: dict[str, int] = {}
    notes: dict[str, str] = {}

    def each(self, file: str, check: Callable[[Vector], None]) -> None:
        """Checks every vector of a file, or knows why not."""
        vectors = load(file)
        names = [vector["name"] for vector in vectors]
        self.assertEqual(len(names), len(set(names)), file)
        done = 0
        for vector in vectors:
            if (file, vector["name"]) in NOT_CHECKABLE:
                continue
            with self.subTest(file=file, vector=vector["name"]):
                check(vector)
                done += 1
        self.checked[file] = done

    @classmethod
    def tearDownClass(cls) -> None:
        listed = "".join(f"\n  {file}: {name}: {why}" for (file, name), why in NOT_CHECKABLE.items())
        total = sum(cls.checked.values())
        print(f"\n{total} vectors of {len(cls.checked)} files hold; {len(NOT_CHECKABLE)} are not checkable{listed}")
        print("  " + ", ".join(f"{file} {count}" for file, count in sorted(cls.checked.items())))
        for name, told in cls.notes.items():
            print(f"  {name}: {told}")

    def test_all_files_are_known(self) -> None:
        """A new file, or a vector that is no longer there, is no silent pass."""
        found = {path.stem for path in folder().glob("*.json")} - {"schema"}
        self.assertEqual(found, set(FILES))
        for file in FILES:
            with open(folder() / f"{file}.json", encoding="utf-8") as opened:
                value = json.load(opened)
            self.assertEqual((value["format"], value["file"]), ("dddns.vectors/1", file))
            self.assertTrue(hasattr(self, "test_" + file.replace("-", "_")), file)
        for file, name in NOT_CHECKABLE:
            self.assertIn(name, [vector["name"] for vector in load(file)])

    def test_keys(self) -> None:
        def check(vector: Vector) -> None:
            identity = Identity(raw(vector["secret"]))
            self.assertEqual(identity.public_key.hex(), vector["public_key"])
            self.assertEqual(identity.id.hex(), vector["node_id"])
            self.assertEqual(crypto.base32(identity.public_key), vector["public_key_text"])
            self.assertEqual(crypto.base32(identity.id), vector["node_id_text"])
            self.assertEqual(crypto.from_base32(vector["node_id_text"]), identity.id)

        self.each("keys", check)

    def test_invites(self) -> None:
        def check(vector: Vector) -> None:
            self.assertEqual(verdict_of(lambda: Token.decode(vector["text"])), vector["verdict"])
            if vector["verdict"] == "accepted":
                token, fields = Token.decode(vector["text"]), vector["fields"]
                self.assertEqual(
                    (token.invite.hex(), token.secret.hex(), token.inviter.hex(), str(token.expiry)),
                    (fields["invite_id"], fields["secret"], fields["inviter"], fields["expiry"]),
                )
                self.assertEqual([str(a) for a in token.addresses], fields["addresses"])
                self.assertEqual(invite_psk(token.secret).hex(), vector["psk"])
                self.assertEqual(token.encode(), vector["text"].strip().lower())

        self.each("invites", check)

    def test_steps(self) -> None:
        def check(vector: Vector) -> None:
            step, secret = crypto.step_of(int(vector["link_time_ms"])), raw(vector["secret"])
            self.assertEqual((str(step), step % 256), (vector["step"], vector["header_step"]))
            self.assertEqual(LinkTime(int(vector["link_time_ms"]), 0.0).step(0.0), step)
            self.assertEqual(crypto.totp_value(secret, step).hex(), vector["value"])
            self.assertEqual(crypto.totp_code(secret, step, 8), vector["code"])

        self.each("steps", check)

    def test_rebuilt_steps(self) -> None:
        def check(vector: Vector) -> None:
            own = int(vector["own_step"])
            step = crypto.full_step(vector["header_step"], own)
            right = abs(step - own) <= 1 and step >= 0
            self.assertEqual(str(step) if right else None, vector["step"])
            self.assertEqual("accepted" if right else "bad-step", vector["verdict"])
            keys = Keys(bytes(20), bytes(20), bytes(32), bytes(32))
            session = Session(keys, True, 1, 1, bytes(8), LinkTime(own * crypto.STEP_MS, 0.0), 0.0, 0.0)
            header = wire.tagged_header(CODES["Leave"], vector["header_step"], 1, 0)
            tag = crypto.tag(bytes(20), max(step, 0), header)
            datagram = wire.decode(header + tag)
            self.assertEqual(verdict_of(lambda: session.open(datagram, 0.0)), vector["verdict"])

        self.each("rebuilt-steps", check)

    def test_masks(self) -> None:
        def check(vector: Vector) -> None:
            header, plain = raw(vector["header"]), raw(vector["plain"])
            self.assertEqual(wire.mask(header, bytes(18)).hex(), vector["mask"])
            self.assertEqual(wire.mask(header, plain).hex(), vector["masked"])
            self.assertEqual(wire.mask(header, raw(vector["masked"])), plain)
            self.assertEqual(wire.pack_address(address(vector["address"])), plain)
            self.assertEqual(wire.unpack_address(plain), address(vector["address"]))

        self.each("masks", check)

    def test_datagrams(self) -> None:
        first, _ = OneHandshake(load("handshakes")[0]).both()
        sealed = load("bodies")

        def check(vector: Vector) -> None:
            data = raw(vector["datagram"])
            self.assertEqual(wire.verdict(data), vector["verdict"])
            if vector["verdict"] not in (*CODES, "Initiation", "Response", "CookieReply"):
                return
            self.assertEqual(wire.reencode(data), data)
            datagram = wire.decode(data)
            if isinstance(datagram, wire.Tagged) and first is not None:
                step = crypto.full_step(datagram.step, first.time.step(0.0))
                self.assertEqual(crypto.tag(first.keys.totp_out, step, datagram.covered), datagram.tag)
                if wire.is_sealed(datagram.code):
                    plain = crypto.unseal(first.keys.seal_out, datagram.header, datagram.body)
                    self.assertIsNotNone(plain)
                    self.assertIn(plain, [raw(b["body"]) for b in sealed if b["type"] == vector["verdict"]])
                    self.assertEqual(crypto.seal(first.keys.seal_out, datagram.header, plain), datagram.body)

        self.each("datagrams", check)

    def _body(self, vector: Vector) -> None:
        code, header, body = CODES[vector["type"]], raw(vector["header"]), raw(vector["body"])
        verdict = verdict_of(lambda: wire.decode_body(code, header, body))
        self.assertEqual(vector["type"] if verdict == "accepted" else verdict, vector["verdict"])
        if verdict == "accepted":
            read = wire.decode_body(code, header, body)
            self.assertEqual(read, message(vector["type"], vector["fields"]))
            self.assertEqual(wire.encode_body(code, header, read), body)

    def test_bodies(self) -> None:
        self.each("bodies", self._body)

    def _payload(self, vector: Vector) -> None:
        payload, mode = raw(vector["payload"]), vector["mode"]
        kind: Any = {"Initiation": InitiationPayload, "Response": ResponsePayload}[vector["type"]]
        verdict = verdict_of(lambda: kind.decode(payload, mode))
        self.assertEqual(vector["type"] if verdict == "accepted" else verdict, vector["verdict"])
        if verdict != "accepted":
            return
        read, fields = kind.decode(payload, mode), vector["fields"]
        self.assertEqual(read.encode(), payload)
        self.assertEqual(read.incarnation.hex(), fields["incarnation"])
        if vector["type"] == "Initiation":
            self.assertEqual(read.name, fields["name"] or "")
            return
        self.assertEqual(
            (f"{read.index:08x}", read.verdict, str(read.observed), str(read.clock)),
            (fields["index"], fields["verdict"], fields["observed"], fields["clock_ms"]),
        )
        self.assertEqual(
            (read.cluster_id.hex(), read.cluster_key.hex()), (fields["cluster_id"], fields["cluster_key"])
        )

    def test_payloads(self) -> None:
        self.each("payloads", self._payload)

    def test_orders(self) -> None:
        def check(vector: Vector) -> None:
            self.assertEqual(vector["faults"][0], vector["verdict"])
            if "datagram" in vector:
                self.assertEqual(wire.verdict(raw(vector["datagram"])), vector["verdict"])
            elif "body" in vector:
                self._body(vector)
            else:
                self._payload(vector)

        self.each("orders", check)

    def test_handshakes(self) -> None:
        def check(vector: Vector) -> None:
            hand = OneHandshake(vector)
            self.assertEqual(hand.initiator.public_key.hex(), vector["initiator"]["public_key"])
            self.assertEqual(hand.responder.public_key.hex(), vector["responder"]["public_key"])
            attempt, source = hand.attempt(), Address.parse(vector["cookie"]["source"])
            initiation = attempt.datagram(source, 0.0)
            self.assertEqual(initiation.hex(), vector["initiation"])
            self.assertEqual((hand.secrets.prologue + initiation[:16]).hex(), vector["prologue"])
            self.assertEqual(hand.psk.hex(), vector["psk"])
            answer = hand.answer()
            self.assertEqual(answer.payload.encode().hex(), vector["payload_1"])
            self.assertEqual(answer.public_key, hand.initiator.public_key)
            self.assertEqual(hand.payload_2().encode().hex(), vector["payload_2"])
            response, theirs = answer.respond(hand.payload_2(), 0.0)
            self.assertEqual(response.hex(), vector["response"])
            payload, ours = attempt.read_response(wire.decode(response), 0.0)
            self.assertEqual(payload, hand.payload_2())
            self.assertEqual(answer.noise.get_handshake_hash().hex(), vector["handshake_hash"])
            k1, k2 = raw(vector["k1"]), raw(vector["k2"])
            protocol = answer.noise.noise_protocol
            self.assertEqual((protocol.cipher_state_decrypt.k, protocol.cipher_state_encrypt.k), (k1, k2))
            self._session(vector["session"], raw(vector["handshake_hash"]), k1, k2, ours, theirs)
            self._cookie(hand, attempt, source)

        self.each("handshakes", check)

    def _session(
        self, said: Vector | None, h: bytes, k1: bytes, k2: bytes, ours: Session | None, theirs: Session | None
    ) -> None:
        if said is None:
            self.assertEqual((ours, theirs), (None, None))
            return
        assert ours is not None and theirs is not None
        self.assertEqual(crypto.hmac_sha256(h, k1 + k2).hex(), said["prk"])
        keys = crypto.session_keys(h, k1, k2)
        for name, value in keys._asdict().items():
            self.assertEqual(value.hex(), said[name])
        self.assertEqual((ours.keys, theirs.keys), (Keys.of(keys, True), Keys.of(keys, False)))

    def _cookie(self, hand: OneHandshake, attempt: Attempt, source: Address) -> None:
        said = hand.vector["cookie"]
        cookie = crypto.make_cookie(raw(said["rotating_secret"]), source.pack())
        self.assertEqual(cookie.hex(), said["cookie"])
        initiation = wire.decode(raw(hand.vector["initiation"]))
        random = raw(said["random"])
        sealed = crypto.seal_cookie(hand.responder.public_key, initiation.mac1, cookie, random)
        reply = wire.CookieReply(initiation.sender, random, sealed)
        self.assertEqual(reply.encode().hex(), said["cookie_reply"])
        attempt.read_cookie(wire.decode(raw(said["cookie_reply"])), 0.0)
        self.assertEqual(attempt.datagram(source, 1.0).hex(), said["initiation"])

    def test_handshake_faults(self) -> None:
        handshakes = {vector["name"]: OneHandshake(vector) for vector in load("handshakes")}

        def check(vector: Vector) -> None:
            hand = handshakes[vector["fault_of"]]
            node = {"responder": self._responder, "initiator": self._initiator}[vector["to"]](hand)
            self.assertEqual(node.verdict_on(raw(vector["datagram"])), vector["verdict"])
            self.assertEqual(node.transmitted, [])
            if vector["to"] == "responder":
                self.assertEqual(node.verdict_on(raw(hand.vector["initiation"])), "accepted")
                self.assertEqual(len(node.transmitted), 1)

        for name, hand in handshakes.items():  # the right ones pass at the same nodes
            with self.subTest(right=name):
                for node, data in (
                    (self._responder(hand), hand.vector["initiation"]),
                    (self._initiator(hand), hand.vector["response"]),
                    (self._initiator(hand), hand.vector["cookie"]["cookie_reply"]),
                ):
                    self.assertEqual(node.verdict_on(raw(data)), "accepted")
        self.each("handshake-faults", check)

    @staticmethod
    def _responder(hand: OneHandshake) -> Deaf:
        records = [first_record(hand.responder.public_key, "responder")]
        invites = []
        if hand.mode == 0:
            records.append(first_record(hand.initiator.public_key, "initiator"))
        else:
            invites.append(Invite(hand.secrets.invite, hand.psk, 1 << 40))
        return Deaf(State(hand.responder.private_key, "responder", hand.cluster, records=records, invites=invites))

    @staticmethod
    def _initiator(hand: OneHandshake) -> Deaf:
        me = hand.initiator
        if hand.mode == 0:
            records = [first_record(me.public_key, "initiator"), first_record(hand.responder.public_key, "responder")]
            node = Deaf(State(me.private_key, "initiator", hand.cluster, records=records))
            node.links[hand.responder.id].attempt = hand.attempt()
            return node
        secret = raw(hand.vector["invite_secret"])
        token = Token(hand.secrets.invite, secret, hand.responder.public_key, 1 << 40, (Address("192.0.2.9", 1),))
        node = Deaf(State(me.private_key, hand.vector["wanted_name"], token=token.encode()))
        assert node.joiner is not None
        node.joiner.attempt = hand.attempt()
        return node

    def test_sessions(self) -> None:
        handshakes = {vector["name"]: vector for vector in load("handshakes")}

        def check(vector: Vector) -> None:
            ours, theirs = OneHandshake(handshakes[vector["handshake"]]).both()
            assert ours is not None and theirs is not None
            receiver, sender = (theirs, ours) if vector["from"] == "initiator" else (ours, theirs)
            for step in vector["datagrams"]:
                data, now = raw(step["datagram"]), int(step["at_ms"]) / 1000
                datagram = wire.decode(data)
                assert isinstance(datagram, wire.Tagged)
                self.assertEqual(datagram.receiver, receiver.local)
                try:
                    received = receiver.open(datagram, now)
                except Discard as failure:
                    self.assertEqual(failure.name, step["verdict"])
                    continue
                self.assertEqual(type(received.message).__name__, step["verdict"])
                body = wire.encode_body(datagram.code, datagram.header, received.message)
                self.assertEqual((body.hex(), received.counter), (step["body"], datagram.counter))
                if abs(datagram.step - sender.time.step(now) % 256) == 0:
                    sender.next_counter = datagram.counter
                    self.assertEqual(sender.make(received.message, now)[0], data)

        self.each("sessions", check)

    def test_replays(self) -> None:
        def check(vector: Vector) -> None:
            window = crypto.ReplayWindow()
            for step in vector["steps"]:
                verdict = "accepted" if window.accept(int(step["counter"])) else "replay"
                self.assertEqual((step["counter"], verdict), (step["counter"], step["verdict"]))
            self.assertEqual(None if window.highest < 0 else str(window.highest), vector["highest"])

        self.each("replays", check)

    def test_scopes(self) -> None:
        self.each("scopes", lambda vector: self.assertEqual(scope(Address.of(vector["ip"], 1)), vector["scope"]))

    def test_votes(self) -> None:
        def check(vector: Vector) -> None:
            observations = [
                Observation(Address.parse(o["observer"]), Address.parse(o["reflection"]), int(o["at_ms"]) / 1000)
                for o in vector["observations"]
            ]
            own = vector["scope"], {"IPv4": 4, "IPv6": 6}[vector["family"]]
            for order in (observations, observations[::-1]):
                result = vote(order, own, address(vector["last"]))
                self.assertEqual(result.address, address(vector["address"]))
                self.assertEqual(
                    (result.confidence, result.groups, result.agreeing, result.mapping or "unknown"),
                    (vector["confidence"], vector["groups"], vector["agreeing"], vector["nat"]),
                )
            if vector["address"] is not None:
                self.assertEqual(realm(Address.parse(vector["address"])), own)

        self.each("votes", check)

    def test_paths(self) -> None:
        self.each("paths", self._path)

    def _path(self, vector: Vector) -> None:
        draws = [byte + trial for trial in range(1, 10) for byte in (0xA0, 0xB0)][::-1]
        path = Path(lambda size: bytes([draws.pop()]) * size)
        rtt = None if vector["rtt_ms"] is None else vector["rtt_ms"] / 1000
        times = [int(event["at_ms"]) for event in vector["events"]]
        for event, begun, end in zip(vector["events"], times, [*times[1:], times[-1] + 20_000]):
            effects: list[tuple[int, str, str | None, str | None]] = []
            for thirds in range(begun * 3, end * 3):  # a third of PATH_WINDOW may be no whole millisecond
                now = thirds / 3000 + 1e-9
                decisions = []
                if thirds == begun * 3 and event["event"] == "datagram":
                    decisions += path.datagram(Address.parse(event["from"]), event["bytes"], rtt, now)
                elif thirds == begun * 3 and event["event"] == "answer":
                    decisions += path.response(raw(event["challenge"]), now)
                elif thirds == begun * 3 and event["event"] == "proved":
                    decisions += path.proved(Address.parse(event["address"]), rtt, now)
                elif thirds == begun * 3:
                    self.assertEqual(event["event"], "wait")
                for decision in decisions + path.tick(now):
                    if isinstance(decision, Challenge):
                        effects.append((thirds // 3, "challenge", str(decision.address), decision.data.hex()))
                    elif isinstance(decision, Published):
                        effects.append((thirds // 3, "published", str(decision.address), None))
                    elif isinstance(decision, PathConflict):
                        effects.append((thirds // 3, "conflict", None, None))
                    elif isinstance(decision, Forgotten) and not decision.replaced:
                        effects.append((thirds // 3, "forgotten", None, None))
            expected = [
                (int(e["at_ms"]), e["effect"], e.get("to") or e.get("address"), e.get("challenge"))
                for e in event["effects"]
            ]
            order = lambda effect: (effect[0], effect[1], effect[2] or "")  # noqa: E731
            self.assertEqual(sorted(effects, key=order), sorted(expected, key=order), event)
            self.assertEqual(path.current, address(event["current"]))
            self.assertEqual(path.published, address(event["published"]))

    def test_conversations(self) -> None:
        def check(vector: Vector) -> None:
            replay = Replay(vector)
            replay.run()
            self.assertEqual(replay.faults, [])
            self.notes[vector["name"]] = replay.told()

        self.each("conversations", check)


if __name__ == "__main__":
    unittest.main()

"""Tests: pure functions, then peers on real sockets of 127.0.0.0/8 against the program that DDDNS_PROGRAM names.

DDDNS_PROGRAM=./dddns python -m unittest peer.tests
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from collections.abc import Callable
from dataclasses import replace

from . import crypto, wire
from .__main__ import join
from .addresses import Observation, may_be_candidate, scope, vote
from .decode import decode_stream, verdict_unsealed
from .handshake import Answer, Attempt, Identity, Secrets, join_prologue, member_prologue
from .invites import Token, invite_psk
from .join import Joiner
from .link import CONFLICT, GUEST, KEPT, LEFT, LOST, SPARE, SUSPECT, UNKNOWN, UP, Candidate, Contest, Link
from .lists import Reading
from .members import MemberList, Merged, digest, first_record, provisional, rank
from .node import Node
from .owner import invite, obey
from .paths import Challenge, Current, Forgotten, Path, PathConflict, Published
from .scale import are_neighbours
from .session import Keys, LinkTime, Received, Session
from .store import Cluster, State
from .timers import REMOVED_MAX, Budget
from .vectors import Deaf
from .wire import (
    MEMBER,
    REMOVED,
    Address,
    Conflict,
    Discard,
    Entry,
    Heartbeat,
    HeartbeatAck,
    InitiationPayload,
    Leave,
    Locate,
    Located,
    Malformed,
    Members,
    MembersRequest,
    PathChallenge,
    Record,
    Rendezvous,
    ResponsePayload,
    decode,
    reencode,
    verdict,
)

PROGRAM = os.environ.get("DDDNS_PROGRAM", "")
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HERE, THERE = Address("192.0.2.1", 7733), Address("2001:db8::7", 1)


def tagged(code: int, body: bytes, flags: int = 0, index: int = 1) -> bytes:
    """A tagged datagram with any tag."""
    return struct.pack(">BBBBIQ", 0xD1, code, 5, flags, index, 9) + body + bytes(16)


def configured(public_key: bytes) -> Record:
    """What a configuration says of a member (MEMB-3)."""
    return replace(first_record(public_key, "a"), revision=0)


def heartbeat(message: Heartbeat | HeartbeatAck) -> bytes:
    """A heartbeat or acknowledgement with any tag."""
    code = wire.TYPES[type(message)]
    header = wire.tagged_header(code, 3, 77, 12)
    return header + wire.encode_body(code, header, message) + bytes(16)


class Formats(unittest.TestCase):
    """formats.md."""

    def test_verdicts(self) -> None:
        initiation = struct.pack(">BBBBI", 0xD1, 1, 0, 0, 5) + bytes(208)
        nowhere = wire.mask(tagged(0x10, b"")[:16], bytes(10) + b"\xff\xff" + bytes(4) + b"\0\1")
        cases = {
            "too-long": b"\xd1" * 1233,
            "bad-magic": b"\xd2\x10" + bytes(50),
            "unknown-type": b"\xd1\x30" + bytes(50),
            "not-zero": tagged(0x14, b"", flags=1),
            "bad-index": tagged(0x14, b"", index=0),
            "unknown-mode": initiation[:2] + b"\x02" + initiation[3:],
            "nothing-acknowledged": tagged(0x11, bytes(34)),
            "bad-address": tagged(0x10, bytes(16) + nowhere),
            "Initiation": initiation,
            "Leave": tagged(0x14, b""),
            "Conflict": tagged(0x15, b""),
            "Locate": tagged(0x20, bytes(33)),
            "Heartbeat": heartbeat(Heartbeat(0, bytes(8), None)),
            "HeartbeatAck": heartbeat(HeartbeatAck(1, bytes(8), HERE)),
        }
        for name, data in cases.items():
            self.assertEqual(verdict(data), name)
        for data in (b"", b"\xd1", initiation + b"x", tagged(0x20, bytes(17)), tagged(0x24, bytes(18 + 120))):
            self.assertEqual(verdict(data), "bad-length")
        none = wire.mask(tagged(0x11, b"")[:16], bytes(18))
        self.assertEqual(verdict(tagged(0x11, bytes(15) + b"\1" + none)), "nothing-acknowledged")
        self.assertEqual(verdict(tagged(0x11, bytes(7) + b"\1" + bytes(8) + none)), "no-address")

    def test_one_encoding(self) -> None:
        for data in (heartbeat(Heartbeat(5, b"12345678", HERE)), heartbeat(HeartbeatAck(1, bytes(8), THERE))):
            self.assertEqual(reencode(data), data)
        record = first_record(bytes(range(32)), "a-1")
        entry = Entry(b"a" * 16, 2, 5, HERE)
        for message in (
            Locate((b"a" * 16, b"b" * 16)),
            Located((entry,)),
            Located(()),
            Rendezvous(b"a" * 16, (HERE, THERE)),
            MembersRequest(b"z" * 16),
            Members(True, (record,)),
            Members(False, ()),
        ):
            code = wire.TYPES[type(message)]
            self.assertEqual(wire.decode_body(code, bytes(16), wire.encode_body(code, bytes(16), message)), message)

    def test_sealed_bodies_are_strict(self) -> None:
        one, other = (first_record(bytes([i]) * 32, "a").encode() for i in (0, 1))
        low, high = sorted((one, other), key=lambda raw: wire.node_id(raw[:32]))
        member, place = bytes(16), HERE.pack()
        for code, name, body in (
            (0x20, "bad-count", b"\0" + member),
            (0x20, "bad-length", b"\1" + member + member),
            (0x20, "not-ascending", b"\2" + member + member),
            (0x21, "bad-count", b"\x11"),
            (0x21, "unknown-source", b"\1" + member + b"\3" + bytes(4) + place),
            (0x21, "no-address", b"\1" + member + b"\1" + bytes(22)),
            (0x22, "bad-count", member + b"\0" + place),
            (0x22, "bad-address", member + b"\1" + place[:16] + bytes(2)),
            (0x24, "bad-more", b"\1\0"),
            (0x24, "bad-length", b"\0\2" + low),
            (0x24, "not-ascending", b"\0\2" + high + low),
            (0x24, "unknown-state", b"\0\1" + low[:52] + b"\3" + low[53:]),
            (0x24, "bad-name", b"\0\1" + low[:58] + b"A" + low[59:]),
        ):
            with self.assertRaises(Malformed) as raised:
                wire.decode_body(code, bytes(16), body)
            self.assertEqual(raised.exception.name, name)

    def test_mask_leaves_no_byte_of_an_address(self) -> None:
        for _ in range(200):
            header = os.urandom(16)
            masked = wire.mask(header, HERE.pack())
            self.assertEqual(wire.mask(header, masked), HERE.pack())
            self.assertTrue(all(a != b for a, b in zip(masked, HERE.pack())))

    def test_decode_mode_never_raises(self) -> None:
        lot = random.Random(1)
        samples = [lot.randbytes(lot.choice((0, 1, 16, 40, 66, 216))) for _ in range(500)]
        samples += [b"\xd1" + bytes([lot.choice((1, 2, 3, 16, 17, 32, 36))]) + s[2:] for s in samples if len(s) > 2]
        samples += [tagged(code, lot.randbytes(n)) for code in wire.LAYOUTS for n in range(300)]
        out = io.StringIO()
        decode_stream(io.BytesIO(b"".join(struct.pack(">I", len(s)) + s for s in samples)), out)
        self.assertEqual(out.getvalue().splitlines(), [verdict_unsealed(s) for s in samples])

    def test_decode_mode_takes_sealed_bodies_for_plain(self) -> None:
        record = first_record(bytes(32), "a").encode()
        member, place, seal = b"a" * 16, HERE.pack(), bytes(16)
        for code, name, body in (
            (0x20, "Locate", b"\1" + member),
            (0x20, "bad-count", b"\0" + member),
            (0x20, "bad-length", b"\2" + member),
            (0x20, "not-ascending", b"\2" + member + member),
            (0x21, "Located", b"\0"),
            (0x21, "unknown-source", b"\1" + member + bytes(23)),
            (0x22, "Rendezvous", member + b"\1" + place),
            (0x22, "no-address", member + b"\1" + bytes(18)),
            (0x23, "MembersRequest", member),
            (0x24, "Members", b"\1\1" + record),
            (0x24, "bad-more", b"\1\0"),
            (0x24, "bad-name", b"\0\1" + record[:57] + bytes(64)),
        ):
            data = tagged(code, body + seal)
            self.assertEqual(verdict_unsealed(data), name)
            self.assertEqual(verdict(data), wire.LAYOUTS[code].message.__name__)
        for data, name in ((tagged(0x20, member), "bad-length"), (tagged(0x20, b"\0" + member + seal, 1), "not-zero")):
            self.assertEqual(verdict_unsealed(data), name)
        self.assertEqual(verdict_unsealed(tagged(0x11, bytes(34))), "nothing-acknowledged")

    def test_invites(self) -> None:
        token = Token.fresh(bytes(range(32)), 1 << 40, (HERE, THERE))
        text = token.encode()
        self.assertEqual(Token.decode(f"  {text.upper()}\n"), token)
        for wrong in (
            text[:-1],
            text[:-1] + ("b" if text[-1] == "a" else "a"),
            "dddns2" + text[6:],
            text[:9] + "1" + text[10:],
        ):
            self.assertRaises(Malformed, Token.decode, wrong)


class Cryptography(unittest.TestCase):
    """cryptography.md."""

    def test_totp_of_rfc_6238(self) -> None:
        for seconds, code in ((59, "94287082"), (1111111109, "07081804"), (20000000000, "65353130")):
            self.assertEqual(crypto.totp_code(b"12345678901234567890", seconds // 30, 8), code)

    def test_steps(self) -> None:
        for low, own, full in ((255, 256, 255), (0, 255, 256), (5, 5 + 256, 261), (127, 0, 127), (128, 256, 128)):
            self.assertEqual(crypto.full_step(low, own), full)

    def test_replay_window(self) -> None:
        window = crypto.ReplayWindow()
        for counter, accepted in (
            (0, True), (0, False), (5, True), (3, True), (3, False), (1030, True), (6, False), (7, True), (7, False),
            (1 << 63, False), ((1 << 63) - 1, True), (1031, False),
        ):  # fmt: skip
            self.assertEqual(window.accept(counter), accepted, counter)

    def test_link_time_follows_by_30_s_at_most(self) -> None:
        time = LinkTime(30_000 * 10 + 1_000, 0.0)
        time.follow(11, 1.0)
        self.assertEqual(time.read(1.0), 330_000)
        time.follow(12, 1.0)
        self.assertEqual(time.read(1.0), 330_000 + 2_000)
        time.follow(13, 1.0)
        self.assertEqual(time.read(1.0), 332_000)

    def test_handshake_and_cookies(self) -> None:
        alice, bob = Identity(), Identity()
        secrets = Secrets(1, b"inviteid", join_prologue(b"inviteid"), invite_psk(bytes(32)))
        payload_1 = InitiationPayload(b"12345678", "alice")
        attempt = Attempt(alice, bob.public_key, secrets, payload_1, 7, os.urandom(32), 0.0)
        initiation = decode(attempt.datagram(HERE, 0.0))
        answer = Answer(bob, initiation, secrets.prologue, secrets.psk, os.urandom(32))
        self.assertEqual((answer.public_key, answer.payload.name), (alice.public_key, "alice"))
        payload = ResponsePayload(9, 0, HERE, 123_456_789, b"87654321", b"c" * 16, b"k" * 32)
        raw, theirs = answer.respond(payload, 0.0)
        broken = decode(raw[:100] + bytes([raw[100] ^ 1]) + raw[101:])
        self.assertRaises(Discard, attempt.read_response, broken, 0.0)
        read, ours = attempt.read_response(decode(raw), 0.0)
        self.assertEqual(read, payload)
        for one, other in ((ours, theirs), (theirs, ours)):
            datagram, _ = one.make(Located(()), 1.0)
            self.assertEqual(other.open(decode(datagram), 1.0).message, Located(()))
            self.assertRaises(Discard, other.open, decode(datagram), 1.0)
        elsewhere = Answer(bob, initiation, secrets.prologue, bytes(32), os.urandom(32)).respond(payload, 0.0)[0]
        self.assertRaises(Discard, attempt.read_response, decode(elsewhere), 0.0)
        self.assertRaises(Discard, Answer, bob, initiation, b"another prologue", secrets.psk, os.urandom(32))
        sealed = crypto.seal_cookie(bob.public_key, initiation.mac1, b"c" * 16, b"r" * 16)
        attempt.read_cookie(wire.CookieReply(7, b"r" * 16, sealed), 2.0)
        again = attempt.datagram(HERE, 2.0)
        self.assertEqual(again[200:], crypto.mac2(b"c" * 16, again[:200]))

    def test_a_refusal_to_a_member_is_a_fault(self) -> None:
        bob, secrets = Identity(), Secrets(0, bytes(8), b"p", bytes(32))
        attempt = Attempt(Identity(), bob.public_key, secrets, InitiationPayload(bytes(8), ""), 1, os.urandom(32), 0.0)
        initiation = decode(attempt.datagram(HERE, 0.0))
        for index, refusal in ((0, 2), (9, 0)):  # after the first one the attempt accepts no other
            payload = ResponsePayload(index, refusal, HERE, 5, bytes(8), bytes(16), bytes(32))
            response = Answer(bob, initiation, b"p", bytes(32), os.urandom(32)).respond(payload, 0.0)[0]
            self.assertRaises(Discard, attempt.read_response, decode(response), 0.0)
            self.assertTrue(attempt.spoiled)

    def test_a_dh_result_of_zeros_ends_a_handshake(self) -> None:
        bob = Identity()
        secrets = Secrets(0, bytes(8), b"p", bytes(32))
        attempt = Attempt(Identity(), bob.public_key, secrets, InitiationPayload(bytes(8), ""), 1, os.urandom(32), 0.0)
        data = attempt.datagram(HERE, 0.0)
        zeros = decode(data[:16] + bytes(32) + data[48:])
        self.assertRaises(Discard, Answer, bob, zeros, b"p", bytes(32), os.urandom(32))
        self.assertRaises(Discard, attempt.read_response, wire.Response(1, bytes(135), bytes(16)), 0.0)


class Decisions(unittest.TestCase):
    """addresses.md, membership.md, scale.md."""

    @staticmethod
    def _observe(*pairs: tuple[str, str, int]) -> list[Observation]:
        return [Observation(Address(o, 1), Address(r, p), i) for i, (o, r, p) in enumerate(pairs)]

    def test_vote(self) -> None:
        own, before = ("global", 4), Address("9.9.9.9", 9)
        self.assertEqual(vote([], own, before), (before, "stale", None, 0, 0))
        one = self._observe(("1.1.1.1", "5.5.5.5", 5))
        self.assertEqual(vote(one, own, before)[:2], (Address("5.5.5.5", 5), "single-observer"))
        split = self._observe(("1.1.1.1", "5.5.5.5", 5), ("1.1.1.2", "6.6.6.6", 5))
        self.assertEqual(vote(split, own, before)[:2], (before, "disputed"))
        agreed = self._observe(("1.1.1.1", "5.5.5.5", 8), ("1.1.1.2", "5.5.5.5", 7))
        self.assertEqual(vote(agreed, own, before)[:3], (Address("5.5.5.5", 7), "agreed", "endpoint-dependent"))
        self.assertEqual(vote(agreed, own, Address("5.5.5.5", 8)).address, Address("5.5.5.5", 8))
        inside = self._observe(("10.0.0.1", "5.5.5.5", 5))
        self.assertEqual(vote(inside, own, before).confidence, "stale")
        same_group = self._observe(("1.1.1.1", "5.5.5.5", 5), ("1.1.1.1", "6.6.6.6", 6))
        self.assertEqual(vote(same_group, own, before).address, Address("6.6.6.6", 6))

    def test_scopes_and_candidates(self) -> None:
        for ip, name in (
            ("127.1.2.3", "loopback"),
            ("fe80::1", "link-local"),
            ("fd00::1", "private"),
            ("100.64.0.1", "cgnat"),
        ):
            self.assertEqual(scope(Address(ip, 1)), name)
        for ip in ("224.0.0.1", "255.255.255.255", "0.1.2.3", "127.0.0.1", "ff02::1"):
            self.assertFalse(may_be_candidate(Address(ip, 1), HERE))
        self.assertTrue(may_be_candidate(Address("127.0.0.1", 1), Address("127.0.0.2", 1)))

    def _path(self) -> Path:
        path = Path(lambda n, left=[b"new-----", b"old-----"] * 9: left.pop(0))
        self.assertEqual(path.proved(HERE, None, 0.0), [Current(HERE), Published(HERE)])
        return path

    def test_path_moves(self) -> None:
        path = self._path()
        challenges = [Challenge(HERE, b"old-----"), Challenge(THERE, b"new-----")]
        self.assertEqual(path.datagram(THERE, 66, 0.1, 10.0), challenges)
        self.assertFalse(path.spend(THERE, 66))
        self.assertEqual(path.response(b"new-----", 10.05), [Current(THERE)])
        self.assertEqual(path.tick(10.2), [Challenge(HERE, b"old-----")])
        self.assertEqual(path.tick(10.31), [Published(THERE)])

    def test_old_path_wins(self) -> None:
        path = self._path()
        path.datagram(THERE, 66, 0.1, 10.0)
        path.response(b"new-----", 10.05)
        self.assertEqual(path.datagram(HERE, 40, 0.1, 10.1), [PathConflict(HERE, THERE)])
        self.assertEqual((path.current, path.datagram(THERE, 66, 0.1, 15.0)), (HERE, []))
        self.assertTrue(path.datagram(THERE, 66, 0.1, 21.0))

    def test_silent_address_is_forgotten(self) -> None:
        path = self._path()
        path.datagram(THERE, 66, None, 10.0)
        self.assertEqual((path.tick(13.1), path.trial, path.current), ([Forgotten(THERE)], None, HERE))

    def test_what_is_proved_again_is_no_news(self) -> None:
        path = self._path()
        self.assertEqual(path.proved(HERE, None, 1.0), [])
        path.datagram(THERE, 66, 0.1, 10.0)
        self.assertEqual(path.proved(HERE, None, 10.1), [Forgotten(THERE, True), Current(HERE)])

    def test_merging_lists(self) -> None:
        lot = random.Random(2)
        keys = [bytes([i]) * 32 for i in range(4)]
        records = [
            Record(
                lot.choice(keys),
                lot.randbytes(16),
                lot.randrange(3),
                lot.choice((MEMBER, REMOVED)),
                lot.randrange(2),
                name,
            )
            for name in "abcabcabcabc"
        ]
        lists = []
        for _ in range(6):
            lot.shuffle(records)
            lists.append(MemberList(bytes(16)))
            for record in records + records:
                lists[-1].merge(record, lambda: True)
        self.assertEqual(len({members.digest() for members in lists}), 1)
        self.assertTrue(all(rank(lists[0][r.id]) >= rank(r) for r in records))

    def test_bounds_of_lists(self) -> None:
        members = MemberList(bytes(16), members_max=2)
        made = [Record(bytes([i]) * 32, bytes(16), i, MEMBER, 0, "x") for i in range(4)]
        results = [members.merge(record, lambda: True) for record in (made[3], made[2], made[1])]
        self.assertEqual((results, {r.admission for r in members}), ([Merged.NEWS] * 3, {1, 2}))
        self.assertIs(members.merge(made[3], lambda: True), Merged.KNOWN)
        self.assertIs(members.merge(made[0], lambda: False), Merged.PUT_OFF)
        self.assertEqual(members.next_admission(made[0].id), 3)

    def test_own_removal_always_has_room(self) -> None:
        me, stranger = Identity(), Identity()
        members = MemberList(me.id)
        for i in range(REMOVED_MAX):
            members.put(Record(i.to_bytes(32, "big"), bytes(16), i, REMOVED, 0, "x"))
        results = [members.merge(Record(i.public_key, bytes(16), 1, REMOVED, 0, "x"), bool) for i in (stranger, me)]
        self.assertEqual(results, [Merged.KNOWN, Merged.PUT_OFF])
        own = Record(me.public_key, bytes(16), 1, REMOVED, 0, "x")
        self.assertIs(members.merge(own, lambda: True), Merged.NEWS)

    def test_pages(self) -> None:
        members = MemberList(bytes(16))
        for i in range(20):
            members.put(Record(bytes([i]) * 32, bytes(16), i, MEMBER, 0, "x"))
        after, seen, more = bytes(16), [], True
        while more:
            page = members.page(after)
            seen, more, after = seen + list(page.records), page.more, page.records[-1].id
        self.assertEqual(seen, list(members))

    def test_neighbours(self) -> None:
        ids = [wire.node_id(bytes([i, j]) * 16) for i in range(20) for j in range(10)]
        degree = sum(are_neighbours(ids[0], other, len(ids)) for other in ids[1:])
        self.assertTrue(8 <= degree <= 48, degree)
        self.assertTrue(are_neighbours(ids[0], ids[1], 128))


class Rules(unittest.TestCase):
    """state-machine.md section 4, scale.md: on a clock that the test sets."""

    def setUp(self) -> None:
        self.time, self.asked, self.called = 100.0, [], []
        me, others = Identity(), [Identity() for _ in range(300)]
        self.others = others
        records = [first_record(i.public_key, "x") for i in (me, *others)]
        Deaf.now = lambda _node: self.time  # type: ignore[method-assign]
        self.node = Deaf(State(me.private_key, "x", Cluster(bytes(16), bytes(32)), records=records))
        self.ids = [other.id for other in others]
        self.node.finder.ask_others = lambda wanted: self.asked.append(self.time)
        self.node.initiate = lambda link, address, interval: self.called.append((round(self.time, 3), address))

    def tearDown(self) -> None:
        del Deaf.now

    def test_a_suspect_peer_is_asked_about_again(self) -> None:
        link = self.node.make_link(self.ids[0], KEPT)
        link.state, link.heard = SUSPECT, self.time
        self.node.liveness._ask_about(link)
        while link.state == SUSPECT:
            self.time += 0.01
            self.node.liveness.tick_link(link)
        gaps = [b - a for a, b in zip(self.asked, self.asked[1:])]
        for gap, pause in zip(gaps[:-1], (1, 2, 4, 8, 8)):
            self.assertTrue(0.8 * pause <= gap <= pause + 0.02, gaps)
        self.assertGreaterEqual(len(gaps), 5)
        self.assertAlmostEqual(self.time, 130.0, delta=0.1)

    def test_rounds_become_rarer(self) -> None:
        link = self.node.make_link(self.ids[0], KEPT)
        for state, start in ((UNKNOWN, [1, 2, 4, 8]), (LOST, [10] * 4)):
            for r, pause in enumerate(start + [10, 10, 10, 20, 40, 80, 120, 120], start=1):
                link.state, link.rounds = state, r
                self.assertTrue(0.8 * pause <= self.node.finder._pause(link) <= pause, (state, r))

    def test_as_many_guests_as_members_call(self) -> None:
        for member in self.ids:
            self.node.make_link(member, GUEST)
        self.assertEqual(len(self.node.links), 300)

    def test_members_heard_lately_are_called_by_lot(self) -> None:
        for age, member in zip((5, 50, 500, 700, 800), self.ids):
            self.node.gossip.hear(member, HERE, self.time - age)
        orders = {tuple(self.node.search._order(self.ids[:6], self.time)[::-1]) for _ in range(60)}
        self.assertEqual({order[3:] for order in orders}, {tuple(self.ids[3:6])})
        self.assertEqual(len(orders), 6)

    def test_who_demands_a_cookie_is_called_longer(self) -> None:
        link = self.node.make_link(self.ids[0], SPARE)
        self.node.links = {link.id: link}
        self.node.finder.sent_cookie(link, HERE)
        while link.id in self.node.links:
            self.time = round(self.time + 0.05, 3)
            self.node.finder._probe_due(link)
            self.node._end_role(link)
        gone = [round(at - 100, 3) for at, _ in self.called]
        self.assertEqual(gone[:5], [0.5, 1.0, 2.0, 2.5, 3.0])
        self.assertEqual((len(gone), self.time), (14, 110.0))

    def _session(self, begun: float, ended: float, run: bytes = b"run-one-", initiator: bool = False) -> Session:
        keys = Keys(*(bytes([i]) * 32 for i in range(4)))
        return Session(keys, initiator, self.node.fresh_index(), 1, run, LinkTime(0, begun), begun, ended)

    def _up(self, number: int, run: bytes = b"run-one-") -> Link:
        link = self.node.make_link(self.ids[number], KEPT)
        self.node.runs.begin(link, self._session(self.time, self.time, run), Address(f"192.0.2.{number + 1}", 1))
        self.node.liveness.came_up(link)
        link.outstanding = []  # the Heartbeat to an address that the handshake proved
        return link

    def _receive(self, link: Link, message: wire.Message, newest: bool = True, session: Session | None = None) -> None:
        received = Received(message, 5, newest)
        self.node._receive_message(link, session or link.session, received, link.path.current or HERE, 40)

    def _reflect(self, link: Link, reflection: Address | None, newest: bool, session: Session | None = None) -> None:
        message = Heartbeat(0, self.node.members.digest(), reflection)
        received = Received(message, 5, newest)
        self.node.liveness.on_heartbeat(link, session or link.session, received, message, link.path.current)

    def _own(self) -> tuple[Address, str]:
        self.node.own.vote()
        own = self.node.own.votes["global", 4]
        return own.address, own.confidence

    def test_only_the_newest_of_the_current_session_is_an_observation(self) -> None:
        link, mine, old = self._up(0), Address("5.5.5.5", 5), Address("6.6.6.6", 6)
        self._reflect(link, mine, True)
        self._reflect(link, old, False)
        self._reflect(link, old, True, self._session(1.0, 1.0))
        self.node.liveness.on_ack(link, link.session, Received(None, 3, False), HeartbeatAck(1, bytes(8), old))
        self.assertEqual((link.reflected, self._own()), ((mine, 100.0), (mine, "single-observer")))

    def test_a_reflection_counts_from_when_it_came(self) -> None:
        link, mine = self._up(0), Address("5.5.5.5", 5)
        self._reflect(link, mine, True)
        self.time += 29.0
        self._reflect(link, None, True)
        self.assertEqual(self._own(), (mine, "single-observer"))
        self.time += 2.0
        self.assertEqual(self._own(), (mine, "stale"))

    def test_what_was_reflected_before_a_peer_was_cut_off_counts_no_more(self) -> None:
        link, mine = self._up(0), Address("5.5.5.5", 5)
        for state in (SUSPECT, CONFLICT):
            self._reflect(link, mine, True)
            self.assertEqual(self._own(), (mine, "single-observer"))
            self.node.liveness._change(link, state)
            self.node.liveness.came_up(link)
            self.assertEqual((self._own(), link.reflected[0]), ((mine, "stale"), mine))

    def test_the_peer_that_reflected_longest_ago_is_heartbeated(self) -> None:
        links = [self._up(i) for i in range(4)]
        for link in (links[2], links[0], links[1], links[3]):
            self.time += 0.1
            self._reflect(link, Address("5.5.5.5", 5), True)
        self.time += 1.0
        self._reflect(links[2], None, True)  # an exchange, but no reflection
        beaten: list[Link] = []
        self.node.liveness.heartbeat = beaten.append
        self.time += 2.1
        self.node.liveness.tick()
        self.node.liveness._ask_whether_all_are_gone(links[2])
        self.node.liveness._change(links[3], LOST)
        self.node.liveness.came_up(links[3])
        self.node.liveness._ask_whether_all_are_gone(links[2])
        self.assertEqual(beaten, [links[2], links[0], links[3]])

    def test_the_word_of_the_only_observer_holds_for_a_while(self) -> None:
        link, other = self._up(0), self._up(1)
        first, second, third = (Address("5.5.5.5", port) for port in (5, 6, 7))
        for step, reflection, own in (
            (0.0, first, first), (0.9, second, first), (0.0, first, first), (0.2, second, second),
            (0.9, third, second), (0.2, third, third),
        ):  # fmt: skip
            self.time += step
            self._reflect(link, reflection, True)
            self.assertEqual((link.reflected[0], self._own()[0]), (own, own))
        self._reflect(other, third, True)
        self._reflect(link, first, True)
        self.assertEqual(link.reflected[0], first)
        self.node.liveness._change(other, LOST)
        self.node.liveness.came_up(other)
        self._reflect(link, second, True)
        self.assertEqual(link.reflected[0], first)
        self._reflect(other, third, True)
        self._reflect(link, second, True)
        self.assertEqual(link.reflected[0], second)

    def test_a_run_whose_handshake_was_held_back_is_forgotten(self) -> None:
        link = self._up(0, b"run-two-")
        present = link.session
        present.ended = 101.0
        for state in (UP, SUSPECT, LOST):
            link.state = state
            for begun, initiator in ((99.0, False), (100.9, True)):
                held_back = self._session(begun, 102.0, initiator=initiator)
                self.assertFalse(self.node.runs.begin(link, held_back, HERE))
                self.assertEqual((link.session, link.sessions(), link.contest), (present, [present], None))
        link.state = UP
        self.assertFalse(self.node.runs.begin(link, self._session(101.0, 101.0), HERE))
        self.assertIsNotNone(link.contest)
        self.assertTrue(self.node.runs.begin(link, self._session(99.0, 99.0, b"run-two-"), HERE))

    def test_a_handshake_ends_with_the_response_at_either_end(self) -> None:
        me, other, secrets = self.node.identity, Identity(), Secrets(0, bytes(8), b"p", bytes(32))
        attempt = Attempt(other, me.public_key, secrets, InitiationPayload(bytes(8), ""), 1, os.urandom(32), 1.0)
        answer = Answer(me, decode(attempt.datagram(HERE, 1.0)), b"p", bytes(32), os.urandom(32))
        response, theirs = answer.respond(ResponsePayload(9, 0, HERE, 5, bytes(8), bytes(16), bytes(32)), 2.0)
        ours = attempt.read_response(decode(response), 3.0)[1]
        self.assertEqual([(s.begun, s.ended) for s in (ours, theirs)], [(1.0, 3.0), (2.0, 2.0)])

    def test_which_handshakes_crossed(self) -> None:
        for heard, begun, initiator, crossed in (
            (None, 99.0, True, True),
            (None, 101.0, True, True),
            (102.0, 101.0, True, True),
            (101.0, 102.0, True, False),
            (None, 110.0, True, True),
            (None, 110.1, True, False),
            (None, 101.0, False, False),
            (None, 100.0, False, True),
        ):
            present = self._session(100.0, 100.0, initiator=initiator)
            if heard is not None:
                present.first_received = heard
            for same_end in (True, False):
                new = self._session(begun, begun, initiator=initiator == same_end)
                self.assertEqual(present.crossed_by(new), crossed and not same_end, (heard, begun, initiator))

    def test_something_was_received_under_a_session(self) -> None:
        keys = [Keys(*(bytes([i]) * 32 for i in order)) for order in ((0, 1, 2, 3), (1, 0, 3, 2))]
        ours, theirs = (Session(k, True, 1, 1, bytes(8), LinkTime(0, 100.0), 100.0, 100.0) for k in keys)
        for now in (103.0, 104.0):
            datagram = decode(theirs.make(Heartbeat(0, bytes(8), HERE), now)[0])
            ours.open(datagram, now)
            self.assertEqual(ours.first_received, 103.0)
            with self.assertRaises(Discard):
                theirs.open(datagram, now)
        self.assertEqual(theirs.first_received, float("inf"))

    def test_a_joiner_that_waits_begins_again_when_told_of_its_removal(self) -> None:
        link, node = self._up(0), self.node
        link.state, link.heard, node.members = UNKNOWN, None, MemberList(node.identity.id)
        node.members.put(first_record(link.public_key, "x"))
        node.joiner = joiner = Joiner(node, Token.fresh(link.public_key, 0, (HERE,)), True)
        joiner._begin_again_at = joiner._due = self.time + 10.0
        told = Members(False, (Record(node.identity.public_key, link.id, 1, REMOVED, 0, "x"),))
        node._receive_message(link, link.session, Received(told, 1, True), HERE, 200)
        self.assertEqual((link.state, link.heard, node.joiner), (UNKNOWN, None, joiner))
        node.transmit = lambda data, address: self.called.append((verdict(data), address))
        joiner.tick()
        joiner.begin_again()
        joiner.tick()
        self.assertEqual(self.called, [("Initiation", HERE)])

    def _joining(self) -> tuple[Link, Joiner, Members, Members]:
        """A joiner that was accepted: its link with the inviter, itself, its own record, and an earlier removal."""
        link, node = self._up(0), self.node
        link.state, node.members = UNKNOWN, MemberList(node.identity.id)
        node.cluster, node.links = Cluster(bytes(16), bytes(32)), {link.id: link}
        node.members.put(first_record(link.public_key, "x"))
        node.joiner = Joiner(node, Token.fresh(link.public_key, 0, (HERE,)))
        self._accept()
        mine = Record(node.identity.public_key, link.id, 2, MEMBER, 0, "x")
        return link, node.joiner, Members(False, (mine,)), Members(False, (replace(mine, admission=1, state=REMOVED),))

    def _accept(self) -> None:
        verdict = ResponsePayload(9, 0, HERE, 5, bytes(8), bytes(16), bytes(32))
        self.assertTrue(self.node.joiner.answered(verdict))

    def _called(self) -> list[str]:
        """What a joiner sends now."""
        self.node.transmitted.clear()
        self.node.joiner.tick()
        return [verdict(data) for data in self.node.transmitted]

    def test_a_joiner_keeps_its_token_until_its_own_record_has_come(self) -> None:
        link, joiner, own, told = self._joining()
        self._receive(link, Heartbeat(0, bytes(8), HERE))
        self.time += 20.0
        self.assertEqual((link.state, self._called(), self.node.joiner), (UP, [], joiner))
        self.assertEqual(Token.decode(self.node.state().token), joiner.token)
        heard = link.heard
        self._receive(link, told)
        self.assertEqual((link.heard, self._called()), (heard, ["Initiation"]))
        self._receive(link, Heartbeat(0, bytes(8), HERE))
        self.time += 1.5
        self.assertEqual(self._called(), ["Initiation"])  # nobody but the inviter can say that it is in
        self._accept()
        self._receive(link, told, session=self._session(99.0, 99.0))
        self.assertEqual(self._called(), ["Initiation"])  # each time
        self._accept()
        self.time += 9.9
        self.assertEqual(self._called(), [])
        self._receive(link, Heartbeat(0, bytes(8), HERE))
        self.time += 20.0
        self.assertEqual(self._called(), [])
        self._receive(link, own)
        self.assertEqual((self.node.joiner, self.node.state().token), (None, None))
        self._receive(link, told)
        self.assertIsNotNone(self.node.cluster)
        self._receive(link, Members(False, (replace(told.records[0], admission=2),)))
        self.assertEqual((self.node.cluster, self.node.links), (None, {}))

    def test_the_verdict_of_the_inviter_is_final(self) -> None:
        link, joiner, _, told = self._joining()
        self._receive(link, Heartbeat(0, bytes(8), HERE))
        self._receive(link, told)
        self.assertFalse(joiner.answered(ResponsePayload(0, 2, HERE, 5, bytes(8), bytes(16), bytes(32))))
        self.assertEqual((self.node.cluster, self.node.joiner, self.node.running), (None, None, False))

    REFUSED = ResponsePayload(0, 2, HERE, 5, bytes(8), bytes(16), bytes(32))
    ELSEWHERE = ResponsePayload(9, 0, HERE, 5, bytes(8), bytes(15) + b"x", bytes(32))

    def _restarted(self, state: State, token: Token | None = None) -> Deaf:
        """The node runs from its file again; in between it may have been told to join."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "state.json")
            state.write(path)
            if token is not None:
                join(path, "x", token.encode())
            self.node = Deaf(State.read(path))
        return self.node

    def _rejoining(self, state: State) -> Deaf:
        """The node was given an invite by the first of the others; another restart changes nothing."""
        node = self._restarted(state, Token.fresh(self.others[0].public_key, 0, (HERE,)))
        return self._restarted(node.state())

    def test_a_member_whose_new_invite_comes_to_nothing_stays_a_member(self) -> None:
        before = self.node.state()
        for verdict_of_inviter in (self.REFUSED, self.ELSEWHERE):
            node = self._rejoining(before)
            node.links.clear()
            link = self._up(0)
            self._receive(link, Heartbeat(0, bytes(8), HERE))
            self._receive(link, Members(False, (replace(node.members[node.identity.id], admission=3),)))
            self.assertEqual(self._called(), ["Initiation"])
            said: list[dict] = []
            node._report = said.append
            self.assertFalse(node.joiner.answered(verdict_of_inviter))
            self.assertEqual([event["event"] for event in said], ["refused"])
            self.assertEqual((node.running, node.failure, node.links[link.id]), (True, "", link))
            after = node.state()
            self.assertEqual((after.cluster, after.token, len(after.records)), (before.cluster, None, 301))

    def test_a_removed_node_whose_new_invite_comes_to_nothing_stays_removed(self) -> None:
        link, node = self._up(0), self.node
        self._receive(link, Members(False, (node.members.removal(node.identity.id, link.id),)))
        before = node.state()
        node = self._rejoining(before)
        self.assertEqual(self._called(), ["Initiation"])
        self.assertFalse(node.joiner.answered(self.REFUSED))
        self.assertEqual((node.state(), node.running, node.failure), (before, True, ""))

    def test_who_was_outside_is_outside_when_refused(self) -> None:
        node = self._rejoining(State(self.node.identity.private_key, "x"))
        self.assertFalse(node.joiner.answered(self.REFUSED))
        self.assertEqual((node.state(), node.running), (State(node.identity.private_key, "x"), False))
        self.assertEqual(node.failure, "the invite has been used")

    def test_an_accepted_node_is_outside_when_refused_whatever_it_was_before(self) -> None:
        key, member = self.node.identity.private_key, self.node.state()
        for before in (State(key, "x"), State(key, "x", removed_by="y"), member):
            node = self._rejoining(before)
            self._accept()
            node = self._restarted(node.state())
            self.assertEqual(self._called(), ["Initiation"])
            self.assertFalse(node.joiner.answered(self.REFUSED))
            self.assertEqual((node.state(), node.links, node.running), (State(key, "x"), {}, False))

    def test_a_joining_member_that_is_removed_keeps_the_invite(self) -> None:
        node = self._rejoining(self.node.state())
        node.links.clear()
        link, token = self._up(0), node.joiner.token
        self._receive(link, Members(False, (node.members.removal(node.identity.id, link.id),)))
        self.assertEqual((node.removed_by is None, node.cluster, node.links), (False, None, {}))
        node = self._restarted(node.state())
        self.assertEqual((node.joiner.token, self._called()), (token, ["Initiation"]))
        self._accept()
        self.assertEqual((node.removed_by, [r.id for r in node.members]), (None, [link.id]))

    def test_a_new_invite_is_no_part_of_the_membership_that_an_earlier_one_gave(self) -> None:
        node = self._rejoining(State(self.node.identity.private_key, "x"))
        self._accept()
        node = self._restarted(node.state())
        self.assertNotIn(node.identity.id, node.members)
        node = self._rejoining(node.state())
        self.assertFalse(node.joiner.answered(self.REFUSED))
        self.assertEqual((node.cluster, node.running), (Cluster(bytes(16), bytes(32)), True))
        self.assertEqual(node.members[node.identity.id], first_record(node.identity.public_key, "x"))

    def _told_to_join(self, state: State, inviter: Identity) -> tuple[int, str, bool]:
        """The exit code, what the owner is told, and whether the token is kept; otherwise nothing has changed."""
        token = Token.fresh(inviter.public_key, 0, (HERE,)).encode()
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "state.json")
            state.write(path)
            command = [sys.executable, "-m", "peer", "join", path, "--name", "y", token]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            after = State.read(path)
        taken = replace(state, name="y", token=token, accepted=False)
        self.assertIn(after, (state, taken))
        return done.returncode, done.stderr, after == taken

    def test_who_has_a_cluster_takes_invites_of_its_members_only(self) -> None:
        key, member = self.node.identity.private_key, self.node.state()
        (inviter, removed), stranger = self.others[:2], Identity()
        member.records.remove(self.node.members[removed.id])
        member.records.append(self.node.members.removal(removed.id, inviter.id))
        token = Token.fresh(inviter.public_key, 0, (HERE,)).encode()
        accepted = State(key, "x", member.cluster, token, True, records=[provisional(inviter.public_key)])
        for state, by in ((member, stranger), (member, removed), (accepted, stranger)):
            code, said, taken = self._told_to_join(state, by)
            self.assertEqual((code, taken), (2, False))
            self.assertIn("it has a cluster", said)
        outside, gone = State(key, "x", token=token), State(key, "x", removed_by="y")
        for state, by in ((outside, stranger), (gone, stranger), (member, inviter), (accepted, inviter)):
            self.assertEqual(self._told_to_join(state, by), (0, "", True))

    def test_a_joiner_that_is_not_heard_begins_again(self) -> None:
        self._joining()
        for step, sent in ((9.9, []), (0.2, ["Initiation"])):
            self.time += step
            self.assertEqual(self._called(), sent)

    def test_a_removed_node_calls_nobody_after_a_restart(self) -> None:
        link, node = self._up(0), self.node
        removal = Members(False, (node.members.removal(node.identity.id, link.id),))
        self._receive(link, removal, session=self._session(99.0, 99.0))
        again = Deaf(node.state())
        for self.time in (101.0, 110.0, 200.0):
            again.tick()
        self.assertEqual((again.removed_by is None, again.links, again.transmitted), (False, {}, []))

    def test_who_leaves_tells_those_up_and_suspect(self) -> None:
        self.node.links.clear()
        links, sent = [self._up(i) for i in range(4)], []
        for link, state in zip(links, (UP, SUSPECT, LOST, LEFT)):
            link.state = state
        self.node.send = lambda link, message: sent.append((link.id, type(message).__name__))
        self.node.lists.leave_cluster()
        self.node.lists.tick()
        self.assertEqual(sent, [(member, "Members") for member in self.ids[:2]])
        again, myself = Deaf(self.node.state()), self.node.label(self.node.identity.id)
        self.assertEqual((again.removed_by, again.cluster, len(again.members)), (myself, None, 0))
        confirmation = replace(self.node.lists.farewell.removal, admitted_by=self.ids[0])
        self.node.lists.on_members(links[1], Members(False, (self.node.members[self.ids[0]],)))
        self.node.lists.on_members(links[0], Members(False, (confirmation,)))
        self.assertNotIn(links[0].id, self.node.links)
        while self.node.cluster is not None:
            self.time += 0.5
            self.node.lists.tick()
        first, second = self.ids[:2]
        expected = [(first, "Members")] + [(second, "Members")] * 6 + [(member, "Leave") for member in self.ids[1:4]]
        self.assertEqual(sent, expected)
        self.assertEqual((len(self.node.members), self.node.running), (0, False))

    def test_who_leaves_says_leave_under_every_session_that_is_left(self) -> None:
        node, sent = self.node, []
        node.links.clear()
        confirms, lost, left, away = (self._up(i) for i in range(4))
        lost.state, left.state, away.state = LOST, LEFT, CONFLICT
        away.forget_sessions()
        node.transmit = lambda data, address: sent.append((verdict(data), address.ip, round(self.time, 3)))
        node.lists.leave_cluster()
        node.lists.tick()
        self.time += 0.1
        self._receive(confirms, Members(False, (replace(node.lists.farewell.removal, admitted_by=confirms.id),)))
        self.assertEqual((node.cluster, node.links, node.running), (None, {}, False))
        leaves = [("Leave", "192.0.2.2", 100.1), ("Leave", "192.0.2.3", 100.1)]
        self.assertEqual(sent, [("Members", "192.0.2.1", 100.0), *leaves])

    def test_who_leaves_tells_it_six_times_in_all(self) -> None:
        node, sent = self.node, []
        node.links.clear()
        self._up(0)
        late = self._up(1)
        late.state = LOST
        node.transmit = lambda data, address: sent.append((verdict(data), address.ip, round(self.time - 100.0, 3)))
        node.lists.leave_cluster()
        while node.cluster is not None:
            node.lists.tick()
            self.time = round(self.time + 0.1, 3)
            if self.time == 101.2:
                late.state = SUSPECT
                node.lists.leave_cluster()  # it is leaving already
        first = [("Members", "192.0.2.1", at / 2) for at in range(6)] + [("Leave", "192.0.2.1", 3.0)]
        second = [("Members", "192.0.2.2", at / 2) for at in range(3, 6)] + [("Leave", "192.0.2.2", 3.0)]
        self.assertEqual(sorted(sent), sorted(first + second))

    def test_who_leaves_answers_no_initiation(self) -> None:
        node, other = self.node, self.others[0]
        node.links.clear()
        link = self._up(1)
        initiation = self._attempt(other).datagram(HERE, self.time)
        node.lists.leave_cluster()
        node.receive(initiation, HERE)
        self.assertEqual(node.counters["discarded no-cluster"], 1)
        self._receive(link, Members(False, (node.lists.farewell.removal,)))
        self.assertEqual((node.cluster, node.running), (None, False))

    def test_who_leaves_lets_in_who_waits_and_tells_the_others(self) -> None:
        node, joiner, sent = self.node, Identity(), []
        node.links.clear()
        link = self._up(1)
        token = Token.decode(node.responder.make_invite((HERE,)))
        session = self._verdict_of(self._attempt(joiner, token))[1]
        node.lists.leave_cluster()
        self.assertEqual(self._confirm(session), [])
        node.send = lambda link, message: sent.append((link.id, message))
        node.lists.tick()
        new = wire.node_id(joiner.public_key)
        removal = Members(False, (node.lists.farewell.removal,))
        news = Members(False, (node.members[new],))
        self.assertEqual([message for to, message in sent if to == link.id], [news, removal])
        self.assertIn((new, removal), sent)

    def test_who_leaves_and_is_heard_by_nobody_says_only_leave(self) -> None:
        self.node.links.clear()
        link, sent = self._up(0), []
        link.state = LOST
        self.node.send = lambda link, message: sent.append((link.id, type(message).__name__))
        self.node.lists.leave_cluster()
        self.assertEqual((sent, self.node.cluster), ([(link.id, "Leave")], None))

    def test_who_leaves_without_its_own_record_says_only_leave(self) -> None:
        self.node.links.clear()
        links, sent, node = [self._up(i) for i in range(3)], [], self.node
        links[2].state, node.members = LOST, MemberList(node.identity.id)
        node.send = lambda link, message: sent.append((link.id, type(message).__name__))
        node.lists.leave_cluster()
        self.assertEqual(sent, [(member, "Leave") for member in self.ids[:3]])
        self.assertEqual((node.cluster, node.running), (None, False))

    def test_who_was_removed_and_leaves_is_outside(self) -> None:
        link, node = self._up(0), self.node
        self._receive(link, Members(False, (node.members.removal(node.identity.id, link.id),)))
        for node in (node, Deaf(node.state()), self._rejoining(node.state())):
            node.transmitted.clear()
            obey(node, "leave")
            self.assertEqual((node.removed_by, node.running, node.transmitted), (None, False, []))
            self.assertEqual(node.state(), State(node.identity.private_key, "x"))
        with contextlib.redirect_stdout(io.StringIO()) as said:
            obey(node, "leave")
        self.assertEqual(json.loads(said.getvalue()), {"error": "leave: no cluster"})

    def test_who_stops_says_leave_under_the_current_session_alone(self) -> None:
        node, sent = self.node, []
        node.links.clear()
        link, lost, unheard, nowhere = (self._up(i) for i in range(4))
        self.time += 20.0
        self.assertTrue(node.runs.begin(link, self._session(self.time, self.time), link.path.current))
        lost.state, nowhere.path.current = LOST, None
        unheard.forget_sessions()
        self.assertIsNotNone(link.previous)
        used, node._socket = link.previous.next_counter, io.BytesIO()
        node.transmit = lambda data, address: sent.append((verdict(data), address.ip))
        node.stop()
        self.assertEqual(sent, [("Leave", "192.0.2.1"), ("Leave", "192.0.2.2")])
        self.assertEqual((link.previous.next_counter, node._socket.closed), (used, True))

    def test_conflict_ends_a_contest_and_the_reading_of_the_list(self) -> None:
        link, other = self._up(0), self._up(1)
        link.contest = Contest(self._session(100.0, 100.0, b"run-two-"), HERE, bytes(8), self.time)
        for reader in (other, link):
            self.node.lists._reading = Reading(reader.id, self.time)
            self.node._receive_message(link, link.session, Received(Conflict(), 9, True), HERE, 40)
            self.assertEqual(self.node.lists.is_reading(), reader is other)
            self.assertEqual((link.state, link.sessions(), link.contest), (CONFLICT, [], None))
            self.node.runs.begin(link, self._session(self.time, self.time), HERE)

    def test_a_heartbeat_follows_a_new_session(self) -> None:
        link = self._up(0)
        link.heartbeat_at = 107.0
        self.node.runs.begin(link, self._session(100.0, 100.0), None)
        self.assertEqual(link.heartbeat_at, 107.0)
        self.time = 107.5
        self.node.liveness.tick_link(link)
        self.assertTrue(link.outstanding)
        self.node.runs.begin(link, self._session(107.5, 107.5), None)
        self.assertTrue(107.9 <= link.heartbeat_at <= 109.5 and not link.outstanding, link.heartbeat_at)

    def test_heartbeats_stay_outstanding_where_the_present_session_is_kept(self) -> None:
        link = self._up(0)
        mine_counts = self.node.identity.id < link.id
        for kept in (True, False):
            present = self._session(self.time, self.time, initiator=mine_counts == kept)
            link.session = present
            self.node.liveness.heartbeat(link)
            beats, link.misses = link.outstanding, 1
            crossing = self._session(0.0, 0.0, initiator=not present.initiator)
            self.node.runs.begin(link, crossing, None)
            expected = (present, crossing, beats, 1) if kept else (crossing, present, [], 0)
            self.assertEqual((link.session, link.previous, link.outstanding, link.misses), expected)

    def test_a_responder_sends_a_heartbeat_to_an_address_that_the_handshake_proved(self) -> None:
        link, beaten = self._up(0), []
        self.node.liveness.heartbeat = lambda link: beaten.append(link.path.current)
        for initiator, address in ((False, HERE), (False, HERE), (True, THERE)):
            self.time += 20.0
            link.path.trial = None
            self.node.runs.begin(link, self._session(self.time, self.time, initiator=initiator), address)
        self.assertEqual(beaten, [HERE])

    def test_answers_go_under_the_current_session(self) -> None:
        link, sent = self._up(0), []
        before = link.session
        self.time += 20.0
        self.node.runs.begin(link, self._session(self.time, self.time), None)
        self.node.send = lambda link, message, address=None, session=None: sent.append(session or link.session)
        self._receive(link, PathChallenge(bytes(8)), session=before)
        self._receive(link, Heartbeat(0, self.node.members.digest(), None), session=before)
        self.assertEqual(sent, [link.session, before])

    def test_the_last_heartbeat_held_back_is_acknowledged(self) -> None:
        link, acknowledged = self._up(0), []
        self.node.liveness.acknowledge = lambda link, session, counter, address: acknowledged.append((counter, address))
        for counter in (5, 6):
            self.time += 0.1  # so that a challenge is due, which takes what the address may be sent
            received = Received(Heartbeat(0, self.node.members.digest(), None), counter, True)
            self.node._receive_message(link, link.session, received, HERE, 66)
        self.assertEqual(acknowledged, [])
        self.node.apply(link, link.path.response(link.path.trial.to_new, self.time))
        self.assertEqual(acknowledged, [(6, HERE)])

    def test_what_is_held_back_goes_under_no_later_session(self) -> None:
        for number, later in enumerate((False, True)):
            link, sent = self._up(number), []
            self.time += 20.0
            for _ in range(2):
                self.time += 0.1
                received = Received(Heartbeat(0, self.node.members.digest(), None), 5, True)
                self.node._receive_message(link, link.session, received, HERE, 66)
            self.assertIsNotNone(link.withheld_ack)
            if later:
                self.node.runs.begin(link, self._session(self.time, self.time), None)
            self.node.send = lambda link, message, *_, sent=sent: sent.append(type(message).__name__)
            self.node.apply(link, link.path.response(link.path.trial.to_new, self.time))
            del self.node.send
            self.assertEqual("HeartbeatAck" in sent, not later)

    def test_what_is_held_back_is_not_sent_where_a_handshake_ends_the_trial(self) -> None:
        link, acknowledged = self._up(0), []
        self.node.liveness.acknowledge = lambda *arguments: acknowledged.append(arguments)
        for _ in range(2):
            self.time += 0.1
            received = Received(Heartbeat(0, self.node.members.digest(), None), 5, True)
            self.node._receive_message(link, link.session, received, HERE, 66)
        self.assertIsNotNone(link.withheld_ack)
        self.assertTrue(self.node.prove(link, HERE))
        self.assertEqual(acknowledged, [])

    def test_a_heartbeat_under_the_session_before_is_acknowledged_to_the_current_address(self) -> None:
        link, acknowledged = self._up(0), []
        before, current = link.session, link.path.current
        self.time += 20.0
        self.node.runs.begin(link, self._session(self.time, self.time), None)
        self.node.liveness.acknowledge = lambda link, session, counter, address: acknowledged.append(address)
        self.node.apply(link, link.path.datagram(HERE, 500, None, self.time))
        for session in (before, link.session):
            received = Received(Heartbeat(0, self.node.members.digest(), None), 5, False)
            self.node._receive_message(link, session, received, HERE, 66)
        self.assertEqual(acknowledged, [current, HERE])

    def test_who_said_leave_is_not_up_again_at_once(self) -> None:
        link = self._up(0)
        ack = HeartbeatAck(1, self.node.members.digest(), HERE)
        for step, message, newest, state in (
            (1.0, Leave(), True, LEFT),
            (0.9, ack, True, LEFT),
            (0.2, ack, False, LEFT),
            (0.0, ack, True, UP),
            (0.1, Leave(), True, LEFT),
        ):
            self.time += step
            self._receive(link, message, newest)
            self.assertEqual(link.state, state)
        self.time += 0.1
        self.node.runs.begin(link, self._session(self.time, self.time), None)
        self._receive(link, ack, False)
        self.assertEqual(link.state, UP)

    def test_what_does_not_bring_a_peer_back_has_no_effect(self) -> None:
        link, mine, other = self._up(0), Address("5.5.5.5", 5), Address("6.6.6.6", 6)
        self._reflect(link, mine, True)
        self._receive(link, Leave())
        before = replace(link, candidates=dict(link.candidates), history=list(link.history), outstanding=[])
        self.node.transmitted.clear()
        self.time += 0.5
        messages = (Leave(), Heartbeat(0, bytes(8), other), PathChallenge(bytes(8)), MembersRequest(bytes(16)))
        for message in messages:
            received = Received(message, 9, True)
            self.node._receive_message(link, link.session, received, THERE, 66)
            self.assertEqual((link, link.path.trial, self.node.transmitted), (before, None, []))
        self.time += 0.5
        self._receive(link, Leave())
        self._receive(link, Heartbeat(0, bytes(8), other), False)
        self.assertEqual((link, self.node.transmitted), (before, []))
        self._receive(link, Heartbeat(0, bytes(8), other))
        self.assertEqual((link.state, link.reflected[0]), (UP, other))
        self.assertIn("HeartbeatAck", [verdict(data) for data in self.node.transmitted])

    def test_one_introducer_takes_no_other_one_s_turn(self) -> None:
        seeker, beaten = self._up(0), []
        others = [self._up(i) for i in range(1, 19)]
        self.node.liveness.heartbeat = beaten.append
        for link in (others[0], others[0], *others):
            self.node.finder.on_rendezvous(link, Rendezvous(seeker.id, (THERE,)))
        self.assertEqual(beaten, [seeker] * 16)
        for _ in range(2):  # what was not acted upon takes no turn
            self.time += 0.3
            self.node.finder.on_rendezvous(others[0], Rendezvous(seeker.id, (THERE,)))
        self.assertEqual((len(beaten), list(seeker.introduced)), (17, [others[0].id]))
        self.time += 0.6
        seeker.outstanding = [None]
        self.node.finder.on_rendezvous(others[0], Rendezvous(seeker.id, (THERE,)))
        self.assertEqual(len(beaten), 17)

    def test_what_others_told_makes_room_for_what_the_node_knows(self) -> None:
        link, teller = self.node.make_link(self.ids[0], KEPT), self._up(1)
        places = [Address("192.0.2.1", port) for port in range(1, 11)]
        for place, probes in zip(places[:8], (2, 1, 3, 0, 1, 2, 0, 3)):
            by = teller.id if place in places[:2] else None
            link.candidates[place] = Candidate(self.time + 1.0, bytes(8), by, probes)
        gone = [places[0], places[1], places[7]]
        for place, told_by in ((places[8], None), (places[9], None), (THERE, teller)):
            self.node.finder.consider(link, [place], told_by)
            link.candidates[place].probes = 0
            self.assertNotIn(gone.pop(0), link.candidates)
            self.assertEqual(len(link.candidates), 8)

    def test_one_teller_spends_its_share_and_no_more(self) -> None:
        tellers = [self._up(i) for i in range(2)]
        news = [replace(self.node.members[member], revision=2) for member in self.ids]

        def taken(teller: Link, records: list[Record]) -> int:
            return [self.node.lists._take(teller, record) for record in records].count(Merged.NEWS)

        self.assertEqual([taken(tellers[0], news), taken(tellers[0], news), taken(tellers[1], news)], [256, 0, 44])
        news = [replace(record, revision=3) for record in news]
        self.time += 60.0
        self.node.budgets.news = Budget(0, 1e9, self.time)
        self.assertEqual(taken(tellers[0], news), 0)
        self.node.budgets.news = Budget(1024, 10.0, self.time)
        self.assertEqual(taken(tellers[0], news), 1)

    def test_pages_go_where_they_were_asked_for_by_the_current_path(self) -> None:
        link, other = self._up(0), self._up(1)

        def pages(link: Link, requests: int, source: Address | None = None) -> int:
            self.node.transmitted.clear()
            for _ in range(requests):
                self.node.lists.on_request(link, MembersRequest(bytes(16)), source or link.path.current)
            return len(self.node.transmitted)

        self.assertEqual([pages(link, 5, HERE), pages(link, 300), pages(other, 3)], [0, 256, 3])
        self.time += 0.6
        self.assertEqual(pages(link, 5), 2)

    def _attempt(self, other: Identity, token: Token | None = None) -> Attempt:
        """Somebody calls this node, as a member or by an invite."""
        secrets, payload = Secrets(0, bytes(8), member_prologue(bytes(16)), bytes(32)), InitiationPayload(bytes(8), "")
        if token is not None:
            secrets = Secrets(1, token.invite, join_prologue(token.invite), invite_psk(token.secret))
            payload = InitiationPayload(bytes(8), "y")
        return Attempt(other, self.node.identity.public_key, secrets, payload, 7, os.urandom(32), self.time)

    def _verdict_of(self, attempt: Attempt) -> tuple[int, Session | None]:
        """What the node answers to it."""
        self.node.transmitted.clear()
        self.node.receive(attempt.datagram(HERE, self.time), HERE)
        payload, session = attempt.read_response(decode(self.node.transmitted[0]), self.time)
        return payload.verdict, session

    def _confirm(self, session: Session) -> list[str]:
        """Why the node discards the next datagram under a session."""
        before = self.node.counters.copy()
        self.node.receive(session.make(Heartbeat(0, bytes(8), HERE), self.time)[0], HERE)
        return [name for name in self.node.counters - before if name.startswith("discarded ")]

    def test_a_handshake_of_who_is_not_admitted_goes_on_waiting(self) -> None:
        node = self.node
        token = Token.decode(node.responder.make_invite((HERE,)))
        first, second = (self._verdict_of(self._attempt(Identity(), token))[1] for _ in range(2))
        self.assertEqual((self._confirm(first), self._confirm(second)), ([], ["discarded not-a-member"]))
        self.assertEqual(self._confirm(second), ["discarded not-a-member"])
        node.responder.invites[token.invite].used_by = None
        self.assertEqual(self._confirm(second), [])

    def test_a_handshake_of_a_removed_node_ends_when_it_is_told(self) -> None:
        node = self.node
        node.members.put(node.members.removal(self.ids[0], self.ids[1]))
        session = self._verdict_of(self._attempt(self.others[0]))[1]
        sent: list[tuple[bytes, Address]] = []
        node.transmit = lambda data, address: sent.append((data, address))
        before = node.counters.copy()
        node.receive(session.make(Heartbeat(0, bytes(8), HERE), self.time)[0], THERE)
        self.assertEqual(node.counters - before, {"received": 1})  # accepted, and without effect
        ((data, address),) = sent
        told = session.open(decode(data), self.time).message
        self.assertEqual((told, address), (Members(False, (node.members[self.ids[0]],)), HERE))
        self.assertEqual((self._confirm(session), len(sent)), (["discarded unknown-index"], 1))

    def test_a_removed_node_whose_invite_was_spent_is_not_told(self) -> None:
        node = self.node
        node.members.put(node.members.removal(self.ids[0], self.ids[1]))
        token = Token.decode(node.responder.make_invite((HERE,)))
        session = self._verdict_of(self._attempt(self.others[0], token))[1]
        node.responder.invites[token.invite].used_by = self.ids[1]
        node.transmitted.clear()
        for _ in range(2):
            self.assertEqual((self._confirm(session), node.transmitted), (["discarded not-a-member"], []))

    def test_an_invite_of_another_clock_has_expired(self) -> None:
        node, days = self.node, 24 * 3600
        token = Token.decode(node.responder.make_invite((HERE,)))
        node.wall_ms = lambda: 1_793_000_000_000
        for ahead, expected in ((-1, 1), (0, 0), (30 * days, 0), (31 * days, 0), (31 * days + 1, 1)):
            node.responder.invites[token.invite].expiry = 1_793_000_000 + ahead
            self.assertEqual(self._verdict_of(self._attempt(Identity(), token))[0], expected, ahead)

    def test_nobody_undoes_its_own_removal_where_somebody_else_could_tell(self) -> None:
        link, members = self._up(0), self.node.members
        greater = Record(link.public_key, link.id, 7, MEMBER, 1, "y")
        for known, taken in (
            (replace(greater, admission=1, admitted_by=self.ids[1], state=REMOVED), False),
            (first_record(link.public_key, "x"), False),
            (configured(link.public_key), False),
            (provisional(link.public_key), True),
        ):
            members.put(known)
            self.node.lists._take(link, greater)
            self.assertEqual(members[link.id] == greater, taken)

    def test_whoever_says_that_it_was_removed_is_believed(self) -> None:
        link = self._up(0)
        told = Record(link.public_key, self.ids[1], 7, REMOVED, 1, "y")
        self._receive(link, Members(False, (replace(told, state=MEMBER),)))
        self.assertEqual(self.node.members[link.id], first_record(link.public_key, "x"))
        self._receive(link, Members(False, (told,)))
        self.assertEqual((self.node.members[link.id], link.id in self.node.links), (told, False))

    def test_a_record_with_a_zero_admitted_by_is_taken_from_nobody(self) -> None:
        link, node, stranger = self._up(0), self.node, Identity()
        for key in (self.others[1].public_key, stranger.public_key, link.public_key, node.identity.public_key):
            made = Record(key, bytes(16), 7, MEMBER, 1, "y")
            for told in (provisional(key), made, replace(made, state=REMOVED)):
                known = node.members.get(told.id)
                self._receive(link, Members(False, (told,)))
                self.assertEqual(node.members.get(told.id), known)
        self._receive(link, Members(False, (configured(stranger.public_key),)))
        self.assertEqual(node.members[stranger.id], configured(stranger.public_key))

    def test_a_list_that_differs_by_a_zero_admitted_by_alone_was_read_in_vain(self) -> None:
        link, node, stranger = self._up(0), self.node, Identity()
        for by, told_of, again in (
            (bytes(16), stranger, False),
            (bytes(16), self.others[1], False),
            (bytes(16), node.identity, False),
            (self.ids[1], stranger, True),
        ):
            removal = Record(told_of.public_key, by, 7, REMOVED, 1, "y")
            node.lists._digests[link.id] = digest([removal])
            node.lists._reading = reading = Reading(link.id, self.time)
            self._receive(link, Members(False, (removal,)))
            self.assertEqual((reading.fruitful, node.lists._is_fruitless(link.id)), (again, not again))
            node.lists._fruitless.clear()

    def test_a_removal_with_a_zero_admitted_by_is_none_to_a_joiner_and_to_one_who_leaves(self) -> None:
        link, _, _, told = self._joining()
        self._receive(link, Members(False, (replace(told.records[0], admitted_by=bytes(16)),)))
        self.assertEqual((link.state, self._called()), (UP, []))
        self.node.members.put(first_record(self.node.identity.public_key, "x"))
        self.node.lists.leave_cluster()
        confirmation = self.node.lists.farewell.removal
        for by, left in ((bytes(16), {link.id: link}), (link.id, {})):
            self._receive(link, Members(False, (replace(confirmation, admitted_by=by),)))
            self.assertEqual(self.node.links, left)

    def test_what_a_configuration_says_counts_more_than_a_provisional_record_and_less_than_a_first_one(self) -> None:
        key = self.others[0].public_key
        told = [provisional(key), configured(key), first_record(key, "0")]  # the name would count for less
        for records in (told, told[::-1]):
            members = MemberList(self.node.identity.id)
            for record in records:
                members.merge(record, lambda: True)
            self.assertEqual(list(members), [told[-1]])

    def test_an_inviter_of_which_only_the_provisional_record_is_known_is_not_removed(self) -> None:
        link, node = self._up(0), self.node
        for known, kept in ((provisional(link.public_key), True), (configured(link.public_key), False)):
            node.members.put(known)
            node.transmitted.clear()
            with contextlib.redirect_stdout(io.StringIO()) as said:
                obey(node, f"forget {crypto.base32(link.id)}")
            answer = json.loads(said.getvalue())
            self.assertEqual(answer.get("error", "").startswith("forget: the record of this inviter"), kept)
            self.assertEqual(node.members[link.id] == known, kept)
            self.assertEqual((link.id in node.links, node.transmitted == []), (kept, kept))

    def test_a_member_that_nobody_let_in_is_admitted_by_an_invite_like_any_other(self) -> None:
        node, (founder, neighbour, other) = self.node, self.others[:3]
        node.members.put(configured(neighbour.public_key))
        for number, joiner in enumerate((founder, neighbour), 1):
            token = Token.decode(node.responder.make_invite((HERE,)))
            again = self._verdict_of(self._attempt(joiner, token))[1]
            session = self._verdict_of(self._attempt(joiner, token))[1]
            self.assertEqual(self._confirm(session), [])
            record = Record(joiner.public_key, node.identity.id, number, MEMBER, 0, "y")
            self.assertEqual(node.members[joiner.id], record)
            self.assertEqual(node.responder.invites[token.invite].used_by, joiner.id)
            self.assertEqual((self._confirm(again), node.members[joiner.id]), ([], record))
            self.assertEqual(self._verdict_of(self._attempt(other, token))[0], wire.INVITE_USED)
            self.assertEqual(self._verdict_of(self._attempt(joiner, token))[0], wire.ACCEPTED)

    def test_a_member_that_nobody_let_in_is_a_stranger_to_an_invite_that_does_not_admit_it(self) -> None:
        node, other = self.node, self.others[0]
        known = node.members[other.id]
        token = Token.decode(node.responder.make_invite((HERE,)))
        late = self._verdict_of(self._attempt(other, token))[1]
        first = self._verdict_of(self._attempt(Identity(), token))[1]
        self.assertEqual(self._confirm(first), [])
        winner = node.responder.invites[token.invite].used_by
        node.links.pop(other.id, None)
        node.transmitted.clear()
        for _ in range(2):  # it goes on waiting, as a stranger's does
            self.assertEqual(self._confirm(late), ["discarded not-a-member"])
        self.assertEqual((node.members[other.id], node.responder.invites[token.invite].used_by), (known, winner))
        self.assertEqual((other.id in node.links, node.transmitted), (False, []))
        self.assertEqual(self._confirm(self._verdict_of(self._attempt(other))[1]), [])  # in mode 0 it is a member
        node.members.put(Record(other.public_key, self.ids[1], 1, MEMBER, 0, "x"))
        self.assertEqual(self._confirm(late), [])  # somebody else let it in meanwhile

    def test_the_invite_of_a_member_that_somebody_let_in_stays_good(self) -> None:
        node, other = self.node, self.others[0]
        known = Record(other.public_key, self.ids[1], 1, MEMBER, 0, "x")
        node.members.put(known)
        token = Token.decode(node.responder.make_invite((HERE,)))
        self.assertEqual(self._confirm(self._verdict_of(self._attempt(other, token))[1]), [])
        self.assertEqual((node.members[other.id], node.responder.invites[token.invite].used_by), (known, None))

    def test_verdicts_on_a_member_that_nobody_let_in(self) -> None:
        node, other, stranger = self.node, self.others[0], Identity()
        token = Token.decode(node.responder.make_invite((HERE,)))
        open_invite = node.responder.invites[token.invite]
        late = self._verdict_of(self._attempt(stranger, token))[1]
        node.members.members_max = 301  # full

        def verdicts() -> list[int]:
            return [self._verdict_of(self._attempt(joiner, token))[0] for joiner in (other, stranger)]

        self.assertEqual(verdicts(), [wire.ACCEPTED, wire.CLUSTER_FULL])
        session = self._verdict_of(self._attempt(other, token))[1]
        open_invite.expiry = 0
        self.assertEqual(verdicts(), [wire.INVITE_EXPIRED] * 2)
        open_invite.used_by = self.ids[1]
        self.assertEqual(verdicts(), [wire.INVITE_USED] * 2)
        open_invite.used_by = None
        self.assertEqual((self._confirm(late), open_invite.used_by), (["discarded not-a-member"], None))
        self.assertEqual((self._confirm(session), node.members[other.id].admission), ([], 1))  # in its own place
        self.assertEqual((verdicts()[0], len(node.members.members())), (wire.ACCEPTED, 301))

    def test_a_joiner_waits_for_a_record_that_another_member_made(self) -> None:
        link, joiner, own, _ = self._joining()
        mine = self.node.identity.public_key
        for told in (configured(mine), first_record(mine, "x")):
            self._receive(link, Members(False, (told,)))
            self._receive(link, Heartbeat(0, bytes(8), HERE))
            self.assertIs(self.node.joiner, joiner)
            record = replace(configured(mine), name="x", revision=1)  # it says its own name; nobody let it in by that
            self.assertEqual(self.node.members[self.node.identity.id], record)
        self._accept()
        self._receive(link, Heartbeat(0, bytes(8), HERE))  # a member that had its first record before it joined
        self.assertIs(self.node.joiner, joiner)
        self._receive(link, own)
        self.assertIsNone(self.node.joiner)

    def test_a_joiner_that_has_a_record_of_another_member_waits_for_a_word_only(self) -> None:
        link, _, own, _ = self._joining()
        self.node.members.put(own.records[0])
        self._receive(link, Heartbeat(0, bytes(8), HERE))
        self.assertIsNone(self.node.joiner)

    def test_only_a_handshake_that_waits_gets_the_same_response_again(self) -> None:
        node, other = self.node, self.others[0]
        attempt = self._attempt(other)
        initiation = attempt.datagram(HERE, self.time)

        def answer(data: bytes, source: Address = HERE) -> bytes:
            node.transmitted.clear()
            node.receive(data, source)
            return node.transmitted[0]

        first = answer(initiation)
        self.assertEqual(first, answer(initiation[:200] + b"another cookie.."))
        self.assertNotEqual(first, answer(initiation, THERE))
        session = attempt.read_response(decode(first), self.time)[1]
        node.receive(session.make(Heartbeat(0, bytes(8), HERE), self.time)[0], HERE)
        self.assertTrue(node.links[other.id].is_up)
        self.assertNotEqual(first, answer(initiation))

    def test_a_refusal_is_made_anew(self) -> None:
        node = self.node
        token = Token.decode(node.responder.make_invite((HERE,)))
        node.responder.invites[token.invite].used_by = self.ids[0]
        attempt = self._attempt(Identity(), token)
        for _ in range(2):
            node.receive(attempt.datagram(HERE, self.time), HERE)
        self.assertEqual(len(set(node.transmitted)), 2)
        self.assertEqual(attempt.read_response(decode(node.transmitted[1]), self.time)[0].verdict, 2)

    def test_orphan(self) -> None:
        self.node.links.clear()
        self.time, orphans = 500.0, []
        links = [self.node.make_link(self.ids[0], KEPT)]
        self.time = 520.0
        links.append(self.node.make_link(self.ids[1], KEPT))
        for self.time in (529.9, 530.1):
            self.node.liveness._watch_for_orphan()
            orphans.append(self.node.liveness.orphan)
        self.node.liveness.came_up(links[0])
        for state in (UP, SUSPECT, LOST):
            links[0].state = state
            self.node.liveness._watch_for_orphan()
            orphans.append(self.node.liveness.orphan)
        self.assertEqual(orphans, [False, True, False, False, True])

    def test_invites_and_waiting_handshakes_end_with_membership(self) -> None:
        for end in (lambda: self.node.was_removed(first_record(bytes(32), "x")), self.node.left_cluster):
            self.node.cluster = Cluster(bytes(16), bytes(32))
            self.node.responder.make_invite((HERE,))
            self.node.responder.unconfirmed[1] = None
            end()
            self.assertEqual((self.node.responder.invites, self.node.responder.unconfirmed), ({}, {}))


# --- processes ----------------------------------------------------------------------------------------------------


def until(condition: Callable[[], object], seconds: float = 20.0) -> bool:
    """Polls until the condition holds; what is not there yet counts as false."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if condition():
                return True
        except (LookupError, TypeError, ValueError):
            pass
        time.sleep(0.05)
    return False


class PeerProcess:
    """A peer of this package in a process of its own."""

    def __init__(self, folder: str, name: str, address: str) -> None:
        self.name, self.address, self.lines = name, address, []
        self.file = os.path.join(folder, name + ".json")
        self.process: subprocess.Popen | None = None

    def command(self, *arguments: str) -> None:
        subprocess.run([sys.executable, "-m", "peer", *arguments], cwd=ROOT, check=True)

    def create(self) -> None:
        self.command("create", self.file, "--name", self.name)

    def join(self, token: str) -> None:
        self.command("join", self.file, "--name", self.name, token)

    def start(self, heartbeat: float = 1.0) -> None:
        arguments = ["run", self.file, "--listen", self.address, "--heartbeat", str(heartbeat)]
        self.lines = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "peer", *arguments],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        threading.Thread(target=self._read, args=(self.process, self.lines), daemon=True).start()

    @staticmethod
    def _read(process: subprocess.Popen, lines: list) -> None:
        for line in process.stdout:
            lines.append(json.loads(line))
        process.stdout.close()

    def do(self, line: str) -> None:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def ask(self, line: str, key: str) -> object:
        """The answer to a command: the first new line with this key."""
        before = len(self.lines)
        self.do(line)
        found: list = []
        if not until(lambda: found.extend(l[key] for l in self.lines[before:] if key in l) or found, 15.0):
            raise AssertionError(f"{self.name} does not answer {line!r}: {self.lines[before:]}")
        return found[0]

    def status(self) -> dict:
        return self.ask("status", "status")

    def link(self, name: str) -> dict:
        return {p["name"]: p for p in self.status()["peers"]}[name]

    def sees(self, other: PeerProcess | Program, state: str = "up") -> bool:
        """Whether it has the other in this state, if up at its true address."""
        link = self.link(other.name)
        return link["state"] == state and (state != "up" or link["address"] == other.address)

    def is_at(self, confidence: str | None = None) -> bool:
        """Whether it knows its own address."""
        own = self.status()["own"]
        return any(o["address"] == self.address and confidence in (None, o["confidence"]) for o in own)

    def names(self) -> list[str]:
        """Of the members that are not removed."""
        return sorted(m["name"] for m in self.status()["members"] if m["state"] == MEMBER)

    def heard(self, kind: str) -> list[dict]:
        return [line for line in self.lines if line.get("event") == kind]

    def invite(self) -> str:
        return self.ask("invite " + self.address, "invite")

    def move(self, address: str) -> None:
        self.address = address
        self.ask("rebind " + address, "rebound")

    def ended(self) -> int:
        """Waits until it has ended by itself."""
        return self.process.wait(20)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ends this very process, by its pid."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(20)
        self.process.stdin.close()
        self.process = None
        return code


def found_with_ghosts(peer: PeerProcess, ghosts: int) -> bytes:
    """Starts a peer with a cluster of its own and so many members that nobody ever meets; returns its ID."""
    peer.create()
    state = State.read(peer.file)
    by = state.records[0].id
    state.records += [Record(os.urandom(32), by, i + 1, MEMBER, 0, f"ghost-{i:03}") for i in range(ghosts)]
    state.write(peer.file)
    peer.start()
    return by


class Program:
    """The program under test, in a process of its own."""

    def __init__(self, folder: str, name: str, address: str) -> None:
        self.name, self.address = name, address
        self.folder = os.path.join(folder, name)
        self.process: subprocess.Popen | None = None

    def cli(self, *arguments: str) -> str:
        command = [os.path.abspath(PROGRAM), "--state-dir", self.folder, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
        if done.returncode != 0:
            raise ValueError(f"{arguments}: {done.stderr}")
        return done.stdout

    def init(self) -> None:
        self.cli("init", "--name", self.name, "--listen", self.address)
        self._configure()

    def join(self, token: str) -> None:
        self.cli("join", "--name", self.name, "--listen", self.address, token)
        self._configure()

    def _configure(self) -> None:
        """Writes the address and a short HEARTBEAT into its configuration."""
        path = os.path.join(self.folder, "dddns.toml")
        with open(path, encoding="utf-8") as file:
            text = re.sub(r"(?m)^(listen|heartbeat) *=.*\n", "", file.read())
        with open(path, "w", encoding="utf-8") as file:
            file.write(f'listen = ["{self.address}"]\nheartbeat = "1s"\n' + text)

    def start(self) -> None:
        command = [os.path.abspath(PROGRAM), "--state-dir", self.folder, "run"]
        log = subprocess.DEVNULL
        self.process = subprocess.Popen(command, stdin=log, stdout=log, stderr=log)
        if not until(lambda: self.status()["node"], 20):
            raise AssertionError(f"{self.name} does not start")

    def status(self) -> dict:
        return json.loads(self.cli("status", "--json"))

    def link(self, name: str) -> dict:
        return {p["name"]: p for p in self.status()["peers"]}[name]

    def sees(self, other: PeerProcess | Program, state: str = "up") -> bool:
        """Whether it has the other in this state, if up at its true address."""
        link = self.link(other.name)
        return link["state"] == state and (state != "up" or link["addr"] == other.address)

    def is_at(self) -> bool:
        """Whether it knows its own address."""
        return any(a["addr"] == self.address for a in self.status()["node"]["addresses"])

    def names(self) -> list[str]:
        """Of the members that are not removed."""
        status = self.status()
        return sorted([p["name"] for p in status["peers"]] + [status["node"]["name"]])

    def invite(self) -> str:
        return self.cli("invite", "--address", self.address).strip().split()[-1]

    def move(self, address: str) -> None:
        """Only by a restart."""
        self.stop()
        self.address = address
        self._configure()
        self.start()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ends this very process, by its pid."""
        if self.process is None:
            return 0
        self.process.send_signal(how)
        code, self.process = self.process.wait(20), None
        return code


class OnLoopback(unittest.TestCase):
    """Gives each test class a folder and addresses of its own, and ends what it started."""

    folder: str
    processes: list

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.mkdtemp(prefix="dddns-peer-")
        cls.processes = []
        cls._host = 0
        cls._net = f"127.{random.randrange(64, 250)}.{random.randrange(250)}."

    @classmethod
    def tearDownClass(cls) -> None:
        for process in cls.processes:
            process.stop(signal.SIGTERM)
        shutil.rmtree(cls.folder)

    @classmethod
    def fresh_address(cls) -> str:
        cls._host += 1
        return f"{cls._net}{cls._host}:7733"

    @classmethod
    def peer(cls, name: str) -> PeerProcess:
        made = PeerProcess(cls.folder, name, cls.fresh_address())
        cls.processes.append(made)
        return made

    @classmethod
    def program(cls, name: str) -> Program:
        made = Program(cls.folder, name, cls.fresh_address())
        cls.processes.append(made)
        return made

    def eventually(self, condition: Callable[[], object], seconds: float = 20.0) -> None:
        self.assertTrue(until(condition, seconds))


class AmongPeers(OnLoopback):
    """Peers of this package among themselves."""

    def test_handshakes_that_cross(self) -> None:
        one, two = Identity(), Identity()
        cluster = Cluster(bytes(16), bytes(32))
        records = [first_record(one.public_key, "one"), first_record(two.public_key, "two")]
        places = [Address.parse(self.fresh_address()) for _ in range(2)]
        nodes = [
            Node(State(me.private_key, name, cluster, records=records, addresses={other.id: [place]}), own)
            for me, other, name, own, place in ((one, two, "one", *places), (two, one, "two", *places[::-1]))
        ]

        def pump() -> bool:
            for node in nodes:
                node.receive_all(0.01)
                node.tick()
            return all(node.up_links() for node in nodes)

        self.eventually(pump)
        links = [node.up_links()[0] for node in nodes]
        before = [node.counters["sessions"] for node in nodes]
        for node, link in zip(nodes, links):
            node.initiate(link, link.path.current, 0.0)
        self.eventually(lambda: pump() and [node.counters["sessions"] - n for node, n in zip(nodes, before)] == [2, 2])
        first, second = (link.session for link in links)
        self.assertEqual((first.local, first.remote), (second.remote, second.local))
        self.assertEqual(first.initiator, one.id < two.id)
        for node in nodes:
            node.stop()

    def test_cluster_of_three(self) -> None:
        one, two, three = (self.peer(name) for name in ("one", "two", "three"))
        one.create()
        one.start()
        for joiner in (two, three):
            joiner.join(one.invite())
            joiner.start()
        pairs = [(a, b) for a in (one, two, three) for b in (one, two, three) if a is not b]
        self.eventually(lambda: all(a.sees(b) for a, b in pairs))
        self.eventually(lambda: all(node.is_at("agreed") for node in (one, two, three)))

        three.move(self.fresh_address())
        self.eventually(lambda: one.sees(three) and two.sees(three) and three.is_at("agreed"))

        one.move(self.fresh_address())
        two.move(self.fresh_address())
        self.eventually(lambda: all(a.sees(b) for a, b in pairs), 30)

        one.do("rekey two")
        two.do("rekey one")
        self.eventually(lambda: one.status()["counters"]["sessions"] > 2)
        self.eventually(lambda: one.link("two")["initiator"] != two.link("one")["initiator"])
        self.assertFalse(one.link("two")["state"] != "up" or one.heard("conflict"))

        copy = self.peer("copy")
        shutil.copy(three.file, copy.file)
        copy.start()
        self.eventually(lambda: copy.heard("conflict"))
        self.assertTrue(one.link("three")["state"] == "conflict" or two.link("three")["state"] == "conflict")
        self.assertEqual(one.link("three")["address"], three.address)
        copy.stop(signal.SIGKILL)

        two.stop(signal.SIGKILL)
        two.start()
        self.eventually(lambda: one.sees(two) and two.sees(one))
        two.do("leave")
        self.eventually(lambda: one.names() == ["one", "three"] == three.names())
        self.assertEqual(two.ended(), 0)
        one.ask("forget three", "forgotten")
        self.eventually(lambda: three.status()["removed_by"] == "one" and one.names() == ["one"])


@unittest.skipUnless(PROGRAM, "DDDNS_PROGRAM does not name the program")
class WithTheProgram(OnLoopback):
    """Peers of this package and the program in one cluster."""

    def test_joining_moving_locating_leaving(self) -> None:
        alpha, peer, third, mover = self.program("alpha"), self.peer("peer"), self.program("third"), self.peer("mover")
        alpha.init()
        alpha.start()
        peer.join(alpha.invite())
        peer.start()
        self.eventually(lambda: alpha.sees(peer) and peer.sees(alpha))
        self.eventually(lambda: alpha.is_at() and peer.is_at())

        with self.subTest("the link lasts over several heartbeats"):
            before = peer.status()["counters"]
            self.eventually(
                lambda: peer.status()["counters"]["received HeartbeatAck"] > before["received HeartbeatAck"] + 3
            )
            self.assertEqual(peer.status()["counters"]["sessions"], before["sessions"])
            self.assertFalse(peer.heard("suspect"))

        with self.subTest("the peer makes a new session"):
            peer.ask("rekey alpha", "rekeying")
            self.eventually(lambda: peer.status()["counters"]["sessions"] == before["sessions"] + 1)
            self.assertTrue(peer.sees(alpha) and alpha.sees(peer))

        with self.subTest("the peer moves"):
            peer.move(self.fresh_address())
            self.eventually(lambda: alpha.sees(peer) and peer.is_at())

        with self.subTest("the program moves"):
            alpha.move(self.fresh_address())
            self.eventually(lambda: peer.sees(alpha) and alpha.sees(peer))

        with self.subTest("others join through the peer"):
            third.join(peer.invite())
            third.start()
            mover.join(peer.invite())
            mover.start()
            nodes = (alpha, peer, third, mover)
            pairs = [(a, b) for a in nodes for b in nodes if a is not b]
            self.eventually(lambda: all(a.sees(b) for a, b in pairs), 30)
            self.eventually(lambda: all(node.is_at() for node in nodes))

        with self.subTest("the peer locates"):
            peer.ask("locate mover", "locate")
            self.eventually(lambda: any(e["address"] == mover.address for e in peer.heard("located")))

        with self.subTest("the program locates"):
            third.stop()
            alpha.stop(signal.SIGKILL)
            self.eventually(lambda: peer.sees(third, "left"))
            mover.move(self.fresh_address())
            self.eventually(lambda: peer.sees(mover))
            before = peer.status()["counters"].get("received Locate", 0)
            alpha.start()
            self.eventually(lambda: alpha.sees(mover) and alpha.sees(peer) and peer.sees(alpha))
            self.assertGreater(peer.status()["counters"]["received Locate"], before)

        with self.subTest("the peer restarts"):
            peer.stop(signal.SIGKILL)
            peer.start()
            self.eventually(lambda: peer.sees(alpha) and alpha.sees(peer) and peer.sees(mover))

        with self.subTest("the peer leaves and comes back"):
            self.assertEqual(peer.stop(), 0)
            self.eventually(lambda: alpha.sees(peer, "left"))
            peer.start()
            self.eventually(lambda: alpha.sees(peer))

        with self.subTest("removals, by the peer and by the program"):
            peer.ask("forget third", "forgotten")
            self.eventually(lambda: "third" not in alpha.names())
            alpha.cli("forget", "mover")
            self.eventually(lambda: mover.status()["removed_by"] == "alpha" and "mover" not in peer.names())

        with self.subTest("nothing was malformed"):
            refused = (
                "bad-tag",
                "bad-seal",
                "bad-length",
                "bad-address",
                "not-ascending",
                "handshake",
                "mac1",
                "replay",
            )
            self.assertFalse({k: v for k, v in alpha.status()["counters"].items() if k in refused and v})
            self.assertFalse(
                {k: v for k, v in peer.status()["counters"].items() if k.removeprefix("discarded ") in refused}
            )

        with self.subTest("a removed node comes back by an invite"):
            mover.stop()
            mover.join(alpha.invite())
            mover.start()
            self.eventually(lambda: alpha.sees(mover) and peer.sees(mover) and mover.sees(peer))

        with self.subTest("a node that is removed while it is away hears of it"):
            mover.stop()
            self.eventually(lambda: alpha.sees(mover, "left"))
            peer.ask("forget mover", "forgotten")
            self.eventually(lambda: "mover" not in alpha.names())
            mover.start()
            self.eventually(lambda: mover.status()["removed_by"] == "peer")
            mover.stop()
            mover.join(peer.invite())
            mover.start()
            self.eventually(lambda: alpha.sees(mover) and peer.sees(mover) and mover.sees(alpha))

        with self.subTest("leaving the cluster, the peer and the program"):
            peer.do("leave")
            self.eventually(lambda: "peer" not in alpha.names() + mover.names())
            self.assertEqual(peer.ended(), 0)
            alpha.cli("leave")
            self.eventually(lambda: mover.names() == ["mover"])

    def test_handshakes_that_cross(self) -> None:
        """STATE-5: this end is silent until the program calls anew, and then calls before it answers."""
        beta, place = self.program("beta-3"), Address.parse(self.fresh_address())
        beta.init()
        beta.start()
        node = Node(State(os.urandom(32), "one", token=beta.invite()), place, 1.0)

        def pump() -> bool:
            node.receive_all(0.01)
            node.tick()
            return bool(node.up_links()) and not node.lists.is_reading() and len(node.members) == 2

        self.eventually(pump)
        link, before, held = node.up_links()[0], node.counters["sessions"], []

        def called() -> bool:
            with contextlib.suppress(OSError):
                held.append(node._socket.recvfrom(2048))
            return any(verdict(data) == "Initiation" for data, _ in held)

        self.eventually(called)
        node.initiate(link, link.path.current, 0.0)
        for data, (ip, port) in held:
            node.receive(data, Address(ip, port))
        self.eventually(lambda: pump() and node.counters["sessions"] == before + 2)
        self.eventually(lambda: pump() and link.session.seen > 3)
        self.assertEqual(link.session.initiator, node.identity.id < link.id)
        node.stop()

    def test_the_program_under_load(self) -> None:
        """Cookies, with this package as the responder: in one process, so that its budget can be spent."""
        beta = self.program("beta-1")
        me, place = Identity(), Address.parse(self.fresh_address())
        state = State(
            me.private_key, "one", Cluster(bytes(16), bytes(32)), records=[first_record(me.public_key, "one")]
        )
        node = Node(state, place)
        node.budgets.handshakes_open = Budget(0, 1e9, node.now())
        joining = threading.Thread(target=beta.join, args=(invite(node, [place]),))
        joining.start()

        def pump() -> bool:
            node.receive_all(0.01)
            node.tick()
            return not joining.is_alive() and node.members.find("beta-1") is not None

        self.eventually(pump)
        joining.join()
        self.assertEqual(node.counters["discarded cookie-demanded"], 1)
        node.stop()

    def test_lists_of_several_pages(self) -> None:
        peer, beta = self.peer("peer"), self.program("beta")
        found_with_ghosts(peer, 25)
        beta.join(peer.invite())
        beta.start()
        self.eventually(lambda: len(beta.names()) == 27 and beta.names() == peer.names())
        gamma = self.peer("gamma")
        gamma.join(beta.invite())
        gamma.start()
        self.eventually(lambda: gamma.names() == beta.names() == peer.names(), 30)

    def test_beyond_a_full_mesh(self) -> None:
        peer, beta = self.peer("peer-2"), self.program("beta-2")
        by = found_with_ghosts(peer, 150)
        beta.join(peer.invite())
        beta.start()
        self.eventually(lambda: len(beta.names()) == 152 and beta.names() == peer.names())
        other = crypto.from_base32(beta.status()["node"]["id"])
        kept = are_neighbours(by, other, 152)
        self.eventually(lambda: (peer.link("beta-2")["role"] == "kept") == kept and peer.sees(beta))
        beta.move(self.fresh_address())
        self.eventually(lambda: peer.ask("locate beta-2", "locate") and peer.sees(beta))

    def test_two_machines_with_one_identity(self) -> None:
        alpha, peer = self.program("alpha-1"), self.peer("peer-1")
        alpha.init()
        alpha.start()
        peer.join(alpha.invite())
        peer.start()
        self.eventually(lambda: alpha.sees(peer) and peer.sees(alpha) and peer.names() == alpha.names())

        copy = self.peer("copy-of-peer")
        shutil.copy(peer.file, copy.file)
        copy.start()
        self.eventually(lambda: copy.heard("conflict"))
        self.eventually(lambda: alpha.link("peer-1")["state"] == "conflict")
        self.assertEqual(alpha.link("peer-1")["addr"], peer.address)
        copy.stop()

        twin = self.program("copy-of-alpha")
        shutil.copytree(alpha.folder, twin.folder, ignore=lambda _, names: [n for n in names if not self._is_file(n)])
        twin._configure()
        twin.start()
        self.eventually(lambda: peer.link("alpha-1")["state"] == "conflict")
        self.assertEqual(peer.link("alpha-1")["address"], alpha.address)
        self.eventually(lambda: twin.link("peer-1")["state"] == "conflict")
        alpha.stop(signal.SIGKILL)
        self.eventually(lambda: peer.link("alpha-1")["state"] == "lost")
        twin.stop(signal.SIGKILL)
        twin.start()
        self.eventually(lambda: peer.link("alpha-1")["address"] == twin.address)

    @staticmethod
    def _is_file(name: str) -> bool:
        return not name.endswith((".sock", ".lock"))

    def test_verdicts_of_both_decoders(self) -> None:
        lot = random.Random(7)
        right = [
            heartbeat(Heartbeat(1, bytes(8), HERE)),
            heartbeat(HeartbeatAck(1, bytes(8), THERE)),
            tagged(0x24, bytes(139)),
        ]
        right += [struct.pack(">BBBBI", 0xD1, kind, 0, 0, 5) + bytes(n) for kind, n in ((1, 208), (2, 151), (3, 48))]
        for _ in range(60):
            data = bytearray(lot.choice(right)[: lot.choice((2, 16, 1000, 1000, 1000))])
            for at in lot.sample(range(len(data)), lot.randrange(2)):
                data[min(at, lot.choice((4, 60)))] = lot.choice((0, 1, 16))
            command = [os.path.abspath(PROGRAM), "--color", "never", "decode", data.hex()]
            said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
            self.assertEqual(
                re.findall(r"(?:malformed|well-formed): ([\w-]+)", said)[-1:], [verdict(bytes(data))], data.hex()
            )


@unittest.skipUnless(PROGRAM, "DDDNS_PROGRAM does not name the program")
class WithTheProgramAsTester(OnLoopback):
    """`dddns conformance` against a peer of this package; it runs beside the other tests, since it takes a while."""

    def test_conformance(self) -> None:
        code, report = CONFORMANCE.result()
        failed = [r for r in report["requirements"] if r["verdict"] == "fail"]
        self.assertEqual((code, report["failed"], failed), (0, 0, []))
        self.assertGreater(report["passed"], 50)
        under_load = [r["verdict"] for r in report["requirements"] if r["requirement"] in ("STATE-4", "AUTH-10")]
        self.assertEqual(under_load, ["pass", "pass"])


class ConformanceRun:
    """A peer of a cluster made for it, and the tester."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="dddns-peer-")
        self.target = PeerProcess(self.folder, "target", f"127.{random.randrange(64, 250)}.251.1:7733")
        self.target.create()
        self.target.start(heartbeat=10.0)
        command = [os.path.abspath(PROGRAM), "-q", "conformance", "--flood", "--json", self.target.invite()]
        self.tester = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def result(self) -> tuple[int, dict]:
        """The exit code and the report, once it is there."""
        report = self.tester.communicate(timeout=180)[0]
        return self.tester.returncode, json.loads(report)

    def end(self) -> None:
        """Ends these very processes."""
        if self.tester.poll() is None:
            self.tester.terminate()
            self.tester.communicate()
        self.target.stop()
        shutil.rmtree(self.folder)


CONFORMANCE: ConformanceRun


def setUpModule() -> None:
    """Begins what takes longest."""
    global CONFORMANCE
    if PROGRAM:
        CONFORMANCE = ConformanceRun()


def tearDownModule() -> None:
    """Ends it."""
    if PROGRAM:
        CONFORMANCE.end()


if __name__ == "__main__":
    unittest.main()

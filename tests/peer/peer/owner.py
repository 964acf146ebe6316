"""What the owner of a node may ask: one command a line, one JSON object a line in answer."""

from __future__ import annotations

import json
import os

from .crypto import base32
from .invites import ADDRESSES_MAX
from .link import KEPT, WANTED, Link
from .node import Node
from .timers import WANTED as WANTED_FOR
from .wire import Address, Record


def say(value: dict) -> None:
    """One JSON object a line."""
    print(json.dumps(value), flush=True)


def obey(node: Node, line: str) -> None:
    """One command; what cannot be done is said."""
    word, *arguments = line.split() or [""]
    try:
        if word == "invite":
            say({"invite": invite(node, [Address.parse(text) for text in arguments])})
        elif word == "status" and arguments:
            write_status(node, arguments[0])
            say({"written": arguments[0]})
        elif word == "status":
            say({"status": status(node)})
        elif word == "rebind":
            node.rebind(Address.parse(arguments[0]))
            say({"rebound": arguments[0]})
        elif word == "locate":
            say(locate(node, arguments[0]))
        elif word == "rekey":
            rekey(node, arguments[0])
            say({"rekeying": arguments[0]})
        elif word == "forget":
            node.lists.remove(named(node, arguments[0]))
            say({"forgotten": arguments[0]})
        elif word == "leave":
            leave(node)
        elif word == "stop":
            node.running = False
        elif word:
            say({"error": f"unknown command: {word}"})
    except (ValueError, IndexError, OSError) as failure:
        say({"error": f"{word}: {failure}"})


def named(node: Node, name: str) -> bytes:
    """The node ID of another member."""
    member = node.members.find(name)
    if member is None or member == node.identity.id or not node.members.is_member(member):
        raise ValueError(f"no other member is called {name}")
    return member


def invite(node: Node, addresses: list[Address]) -> str:
    """A token; without addresses those that peers reflected."""
    addresses = addresses or node.own.addresses()
    if node.cluster is None or not addresses:
        raise ValueError("no cluster, or no address of this node is known: say where it can be reached")
    return node.responder.make_invite(tuple(addresses[:ADDRESSES_MAX]))


def locate(node: Node, name: str) -> dict:
    """Where a member is; one without a link is wanted for a while (scale.md section 3)."""
    member = named(node, name)
    link = node.links.get(member)
    if link is None:
        node.search.may_call(WANTED)
        link = node.make_link(member, WANTED)
    if link.role != KEPT:
        link.role, link.role_until = WANTED, node.now() + WANTED_FOR
    if not link.is_up:
        node.finder.round(link)
    node.finder.asked_by_owner.add(member)
    node.finder.ask_others([member])
    return {"locate": name, "state": link.shown_state(node.now()), "address": _text(link.last_known())}


def rekey(node: Node, name: str) -> None:
    """Makes a new session with a peer now instead of after REKEY."""
    link = node.links.get(named(node, name))
    if link is not None:
        link.rekey_at = link.rekey_until = node.now()


def leave(node: Node) -> None:
    """Takes this node out of its cluster; one that was removed forgets that it was."""
    if node.cluster is None and node.removed_by is None:
        raise ValueError("no cluster")
    node.lists.leave_cluster()


def status(node: Node) -> dict:
    """Everything that tests and people may want to look at."""
    votes = node.own.votes.values()
    return {
        "name": node.name,
        "id": base32(node.identity.id),
        "public_key": base32(node.identity.public_key),
        "cluster": base32(node.cluster.id) if node.cluster else None,
        "removed_by": node.removed_by,
        "orphan": node.liveness.orphan,
        "own": [
            {"address": _text(v.address), "confidence": v.confidence, "mapping": v.mapping, "observers": v.groups}
            for v in votes
        ],
        "digest": node.members.digest().hex(),
        "members": [_member(node, record) for record in node.members],
        "peers": [_peer(node, link) for link in node.links.values()],
        "counters": dict(sorted(node.counters.items())),
    }


def write_status(node: Node, path: str) -> None:
    """The status as a file, replaced as a whole."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(status(node), file)
    os.replace(path + ".new", path)


def _member(node: Node, record: Record) -> dict:
    return {
        "name": node.label(record.id),
        "id": base32(record.id),
        "admission": record.admission,
        "state": record.state,
        "revision": record.revision,
        "admitted_by": base32(record.admitted_by),
    }


def _peer(node: Node, link: Link) -> dict:
    return {
        "name": node.label(link.id),
        "id": base32(link.id),
        "role": link.role,
        "state": link.shown_state(node.now()),
        "address": _text(link.path.published),
        "current": _text(link.path.current),
        "seen_s": None if link.heard is None else round(node.now() - link.heard, 3),
        "rtt_ms": None if link.rtt is None else round(link.rtt * 1000, 3),
        "initiator": link.session.initiator if link.session else None,
        "history": [str(address) for address in link.history],
    }


def _text(address: Address | None) -> str | None:
    return None if address is None else str(address)

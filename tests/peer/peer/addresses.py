"""Where am I? Scopes and the vote on a node's own address (addresses.md sections 1 and 2): pure functions."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from .wire import Address

_SCOPES = (
    ("loopback", ("127.0.0.0/8", "::1/128")),
    ("link-local", ("169.254.0.0/16", "fe80::/10")),
    ("private", ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")),
    ("cgnat", ("100.64.0.0/10",)),
)
_NETWORKS = [(name, ipaddress.ip_network(net)) for name, nets in _SCOPES for net in nets]
NEAR = ("loopback", "link-local")

Realm = tuple[str, int]


def scope(address: Address) -> str:
    """Section 1."""
    ip = ipaddress.ip_address(address.ip)
    return next((name for name, net in _NETWORKS if ip.version == net.version and ip in net), "global")


def realm(address: Address) -> Realm:
    """A scope together with a family."""
    return scope(address), 6 if ":" in address.ip else 4


def place(address: Address) -> bytes:
    """An IPv4 address, or the first 56 bits of an IPv6 address (ADDR-4, STATE-4, STATE-13)."""
    raw = address.pack()
    return raw[:7] if ":" in address.ip else raw[:16]


def may_be_told(address: Address, path: Address) -> bool:
    """ADDR-10: loopback and link-local addresses are for peers whose path has the same scope."""
    return scope(address) not in NEAR or scope(address) == scope(path)


def may_be_candidate(address: Address, path: Address | None) -> bool:
    """ADDR-9. `path` is how it came, nothing for what the node knows by itself."""
    ip = ipaddress.ip_address(address.ip)
    if not address.usable() or ip.is_multicast or address.ip == "255.255.255.255":
        return False
    if ip.version == 4 and ip in ipaddress.ip_network("0.0.0.0/8"):
        return False
    return path is None or may_be_told(address, path)


class Observation(NamedTuple):
    """What a peer reflected: the observer's address (the path of its link), the reflection, and when."""

    observer: Address
    reflection: Address
    at: float


class Vote(NamedTuple):
    """The outcome for one realm: what the ports say about a NAT, how many groups there are and agree on the address."""

    address: Address | None
    confidence: str
    mapping: str | None = None
    groups: int = 0
    agreeing: int = 0


def vote(observations: Iterable[Observation], own: Realm, before: Address | None) -> Vote:
    """ADDR-3 to ADDR-5, for one realm: the caller passes what counts by ADDR-2, the last one of each peer."""
    groups: dict[bytes, tuple[float, bytes, Address]] = {}
    for observation in observations:
        if realm(observation.reflection) == own == realm(observation.observer):
            mine = observation.at, observation.reflection.pack(), observation.reflection
            key = place(observation.observer)
            groups[key] = max(groups.get(key, mine), mine)
    count = len(groups)
    if count == 0:
        return Vote(before, "stale")
    votes = [reflection for _, _, reflection in groups.values()]
    ranking = Counter(v.ip for v in votes).most_common(2)
    best, runner_up = ranking[0][1], ranking[1][1] if len(ranking) > 1 else 0
    if count > 1 and not (best >= 2 and 2 * best > 3 * runner_up):
        agreeing = sum(before is not None and v.ip == before.ip for v in votes)
        return Vote(before, "disputed", None, count, agreeing)
    ports = Counter(v.port for v in votes if v.ip == ranking[0][0])
    leaders = [port for port, n in ports.items() if n == max(ports.values())]
    kept = before is not None and before.ip == ranking[0][0] and before.port in leaders
    port = before.port if before is not None and kept else min(leaders)
    mapping = None
    if sum(ports.values()) > 1:
        mapping = "endpoint-dependent" if len(ports) > 1 else "endpoint-independent"
    confidence = "single-observer" if count == 1 else "agreed"
    return Vote(Address(ranking[0][0], port), confidence, mapping, count, best)

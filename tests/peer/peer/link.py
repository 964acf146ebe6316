"""What a node keeps about one other member: sessions, path, liveness, candidates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from .handshake import Attempt
from .paths import Path
from .session import Session
from .timers import CONFLICT as CONFLICT_LASTS
from .timers import HISTORY_MAX, LEFT_PAUSE, RESEND_FIRST
from .wire import Address, node_id

KEPT, WANTED, SPARE, GUEST = "kept", "wanted", "spare", "guest"
UNKNOWN, UP, SUSPECT, LOST, LEFT, CONFLICT = "unknown", "up", "suspect", "lost", "left", "conflict"


class Beat(NamedTuple):
    """A heartbeat that was sent and not yet answered."""

    session: Session
    counter: int
    sent: float


@dataclass
class Candidate:
    """An address that somebody claims for a peer: worth a probe, never a fact (addresses.md section 4)."""

    due: float
    challenge: bytes
    told_by: bytes | None
    probes: int = 0
    busy_until: float | None = None
    again_at: float = 0.0


@dataclass
class Contest:
    """A session with another run of the peer, while the present one is asked (STATE-10)."""

    session: Session
    address: Address | None
    challenge: bytes
    begun: float
    challenges: int = 0


@dataclass
class Replaced:
    """The run that was replaced last (state-machine.md section 6)."""

    incarnation: bytes
    at: float
    had_left: bool

    def may_return(self, incarnation: bytes, now: float) -> bool:
        """Whether this is that run, and it did not say Leave, and CONFLICT has not passed."""
        return self.incarnation == incarnation and not self.had_left and now - self.at < CONFLICT_LASTS


@dataclass
class Link:
    """One other member."""

    public_key: bytes
    role: str = KEPT
    role_until: float = 0.0
    state: str = UNKNOWN
    unknown_since: float = 0.0
    session: Session | None = None
    previous: Session | None = None
    previous_until: float = 0.0
    attempt: Attempt | None = None
    path: Path = field(default_factory=Path)
    history: list[Address] = field(default_factory=list)
    # liveness
    heard: float | None = None
    up_since: float | None = None
    heartbeat_at: float = 0.0
    outstanding: list[Beat] = field(default_factory=list)
    misses: int = 0
    resend_at: float = 0.0
    suspect_since: float = 0.0
    suspect_in_a_row: int = 0
    rtt: float | None = None
    rekey_at: float = float("inf")
    rekey_until: float = 0.0
    left_at: float = float("-inf")
    # looking for it
    rounds: int = 0
    retry_at: float = 0.0
    candidates: dict[Address, Candidate] = field(default_factory=dict)
    introduced: dict[bytes, float] = field(default_factory=dict)
    # what it tells
    reflected: tuple[Address, float] | None = None
    beaten_for_reflection: float = float("-inf")
    withheld_ack: tuple[Session, int] | None = None
    # two machines with its identity
    contest: Contest | None = None
    replaced: Replaced | None = None
    conflict_until: float = float("-inf")

    def __post_init__(self) -> None:
        self.id = node_id(self.public_key)

    @property
    def is_up(self) -> bool:
        return self.state == UP

    @property
    def reflected_at(self) -> float:
        """When its last reflection came; never, if none has come since it was last up."""
        return self.reflected[1] if self.reflected else float("-inf")

    def comes_back(self, session: Session, newest: bool, now: float) -> bool:
        """Whether a datagram brings back the peer that left: what comes soon after a Leave may be older than it."""
        return session.established > self.left_at or newest and now - self.left_at >= LEFT_PAUSE

    def in_conflict(self, now: float) -> bool:
        return now < self.conflict_until

    def shown_state(self, now: float) -> str:
        """`conflict` is also how an up peer is shown of which there are two."""
        return CONFLICT if self.is_up and self.in_conflict(now) else self.state

    def sessions(self) -> list[Session]:
        """Those that datagrams are accepted under, the waiting one included."""
        waiting = self.contest.session if self.contest else None
        return [s for s in (self.session, self.previous, waiting) if s is not None]

    def last_known(self) -> Address | None:
        """The address in use, of a peer that is not up the last one known."""
        return self.path.current or (self.history[0] if self.history else None)

    def remember(self, address: Address) -> None:
        """Keeps HISTORY_MAX past addresses, the newest first."""
        self.history = [address, *(a for a in self.history if a != address)][:HISTORY_MAX]

    def resend_first(self) -> float:
        return max(RESEND_FIRST, 2 * (self.rtt or 0.0))

    def distrust_reflection(self) -> None:
        """ADDR-2: what it has reflected so far counts no more; ADDR-6 still compares with it."""
        if self.reflected is not None:
            self.reflected = self.reflected[0], float("-inf")

    def forget_sessions(self) -> None:
        self.session = self.previous = self.attempt = self.contest = self.withheld_ack = None
        self.outstanding = []

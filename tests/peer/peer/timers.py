"""Every timer, bound and budget by the name that timers.md has for it, in seconds."""

from __future__ import annotations

import random

RESEND_FIRST = 0.5
RESEND_MAX = 2.0
RTT_MAX = 2.0
RETRY_FIRST = (1.0, 2.0, 4.0, 8.0)
RETRY_MIN = 10.0
RETRY_MAX = 120.0
RETRY_ORPHAN = 20.0
ATTEMPT = 5.0
INITIATION_RESEND = 1.0
REKEY = 3600.0
REKEY_RETRY = 60.0
PREVIOUS = 30.0
PENDING = 10.0
PENDING_FRESH = 1.0
COOKIE = 120.0
PATH_WINDOW_MIN = 0.2
PATH_WINDOW_MAX = 1.0
PATH_TRIAL = 3.0
PATH_HOLD = 10.0
CONTEST_MIN = 1.0
CONTEST_CHALLENGES = 10
CONFLICT = 300.0
PROBE_INTERVAL = 0.5
PROBE_STAGGER = 0.05
SUBSCRIPTION = 60.0
RENDEZVOUS_MIN = 0.5
LEFT_PAUSE = 1.0
SOLE_PAUSE = 1.0
BURST_MIN = 1.0
BURST_MAX = 60.0
MOVED = 5.0
SYNC_DELAY = 1.0
SYNC_RESEND = 1.0
SYNC_FRUITLESS = 600.0
SYNC_REST = 0.25
FAREWELL_RESEND = 0.5
NEWS_PAUSE = 0.5
WANTED = 60.0
SPARE = 2.0
SPARE_BUSY = 10.0
SEARCH_DELAY = 2.0
SEARCH_STEP = 0.2
SEARCH_AT_ONCE = 8
SEARCH_RECENT = 600.0
SEARCH_PAUSE = 20.0
SEARCH_PAUSE_MAX = 120.0

MEMBERS_MAX = 1024
REMOVED_MAX = 1024
ADMISSION_COUNTED = (1 << 31) - 1
ADMISSION_MAX = (1 << 32) - 1
SYNC_TRIES = 20
FAREWELLS_MAX = 6
SUSPECT_AFTER = 2
SUSPECT_TIMES = 8
FULL_MESH = 128
DEGREE = 4
CALLED_MAX = 96
TELLINGS = 2
HELPERS = 2
HELPERS_MAX = 4
NEIGHBOURS_CALLED = 2
CONSULTED_MAX = 4
NEWS_PEERS = 12
INTRODUCERS_MAX = 16
LOCATE_PEERS = 3
LOCATE_ALL = 8
PEERS_MIN = 3
RETRY_ROUNDS = 6
CANDIDATES_MAX = 8
PROBES_MAX = 3
HISTORY_MAX = 8
SUBSCRIPTIONS_MAX = 4096
INVITES_MAX = 64
INVITE_TTL = 24 * 3600
INVITE_TTL_MAX = 30 * 24 * 3600
INVITE_SLACK = 24 * 3600
INVITE_MEMORY = 7 * 24 * 3600
PENDING_MAX = 64
PENDING_PEER_MAX = 4
SOURCES_MAX = 64
DRIFT_MAX_MS = 30_000
START_SPREAD = 0.5


def jittered(seconds: float, low: float, high: float) -> float:
    """A time with a factor drawn evenly from `low` to `high`."""
    return seconds * random.uniform(low, high)


class Intervals:
    """The timers that follow from HEARTBEAT, the one that a person sets."""

    def __init__(self, heartbeat: float = 10.0) -> None:
        self.heartbeat = heartbeat
        self.exchange = heartbeat / 5
        self.lost_after = 3 * heartbeat
        self.lost_least = heartbeat / 5
        self.vote_lifetime = 3 * heartbeat


class Budget:
    """So many at once, and one more each `gain` seconds."""

    def __init__(self, burst: int, gain: float, now: float) -> None:
        self.burst, self.gain = burst, gain
        self._left, self._at = float(burst), now

    def left(self, now: float) -> float:
        self._left = min(self.burst, self._left + (now - self._at) / self.gain)
        self._at = now
        return self._left

    def take(self, now: float) -> bool:
        """Spends one if there is one."""
        if self.left(now) < 1:
            return False
        self._left -= 1
        return True


class Shares:
    """A budget for each peer, so that none spends what all others have."""

    def __init__(self, burst: int, gain: float) -> None:
        self._burst, self._gain = burst, gain
        self._shares: dict[bytes, Budget] = {}

    def of(self, peer: bytes, now: float) -> Budget:
        """A peer's own. One that is whole again is as good as a new one, and forgotten."""
        if peer not in self._shares:
            self._shares = {i: share for i, share in self._shares.items() if share.left(now) < share.burst}
            self._shares[peer] = Budget(self._burst, self._gain, now)
        return self._shares[peer]


class Budgets:
    """Those of a whole node, and the shares of its peers."""

    def __init__(self, now: float) -> None:
        self.probes = Budget(100, 0.02, now)
        self.probe_shares = Shares(16, 0.1)
        self.meetings = Budget(256, 0.1, now)
        self.news = Budget(1024, 10.0, now)
        self.news_shares = Shares(256, 60.0)
        self.pages = Shares(256, 0.25)
        self.handshakes_open = Budget(32, 0.1, now)
        self.handshakes_proven = Budget(64, 0.02, now)

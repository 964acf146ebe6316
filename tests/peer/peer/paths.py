"""Where is a peer? The path rule (addresses.md section 3) of one link, without any I/O.

Every method takes the time, changes the path and returns what is to be done about it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Union

from .timers import PATH_HOLD, PATH_TRIAL, PATH_WINDOW_MAX, PATH_WINDOW_MIN
from .wire import Address

CHALLENGE_SIZE = 40
CHALLENGES_TO_OLD = 3


@dataclass(frozen=True)
class Challenge:
    """Send a PathChallenge with these bytes."""

    address: Address
    data: bytes


@dataclass(frozen=True)
class Current:
    """This address is in use now."""

    address: Address


@dataclass(frozen=True)
class Published:
    """People and programs are told this address now."""

    address: Address


@dataclass(frozen=True)
class PathConflict:
    """The old address answered: it stays, the new one is held."""

    old: Address
    new: Address


@dataclass(frozen=True)
class Forgotten:
    """The new address did not answer, or another one took its place, or the old one proved itself otherwise."""

    new: Address
    replaced: bool = False


Decision = Union[Challenge, Current, Published, PathConflict, Forgotten]


@dataclass
class Trial:
    """An address that has to prove itself, and the one that it would replace."""

    new: Address
    old: Address | None
    begun: float
    window: float
    credit: int
    answered: bool
    to_new: bytes
    to_old: bytes
    old_challenges: int = 0
    asked: bool = False
    due: float = field(init=False)

    def __post_init__(self) -> None:
        self.due = self.begun


class Path:
    """The current, the published and the tried address of a link."""

    def __init__(self, random: Callable[[int], bytes] = os.urandom) -> None:
        self.current: Address | None = None
        self.published: Address | None = None
        self.trial: Trial | None = None
        self.held: dict[Address, float] = {}
        self._random = random

    @staticmethod
    def window(rtt: float | None) -> float:
        """PATH_WINDOW."""
        return PATH_WINDOW_MAX if rtt is None else min(PATH_WINDOW_MAX, max(PATH_WINDOW_MIN, 3 * rtt))

    def spend(self, address: Address, size: int) -> bool:
        """ADDR-7: whether so many bytes may go to an address now; if so, they are counted."""
        if address == self.current:
            return True
        trial = self.trial
        if trial is None or address != trial.new:
            return trial is not None and address == trial.old
        if trial.answered:
            return True
        if size > trial.credit:
            return False
        trial.credit -= size
        return True

    def datagram(self, source: Address, size: int, rtt: float | None, now: float) -> list[Decision]:
        """A datagram with the highest counter of the current session so far came."""
        trial = self.trial
        if trial is not None and source == trial.old:
            return self._conflict(trial, now)
        if source == self.current:
            return []
        if trial is not None and source == trial.new:
            trial.credit += size
            return self.tick(now)
        if trial is not None and trial.answered or self.held.get(source, now) > now:
            return []
        replaced: list[Decision] = [Forgotten(trial.new, True)] if trial is not None else []
        self.trial = self._begin(source, self.current, rtt, size, False, now)
        return [*replaced, *self.tick(now)]

    def response(self, data: bytes, now: float) -> list[Decision]:
        """A PathResponse came; from where does not matter."""
        trial = self.trial
        if trial is None:
            return []
        if data == trial.to_new and not trial.answered:
            trial.answered = True
            self.current = trial.new
            return [Current(trial.new), *self.tick(now)]
        if data == trial.to_old:
            return self._conflict(trial, now)
        return []

    def proved(self, address: Address, rtt: float | None, now: float) -> list[Decision]:
        """An address was proved by other means: a handshake or a probe (ADDR-8)."""
        if address == self.current and self.trial is None:
            return self._publish()
        ended, self.trial, self.current = self.trial, None, address
        decisions: list[Decision] = [Forgotten(ended.new, True)] if ended is not None and ended.new != address else []
        decisions.append(Current(address))
        if self.published in (None, address):
            return decisions + self._publish()
        self.trial = self._begin(address, self.published, rtt, 0, True, now)
        return decisions + self.tick(now)

    def taken_in(self) -> None:
        """STATE-9: what was known of the path ends with the run that it belonged to."""
        self.current = self.published = self.trial = None
        self.held.clear()

    def tick(self, now: float) -> list[Decision]:
        """Whatever is due: challenges, the end of the window, the end of a trial."""
        self.held = {address: until for address, until in self.held.items() if until > now}
        trial = self.trial
        if trial is None:
            return []
        age = now - trial.begun
        if trial.answered and (age >= trial.window or trial.old is None):
            self.trial = None
            return self._publish()
        if not trial.answered and age >= PATH_TRIAL:
            self.trial = None
            return [Forgotten(trial.new)]
        decisions: list[Decision] = []
        if now < trial.due:
            if not trial.answered and not trial.asked and self.spend(trial.new, CHALLENGE_SIZE):
                trial.asked = True  # the first challenge was not paid for when the trial began
                decisions.append(Challenge(trial.new, trial.to_new))
            return decisions
        trial.due = now + trial.window / 3
        if trial.old is not None and trial.old_challenges < CHALLENGES_TO_OLD and age < trial.window:
            trial.old_challenges += 1
            decisions.append(Challenge(trial.old, trial.to_old))
        if not trial.answered and self.spend(trial.new, CHALLENGE_SIZE):
            trial.asked = True
            decisions.append(Challenge(trial.new, trial.to_new))
        return decisions

    def _begin(
        self, new: Address, old: Address | None, rtt: float | None, credit: int, answered: bool, now: float
    ) -> Trial:
        return Trial(new, old, now, self.window(rtt), credit, answered, self._random(8), self._random(8))

    def _publish(self) -> list[Decision]:
        if self.current is None or self.published == self.current:
            return []
        self.published = self.current
        return [Published(self.current)]

    def _conflict(self, trial: Trial, now: float) -> list[Decision]:
        """The old address stays, or becomes current again; the new one is ignored for PATH_HOLD."""
        self.trial = None
        self.held[trial.new] = now + PATH_HOLD
        self.current = trial.old
        return [PathConflict(trial.old, trial.new)] if trial.old is not None else []

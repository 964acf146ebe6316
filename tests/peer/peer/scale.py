"""Who is whose neighbour in a large cluster (scale.md section 1): pure functions."""

from __future__ import annotations

import hashlib

from .timers import DEGREE, FULL_MESH


def rounded(members: int) -> int:
    """P: the least power of two that is not below n."""
    return 1 << max(0, members - 1).bit_length()


def is_full_mesh(members: int) -> bool:
    return rounded(members) <= FULL_MESH


def are_neighbours(one: bytes, other: bytes, members: int) -> bool:
    """SCALE-1."""
    if is_full_mesh(members):
        return True
    p = rounded(members)
    low, high = min(one, other), max(one, other)
    lot = int.from_bytes(hashlib.sha256(b"dddns/1 neighbours" + low + high).digest()[:8], "big")
    return lot < (1 << 64) * DEGREE * (p.bit_length() - 1) // p

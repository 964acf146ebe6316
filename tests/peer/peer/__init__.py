"""A dddns peer in Python, written from the specification alone.

The pure functions that test vectors can be checked against are offered here; `python -m peer` runs a node.
"""

from .addresses import Observation, Vote, realm, scope, vote
from .crypto import ReplayWindow, base32, from_base32, full_step, session_keys, tag, totp_code, totp_value
from .invites import Token
from .members import MemberList, rank
from .paths import Path
from .scale import are_neighbours
from .wire import Address, Discard, Malformed, Record, decode, decode_body, mask, node_id, reencode, verdict

__all__ = [
    "Address", "Discard", "Malformed", "MemberList", "Observation", "Path", "Record", "ReplayWindow", "Token", "Vote",
    "are_neighbours", "base32", "decode", "decode_body", "from_base32", "full_step", "mask", "node_id", "rank", "realm",
    "reencode", "scope", "session_keys", "tag", "totp_code", "totp_value", "verdict", "vote",
]  # fmt: skip

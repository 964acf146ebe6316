"""What a node keeps from one run to the next: one JSON file, replaced as a whole, readable by its owner only."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import NamedTuple

from .invites import Invite
from .wire import MEMBER, Address, Record

FORMAT = 1


class Cluster(NamedTuple):
    """cryptography.md section 2."""

    id: bytes
    key: bytes


@dataclass
class State:
    """All that is stored. Incarnations, sessions and link times are not (AUTH-13)."""

    private_key: bytes
    name: str
    cluster: Cluster | None = None
    token: str | None = None
    accepted: bool = False  # by the token; otherwise the node still is what it was before (MEMB-16)
    removed_by: str | None = None
    records: list[Record] = field(default_factory=list)
    addresses: dict[bytes, list[Address]] = field(default_factory=dict)
    invites: list[Invite] = field(default_factory=list)

    def lists_member(self, member: bytes) -> bool:
        """Whether a node is in the member list and not removed."""
        return any(record.id == member and record.state == MEMBER for record in self.records)

    def write(self, path: str) -> None:
        value = {
            "format": FORMAT,
            "private_key": self.private_key.hex(),
            "name": self.name,
            "cluster": [self.cluster.id.hex(), self.cluster.key.hex()] if self.cluster else None,
            "token": self.token,
            "accepted": self.accepted,
            "removed_by": self.removed_by,
            "records": [record.encode().hex() for record in self.records],
            "addresses": {member.hex(): [str(a) for a in known] for member, known in self.addresses.items()},
            "invites": [invite.to_json() for invite in self.invites],
        }
        temporary = path + ".new"
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(value, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)

    @classmethod
    def read(cls, path: str) -> State:
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
        if value["format"] != FORMAT:
            raise ValueError(f"{path}: unknown format")
        return cls(
            bytes.fromhex(value["private_key"]),
            value["name"],
            Cluster(*map(bytes.fromhex, value["cluster"])) if value["cluster"] else None,
            value["token"],
            value.get("accepted", False),
            value["removed_by"],
            [Record.decode(bytes.fromhex(raw)) for raw in value["records"]],
            {bytes.fromhex(i): [Address.parse(a) for a in known] for i, known in value["addresses"].items()},
            [Invite.from_json(invite) for invite in value["invites"]],
        )

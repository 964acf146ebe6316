"""Command line and line-based control of a peer.

    python -m peer create STATE --name NAME           a new identity and a new cluster
    python -m peer join STATE --name NAME TOKEN       an identity that will join by an invite, once it runs
    python -m peer run STATE --listen IP:PORT         runs until SIGTERM, then says Leave
    python -m peer decode                             verdicts about datagrams on stdin

While it runs it prints one JSON object a line, and reads commands from stdin: `invite [ADDRESS...]`, `status [FILE]`,
`rebind ADDRESS`, `locate NAME`, `rekey NAME`, `forget NAME`, `leave`, `stop`.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys

from .decode import decode_stream
from .handshake import Identity
from .invites import Token
from .members import first_record
from .node import Node
from .owner import obey, say
from .store import Cluster, State
from .wire import NAME, Address, Malformed, node_id


def create(path: str, name: str) -> None:
    """The first node of a cluster (cryptography.md section 2, MEMB-3)."""
    identity = Identity()
    cluster = Cluster(os.urandom(16), os.urandom(32))
    State(identity.private_key, name, cluster, records=[first_record(identity.public_key, name)]).write(path)


def join(path: str, name: str, token: str) -> None:
    """A joiner; until it is accepted it stays what it was before. An earlier invite is forgotten (MEMB-16).

    Raises ValueError for one that has a cluster and is invited by somebody who is no member there.
    """
    if os.path.exists(path):
        state = State.read(path)
        if state.cluster is not None and not state.lists_member(node_id(Token.decode(token).inviter)):
            raise ValueError("it has a cluster, and no member of that made the token")
        state.name, state.token, state.accepted = name, token, False
    else:
        state = State(Identity().private_key, name, token=token)
    state.write(path)


def run(path: str, listen: Address, heartbeat: float) -> int:
    """Runs a node; 6 if its invite came to nothing and it is outside of any cluster."""
    node = Node(State.read(path), listen, heartbeat, lambda state: state.write(path), say)

    def stop(_signal: int, _frame: object) -> None:
        node.running = False

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    node.run(lambda line: obey(node, line))
    return 6 if node.failure else 0


def a_name(text: str) -> str:
    """WIRE-9."""
    if not NAME.match(text.encode()):
        raise ValueError(text)
    return text


def a_token(text: str) -> str:
    """formats.md section 7."""
    try:
        return Token.decode(text).encode()
    except Malformed as failure:
        raise ValueError(failure.name) from failure


def main() -> int:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m peer", description="a dddns peer")
    commands = parser.add_subparsers(dest="command", required=True)
    for word in ("create", "join", "run"):
        command = commands.add_parser(word)
        command.add_argument("state", help="the file with all that is kept")
        if word != "run":
            command.add_argument("--name", required=True, type=a_name)
        if word == "join":
            command.add_argument("token", type=a_token)
    command.add_argument("--listen", required=True, type=Address.parse, help="IP:PORT")
    command.add_argument("--heartbeat", default=10.0, type=float, help="HEARTBEAT in seconds, 1 to 60")
    commands.add_parser("decode")
    options = parser.parse_args()
    if options.command == "decode":
        decode_stream(sys.stdin.buffer, sys.stdout)
    elif options.command == "create":
        create(options.state, options.name)
    elif options.command == "join":
        try:
            join(options.state, options.name, options.token)
        except ValueError as failure:
            commands.choices["join"].error(str(failure))
    else:
        return run(options.state, options.listen, options.heartbeat)
    return 0


if __name__ == "__main__":
    sys.exit(main())

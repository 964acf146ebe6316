"""Differential mode: verdicts about datagrams without keys, to be compared by name with those of another decoder."""

from __future__ import annotations

import struct
from typing import BinaryIO, TextIO

from .wire import verdict


def decode_stream(datagrams: BinaryIO, verdicts: TextIO) -> None:
    """Reads datagrams, each after its length in 4 bytes big-endian; writes one line each, flushed."""
    while len(length := datagrams.read(4)) == 4:
        size = struct.unpack(">I", length)[0]
        data = datagrams.read(size)
        if len(data) < size:
            return
        verdicts.write(verdict(data) + "\n")
        verdicts.flush()

"""Differential mode: verdicts about datagrams without keys, to be compared by name with those of another decoder.

Nothing can be opened here, so what stands in the place of a sealed body is taken for the plain one: then the decoders
of sealed bodies are compared as well.
"""

from __future__ import annotations

import struct
from typing import BinaryIO, TextIO

from .wire import SEAL, Malformed, Tagged, decode, decode_body, is_sealed, type_name


def verdict_unsealed(data: bytes) -> str:
    """The first check of formats.md sections 8.1 and 8.2 that fails, or the message type, whatever seal and tag are."""
    try:
        datagram = decode(data)
        if isinstance(datagram, Tagged):
            plain = datagram.body[:-SEAL] if is_sealed(datagram.code) else datagram.body
            decode_body(datagram.code, datagram.header, plain)
        return type_name(datagram)
    except Malformed as failure:
        return failure.name


def decode_stream(datagrams: BinaryIO, verdicts: TextIO) -> None:
    """Reads datagrams, each after its length in 4 bytes big-endian; writes one line each, flushed."""
    while len(length := datagrams.read(4)) == 4:
        size = struct.unpack(">I", length)[0]
        data = datagrams.read(size)
        if len(data) < size:
            return
        verdicts.write(verdict_unsealed(data) + "\n")
        verdicts.flush()

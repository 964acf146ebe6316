"""A stranger on the nodes' network. Standard library only.

capture SECONDS FILE      in the switch's namespace: says "ready", then writes every dddns datagram that passes, one
                          line of hex each
attack FILE TARGET...     in the stranger's namespace: sends garbage and mutilated and replayed datagrams to each
                          target (ADDRESS:PORT) and prints {"sent": n, "answers": [hex...], "errors": n} as JSON
replay FILE TARGET...     sends the captured datagrams as they are, and prints the same
"""

import json
import random
import select
import socket
import sys
import time

PORT = 7733


def udp_payload(frame):
    """The payload of an Ethernet frame that carries UDP to or from PORT over IPv4, else None."""
    if len(frame) < 42 or frame[12:14] != b"\x08\x00" or frame[23] != 17:
        return None
    start = 14 + (frame[14] & 15) * 4
    source, destination, length = (int.from_bytes(frame[start + i : start + i + 2], "big") for i in (0, 2, 4))
    if PORT not in (source, destination):
        return None
    return frame[start + 8 : start + length]


def capture(seconds, path):
    every_protocol = 3
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(every_protocol))
    print("ready", flush=True)
    seen, end = {}, time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([link], [], [], left)[0]:
            payload = udp_payload(link.recv(65536))
            if payload:
                seen[payload.hex()] = None
    with open(path, "w") as file:
        file.writelines(line + "\n" for line in seen)


def garbage(captured):
    """Datagrams that no node may answer, made with a fixed seed."""
    dice = random.Random(7733)
    for length in list(range(0, 80)) + [159, 215, 216, 217, 1232, 1233, 1400]:
        yield dice.randbytes(length)
    for kind in range(256):
        for length in (16, 32, 40, 56, 66, 159, 216):
            yield bytes([0xD1, kind]) + dice.randbytes(length - 2)
    for datagram in captured:
        for length in range(0, len(datagram), 3):
            yield datagram[:length]
        yield datagram + b"\0"
        for _ in range(8):
            flipped = bytearray(datagram)
            flipped[dice.randrange(len(flipped))] ^= 1 << dice.randrange(8)
            # A flip inside mac2 is no forgery: without load it is not looked at.
            if datagram[1] != 1 or flipped[:192] != datagram[:192]:
                yield bytes(flipped)


def send(datagrams, targets):
    me = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    me.bind(("0.0.0.0", PORT))
    me.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sent, errors, answers = 0, 0, []

    def collect(wait):
        nonlocal errors
        while select.select([me], [], [], wait)[0]:
            try:
                answers.append(me.recv(65536).hex())
            except OSError:
                errors += 1

    for datagram in datagrams:
        for target in targets:
            try:
                me.sendto(datagram, target)
                sent += 1
            except OSError:
                errors += 1
        collect(0)
        time.sleep(0.0002)
    collect(2)
    print(json.dumps({"sent": sent, "answers": answers, "errors": errors}))


def main():
    command, *rest = sys.argv[1:]
    if command == "capture":
        capture(float(rest[0]), rest[1])
        return
    with open(rest[0]) as file:
        captured = [bytes.fromhex(line) for line in file]
    targets = [(address, int(port)) for address, port in (text.rsplit(":", 1) for text in rest[1:])]
    if command == "attack":
        send(garbage(captured), targets)
    elif command == "replay":
        send(captured, targets)


main()

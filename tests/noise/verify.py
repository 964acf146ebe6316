"""Makes the recorded handshakes again, from their keys alone, with code that has nothing in common with the program's.

Noise by the package noiseprotocol, primitives by cryptography and the standard library, everything else from
spec/formats.md and spec/cryptography.md: the handshake datagrams with mac1 and mac2, the keys of the session, the tagged
datagrams of both directions (tag, seal, address mask), the cookie, the invite token, the node ID.
"""

import base64
import hashlib
import hmac
import json
import struct
import sys
import warnings

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from noise.connection import Keypair, NoiseConnection

PROTOCOL = b"Noise_IKpsk2_25519_ChaChaPoly_SHA256"
MASK64 = (1 << 64) - 1


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def hmac_sha256(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def same(what, recorded, made):
    if bytes(recorded) != bytes(made):
        sys.exit(f"{what} differs\nrecorded {bytes(recorded).hex()}\nmade     {bytes(made).hex()}")


def noise(record, initiator, prologue, psk, public):
    """One end of the handshake, with its keys set."""
    end = NoiseConnection.from_name(PROTOCOL)
    role = "initiator" if initiator else "responder"
    if initiator:
        end.set_as_initiator()
        end.set_keypair_from_public_bytes(Keypair.REMOTE_STATIC, public["responder"])
    else:
        end.set_as_responder()
    end.set_keypair_from_private_bytes(Keypair.STATIC, record[f"{role}_secret"])
    end.set_keypair_from_private_bytes(Keypair.EPHEMERAL, record[f"{role}_ephemeral"])
    end.set_psks(psk=psk)
    end.set_prologue(prologue)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="One of ephemeral keypairs is already set")
        end.start_handshake()
    return end


def public_key(secret):
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def mac1(receiver, covered):
    return hmac_sha256(sha256(b"dddns/1 mac1", receiver), covered)[:16]


def expand(prk, info, length):
    """HKDF-Expand of RFC 5869, one block or less."""
    return hmac_sha256(prk, info, b"\x01")[:length]


def session_keys(hash_, k1, k2):
    prk = hmac_sha256(hash_, k1, k2)
    return {
        (what, end): expand(prk, f"dddns/1 {what} {end}".encode(), length)
        for what, length in (("totp", 20), ("seal", 32))
        for end in ("initiator", "responder")
    }


def mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK64
    return z ^ (z >> 31)


def masked(header, address):
    high, low = struct.unpack(">QQ", header)
    x, gamma = high ^ low, 0x9E3779B97F4A7C15
    mask = b"".join(struct.pack(">Q", mix((x + i * gamma) & MASK64)) for i in (1, 2, 3))
    return bytes(a ^ (m | 1) for a, m in zip(address, mask))


def handshake(record, public):
    """Checks both handshake datagrams; returns the keys of the session."""
    if record["join"]:
        prologue = b"dddns/1 join" + record["invite_id"]
        psk = sha256(b"dddns/1 invite", record["invite_secret"])
        name = record["name"].encode()
        payload1 = (bytes([len(name)]) + name).ljust(64, b"\0")
        invite, told = record["invite_id"], record["cluster_id"] + record["cluster_key"]
    else:
        prologue = b"dddns/1 member" + record["cluster_id"]
        psk = record["cluster_key"]
        payload1, invite, told = bytes(64), bytes(8), bytes(48)
    payload1 = record["initiator_incarnation"] + payload1
    initiation = struct.pack(">BBBBI", 0xD1, 1, record["join"], 0, record["initiator_index"]) + invite
    prologue += initiation
    ours = noise(record, True, prologue, psk, public)
    theirs = noise(record, False, prologue, psk, public)

    message = bytes(ours.write_message(payload1))
    initiation += message
    initiation += mac1(public["responder"], initiation)
    same("the initiation", record["initiation"], initiation + bytes(16))
    same("the initiator's key", public["initiator"], read_static(theirs, message, payload1))

    payload2 = struct.pack(">IB", record["responder_index"], 0) + record["observed"]
    payload2 += struct.pack(">Q", record["clock_ms"]) + record["responder_incarnation"] + told
    message = bytes(theirs.write_message(payload2))
    response = struct.pack(">BBHI", 0xD1, 2, 0, record["initiator_index"]) + message
    response += mac1(public["initiator"], response)
    same("the response", record["response"], response)
    same("the response's payload", payload2, ours.read_message(message))
    same("the handshake hash", ours.get_handshake_hash(), theirs.get_handshake_hash())

    k1 = ours.noise_protocol.cipher_state_encrypt.k
    k2 = ours.noise_protocol.cipher_state_decrypt.k
    return session_keys(ours.get_handshake_hash(), k1, k2)


def read_static(responder, message, payload):
    same("the initiation's payload", payload, responder.read_message(message))
    return responder.noise_protocol.handshake_state.rs.public_bytes


def tagged(record, keys, one):
    """Checks one datagram that was said after the handshake."""
    end = "initiator" if one["from_initiator"] else "responder"
    receiver = record["responder_index" if one["from_initiator"] else "initiator_index"]
    step = (record["clock_ms"] + one["after_ms"]) // 30000
    header = struct.pack(">BBBBIQ", 0xD1, one["kind"], step % 256, 0, receiver, one["counter"])
    body = bytes.fromhex(one["body"])
    if one["kind"] in (0x10, 0x11):
        body = body[:16] + masked(header, body[16:])
    if one["sealed"]:
        nonce = bytes(4) + struct.pack(">Q", one["counter"])
        body = ChaCha20Poly1305(keys["seal", end]).encrypt(nonce, body, header)
    value = hmac.new(keys["totp", end], struct.pack(">Q", step), hashlib.sha1).digest()
    tag = hmac_sha256(value, header, body)[:16]
    same(f"datagram {one['counter']} of the {end}", bytes.fromhex(one["datagram"]), header + body + tag)


def cookie(record, public):
    given = {key: bytes.fromhex(value) for key, value in record["cookie"].items()}
    made = hmac_sha256(given["secret"], record["observed"])[:16]
    covered = record["initiation"][:200]
    key = hmac_sha256(sha256(b"dddns/1 cookie", public["responder"]), given["nonce"], covered[184:])
    reply = struct.pack(">BBHI", 0xD1, 3, 0, record["initiator_index"]) + given["nonce"]
    reply += ChaCha20Poly1305(key).encrypt(bytes(12), made, b"")
    same("the cookie reply", given["reply"], reply)
    same("the initiation with mac2", given["initiation"], covered + hmac_sha256(made, covered)[:16])


def token(record, public):
    body = record["invite_id"] + record["invite_secret"] + public["responder"]
    body += struct.pack(">QB", record["expiry"], 1) + record["observed"]
    body += sha256(b"dddns/1 token", body)[:4]
    text = "dddns1" + base64.b32encode(body).decode().lower().rstrip("=")
    same("the token", record["token"].encode(), text.encode())


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        records = json.load(file)
    for record in records:
        texts = ("name", "token")
        for key, value in record.items():
            if isinstance(value, str) and key not in texts:
                record[key] = bytes.fromhex(value)
        public = {end: public_key(record[f"{end}_secret"]) for end in ("initiator", "responder")}
        same("the node ID", record["initiator_id"], sha256(b"dddns/1 node", public["initiator"])[:16])
        keys = handshake(record, public)
        for one in record["said"]:
            tagged(record, keys, one)
        cookie(record, public)
        token(record, public)
    print(f"{len(records)} handshakes, {sum(len(record['said']) for record in records)} datagrams: all the same")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Verifies an exported log against its hash chain and signed checkpoints. Standard library only; the format: docs/chain.md.

usage: verify_log.py LOG.jsonl CHECKPOINTS.jsonl PUBLIC_KEY    (64 hex digits); exits 1, naming the first bad position
"""

import base64
import hashlib
import json
import sys


def number(value):
    return value.to_bytes(8, "big")


def link(previous, event):
    leaf = b"\x00" + number(event["position"]) + number(event["version"])
    for part in (event["stream"], event["topic"], event["state"]):
        leaf += number(len(part.encode())) + part.encode()
    return hashlib.sha256(b"\x01" + previous + hashlib.sha256(leaf).digest()).digest()


# Ed25519 (RFC 8032), verification only. Points are affine: slow, short, and enough for checkpoints.
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def recover_x(y, sign):
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P:
        raise ValueError("not a point")
    return P - x if x & 1 != sign else x


def add(p, q):
    (x1, y1), (x2, y2) = p, q
    product = D * x1 * x2 * y1 * y2 % P
    return (x1 * y2 + x2 * y1) * pow(1 + product, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - product, -1, P) % P


def times(scalar, point):
    result = (0, 1)
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point, scalar = add(point, point), scalar >> 1
    return result


def decode(data):
    whole = int.from_bytes(data, "little")
    y = whole & (2**255 - 1)
    return recover_x(y, whole >> 255), y


BASE = (recover_x(4 * pow(5, -1, P) % P, 0), 4 * pow(5, -1, P) % P)


def signed(public_key, message, signature):
    try:
        r, key, s = decode(signature[:32]), decode(public_key), int.from_bytes(signature[32:], "little")
    except ValueError:
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + public_key + message).digest(), "little") % ORDER
    return len(signature) == 64 and s < ORDER and times(s, BASE) == add(r, times(challenge, key))


def verify(log, checkpoints, public_key):
    """What is wrong first, or None. Both files are read line by line."""
    waiting = {}
    for line in checkpoints:
        one = json.loads(line)
        message = "ledger checkpoint v1\n{position}\n{hash}\n{at}\n".format(**one).encode()
        if not signed(public_key, message, base64.b64decode(one["signature"])):
            return f"checkpoint at {one['position']}: not signed by this key"
        waiting.setdefault(one["position"], set()).add(one["hash"])
    head, position, versions = bytes(32), 0, {}
    for line in log:
        event = json.loads(line)
        position += 1
        if event["position"] != position:
            return f"position {position} is missing: {event['position']} comes after {position - 1}"
        versions[event["stream"]] = versions.get(event["stream"], 0) + 1
        if event["version"] != versions[event["stream"]]:
            return f"position {position}: {event['stream']} goes to version {event['version']}"
        head = link(head, event)
        if head.hex() != event["hash"]:
            return f"position {position}: the chain breaks here"
        if waiting.pop(position, {head.hex()}) != {head.hex()}:
            return f"position {position}: the chain is not the one that was signed; it was rewritten at or before this"
    if waiting:
        return f"the log ends at {position}, and {max(waiting)} was signed: its tail was cut"
    return None


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as the_log, open(sys.argv[2], encoding="utf-8") as the_checkpoints:
        wrong = verify(the_log, the_checkpoints, bytes.fromhex(sys.argv[3]))
    print(wrong or "the log is intact, and as it was signed")
    sys.exit(1 if wrong else 0)

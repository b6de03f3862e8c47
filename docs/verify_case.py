#!/usr/bin/env python3
"""Verifies a case file: signature, chain, checkpoints, texts. Standard library and verify_log.py; the format: docs/case-files.md.

usage: verify_case.py FILE.case.json PUBLIC_KEY    (64 hex digits); exits 1, saying what is wrong first
"""

import base64
import hashlib
import json
import re
import sys

from verify_log import link, signed


def sha256(data):
    return hashlib.sha256(data).digest()


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def texts_in(value):
    """Every {"id": …, "sha256": …} inside an event."""
    if isinstance(value, dict):
        if set(value) == {"id", "sha256"}:
            yield value["id"], value["sha256"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from texts_in(item)


def follow(run, events, public_key):
    """Whether the events lead, over the leaves of those between, to the signed checkpoint."""
    checkpoint, leaves = run["checkpoint"], bytes.fromhex(run["leaves"])
    text = "ledger checkpoint v1\n{position}\n{hash}\n{at}\n".format(**checkpoint).encode()
    if not signed(public_key, text, base64.b64decode(checkpoint["signature"])):
        return False
    head = bytes.fromhex(events[run["first"]]["previous"])
    for position in range(run["first"], checkpoint["position"] + 1):
        if position in events:
            head = link(head, events[position])
        else:
            head, leaves = sha256(b"\x01" + head + leaves[:32]), leaves[32:]
    return head.hex() == checkpoint["hash"] and not leaves


def verify(file, public_key):
    """What is wrong first, or None."""
    case, signature = file["case"], file["signature"]
    message = f"ledger case v1\n{sha256(canonical(case)).hex()}\n".encode()
    if file["format"] != "ledger case v1" or signature["key"] != public_key.hex():
        return "not a case file of this key"
    if not signed(public_key, message, bytes.fromhex(signature["signature"])):
        return "the signature is not that of this case"
    events = {event["position"]: event for event in case["events"]}
    for position, event in events.items():
        if link(bytes.fromhex(event["previous"]), event).hex() != event["hash"]:
            return f"position {position}: the event is not the one that its hash was made of"
    for run in case["proof"]:
        if not follow(run, events, public_key):
            return f"the events from position {run['first']} on do not lead to the signed checkpoint"
    digests = dict(pair for event in events.values() for pair in texts_in(json.loads(event["state"])))
    given = {text["id"] for text in case["texts"] if text["status"] == "given"}
    for text in file["texts"]:
        if (
            sha256(bytes.fromhex(text["salt"]) + text["text"].encode()).hex() != digests.get(text["id"])
            or text["id"] not in given
        ):
            return f"the text {text['id']} is not the one that the event was written with"
    if sha256(canonical(case["result"])).hex() != case["result_sha256"]:
        return "the result is not the one of its SHA-256"
    return None


if __name__ == "__main__":
    if len(sys.argv) != 3 or not re.fullmatch("[0-9a-f]{64}", sys.argv[2]):
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as the_file:
        wrong = verify(json.load(the_file), bytes.fromhex(sys.argv[2]))
    print(wrong or "the case is as it was signed")
    sys.exit(1 if wrong else 0)

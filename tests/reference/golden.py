#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Known answers of docs/hashing.md for golden.txt, which the tests here and the unit tests of lib/ both
check. Prints the file; it changes only with the rules, never otherwise."""

import ipaddress
import random

from balancer import hashing, maglev

HEAD = """\
# Known answers of docs/hashing.md. Made by golden.py.
# name NAME HASH
# hash SEED SOURCE DESTINATION SOURCE_PORT DESTINATION_PORT PROTOCOL HASH
# table SLOTS BACKENDS WEIGHTS DOWN DIGEST: backends backend-0, backend-1 ... are seats 0, 1 ...; their
#   weights are those of the list, again and again; DOWN: seats that do not serve, "-" none; the digest is
#   FNV-1a of 64 bits over the seat of each slot, 2 bytes, the low one first (ffff: nobody)
# seats SLOTS BACKENDS WEIGHTS DOWN SEAT,SEAT...: the same, each slot's seat by itself
"""
NAMES = ["a", "web-1", "web-2", "backend-0", "A.very_long-Name.of.63.letters.that.configuration.takes.just.so.xx"]
SEEDS = [0, 1, 0x5765697200000001, 0xFFFFFFFFFFFFFFFF]
FLOWS = [("198.18.0.7", "203.0.113.10", 1234, 443, 6), ("198.18.0.7", "203.0.113.10", 1234, 443, 17),
         ("0.0.0.0", "0.0.0.0", 0, 0, 0), ("255.255.255.255", "255.255.255.255", 65535, 65535, 255),
         ("2001:db8:7::7", "2001:db8:443::10", 53, 5353, 17), ("::", "::", 0, 0, 0)]
SQUARES = [i * i % 101 for i in range(50)]
TABLES = [  # slots, backends, weights, down
    (1021, 1, [100], []), (1021, 10, [100], []), (1021, 10, [100], [0]), (1021, 10, [100], [0, 1, 2, 3, 4]),
    (1021, 10, [100], list(range(9))), (1021, 3, [0], []), (101, 3, [65535, 1, 0], []),
    (4093, 50, SQUARES, []), (4093, 50, SQUARES, [1, 7, 30]),
    (4093, 50, SQUARES, [i for i in range(50) if i not in (3, 7, 10)]),
    (2, 3, [1], []), (3, 5, [7, 3], [0]), (65537, 1000, [100], []),
    *((slots, 1000, [1 + i % 100 for i in range(100)], []) for slots in (65537, 655373))]


def random_flows():
    rng = random.Random(1)
    for length in (4, 16) * 10:
        yield (*(str(ipaddress.ip_address(rng.randbytes(length))) for _ in range(2)), rng.randrange(65536),
               rng.randrange(65536), rng.choice((6, 17)))


def table(slots, backends, weights, down):
    members = [(maglev.name_hash(f"backend-{i}"), weights[i % len(weights)]) for i in range(backends)]
    live = set(range(backends)) - set(down)
    return maglev.live_table(maglev.configured_table(members, slots), members, live)


def flow_of(source, destination, *rest):
    return ipaddress.ip_address(source).packed, ipaddress.ip_address(destination).packed, *rest


def lines():
    yield from HEAD.splitlines()
    for name in NAMES:
        yield f"name {name} {maglev.name_hash(name):016x}"
    for seed in SEEDS:
        for flow in (*FLOWS, *random_flows()):
            words = " ".join(str(word) for word in flow)
            yield f"hash {seed:016x} {words} {hashing.slot_hash(flow_of(*flow), seed):016x}"
    for slots, backends, weights, down in TABLES:
        words = (f"{slots} {backends} {','.join(map(str, weights))} "
                 f"{','.join(map(str, down)) or '-'}")
        seats = table(slots, backends, weights, down)
        if slots <= 101:
            yield f"seats {words} {','.join(map(str, seats))}"
        else:
            yield f"table {words} {digest(seats):016x}"


def digest(seats):
    return maglev.fnv(b"".join(seat.to_bytes(2, "little") for seat in seats))


if __name__ == "__main__":
    print("\n".join(lines()))

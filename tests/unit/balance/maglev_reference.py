#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The Maglev tables of lib/balance/maglev.hh once more, slow and plain: prints the known answers
that test_maglev.cc pins. Written from the description, with exact fractions instead of counters."""

from collections import defaultdict
from math import ceil
from fractions import Fraction

M64 = (1 << 64) - 1
NO_SEAT = 0xFFFF


def mix(x):
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & M64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & M64
    return x ^ (x >> 31)


def scale(h, bound):
    return ((h >> 32) * bound) >> 32


def fnv(data):
    h = 0xCBF29CE484222325
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) & M64
    return h


def name_hash(name):
    return mix(fnv(name.encode()))


def pool(count, weight):
    return [(name_hash(f"backend-{i}"), weight(i)) for i in range(count)]


def configured(members, slots):
    table = [NO_SEAT] * slots
    heaviest = max(w for _, w in members)
    ranked = sorted((h, w, seat) for seat, (h, w) in enumerate(members) if w)
    position = {seat: (h >> 32) % slots for h, _, seat in ranked}
    rounds = defaultdict(list)  # round -> [(hash, weight, seat, turns taken)], first come first served

    def enqueue(h, w, seat, turns):
        # Turn number `turns` is due in the first round r with credit + (r + 1) * w >= (turns + 1) * heaviest.
        credit = scale(mix(h), heaviest)
        rounds[ceil(Fraction((turns + 1) * heaviest - credit, w)) - 1].append((h, w, seat, turns))

    for h, w, seat in ranked:
        enqueue(h, w, seat, 0)
    filled, number = 0, 0
    while True:
        for h, w, seat, turns in rounds.pop(number, []):
            while table[position[seat]] != NO_SEAT:
                position[seat] = (position[seat] + (h & 0xFFFFFFFF) % (slots - 1) + 1) % slots
            table[position[seat]] = seat
            filled += 1
            if filled == slots:
                return table
            enqueue(h, w, seat, turns + 1)
        number += 1


def minus_log2(u):
    """-log2(u / 2^64), 24 fractional bits, from 31-bit mantissas cut after each squaring."""
    u |= 1
    zeros = 64 - u.bit_length()
    x, bits = (u << zeros) >> 32, 0
    for _ in range(24):
        x = (x * x) >> 31
        bits = bits << 1 | (x >> 32)
        x >>= x >> 32
    return ((zeros + 1) << 24) - bits


def serve(table, members, slot, live):
    if table[slot] in live:
        return table[slot]
    fallen, total = table[slot], sum(w for _, w in members)
    others = total - members[fallen][1]
    first = scale(mix(M64 ^ members[fallen][0]), others)
    point = (first + table[:slot].count(fallen) * others) // table.count(fallen)
    for seat in sorted(set(range(len(members))) - {fallen}, key=lambda seat: members[seat][0]):
        if point < members[seat][1]:
            if seat in live:
                return seat
            break
        point -= members[seat][1]
    for k in range(128):
        seat = table[scale(mix(slot * 128 + k + 1), len(table))]
        if seat in live:
            return seat
    salt = mix(M64 ^ slot)
    return min(live, key=lambda seat: (Fraction(minus_log2(mix(members[seat][0] ^ salt)), members[seat][1]),
                                       members[seat][0]))


def live_table(table, members, live):
    live = [seat for seat in live if members[seat][1]]
    return [serve(table, members, slot, live) for slot in range(len(table))]


def digest(table):
    return fnv(b"".join(seat.to_bytes(2, "little") for seat in table))


print("name hash of '' and 'web-1':", hex(name_hash("")), hex(name_hash("web-1")))
print("3 equal, 13 slots:", configured(pool(3, lambda i: 100), 13))
print("10 equal, 1021 slots:", hex(digest(configured(pool(10, lambda i: 100), 1021))))
weighted = pool(50, lambda i: i * i % 101)
full = configured(weighted, 4093)
print("50 of weight i * i % 101, 4093 slots:", hex(digest(full)))
print("  1, 7, 30 down:", hex(digest(live_table(full, weighted, set(range(50)) - {1, 7, 30}))))
print("  all but 3, 7, 10 down:", hex(digest(live_table(full, weighted, {3, 7, 10}))))
print("1000 equal, 65537 slots:", hex(digest(configured(pool(1000, lambda i: 100), 65537))))
print("1000 of weight 1 + i % 100, 65537 slots:", hex(digest(configured(pool(1000, lambda i: 1 + i % 100), 65537))))
print("1000 of weight 1 + i % 100, 655373 slots:", hex(digest(configured(pool(1000, lambda i: 1 + i % 100), 655373))))

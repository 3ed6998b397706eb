# SPDX-License-Identifier: BSD-3-Clause
"""The slot tables of docs/hashing.md, with exact fractions instead of counters."""

from collections import defaultdict
from fractions import Fraction
from math import ceil

BITS = (1 << 64) - 1
NO_SEAT = 0xFFFF
SIZES = (1021, 4093, 16_381, 65_537, 655_373, 6_553_577, 16_777_213)


def mix(x):
    """The finalizer of SplitMix64."""
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & BITS
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & BITS
    return x ^ (x >> 31)


def scale(value, bound):
    """A number below `bound` from the upper half of a mixed value."""
    return ((value >> 32) * bound) >> 32


def fnv(data):
    """FNV-1a of 64 bits."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & BITS
    return value


def name_hash(name):
    return mix(fnv(name.encode()))


def default_size(backends):
    return next((size for size in SIZES if size >= 100 * backends), SIZES[-1])


def configured_table(members, slots):
    """`members`: (name hash, weight) by seat. The seat of each slot while all are live."""
    table = [NO_SEAT] * slots
    ranked = sorted((name, weight, seat) for seat, (name, weight) in enumerate(members) if weight)
    if not ranked:
        return table
    heaviest = max(weight for _, weight, _ in ranked)
    position = {seat: (name >> 32) % slots for name, _, seat in ranked}
    rounds = defaultdict(list)  # by round: who takes a turn, in the order of arrival

    def enqueue(name, weight, seat, turns):
        # Turn number `turns` is due in the first round r with credit + (r + 1) * weight >=
        # (turns + 1) * heaviest.
        credit = scale(mix(name), heaviest)
        due = ceil(Fraction((turns + 1) * heaviest - credit, weight)) - 1
        rounds[due].append((name, weight, seat, turns))

    for name, weight, seat in ranked:
        enqueue(name, weight, seat, 0)
    filled, number = 0, 0
    while True:
        for name, weight, seat, turns in rounds.pop(number, []):
            skip = (name & 0xFFFFFFFF) % (slots - 1) + 1 if slots > 2 else 1
            while table[position[seat]] != NO_SEAT:
                position[seat] = (position[seat] + skip) % slots
            table[position[seat]] = seat
            filled += 1
            if filled == slots:
                return table
            enqueue(name, weight, seat, turns + 1)
        number += 1


def live_table(configured, members, live):
    """The table to serve by while only the seats `live` may take new flows."""
    live = {seat for seat in live if members[seat][1]}
    if len(live) < 2:
        return [min(live, default=NO_SEAT)] * len(configured)
    numbers, slots_of = [], defaultdict(int)  # a slot's number among those of its seat
    for seat in configured:
        numbers.append(slots_of[seat])
        slots_of[seat] += 1
    return [seat if seat in live
            else substitute(configured, members, live, slot, numbers[slot], slots_of[seat])
            for slot, seat in enumerate(configured)]


def substitute(configured, members, live, slot, number, count):
    """The first live seat in the slot's order of preference behind its own."""
    seat = dealt_out(members, configured[slot], number, count)
    if seat in live:
        return seat
    for k in range(128):
        seat = configured[scale(mix(slot * 128 + k + 1), len(configured))]
        if seat in live:
            return seat
    return rendezvous(members, live, slot)


def dealt_out(members, fallen, number, count):
    """Slot `number` of the `count` slots of `fallen`: equal steps over the weights of all others, in
    the order of their name hashes, from a first one drawn by its name."""
    others = sum(weight for seat, (_, weight) in enumerate(members) if seat != fallen)
    first = scale(mix(BITS ^ members[fallen][0]), others)
    point = (first + number * others) // count
    for seat in sorted(range(len(members)), key=lambda seat: members[seat][0]):
        if seat == fallen:
            continue
        if point < members[seat][1]:
            return seat
        point -= members[seat][1]
    raise AssertionError("the point lies within the sum of weights")


def rendezvous(members, live, slot):
    """The least -log2(u) / weight wins, a tie the smaller name hash."""
    salt = mix(BITS ^ slot)
    return min(live, key=lambda seat: (
        Fraction(minus_log2(mix(members[seat][0] ^ salt)), members[seat][1]), members[seat][0]))


def minus_log2(u):
    """-log2(u / 2^64) with 24 fractional bits, of 31-bit mantissas cut after each squaring."""
    u |= 1
    zeros = 64 - u.bit_length()
    x, bits = (u << zeros) >> 32, 0
    for _ in range(24):
        x = (x * x) >> 31
        bits = bits << 1 | (x >> 32)
        x >>= x >> 32
    return ((zeros + 1) << 24) - bits

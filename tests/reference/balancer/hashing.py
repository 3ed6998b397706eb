# SPDX-License-Identifier: BSD-3-Clause
"""The slot hash of docs/hashing.md: the same for a flow and a seed on every machine."""

import struct
from functools import lru_cache

BITS = (1 << 64) - 1
PI = (0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0, 0x082EFA98EC4E6C89)


def fold(a, b):
    """Both halves of the product of two 64-bit words, xored."""
    product = a * b
    return (product ^ product >> 64) & BITS


def rotate32(x):
    return (x << 32 | x >> 32) & BITS


@lru_cache
def secret_of(seed):
    a = fold(seed ^ PI[0], PI[2])
    b = fold(seed ^ PI[3], PI[1])
    return PI[0] ^ a, PI[1] ^ b, PI[2] ^ rotate32(a), PI[3] ^ rotate32(b)


def slot_hash(flow, seed):
    """`flow`: (source, destination, source port, destination port, protocol)."""
    source, destination, source_port, destination_port, protocol = flow
    family = 4 if len(source) == 4 else 6
    a, b = struct.unpack("<QQ", source.ljust(16, b"\0"))
    c, d = struct.unpack("<QQ", destination.ljust(16, b"\0"))
    rest = source_port | destination_port << 16 | protocol << 32 | family << 40
    s = secret_of(seed)
    addresses = fold(a ^ s[0], b ^ s[1]) ^ fold(c ^ s[2], d ^ s[3])
    return fold(PI[0] ^ s[0], fold(rest ^ s[1], addresses ^ s[2]))


def slot_of(hash_value, slots):
    """Its upper half, as a fraction, says how far into the table."""
    return ((hash_value >> 32) * slots) >> 32

# SPDX-License-Identifier: BSD-3-Clause
"""Small changes of a frame that nobody thought of: flipped bits, cuts, insertions, swaps."""

import struct

from balancer.checksum import checksum

EDGE_BYTES = (0x00, 0x01, 0x04, 0x05, 0x06, 0x11, 0x2C, 0x3B, 0x45, 0x4F, 0x60, 0x7F, 0x80, 0xFF)


def mutated(rng, frame):
    frame = bytearray(frame)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if not frame:
            break
        # Headers are where it matters.
        at = rng.randrange(min(len(frame), rng.choice((14, 40, 80, len(frame)))))
        change = rng.randrange(6)
        if change == 0:
            frame[at] ^= 1 << rng.randrange(8)
        elif change == 1:
            frame[at] = rng.choice(EDGE_BYTES)
        elif change == 2:
            del frame[at:at + rng.choice((1, 2, 4, 8, 20))]
        elif change == 3:
            frame[at:at] = rng.randbytes(rng.choice((1, 2, 4, 8, 40)))
        elif change == 4:
            del frame[at:]
        else:
            whole = min(len(frame), 0xFFFF)
            frame[at:at + 2] = struct.pack(">H", rng.choice((0, 1, 19, 20, 40, 0xFF, 0xFFFF, whole)))
    if rng.random() < 0.7:
        mend_checksum(frame)
    return bytes(frame)


def mend_checksum(frame):
    """Makes an untagged IPv4 header's checksum right again: else hardly a change got past it."""
    at = 14
    if frame[12:14] == b"\x81\x00":
        at = 18
    if frame[at - 2:at] != b"\x08\x00" or len(frame) < at + 20:
        return
    length = (frame[at] & 15) * 4
    if length < 20 or len(frame) < at + length:
        return
    frame[at + 10:at + 12] = b"\0\0"
    struct.pack_into(">H", frame, at + 10, checksum(bytes(frame[at:at + length])))

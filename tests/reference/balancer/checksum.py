# SPDX-License-Identifier: BSD-3-Clause
"""The Internet checksum (RFC 1071)."""

import struct


def ones_sum(data):
    """Ones' complement sum of the 16-bit words of `data`; an odd last byte is followed by a zero."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def checksum(data):
    """What stands in a checksum field that was zero while `data` was summed."""
    return 0xFFFF ^ ones_sum(data)


def is_good(data):
    """`data` with its checksum field sums to all ones."""
    return ones_sum(data) == 0xFFFF


def updated(old, before, after):
    """A checksum after words that it covers changed (RFC 1624 3, equation 3): one that was wrong is as
    wrong as it was. `before`, `after`: those words, an even number of bytes."""
    inverted = bytes(0xFF ^ byte for byte in before)
    return 0xFFFF ^ ones_sum(struct.pack(">H", 0xFFFF ^ old) + inverted + after)


def pseudo_header(source, destination, length, protocol):
    """RFC 793 3.1 for IPv4 and RFC 8200 8.1 for IPv6, by the length of the addresses."""
    if len(source) == 4:
        return source + destination + struct.pack(">BBH", 0, protocol, length)
    return source + destination + struct.pack(">IHBB", length, 0, 0, protocol)

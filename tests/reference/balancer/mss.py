# SPDX-License-Identifier: BSD-3-Clause
"""mss_clamp: a SYN announces segments of so many bytes at most (RFC 9293 3.7.1, RFC 4459 3.2)."""

import struct
from dataclasses import replace

from .checksum import updated
from .packet import TCP
from .transport import SYN

END, NO_OPERATION, MAXIMUM_SEGMENT_SIZE = 0, 1, 2
CHECKSUM_AT = 16


def clamped(packet, most):
    """`packet`, or what it becomes; `most`: bytes, 0: as it is."""
    if not most or packet.protocol != TCP or packet.fragment or not packet.tcp_flags & SYN:
        return packet
    header = packet.payload[:(packet.payload[12] >> 4) * 4]
    lowered = bytearray(header)
    for at in values(header):
        if struct.unpack_from(">H", header, at)[0] > most:
            struct.pack_into(">H", lowered, at, most)
    if lowered == header:
        return packet
    summed, = struct.unpack_from(">H", header, CHECKSUM_AT)
    struct.pack_into(">H", lowered, CHECKSUM_AT, updated(summed, header, bytes(lowered)))
    at = packet.transport
    return replace(packet, ip=packet.ip[:at] + bytes(lowered) + packet.ip[at + len(header):])


def values(header):
    """Where the option's value stands, as often as it is there. An option of impossible length ends them."""
    at = 20
    while at < len(header) and header[at] != END:
        if header[at] == NO_OPERATION:
            at += 1
            continue
        length = header[at + 1] if at + 1 < len(header) else 0
        if length < 2 or at + length > len(header):
            return
        if header[at] == MAXIMUM_SEGMENT_SIZE and length == 4:
            yield at + 2
        at += length

# SPDX-License-Identifier: BSD-3-Clause
"""ICMP errors about a translated flow (RFC 5508 4): each side is told of the packet as it knows it. The
addresses of the message change, and the ends of the packet inside with every checksum over them."""

import struct

from .checksum import updated
from .icmp_in import EMBEDDED
from .packet import UDP
from .translate import ADDRESSES, CHECKSUM_AT, addresses_of, grow_older, new_checksum, ports_of

CHECKSUM, INSIDE = slice(2, 4), 8  # in the message


def translated_error(packet, source=None, destination=None, inner_source=None, inner_destination=None):
    """The bytes of the error `packet`, a hop older. All ends may be None: it stays."""
    message = packet.payload
    inner = translated_inner(packet.family, message[INSIDE:], inner_source, inner_destination)
    at = ADDRESSES[packet.family]
    before, after = packet.ip[at], addresses_of(packet.ip[at], source, destination)
    changed = message[:INSIDE] + inner
    outer = (before, after) if packet.family == 6 else (b"", b"")  # the pseudo header (RFC 4443 2.3)
    summed = updated(int.from_bytes(message[CHECKSUM], "big"),
                     outer[0] + even(message[4:]), outer[1] + even(changed[4:]))
    data = bytearray(packet.ip[:packet.transport] + changed)
    data[at] = after
    struct.pack_into(">H", data, packet.transport + 2, summed)
    grow_older(data, packet)
    return bytes(data)


def translated_inner(family, inner, source, destination):
    """The beginning of the packet that the error is about."""
    data, at = bytearray(inner), ADDRESSES[family]
    protocol, transport = EMBEDDED[family](inner)
    before, after = inner[at], addresses_of(inner[at], source, destination)
    data[at] = after
    if family == 4:
        summed, = struct.unpack_from(">H", inner, 10)
        struct.pack_into(">H", data, 10, updated(summed, before, after))
    old = inner[transport:transport + 4]
    new = ports_of(old, source, destination)
    data[transport:transport + 4] = new
    place = transport + CHECKSUM_AT[protocol]
    if place + 2 <= len(inner):  # eight bytes of TCP do not reach as far
        summed, = struct.unpack_from(">H", inner, place)
        if not (protocol == UDP and summed == 0):
            struct.pack_into(">H", data, place, new_checksum(protocol, summed, before + old, after + new))
    return bytes(data)


def even(data):
    return data + b"\0" if len(data) % 2 else data

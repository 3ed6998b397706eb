# SPDX-License-Identifier: BSD-3-Clause
"""Addresses and ports of a packet replaced (RFC 3022 4.1): a router's hop is counted, and checksums follow
by the difference, so that a wrong one stays wrong."""

import struct
from dataclasses import dataclass

from .checksum import updated
from .packet import ICMP6, TCP, UDP

CHECKSUM_AT = {TCP: 16, UDP: 6, ICMP6: 2}  # those that cover the addresses
ADDRESSES = {4: slice(12, 20), 6: slice(8, 40)}  # source, then destination
TTL_AT = {4: 8, 6: 7}


@dataclass(frozen=True)
class End:
    address: bytes
    port: int


def addresses_of(old, source, destination):
    """Both addresses one after the other; of `old` where there is no new End."""
    half = len(old) // 2
    return (source.address if source else old[:half]) + (destination.address if destination else old[half:])


def ports_of(old, source, destination):
    ports = list(struct.unpack(">HH", old))
    for i, end in enumerate((source, destination)):
        if end:
            ports[i] = end.port
    return struct.pack(">HH", *ports)


def translated(packet, source=None, destination=None):
    """The bytes of `packet`, TCP or UDP or a fragment of it, with another End or two, a hop older."""
    data, at = bytearray(packet.ip), ADDRESSES[packet.family]
    before, after = packet.ip[at], addresses_of(packet.ip[at], source, destination)
    data[at] = after
    if packet.has_transport_header:
        old = packet.payload[:4]
        new = ports_of(old, source, destination)
        data[packet.transport:packet.transport + 4] = new
        update_transport(data, packet, before + old, after + new)
    grow_older(data, packet)
    return bytes(data)


def update_transport(data, packet, before, after):
    """The checksum of the transport header in `data` after a change of words that it covers."""
    if packet.protocol not in CHECKSUM_AT or not packet.has_transport_header:
        return
    at = packet.transport + CHECKSUM_AT[packet.protocol]
    summed, = struct.unpack_from(">H", data, at)
    if packet.protocol == UDP and packet.family == 4 and summed == 0:
        return  # there is none (RFC 768)
    struct.pack_into(">H", data, at, new_checksum(packet.protocol, summed, before, after))


def new_checksum(protocol, summed, before, after):
    new = updated(summed, before, after)
    return 0xFFFF if protocol == UDP and new == 0 else new


def grow_older(data, packet):
    """TTL or hop limit, and the checksum of an IPv4 header of which that and addresses changed."""
    data[TTL_AT[packet.family]] -= 1
    if packet.family == 4:
        summed, = struct.unpack_from(">H", packet.ip, 10)
        struct.pack_into(">H", data, 10, updated(summed, packet.ip[8:10] + packet.ip[12:20],
                                                 bytes(data[8:10] + data[12:20])))

# SPDX-License-Identifier: BSD-3-Clause
"""The IPv6 header and its extension headers (RFC 8200 3 and 4)."""

import struct

from .outcome import Dropped
from .packet import Fragment, Packet

HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION = 0, 43, 44, 51
DESTINATION, MOBILITY, HIP, SHIM6 = 60, 135, 139, 140
EXTENSIONS = (HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION, MOBILITY, HIP, SHIM6)
MAX_HEADERS, MAX_BYTES = 8, 256


def read(data):
    """`data`: what the frame holds from the header on, padding included."""
    if len(data) < 40 or data[0] >> 4 != 6:
        raise Dropped("ip_bad_header")
    first, payload, following, hop_limit = struct.unpack_from(">IHBB", data)
    total = 40 + payload
    if total > min(len(data), 0xFFFF):
        raise Dropped("ip_bad_length")
    if payload == 0 and following == HOP_BY_HOP:  # a jumbogram (RFC 2675 3), which no link here has
        raise Dropped("ip_bad_length")
    packet = Packet(
        family=6, ip=data[:total], trailer=data[total:], source=data[8:24], destination=data[24:40],
        traffic_class=first >> 20 & 0xFF, ttl=hop_limit, protocol=following, transport=40,
        dont_fragment=True)
    walk(packet)
    return packet


def walk(packet):
    """Moves `protocol` and `transport` behind the extension headers. A later fragment ends the walk:
    what follows it need not be a header. The first one has all of them (RFC 7112)."""
    count = 0
    while packet.protocol in EXTENSIONS and packet.has_transport_header:
        at, kind = packet.transport, packet.protocol
        count += 1
        if count > MAX_HEADERS or at + 8 > len(packet.ip):
            raise Dropped("ipv6_ext_chain")
        after = at + length_of(kind, packet.ip[at + 1])
        if after > len(packet.ip) or after - 40 > MAX_BYTES:
            raise Dropped("ipv6_ext_chain")
        if kind == ROUTING and packet.ip[at + 2] == 0:  # RFC 5095: deprecated
            raise Dropped("ip_source_route")
        if kind == ROUTING and packet.ip[at + 3]:
            packet.segments_left = True
        packet.cut_extensions = packet.fragment is not None
        if kind == FRAGMENT:
            read_fragment(packet, at, after)
        packet.protocol, packet.transport = packet.ip[at], after
    if not packet.has_transport_header:
        packet.cut_extensions = packet.protocol in EXTENSIONS


def read_fragment(packet, at, after):
    field, identification = struct.unpack_from(">HI", packet.ip, at + 2)
    if not packet.fragment:
        packet.identification = identification
    if not field & 0xFFF9:
        return  # an atomic one (RFC 6946): a whole packet
    if packet.fragment:
        raise Dropped("ipv6_ext_chain")  # a piece of a piece
    begin = field & 0xFFF8
    packet.fragment = Fragment(identification, begin, begin + len(packet.ip) - after, not field & 1,
                               0xFFFF - (at - 40))


def length_of(kind, field):
    if kind == FRAGMENT:
        return 8  # RFC 8200 4.5: the field is reserved
    if kind == AUTHENTICATION:
        return (field + 2) * 4  # RFC 4302 2.2
    return (field + 1) * 8  # RFC 6564 4

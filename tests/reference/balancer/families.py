# SPDX-License-Identifier: BSD-3-Clause
"""full-nat between families: a packet with new ends and a header of the other family (RFC 7915 4.1 and 5.1). Its
transport checksum follows by the difference, so that a wrong one stays wrong."""

import struct

from . import cut, ipv6
from .checksum import checksum, pseudo_header
from .outcome import Dropped, Sent, SentInPieces
from .packet import UDP
from .translate import CHECKSUM_AT, new_checksum, ports_of

OTHER = {4: 6, 6: 4}
GROWTH = 20  # of an IPv4 packet without options that becomes IPv6
MAY_BE_FRAGMENTED = 1260  # RFC 7915 5.1: an IPv4 packet up to here has DF clear, so that links of 1280 carry IPv6
DONT_FRAGMENT, MORE = 0x4000, 0x2000


def crosses(service):
    return bool(service.pool) and len(service.pool[0]) != len(service.vip)


def in_terms_of_sender(family, mtu):
    """The longest packet of this family that fits `mtu` in the other one."""
    return mtu + GROWTH if family == 6 else mtu - GROWTH


def sent(packet, port, link, source, destination, *names):
    """`packet` with the Ends of the other family as it leaves by the port behind its `link` header, without padding:
    Sent or SentInPieces. None: it is too long, and not to be cut."""
    if packet.cut_extensions:  # without them the others' places in the datagram were wrong
        raise Dropped("ipv6_ext_chain")
    if packet.segments_left:  # RFC 7915 5.1: must not be translated
        raise Dropped("ipv6_ext_chain")
    payload = with_ends(packet, source, destination)
    build = to_ipv4 if packet.family == 6 else to_ipv6
    ip, may_be_cut, own_identification = build(packet, source.address, destination.address, payload, port.mtu)
    if len(ip) <= port.mtu:
        return Sent(port.number, link + ip, *names, own_identification=own_identification)
    pieces = cut.pieces_of(ip, port.mtu) if may_be_cut else []
    frames = tuple(link + one for one in pieces)
    return SentInPieces(port.number, frames, *names, own_identification=own_identification) if frames else None


def to_ipv4(packet, source, destination, payload, mtu):
    """(the packet, whether it may be cut, whether its identification is Weir's choice)"""
    own = packet.identification is None
    length = 20 + len(payload)
    if own:
        identification, field = 0, 0 if length <= MAY_BE_FRAGMENTED else DONT_FRAGMENT
    else:
        identification, field = packet.identification & 0xFFFF, field_of(packet.fragment)
    ip = ipv4_header(packet.traffic_class, length, identification, field, packet.ttl - 1, packet.protocol, source,
                     destination) + payload
    return ip, field & DONT_FRAGMENT == 0, own and field == 0


def field_of(fragment):
    if fragment is None:  # it was alone behind its fragment header
        return 0
    return fragment.begin // 8 | (0 if fragment.last else MORE)


def ipv4_header(traffic_class, length, identification, field, ttl, protocol, source, destination):
    header = struct.pack(">BBHHHBBH4s4s", 0x45, traffic_class, length, identification, field, ttl, protocol, 0, source,
                         destination)
    return header[:10] + struct.pack(">H", checksum(header)) + header[12:]


def to_ipv6(packet, source, destination, payload, mtu):
    """The same. Of a fragment, and of a packet that must be cut, the fragment header tells."""
    fragment, may_be_cut, protocol = packet.fragment, not packet.dont_fragment, packet.protocol
    if fragment:
        front = fragment_header(protocol, fragment.begin, fragment.last, packet.identification)
    elif 40 + len(payload) > mtu and may_be_cut:
        front = fragment_header(protocol, 0, True, packet.identification)
    else:
        front = b""
    following = ipv6.FRAGMENT if front else protocol
    ip = ipv6_header(packet.traffic_class, len(front + payload), following, packet.ttl - 1, source, destination)
    return ip + front + payload, may_be_cut, False


def fragment_header(protocol, begin, last, identification):
    return struct.pack(">BBHI", protocol, 0, begin | (not last), identification)


def ipv6_header(traffic_class, length, protocol, hop_limit, source, destination):
    return struct.pack(">IHBB16s16s", 6 << 28 | traffic_class << 20, length, protocol, hop_limit, source, destination)


def transport_at(ip):
    """Of what is made here."""
    if ip[0] >> 4 == 4:
        return 20
    return 48 if ip[6] == ipv6.FRAGMENT else 40


def with_ends(packet, source, destination):
    """From the transport header on."""
    if not packet.has_transport_header:
        return packet.payload
    data = bytearray(packet.payload)
    old = packet.payload[:4]
    data[:4] = new = ports_of(old, source, destination)
    at = CHECKSUM_AT[packet.protocol]
    summed, = struct.unpack_from(">H", data, at)
    if packet.family == 4 and packet.protocol == UDP and summed == 0:
        summed = whole_checksum(packet, bytes(data), source.address, destination.address)
    else:
        summed = new_checksum(packet.protocol, summed, packet.source + packet.destination + old,
                              source.address + destination.address + new)
    struct.pack_into(">H", data, at, summed)
    return bytes(data)


def whole_checksum(packet, datagram, source, destination):
    """Of UDP that had none, which IPv6 does not take (RFC 7915 4.5): it covers what the UDP header counts."""
    if packet.fragment:  # the others are not here
        raise Dropped("udp_zero_checksum")
    length, = struct.unpack_from(">H", datagram, 4)
    return checksum(pseudo_header(source, destination, length, UDP) + datagram[:length]) or 0xFFFF

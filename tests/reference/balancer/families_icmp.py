# SPDX-License-Identifier: BSD-3-Clause
"""ICMP errors about flows of full-nat between families: type, code and the packet that they are about become those of
the other one (RFC 7915 4.2, 4.3, 5.2 and 5.3)."""

import struct

from . import ipv6
from .checksum import checksum, pseudo_header
from .families import DONT_FRAGMENT, GROWTH, MORE, fragment_header, ipv4_header, ipv6_header
from .icmp_in import EMBEDDED, INNER_BYTES, LONGEST_VERIFIED
from .icmp_out import LEAST_MTU, LONGEST
from .outcome import Dropped
from .packet import ICMP, ICMP6, UDP
from .translate import CHECKSUM_AT, new_checksum, ports_of

UNREACHABLE_TO_IPV6 = {  # code: type and code
    **dict.fromkeys((0, 1, 5, 6, 7, 8, 11, 12), (1, 0)), 3: (1, 4), **dict.fromkeys((9, 10, 13, 15), (1, 1))}
UNREACHABLE_TO_IPV4 = {0: (3, 1), 1: (3, 10), 2: (3, 1), 3: (3, 1), 4: (3, 3)}
# What byte of the header was wrong: figure 3 of RFC 7915 and figure 6.
POINTER_TO_IPV6 = {0: 0, 1: 1, 2: 4, 3: 4, 8: 7, 9: 6, **dict.fromkeys(range(12, 16), 8),
                   **dict.fromkeys(range(16, 20), 24)}
POINTER_TO_IPV4 = {0: 0, 1: 1, 4: 2, 5: 2, 6: 9, 7: 8, **dict.fromkeys(range(8, 24), 12),
                   **dict.fromkeys(range(24, 40), 16)}
PROTOCOL_FIELD = 6  # of the IPv6 header: next header
# RFC 4884 4: where the length of the quoted packet stands, in which words, and in which types.
QUOTE_LENGTH = {4: (5, 4, (3, 11, 12)), 6: (4, 8, (1, 3))}


def translated_error(packet, source, destination, inner_source, inner_destination):
    """The error `packet` in the other family, a hop older: the whole IP packet. Precondition: icmp_in.embedded()."""
    if len(packet.ip) > LONGEST_VERIFIED:  # what nobody should send; a wrong checksum would become right
        raise Dropped("icmp_bad")
    message = packet.payload
    if packet.family == 4:
        kind, code, rest = to_ipv6(*message[:2], message[4:8])
        quote = quote_to_ipv6(quoted(packet), inner_source, inner_destination)
        changed = message_of(kind, code, rest, quote, LONGEST[6] - 40)
        front = pseudo_header(source.address, destination.address, len(changed), ICMP6)
        header = ipv6_header(packet.traffic_class, len(changed), ICMP6, packet.ttl - 1, source.address,
                             destination.address)
    else:
        kind, code, rest = to_ipv4(*message[:2], message[4:8])
        quote = quote_to_ipv4(quoted(packet), inner_source, inner_destination)
        changed, front = message_of(kind, code, rest, quote, LONGEST[4] - 20), b""
        header = ipv4_header(packet.traffic_class, 20 + len(changed), 0, 0, packet.ttl - 1, ICMP, source.address,
                             destination.address)
    return header + changed[:2] + struct.pack(">H", checksum(front + changed)) + changed[4:]


def message_of(kind, code, rest, quote, longest):
    return (struct.pack(">BBHI", kind, code, 0, rest) + quote)[:longest]


def to_ipv6(kind, code, rest):
    """(type, code, the 32 bits behind the checksum)"""
    if kind == 3 and code == 2:  # the protocol is not known there
        return 4, 1, PROTOCOL_FIELD
    if kind == 3 and code == 4:
        return 2, 0, max(LEAST_MTU[6], struct.unpack_from(">H", rest, 2)[0] + GROWTH)
    if kind == 3 and code in UNREACHABLE_TO_IPV6:
        return *UNREACHABLE_TO_IPV6[code], 0
    if kind == 11:
        return 3, code, 0
    if kind == 12 and code in (0, 2) and rest[0] in POINTER_TO_IPV6:
        return 4, 0, POINTER_TO_IPV6[rest[0]]
    raise Dropped("icmp_bad")


def to_ipv4(kind, code, rest):
    word = int.from_bytes(rest, "big")
    if kind == 1 and code in UNREACHABLE_TO_IPV4:
        return *UNREACHABLE_TO_IPV4[code], 0
    if kind == 2:
        return 3, 4, max(LEAST_MTU[4], min(word - GROWTH, 0xFFFF))
    if kind == 3:
        return 11, code, 0
    if kind == 4 and code == 0 and word in POINTER_TO_IPV4:
        return 12, 0, POINTER_TO_IPV4[word] << 24
    if kind == 4 and code == 1:
        return 3, 2, 0
    raise Dropped("icmp_bad")


def quoted(packet):
    """The beginning of the packet that the error is about, without extensions behind it (RFC 4884). A length that
    leaves no ports is none."""
    message, quote = packet.payload, packet.payload[8:]
    at, unit, types = QUOTE_LENGTH[packet.family]
    length = message[at] * unit if message[0] in types else 0
    _, transport = EMBEDDED[packet.family](quote)
    return quote[:length] if length >= transport + INNER_BYTES else quote


def length_field(length):
    """What is not possible is told as near as can be."""
    return min(length, 0xFFFF)


def quote_to_ipv6(quote, source, destination):
    protocol, at = EMBEDDED[4](quote)
    traffic_class, total, identification, field, ttl = struct.unpack_from(">xBHHHB", quote)
    front = fragment_header(protocol, 0, False, identification) if field & MORE else b""
    header = ipv6_header(traffic_class, length_field(max(total - at, 0) + len(front)), ipv6.FRAGMENT if front else protocol, ttl,
                         source.address, destination.address)
    return header + front + with_ends(4, protocol, quote[at:], quote[12:20], source, destination)


def quote_to_ipv4(quote, source, destination):
    protocol, at = EMBEDDED[6](quote)
    first, length, _, hop_limit = struct.unpack_from(">IHBB", quote)
    fragment = fragment_of(quote)
    identification, field = (0, DONT_FRAGMENT) if fragment is None else fragment
    header = ipv4_header(first >> 20 & 0xFF, length_field(20 + max(length + 40 - at, 0)), identification, field, hop_limit,
                         protocol, source.address, destination.address)
    return header + with_ends(6, protocol, quote[at:], quote[8:40], source, destination)


def fragment_of(quote):
    """(identification, fragment field) of IPv4 of a quoted IPv6 packet that has a fragment header, else None."""
    protocol, at, found = quote[6], 40, None
    while protocol in ipv6.EXTENSIONS:
        if protocol == ipv6.FRAGMENT:
            field, identification = struct.unpack_from(">HI", quote, at + 2)
            found = identification & 0xFFFF, MORE if field & 1 else 0
        protocol, at = quote[at], at + ipv6.length_of(protocol, quote[at + 1])
    return found


def with_ends(family, protocol, data, addresses, source, destination):
    """`data`, from the transport header on, of a packet of these addresses."""
    changed, old = bytearray(data), data[:4]
    changed[:4] = new = ports_of(old, source, destination)
    at = CHECKSUM_AT[protocol]
    if at + 2 <= len(data):  # eight bytes of TCP do not reach as far
        summed, = struct.unpack_from(">H", data, at)
        if not (family == 4 and protocol == UDP and summed == 0):
            struct.pack_into(">H", changed, at, new_checksum(protocol, summed, addresses + old,
                                                             source.address + destination.address + new))
    return bytes(changed)

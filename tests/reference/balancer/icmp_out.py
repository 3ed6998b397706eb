# SPDX-License-Identifier: BSD-3-Clause
"""ICMP errors that answer a packet for a VIP, or of a nat backend: it does not fit its way ("fragmentation needed", RFC 792
and 1191; "packet too big", RFC 4443 3.2), or its TTL is used up ("time exceeded"). Whom nobody answers:
RFC 1122 3.2.2, RFC 4443 2.4 (e)."""

import struct

from . import link
from .checksum import checksum, pseudo_header
from .icmp_in import EMBEDDED, ERRORS, INNER_BYTES, PROTOCOL, NotEmbedded
from .outcome import Answered
from .packet import ICMP, ICMP6

TTL = 64
PRECEDENCE = 0xC0  # RFC 1812 4.3.2.5: internetwork control
LONGEST = {4: 576, 6: 1280}  # RFC 1812 4.3.2.3, RFC 4443 2.4 (c)
LEAST_MTU = {4: 68, 6: 1280}  # RFC 791 3.2, RFC 8200 5
TIME_EXCEEDED = {4: (11, 0), 6: (3, 0)}
TOO_BIG = {4: (3, 4), 6: (2, 0)}


def expired(port, frame, packet):
    """The Answered, or None."""
    return answer("ttl_expired", TIME_EXCEEDED[packet.family], 0, port, frame, packet)


def too_big(port, frame, packet, mtu, own=None):
    """`mtu`: the longest packet that would have fitted. `own`: who says so, if not the VIP."""
    if packet.family == 4 and (not packet.dont_fragment or mtu < LEAST_MTU[4]):
        return None
    if packet.family == 6 and len(packet.ip) <= LEAST_MTU[6]:
        return None  # no host makes it smaller for its path
    rest = min(mtu, 0xFFFF) if packet.family == 4 else max(mtu, LEAST_MTU[6])
    return answer("too_big", TOO_BIG[packet.family], rest, port, frame, packet, own)


def answer(reason, kind, rest, port, frame, packet, own=None):
    if link.is_group(frame[6:12]) or not deserved(packet):
        return None
    headers = 28 if packet.family == 4 else 48
    quoted = packet.ip[:LONGEST[packet.family] - headers]
    message = struct.pack(">BBHI", *kind, 0, rest) + quoted
    ip = (ipv4 if packet.family == 4 else ipv6)(own or packet.destination, packet.source, message)
    ether_type = link.IPV4 if packet.family == 4 else link.IPV6
    header = link.header(frame[6:12], port.mac, port.vlan, ether_type)
    return Answered(reason, port.number, header + ip)


def deserved(packet):
    """Neither an ICMP error nor a later fragment, and long enough to tell whose it was."""
    try:
        protocol, at = EMBEDDED[packet.family](packet.ip)
    except NotEmbedded:
        return False
    if len(packet.ip) < at + INNER_BYTES:
        return False
    return not (protocol == PROTOCOL[packet.family] and packet.ip[at] in ERRORS[packet.family])


def summed(message, front):
    return message[:2] + struct.pack(">H", checksum(front + message)) + message[4:]


def ipv4(source, destination, message):
    header = struct.pack(">BBHHHBBH4s4s", 0x45, PRECEDENCE, 20 + len(message), 0, 0x4000, TTL, ICMP, 0,
                         source, destination)
    return header[:10] + struct.pack(">H", checksum(header)) + header[12:] + summed(message, b"")


def ipv6(source, destination, message):
    header = struct.pack(">IHBB16s16s", 6 << 28, len(message), ICMP6, TTL, source, destination)
    return header + summed(message, pseudo_header(source, destination, len(message), ICMP6))

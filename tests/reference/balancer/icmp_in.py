# SPDX-License-Identifier: BSD-3-Clause
"""ICMP errors about a flow of a VIP (RFC 792, 4443, 1122 3.2.2, 7690): they carry the beginning of a
packet that a backend sent, whose flow, turned round, says which backend that was."""

import struct

from . import ipv6
from .checksum import is_good, pseudo_header
from .outcome import Dropped, ToKernel
from .packet import ICMP, ICMP6, SCTP, TCP, UDP

ERRORS = {4: (3, 4, 11, 12), 6: (1, 2, 3, 4)}  # types
PROTOCOL = {4: ICMP, 6: ICMP6}
ECHO_REQUEST, ECHO_REPLY = {4: 8, 6: 128}, {4: 0, 6: 129}
LONGEST_VERIFIED = 1280  # longer than RFC 4443 2.4 allows: the checksum is left to the backend
INNER_BYTES = 8  # of the embedded packet's payload; they hold the ports


def is_error(packet):
    return (packet.protocol == PROTOCOL[packet.family] and packet.payload[:1] != b""
            and packet.payload[0] in ERRORS[packet.family])


def echo_identifier(packet):
    """Of an echo request; of all else None."""
    if packet.protocol != PROTOCOL[packet.family] or len(packet.payload) < 8:
        return None
    if packet.payload[0] != ECHO_REQUEST[packet.family]:
        return None
    return struct.unpack_from(">H", packet.payload, 4)[0]


def judge(balancer, packet, group_frame, now):
    if group_frame:
        raise Dropped("not_our_mac")
    if packet.ttl <= 1:
        raise Dropped("ttl_expired")
    check_sum(packet)
    check_form(packet)
    protocol, ports = embedded(packet)
    if protocol == PROTOCOL[packet.family] and (
            ports is None or balancer.services.find(packet.destination, protocol, 0) is None):
        return ToKernel("vip_icmp")  # about what the kernel sent from the VIP
    flow = (embedded_destination(packet), packet.destination, ports[1], ports[0], protocol)
    service = balancer.services.find(packet.destination, protocol, ports[0])
    if service is None:
        raise Dropped("unknown_port")
    # The entry is neither made nor refreshed: anybody can send an error.
    entry = balancer.connections.entries.get(flow)
    backend = None
    if entry is not None and now - entry.last_packet <= balancer.connections.timeouts[entry.state]:
        backend = service.backends.get(entry.backend)
    if backend is None or not backend.keeps_flows:
        backend = balancer.picked(service, flow)
    return balancer.send(service, backend, packet, now, flow)


def check_form(packet):
    message = packet.payload
    if len(message) < 8:
        raise Dropped("icmp_bad")
    if packet.family == 4 and message[:2] == b"\x03\x04":
        mtu, = struct.unpack_from(">H", message, 6)
        if 0 < mtu < 68:  # RFC 791; 0 is an old router's (RFC 1191 3)
            raise Dropped("icmp_bad")
    if packet.family == 6 and message[0] == 2:
        mtu, = struct.unpack_from(">I", message, 4)
        if mtu < 1280:  # RFC 8200 5
            raise Dropped("icmp_bad")


def check_sum(packet):
    message = packet.payload
    if len(packet.ip) > LONGEST_VERIFIED:
        return
    summed = message if packet.family == 4 else pseudo_header(
        packet.source, packet.destination, len(message), ICMP6) + message
    if not is_good(summed):
        raise Dropped("icmp_bad")


def embedded_destination(packet):
    inner = packet.payload[8:]
    return inner[16:20] if packet.family == 4 else inner[24:40]


def embedded(packet):
    """(protocol, (source port, destination port)) of the packet that the error is about."""
    inner = packet.payload[8:]
    try:
        protocol, at = EMBEDDED[packet.family](inner)
    except NotEmbedded:
        raise Dropped("icmp_bad") from None
    source = inner[12:16] if packet.family == 4 else inner[8:24]
    if source != packet.destination or len(inner) < at + INNER_BYTES:
        raise Dropped("icmp_bad")
    if protocol == PROTOCOL[packet.family]:
        if inner[at] in ERRORS[packet.family]:
            raise Dropped("icmp_bad")  # nobody sends errors about errors
        if inner[at] != ECHO_REPLY[packet.family]:
            return protocol, None
        return protocol, (0, *struct.unpack_from(">H", inner, at + 4))
    if protocol not in (TCP, UDP, SCTP):
        return protocol, (0, 0)
    return protocol, struct.unpack_from(">HH", inner, at)


class NotEmbedded(Exception):
    """No header that tells the flow: unsound, cut off, or of a later fragment."""


def walk_v4(inner):
    """(protocol, offset of what it names)."""
    if len(inner) < 20 or inner[0] >> 4 != 4 or inner[0] & 15 < 5:
        raise NotEmbedded
    if struct.unpack_from(">H", inner, 6)[0] & 0x1FFF:  # not the first fragment: no ports
        raise NotEmbedded
    return inner[9], (inner[0] & 15) * 4


def walk_v6(inner):
    if len(inner) < 40 or inner[0] >> 4 != 6:
        raise NotEmbedded
    protocol, at, count = inner[6], 40, 0
    while protocol in ipv6.EXTENSIONS:
        count += 1
        if count > ipv6.MAX_HEADERS or at + 8 > len(inner):
            raise NotEmbedded
        after = at + ipv6.length_of(protocol, inner[at + 1])
        if after > len(inner) or after - 40 > ipv6.MAX_BYTES:
            raise NotEmbedded
        if protocol == ipv6.FRAGMENT and struct.unpack_from(">H", inner, at + 2)[0] & 0xFFF8:
            raise NotEmbedded
        protocol, at = inner[at], after
    return protocol, at


EMBEDDED = {4: walk_v4, 6: walk_v6}

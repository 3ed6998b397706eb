# SPDX-License-Identifier: BSD-3-Clause
"""TCP (RFC 9293 3.1), UDP (RFC 768) and SCTP (RFC 9260 3.1) headers. Checksums are the receiver's business: a balancer
that changes no byte of the datagram does not verify them."""

import struct

from .outcome import Dropped
from .packet import SCTP, TCP, UDP

FIN, SYN, RST, PSH, ACK, URG = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20


def read(packet):
    """Fills in ports and flags. Raises Dropped for the first fault."""
    if packet.protocol == TCP:
        read_tcp(packet)
    elif packet.protocol == UDP:
        read_udp(packet)
    elif packet.protocol == SCTP:
        read_sctp(packet)


def read_tcp(packet):
    segment = packet.payload
    if len(segment) < 20:
        raise Dropped("l4_bad_length")
    header_length = (segment[12] >> 4) * 4
    if header_length < 20 or header_length > len(segment):
        raise Dropped("l4_bad_length")
    packet.source_port, packet.destination_port = struct.unpack_from(">HH", segment)
    packet.tcp_flags = segment[13]
    if contradict(segment[13]):
        raise Dropped("tcp_bad_flags")


def read_udp(packet):
    datagram = packet.payload
    if len(datagram) < 8:
        raise Dropped("l4_bad_length")
    source, destination, length, summed = struct.unpack_from(">HHHH", datagram)
    if length < 8 or length > len(datagram) and not packet.fragment:  # it counts the whole datagram
        raise Dropped("l4_bad_length")
    packet.source_port, packet.destination_port = source, destination
    if packet.family == 6 and summed == 0:  # RFC 8200 8.1
        raise Dropped("udp_zero_checksum")


def read_sctp(packet):
    if len(packet.payload) < 12:  # the common header
        raise Dropped("l4_bad_length")
    packet.source_port, packet.destination_port = struct.unpack_from(">HH", packet.payload)


def contradict(flags):
    """Flags that no stack sends together. ECE and CWR may join any (RFC 3168)."""
    if flags & SYN and flags & (FIN | RST):
        return True
    if flags & FIN and not flags & ACK:
        return True
    if flags & (PSH | URG) and not flags & (ACK | SYN):  # a SYN may carry data (RFC 7413)
        return True
    return flags & (FIN | SYN | RST | PSH | ACK | URG) == 0

# SPDX-License-Identifier: BSD-3-Clause
"""An IP packet that is too long for a link in fragments (RFC 791 2.3 and 3.2, RFC 8200 4.5)."""

import struct

from . import ipv4, ipv6
from .checksum import checksum
from .outcome import Sent, SentInPieces

MOST = 32  # of one packet
RESERVED_AND_DF, MORE, OFFSET = 0xC000, 0x2000, 0x1FFF
IDENTIFICATION = 0x77  # of packets that have none; play.cc's


def sent(packet, port, link, length, ip, *names):
    """`ip`, what a packet has become behind its `link` header, as it leaves by the port: Sent or SentInPieces.
    `length`: without padding. None: it is too long, and not to be cut."""
    if length <= port.mtu:
        return Sent(port.number, link + ip, *names)
    if packet.family == 6 or packet.dont_fragment:
        return None
    pieces = pieces_of(ip, port.mtu)
    return SentInPieces(port.number, tuple(link + one for one in pieces), *names) if pieces else None


def pieces_of(ip, mtu):
    """In order; none: they were too many."""
    cut = cut_ipv4 if ip[0] >> 4 == 4 else cut_ipv6
    return list(cut(ip, mtu)) if len(ip) <= 0xFFFF else []


def steps(payload, room):
    """(begin, end) of each, as many as are needed; none: too many."""
    step = room // 8 * 8
    if step <= 0 or -(-payload // step) > MOST:
        return []
    return [(begin, min(begin + step, payload)) for begin in range(0, payload, step)]


def cut_ipv4(ip, mtu):
    length = (ip[0] & 15) * 4
    payload = ip[length:]
    identification, field = struct.unpack_from(">HH", ip, 4)
    if not identification and not field & (MORE | OFFSET):
        identification = IDENTIFICATION
    for begin, end in steps(len(payload), mtu - length):
        options = ip[20:length] if begin == 0 else copied(ip[20:length])
        more = field & MORE if end == len(payload) else MORE
        header = struct.pack(">BBHHH", 0x45 + len(options) // 4, ip[1], 20 + len(options) + end - begin, identification,
                             more | (field & OFFSET) + begin // 8) + ip[8:10] + b"\0\0" + ip[12:20] + options
        yield header[:10] + struct.pack(">H", checksum(header)) + header[12:] + payload[begin:end]


def copied(options):
    """Those that go into every fragment."""
    found, at = b"", 0
    while at < len(options) and options[at] != ipv4.END:
        length = 1 if options[at] == ipv4.NO_OPERATION else options[at + 1]
        if options[at] & 0x80:
            found += options[at:at + length]
        at += length
    return found + bytes(-len(found) % 4)


def cut_ipv6(ip, mtu):
    """An outer packet, where nothing stands between its header and what is in the tunnel; or one with a fragment
    header alone, which goes on in each piece."""
    protocol, payload, first, more, identification = ip[6], ip[40:], 0, 0, IDENTIFICATION
    if protocol == ipv6.FRAGMENT:
        protocol, field, identification = struct.unpack_from(">BxHI", payload)
        payload, first, more = payload[8:], field & 0xFFF8, field & 1
    for begin, end in steps(len(payload), mtu - 48):
        header = ip[:4] + struct.pack(">HB", 8 + end - begin, ipv6.FRAGMENT) + ip[7:40]
        goes_on = more if end == len(payload) else 1
        yield header + struct.pack(">BBHI", protocol, 0, first + begin | goes_on, identification) + payload[begin:end]

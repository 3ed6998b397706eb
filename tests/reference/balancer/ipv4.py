# SPDX-License-Identifier: BSD-3-Clause
"""The IPv4 header: RFC 791 3.1, in the order of checks of RFC 1812 5.2.2 (version and header length
come first, as there is nothing to sum without them)."""

import struct

from .checksum import is_good
from .outcome import Dropped
from .packet import Fragment, Packet

END, NO_OPERATION, LOOSE_ROUTE, STRICT_ROUTE = 0, 1, 131, 137


def read(data):
    """`data`: what the frame holds from the header on, padding included."""
    if len(data) < 20:
        raise Dropped("ip_bad_header")
    version, header_length = data[0] >> 4, (data[0] & 15) * 4
    if version != 4 or header_length < 20 or header_length > len(data):
        raise Dropped("ip_bad_header")
    if not is_good(data[:header_length]):
        raise Dropped("ip_bad_checksum")
    total, = struct.unpack_from(">H", data, 2)
    if total < header_length or total > len(data):
        raise Dropped("ip_bad_length")
    check_options(data[20:header_length])
    identification, field = struct.unpack_from(">HH", data, 4)
    fragment = None
    if field & 0x3FFF:
        begin = (field & 0x1FFF) * 8
        fragment = Fragment(identification, begin, begin + total - header_length, not field & 0x2000,
                            0xFFFF - header_length)
    return Packet(
        family=4, ip=data[:total], trailer=data[total:], source=data[12:16], destination=data[16:20],
        traffic_class=data[1], ttl=data[8], protocol=data[9], transport=header_length,
        dont_fragment=bool(field & 0x4000), identification=identification, fragment=fragment)


def check_options(options):
    """Each must lie in the header. A source route is refused (RFC 7126 4.3 and 4.4)."""
    at = 0
    while at < len(options) and options[at] != END:
        if options[at] == NO_OPERATION:
            at += 1
            continue
        length = options[at + 1] if at + 1 < len(options) else 0
        if length < 2 or at + length > len(options):
            raise Dropped("ip_bad_header")
        if options[at] in (LOOSE_ROUTE, STRICT_ROUTE):
            raise Dropped("ip_source_route")
        at += length

# SPDX-License-Identifier: BSD-3-Clause
"""gue (draft-ietf-intarea-gue): the packet in UDP, at once (variant 1) or behind four bytes that
name it (variant 0). The UDP source port is 49152 and 14 bits of the flow hash, left zero here; no
checksum (RFC 768; RFC 6935 over IPv6)."""

import struct

from ..packet import UDP
from . import outer

FIRST_SOURCE_PORT, DEFAULT_PORT = 0xC000, 6080


def forward(service, backend, egress, packet):
    options = service.options.get("gue", {})
    body = packet.ip
    if options.get("variant", 1) == 0:
        body = struct.pack(">BBH", 0, outer.IP_IN_IP[packet.family], 0) + body
    header = struct.pack(">HHHH", FIRST_SOURCE_PORT, options.get("port", DEFAULT_PORT),
                         8 + len(body) & 0xFFFF, 0)
    kind, data = outer.wrap(egress, packet, UDP, header + body)
    return kind, len(data), data

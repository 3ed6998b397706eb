# SPDX-License-Identifier: BSD-3-Clause
"""gre: RFC 2784 without checksum; the protocol type is the payload's EtherType."""

import struct

from .. import link
from . import outer

GRE = 47


def forward(service, backend, egress, packet):
    kind = link.IPV4 if packet.family == 4 else link.IPV6
    header = struct.pack(">HH", 0, kind)
    kind, data = outer.wrap(egress, packet, GRE, header + packet.ip)
    return kind, len(data), data

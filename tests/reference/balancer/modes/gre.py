# SPDX-License-Identifier: BSD-3-Clause
"""gre: RFC 2784 without checksum; the protocol type is the payload's EtherType."""

import struct

from .. import link
from . import outer

GRE = 47


def forward(service, backend, egress, packet):
    header = struct.pack(">HH", 0, link.kind_of(packet))
    kind, data = outer.wrap(egress, packet, GRE, header + packet.ip)
    return kind, len(data), data

# SPDX-License-Identifier: BSD-3-Clause
"""The outer IP header of a tunnel: RFC 2003 3.1, RFC 2473 5 and 6; DSCP copied (RFC 2983, uniform
model), ECN by RFC 6040 4.1 in normal mode, which is a copy, too."""

import struct

from .. import egress as ways
from .. import link
from ..checksum import checksum

TTL = 64
IP_IN_IP = {4: 4, 6: 41}  # IANA protocol numbers of a whole packet as payload


def source_of(egress):
    """The port's tunnel_source of the backend's family; bits behind its prefix are left zero here,
    as the flow hash fills them. Without one the port's own address, which does not vary."""
    for network in egress.port.tunnel_sources:
        if len(network.network_address.packed) == len(egress.backend):
            varying = min(network.max_prefixlen - network.prefixlen, 32)
            fixed = int(network.network_address) >> varying << varying
            return fixed.to_bytes(len(egress.backend), "big")
    return ways.own_address(egress.port, egress.next_hop)


def wrap(egress, packet, protocol, payload):
    """(EtherType, bytes) of `payload` behind an outer header towards the backend. What is too long for
    its length field is too long for every MTU as well, and goes nowhere."""
    source = source_of(egress)
    if len(egress.backend) == 4:
        header = struct.pack(">BBHHHBBH4s4s", 0x45, packet.traffic_class, 20 + len(payload) & 0xFFFF, 0,
                             0x4000, TTL, protocol, 0, source, egress.backend)
        header = header[:10] + struct.pack(">H", checksum(header)) + header[12:]
        return link.IPV4, header + payload
    header = struct.pack(">IHBB16s16s", 6 << 28 | packet.traffic_class << 20, len(payload) & 0xFFFF, protocol,
                         TTL, source, egress.backend)
    return link.IPV6, header + payload

# SPDX-License-Identifier: BSD-3-Clause
"""l3dsr: the destination becomes the backend's address, and the DSCP says which VIP it was (ECN
stays). Checksums follow by the difference (RFC 1624 3), so a wrong one stays wrong."""

import struct

from .. import link
from ..checksum import checksum, ones_sum
from ..packet import ICMP6, TCP, UDP
from .dsr_l2 import with_padding

CHECKSUM_AT = {TCP: 16, UDP: 6, ICMP6: 2}  # those that cover the addresses


def forward(service, backend, egress, packet):
    data = bytearray(packet.ip)
    traffic_class = service.options["l3dsr"]["dscp"] << 2 | packet.traffic_class & 3
    if packet.family == 4:
        data[1] = traffic_class
        data[16:20] = backend.address
        data[10:12] = b"\0\0"
        struct.pack_into(">H", data, 10, checksum(bytes(data[:(data[0] & 15) * 4])))
    else:
        first, = struct.unpack_from(">I", data)
        struct.pack_into(">I", data, 0, first & 0xF00FFFFF | traffic_class << 20)
        data[24:40] = backend.address
    update_transport(data, packet, backend.address)
    kind = link.IPV4 if packet.family == 4 else link.IPV6
    return kind, len(data), with_padding(bytes(data), packet.trailer, egress)


def update_transport(data, packet, address):
    if packet.protocol not in CHECKSUM_AT:
        return
    at = packet.transport + CHECKSUM_AT[packet.protocol]
    old, = struct.unpack_from(">H", data, at)
    if packet.protocol == UDP and packet.family == 4 and old == 0:
        return  # there is none (RFC 768)
    new = 0xFFFF ^ ones_sum(struct.pack(">H", 0xFFFF ^ old) + inverted(packet.destination) + address)
    if packet.protocol == UDP and new == 0:
        new = 0xFFFF
    struct.pack_into(">H", data, at, new)


def inverted(data):
    return bytes(0xFF ^ byte for byte in data)

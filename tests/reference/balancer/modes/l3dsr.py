# SPDX-License-Identifier: BSD-3-Clause
"""l3dsr: the destination becomes the backend's address, and the DSCP says which VIP it was (ECN
stays). Checksums follow by the difference (RFC 1624 3), so a wrong one stays wrong."""

import struct

from .. import link
from ..checksum import checksum
from ..translate import update_transport
from .dsr_l2 import with_padding


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
    update_transport(data, packet, packet.destination, backend.address)
    return link.kind_of(packet), len(data), with_padding(bytes(data), packet.trailer, egress)

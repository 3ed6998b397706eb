# SPDX-License-Identifier: BSD-3-Clause
"""ipip: the packet as it is in an IP header of the backend's family. Padding stays behind."""

from . import outer


def forward(service, backend, egress, packet):
    kind, data = outer.wrap(egress, packet, outer.IP_IN_IP[packet.family], packet.ip)
    return kind, len(data), data

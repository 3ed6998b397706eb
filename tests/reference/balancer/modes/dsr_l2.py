# SPDX-License-Identifier: BSD-3-Clause
"""dsr-l2: the frame goes to the backend's MAC address; from the IP header to the end of
its packet no byte changes."""

from .. import link
from ..outcome import Dropped


def forward(service, backend, egress, packet):
    # By a gateway it would come back to us: the VIP is still the destination.
    if not egress.direct:
        raise Dropped("no_route")
    return link.kind_of(packet), len(packet.ip), with_padding(packet.ip, packet.trailer, egress)


def with_padding(ip, trailer, egress):
    """A frame keeps its padding (IEEE 802.3 3.2.8), unless it were longer than the link takes."""
    return ip + trailer if len(ip + trailer) <= egress.port.mtu else ip

# SPDX-License-Identifier: BSD-3-Clause
"""nat: the destination becomes the backend's address and port, a router's hop further on. Replies:
replies.py."""

from .. import link
from ..translate import End, translated
from ..translate_icmp import translated_error
from .dsr_l2 import with_padding


def end_of(backend, service_port):
    """Where a backend takes what is for this port of its service."""
    return End(backend.address, backend.port or service_port)


def forward(service, backend, egress, packet):
    data = translated(packet, destination=end_of(backend, packet.destination_port))
    return link.kind_of(packet), len(data), with_padding(data, packet.trailer, egress)


def forward_error(service, backend, egress, packet, flow):
    """About a packet that went from the VIP to the client: to the backend it was its own."""
    end = end_of(backend, flow[3])
    data = translated_error(packet, destination=end, inner_source=end)
    return link.kind_of(packet), len(data), with_padding(data, packet.trailer, egress)

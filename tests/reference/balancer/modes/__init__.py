# SPDX-License-Identifier: BSD-3-Clause
"""Forwarding modes by their name in the configuration. Each module has forward(service, backend,
egress, packet): (EtherType, bytes from the IP header on) of the frame that leaves, and fits(): what
of the egress MTU it takes."""

from . import dsr_l2, gre, gue, ipip, l3dsr

MODES = {"dsr-l2": dsr_l2, "ipip": ipip, "gre": gre, "gue": gue, "l3dsr": l3dsr}

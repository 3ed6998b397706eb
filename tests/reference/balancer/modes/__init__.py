# SPDX-License-Identifier: BSD-3-Clause
"""Forwarding modes by their name in the configuration. Each module has forward(service, backend,
egress, packet): (EtherType, length that must fit the egress MTU, bytes from the IP header on) of the frame
that leaves. full-nat is not among them: full_nat.py. What an ICMP error about a flow becomes is the same, or else forward_error(..., flow)."""

from . import dsr_l2, gre, gue, ipip, l3dsr, nat

MODES = {"dsr-l2": dsr_l2, "ipip": ipip, "gre": gre, "gue": gue, "l3dsr": l3dsr, "nat": nat}

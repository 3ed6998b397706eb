# SPDX-License-Identifier: BSD-3-Clause
"""The reference balancer: what must become of a packet, slow and plain.

Written from the RFCs, docs/ and the table of faults; it shares no code with lib/ and follows none of
its short cuts. One idea a file; decide.py is the order in which they are asked.
"""

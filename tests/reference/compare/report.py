# SPDX-License-Identifier: BSD-3-Clause
"""A difference for people: each packet by scapy's show() and in hex."""

import io
from contextlib import redirect_stdout


def describe(packets, sentence):
    from scapy.layers.l2 import Ether  # slow to import, and seldom needed

    parts = [sentence]
    for number, (port, frame) in enumerate(packets, 1):
        text = io.StringIO()
        with redirect_stdout(text):
            try:
                Ether(frame).show()
            except Exception as error:  # scapy does not read everything that can be sent
                print(f"(scapy: {error!r})")
        parts.append(f"packet {number} of {len(packets)}, in by port {port}, {len(frame)} bytes: "
                     f"{frame.hex()}\n{text.getvalue()}")
    return "\n".join(parts)

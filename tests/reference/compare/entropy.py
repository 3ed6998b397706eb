# SPDX-License-Identifier: BSD-3-Clause
"""Bits that the flow hash fills, which is keyed with a secret of the boot: outer source addresses
behind a port's tunnel_source, and the UDP source port of gue. Which they are is not predicted, but
that one flow has the same ones always, and that the rest of the frame is sound with them."""

import struct

from balancer.checksum import checksum, is_good
from balancer.martian import in_network
from balancer.modes.gue import FIRST_SOURCE_PORT
from balancer.modes.outer import IP_IN_IP

TUNNELS = (*IP_IN_IP.values(), 47, 17)


class Entropy:
    def __init__(self, configuration):
        self.ports = configuration.ports
        self.gue_ports = {service.options["gue"].get("port", 6080)
                          for service in configuration.services if "gue" in service.options}

    def without(self, port, frame):
        """(frame with these bits zero, the bits). An IPv4 checksum that was right is right again."""
        frame = bytearray(frame)
        at = 18 if frame[12:14] == b"\x81\x00" else 14
        if frame[at - 2:at] == b"\x08\x00" and len(frame) >= at + 20:
            address, protocol, payload = slice(at + 12, at + 16), frame[at + 9], at + 20
        elif frame[at - 2:at] == b"\x86\xdd" and len(frame) >= at + 40:
            address, protocol, payload = slice(at + 8, at + 24), frame[at + 6], at + 40
        else:
            return bytes(frame), ()
        if protocol not in TUNNELS:
            return bytes(frame), ()
        v4 = payload == at + 20
        good = v4 and is_good(bytes(frame[at:payload]))
        bits = [self.clear_source(self.ports[port], frame, address)]
        if protocol == 17 and len(frame) >= payload + 8:
            bits.append(self.clear_port(frame, payload))
        if good:
            frame[at + 10:at + 12] = b"\0\0"
            struct.pack_into(">H", frame, at + 10, checksum(bytes(frame[at:payload])))
        return bytes(frame), tuple(bit for bit in bits if bit is not None)

    def clear_source(self, port, frame, address):
        source = bytes(frame[address])
        for network in port.tunnel_sources:
            if in_network(source, network):
                varying = min(network.max_prefixlen - network.prefixlen, 32)
                value = int.from_bytes(source, "big")
                frame[address] = (value >> varying << varying).to_bytes(len(source), "big")
                return value & ((1 << varying) - 1)
        return None

    def clear_port(self, frame, at):
        source, destination = struct.unpack_from(">HH", frame, at)
        if destination not in self.gue_ports or source < FIRST_SOURCE_PORT:
            return None
        struct.pack_into(">H", frame, at, FIRST_SOURCE_PORT)
        return source - FIRST_SOURCE_PORT

# SPDX-License-Identifier: BSD-3-Clause
"""Bits that the flow hash fills, which is keyed with a secret of the boot: outer source addresses
behind a port's tunnel_source, and the UDP source port of gue. Which they are is not predicted, but
that one flow has the same ones always, and that the rest of the frame is sound with them."""

import struct

from balancer.checksum import checksum, is_good, updated
from balancer.martian import in_network
from balancer.modes.gue import FIRST_SOURCE_PORT
from balancer.modes.outer import IP_IN_IP

TUNNELS = (*IP_IN_IP.values(), 47, 17)


FRAGMENT = 44


def without_identification(frame):
    """A fragment that leaves, with a blank identification: of one that a packet without any was cut into it is a
    choice."""
    frame = bytearray(frame)
    at = 18 if frame[12:14] == b"\x81\x00" else 14
    if frame[at - 2:at] == b"\x08\x00" and len(frame) >= at + 20:
        if struct.unpack_from(">H", frame, at + 6)[0] & 0x3FFF:
            payload = at + (frame[at] & 15) * 4
            frame[at + 4:at + 6] = frame[at + 10:at + 12] = b"\0\0"
            struct.pack_into(">H", frame, at + 10, checksum(bytes(frame[at:payload])))
    elif frame[at - 2:at] == b"\x86\xdd" and len(frame) >= at + 48 and frame[at + 6] == FRAGMENT:
        frame[at + 44:at + 48] = bytes(4)
    return bytes(frame)


def identification_at(frame):
    """Where IPv4's stands, or None."""
    at = 18 if frame[12:14] == b"\x81\x00" else 14
    return at + 4 if frame[at - 2:at] == b"\x08\x00" and len(frame) >= at + 20 else None


def with_blank_identification(frame):
    """`frame` with identification 0 in an IPv4 header, whose checksum is as right or wrong as it was."""
    at = identification_at(frame)
    if at is None:
        return frame
    summed, = struct.unpack_from(">H", frame, at + 6)
    changed = struct.pack(">H", updated(summed, frame[at:at + 2], b"\0\0"))
    return frame[:at] + b"\0\0" + frame[at + 2:at + 6] + changed + frame[at + 8:]


class Entropy:
    def __init__(self, configuration):
        self.ports = configuration.ports
        self.gue_ports = {service.options["gue"].get("port", 6080)
                          for service in configuration.services if "gue" in service.options}

    def without(self, port, frame):
        """(frame with these bits zero, those of the address and those of the port or None). An IPv4 checksum
        that was right is right again."""
        frame = bytearray(frame)
        at = 18 if frame[12:14] == b"\x81\x00" else 14
        later = False  # a fragment without the ports
        if frame[at - 2:at] == b"\x08\x00" and len(frame) >= at + 20:
            address, protocol, payload = slice(at + 12, at + 16), frame[at + 9], at + 20
            later = struct.unpack_from(">H", frame, at + 6)[0] & 0x1FFF != 0
        elif frame[at - 2:at] == b"\x86\xdd" and len(frame) >= at + 40:
            address, protocol, payload = slice(at + 8, at + 24), frame[at + 6], at + 40
            if protocol == FRAGMENT and len(frame) >= at + 48:
                protocol, payload = frame[at + 40], at + 48
                later = struct.unpack_from(">H", frame, at + 42)[0] & 0xFFF8 != 0
        else:
            return bytes(frame), (None, None)
        if protocol not in TUNNELS:
            return bytes(frame), (None, None)
        v4 = address.start == at + 12
        good = v4 and is_good(bytes(frame[at:payload]))
        source, source_port = self.clear_source(self.ports[port], frame, address), None
        if protocol == 17 and not later and len(frame) >= payload + 8:
            source_port = self.clear_port(frame, payload)
        if good:
            frame[at + 10:at + 12] = b"\0\0"
            struct.pack_into(">H", frame, at + 10, checksum(bytes(frame[at:payload])))
        return bytes(frame), (source, source_port)

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

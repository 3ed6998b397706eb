# SPDX-License-Identifier: BSD-3-Clause
"""Frames of full-nat that left a program which chose the ports by itself: compared with a blank end in place of the
chosen one, and the ends among each other, as no two flows may come from one."""

import struct

from balancer import ipv4, ipv6
from balancer.bindings import FIRST_PORT
from balancer.outcome import SentInPieces
from balancer.services import TRANSLATED
from balancer.translate import ADDRESSES, CHECKSUM_AT, new_checksum

from .entropy import with_blank_identification


def frames_of(sent):
    return sent.frames if isinstance(sent, SentInPieces) else (sent.frame,)


class PoolEnds:
    def __init__(self, configuration):
        self.pool = {address for service in configuration.services for address in service.pool}
        self.flows = {}  # by predicted frame; of those that occur for several flows, None
        self.seen = []  # (predicted frame, (address, port, protocol))

    def predicted(self, outcome):
        """The frames of a FromPool with a blank end."""
        frames = frames_of(outcome.blank)
        for frame in frames:
            if self.flows.setdefault(frame, outcome.flow) != outcome.flow:
                self.flows[frame] = None
        return frames

    def without(self, frame):
        """`frame` with a blank end, if it left from the pool."""
        if not self.pool:
            return frame
        at = 18 if frame[12:14] == b"\x81\x00" else 14
        family = {b"\x08\x00": 4, b"\x86\xdd": 6}.get(frame[at - 2:at])
        if family is None or len(frame) < at + ADDRESSES[family].stop:
            return frame
        half = (ADDRESSES[family].stop - ADDRESSES[family].start) // 2
        source = at + ADDRESSES[family].start
        if frame[source:source + half] not in self.pool:
            return frame
        blank, port, protocol = self.blank(family, frame, at, slice(source, source + half))
        if port is not None:
            self.seen.append((blank, (frame[source:source + half], port, protocol)))
        return blank

    def blank(self, family, frame, at, source):
        """(the frame, port or None, protocol)"""
        data, zeros = bytearray(frame), bytes(source.stop - source.start)
        data[source] = zeros
        protocol, transport = walk(family, frame[at:])
        if family == 4:
            summed, = struct.unpack_from(">H", frame, at + 10)
            struct.pack_into(">H", data, at + 10, new_checksum(0, summed, frame[source], zeros))
        if transport is None or protocol not in TRANSLATED:
            return bytes(data), None, protocol
        start, place = at + transport, at + transport + CHECKSUM_AT[protocol]
        data[start:start + 2] = b"\0\0"
        summed, = struct.unpack_from(">H", frame, place)
        if not (protocol == 17 and family == 4 and summed == 0):
            struct.pack_into(">H", data, place, new_checksum(protocol, summed, frame[source] + frame[start:start + 2],
                                                             zeros + b"\0\0"))
        return bytes(data), struct.unpack_from(">H", frame, start)[0], protocol

    def difference(self):
        """What is wrong with the ends, or None."""
        of_flow, of_end = {}, {}
        for frame, end in self.seen:
            flow = self.flows.get(frame) or self.flows.get(with_blank_identification(frame))
            if end[1] < FIRST_PORT:
                return f"left from port {end[1]} of the pool"
            if flow is None:
                continue
            if of_flow.setdefault(flow, end) != end:
                return f"flow {flow} left from {of_flow[flow]} and from {end}"
            if of_end.setdefault(end, flow) != flow:
                return f"from {end} left {of_end[end]} and {flow}"
        return None


def walk(family, ip):
    """(protocol, offset of its header or None: it is in another fragment). Of packets that were sound."""
    packet = (ipv4 if family == 4 else ipv6).read(ip)
    return packet.protocol, packet.transport if packet.has_transport_header else None

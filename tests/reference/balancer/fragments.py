# SPDX-License-Identifier: BSD-3-Clause
"""Fragments (RFC 791 2.3 and 3.2, RFC 8200 4.5): only the first one of a datagram has ports, and all the others
go where it goes. Those that come before it wait. Nothing is put together."""

from dataclasses import dataclass, field

from . import icmp_in, ipv6, transport
from .outcome import Dropped, Held
from .packet import SCTP, TCP, UDP

SECONDS = 1  # that a datagram has from its first fragment seen
WAITING = 255  # fragments of all datagrams
STRETCHES = 16  # of one datagram that are there, with gaps between
LONGEST = 65535  # what a length field says at most: RFC 791 3.1, RFC 8200 3


@dataclass
class Datagram:
    deadline: float
    end: int = None  # of its payload, once the last fragment was seen
    broken: bool = False
    ports: tuple = None  # source, destination and protocol, once the first was seen
    stretches: list = field(default_factory=list)  # (begin, end), none touches another
    waiting: list = field(default_factory=list)  # Held


def may_have_ports(packet):
    """Later fragments of IPv6 need not say the protocol, where further extension headers follow."""
    later = packet.fragment.begin > 0
    return packet.protocol in (TCP, UDP, SCTP) or (
        packet.family == 6 and later and packet.protocol in ipv6.EXTENSIONS)


def read_first(packet):
    """(whether it says whose flow it is, Dropped for what is wrong with its transport header or None)"""
    if packet.protocol == icmp_in.PROTOCOL[packet.family]:
        identifier = icmp_in.echo_identifier(packet)
        packet.source_port = identifier or 0
        return identifier is not None, None
    try:
        transport.read(packet)
    except Dropped as fault:
        return fault.reason != "l4_bad_length", fault
    return True, None


class Fragments:
    def __init__(self):
        self.datagrams = {}
        self.places = WAITING  # for those that wait
        self.released = []  # (Held, ports, or Dropped)

    def pass_time(self, now):
        for key, datagram in list(self.datagrams.items()):
            if now >= datagram.deadline:
                self.let_go(datagram, Dropped("fragment"))
                del self.datagrams[key]

    def learn(self, packet, port, frame, now):
        """`packet` gets its ports. Answers what is wrong with its transport header, a Dropped or None. Raises
        Held when its first fragment is still to come, and Dropped."""
        fragment, fault, has_ports = packet.fragment, None, False
        if fragment.begin == 0:
            has_ports, fault = read_first(packet)
        key = packet.source, packet.destination, fragment.identification, packet.family == 4 and packet.protocol
        datagram = self.datagrams.setdefault(key, Datagram(now + SECONDS))
        if datagram.broken:
            raise Dropped("frag_bad")
        if not is_sound(datagram, fragment, has_ports):
            self.break_off(datagram)
        self.add(datagram, fragment)
        if fragment.begin == 0:
            datagram.ports = packet.source_port, packet.destination_port, packet.protocol
            self.let_go(datagram, datagram.ports)
        if datagram.ports is None:
            self.hold(datagram, Held(port, frame, packet))
        if datagram.stretches == [(0, datagram.end)]:
            del self.datagrams[key]
        take_ports(packet, datagram.ports)
        return fault

    def break_off(self, datagram):
        datagram.broken = True
        self.let_go(datagram, Dropped("frag_bad"))
        raise Dropped("frag_bad")

    def add(self, datagram, fragment):
        begin, end = fragment.begin, fragment.end
        if any(first <= begin and end <= last for first, last in datagram.stretches):
            raise Dropped("frag_bad")  # it is there; the others are none the worse for it
        if any(begin < last and first < end for first, last in datagram.stretches):
            self.break_off(datagram)  # RFC 5722
        merged = [one for one in datagram.stretches if one[1] != begin and one[0] != end]
        touching = [one for one in datagram.stretches if one not in merged]
        if not touching and len(datagram.stretches) == STRETCHES:
            raise Dropped("frag_table_full")
        whole = min([begin, *(one[0] for one in touching)]), max([end, *(one[1] for one in touching)])
        datagram.stretches = [*merged, whole]
        if fragment.last:
            datagram.end = end

    def hold(self, datagram, held):
        if self.places == 0:
            raise Dropped("frag_table_full")
        self.places -= 1
        held.datagram = datagram
        datagram.waiting.append(held)
        raise held

    def let_go(self, datagram, what):
        self.released += [(held, what) for held in datagram.waiting]
        datagram.waiting = []

    def take_released(self):
        """All since the last call: (Held, its ports or a Dropped). Their places are free again."""
        released, self.released = self.released, []
        self.places += len(released)
        return released


def is_sound(datagram, fragment, has_ports):
    if fragment.begin >= fragment.end or fragment.end > fragment.limit:
        return False
    if not fragment.last and (fragment.end - fragment.begin) % 8:
        return False
    if fragment.begin == 0 and not has_ports:
        return False
    if datagram.end is not None:  # nothing lies behind the last one, which may come twice
        return fragment.end <= datagram.end and (not fragment.last or fragment.end == datagram.end)
    return not fragment.last or all(end <= fragment.begin for _, end in datagram.stretches)


def take_ports(packet, ports):
    """A later fragment passes as a packet in the middle of its flow would."""
    packet.learnt = True
    if packet.has_transport_header:
        return
    packet.source_port, packet.destination_port, packet.protocol = ports
    packet.tcp_flags = transport.ACK if packet.protocol == TCP else 0

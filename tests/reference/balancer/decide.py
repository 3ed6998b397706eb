# SPDX-License-Identifier: BSD-3-Clause
"""The reference balancer itself: the order in which a packet is judged."""

from . import egress, hashing, icmp_in, icmp_out, ipv4, ipv6, link, martian, transport
from .connections import Connections
from .modes import MODES
from .outcome import Dropped, Sent, ToKernel
from .packet import ICMP, ICMP6
from .services import Services

NEIGHBOR_DISCOVERY = range(133, 138)  # RFC 4861 4: router solicitation .. redirect


class Refused(Exception):
    """`mtu`: the longest packet that would have fitted."""

    def __init__(self, reason, mtu=None):
        super().__init__(reason)
        self.reason, self.mtu = reason, mtu


class Balancer:
    def __init__(self, configuration):
        self.connections = Connections(configuration.timeouts)
        self.configure(configuration)

    def configure(self, configuration):
        """As a reload does: connections stay."""
        self.configuration = configuration
        self.services = Services(configuration.services)
        self.by_name = {service.name: service for service in configuration.services}

    def set_state(self, service, backend, state):
        """As `weirctl backend drain|enable|disable` does."""
        self.by_name[service].set_state(backend, state)

    def forget(self):
        self.connections = Connections(self.configuration.timeouts)

    def decide(self, port, frame, now=0.0):
        """Outcome of `frame`, received on port number `port` at `now` seconds."""
        try:
            return self.judge(self.configuration.ports[port], frame, now)
        except Dropped as dropped:
            return dropped

    def judge(self, port, frame, now):
        link.check_station(frame, port.mac)
        kind, at = link.payload(frame, port.vlan)
        if kind == link.ARP:
            return ToKernel("neighbor")
        if kind not in (link.IPV4, link.IPV6):
            raise Dropped("not_ip")
        packet = (ipv4 if kind == link.IPV4 else ipv6).read(frame[at:])
        if not self.services.is_vip(packet.destination):
            return ToKernel("neighbor" if is_neighbor_discovery(packet) else "other")
        try:
            return self.judge_for_vip(packet, link.is_group(frame), now)
        except Refused as refused:
            return self.answered(refused, port, frame, packet)

    def answered(self, refused, port, frame, packet):
        """A packet whose sender may learn why it was dropped."""
        told = None
        if self.configuration.has_icmp_errors and refused.reason == "ttl_expired":
            told = icmp_out.expired(port, frame, packet)
        elif self.configuration.has_icmp_errors:
            told = icmp_out.too_big(port, frame, packet, refused.mtu)
        return told or Dropped(refused.reason)

    def judge_for_vip(self, packet, group_frame, now):
        is_martian = martian.is_martian(packet.source, packet.destination)
        if packet.protocol in (ICMP, ICMP6) and not packet.fragment and not is_martian:
            if self.configuration.has_icmp_errors and icmp_in.is_error(packet):
                return icmp_in.judge(self, packet, group_frame, now)
            identifier = icmp_in.echo_identifier(packet)
            if identifier is None or not self.services.find(packet.destination, packet.protocol, 0):
                return ToKernel("neighbor" if is_neighbor_discovery(packet) else "vip_icmp")
            packet.source_port = identifier  # a flow is addresses and identifier
        if group_frame:  # RFC 1122 3.3.6: unicast in a group frame
            raise Dropped("not_our_mac")
        if is_martian:
            raise Dropped("martian")
        if packet.ttl <= 1:
            raise Refused("ttl_expired")
        if packet.fragment:
            raise Dropped("fragment")
        transport.read(packet)
        service = self.services.find(packet.destination, packet.protocol, packet.destination_port)
        if service is None:
            raise Dropped("unknown_port")
        return self.send(service, self.backend_of(service, packet, now), packet)

    def backend_of(self, service, packet, now):
        """The flow's own while it may keep it, else the one of its slot."""
        backend = self.connections.kept(service, packet.flow, packet.tcp_flags, now)
        if backend is None:
            backend = self.picked(service, packet.flow)
            self.connections.remember(service, packet.flow, packet.protocol, backend, now)
        return backend

    def picked(self, service, flow):
        value = hashing.slot_hash(flow, self.configuration.seed)
        backend = service.table[hashing.slot_of(value, service.table_size)]
        if backend is None:
            raise Dropped("no_backend")
        return backend

    def send(self, service, backend, packet, flow=None):
        """`flow`: where it is not the packet's own."""
        way = egress.find(self.configuration, backend.address)
        mac = egress.mac_of(way)
        kind, length, data = MODES[service.forward].forward(service, backend, way, packet)
        if length > way.port.mtu:
            raise Refused("too_big", way.port.mtu - (length - len(packet.ip)))
        header = link.header(mac, way.port.mac, way.port.vlan, kind)
        return Sent(way.port.number, header + data, flow or packet.flow,
                    f"{service.name}/{backend.name}")


def is_neighbor_discovery(packet):
    """RFC 4861 6.1 and 7.1: hop limit 255, so that it comes from this link."""
    return (packet.family == 6 and packet.protocol == ICMP6 and not packet.fragment
            and packet.ttl == 255 and packet.payload[:1] != b""
            and packet.payload[0] in NEIGHBOR_DISCOVERY)

# SPDX-License-Identifier: BSD-3-Clause
"""The reference balancer itself: the order in which a packet is judged."""

from . import (cut, egress, fragments, full_nat, hashing, icmp_in, icmp_out, ipv4, ipv6, link, martian, mss, quic,
               replies, transport)
from .bindings import Bindings
from .connections import Connections
from .modes import MODES
from .outcome import Dropped, Held, Refused, ToKernel
from .packet import ICMP, ICMP6
from .services import Services

NEIGHBOR_DISCOVERY = range(133, 138)  # RFC 4861 4: router solicitation .. redirect


class Balancer:
    def __init__(self, configuration, place=(0, None)):
        """`place`: number of the worker, and how many there are; None: it is not known."""
        self.place = place
        self.bindings = Bindings(configuration.timeouts, *place)
        self.connections = Connections(configuration.timeouts)
        self.fragments = fragments.Fragments()
        self.configure(configuration)

    def configure(self, configuration):
        """As a reload does: connections stay."""
        self.configuration = configuration
        self.services = Services(configuration.services)
        self.ends = replies.Ends(configuration.services)
        self.by_name = {service.name: service for service in configuration.services}

    def set_state(self, service, backend, state):
        """As `weirctl backend drain|enable|disable` does."""
        self.by_name[service].set_state(backend, state)

    def forget(self):
        self.connections = Connections(self.configuration.timeouts)
        self.fragments = fragments.Fragments()
        self.bindings = Bindings(self.configuration.timeouts, *self.place)

    def pass_time(self, now):
        self.fragments.pass_time(now)

    def decide(self, port, frame, now=0.0):
        """Outcome of `frame`, received on port number `port` at `now` seconds."""
        return outcome_of(lambda: self.judge(self.configuration.ports[port], frame, now))

    def released(self, now):
        """[(Held, outcome)]: fragments that wait no longer. Ends a burst."""
        late = [(held, what if isinstance(what, Dropped) else outcome_of(lambda: self.go_on(held, what, now)))
                for held, what in self.fragments.take_released()]
        self.bindings.settle()
        return late

    def go_on(self, held, ports, now):
        fragments.take_ports(held.packet, ports)
        return self.judge_ip(held.port, held.frame, held.packet, now)

    def judge(self, port, frame, now):
        packet = read(port, frame)
        return self.judge_ip(port, frame, packet, now) if packet else ToKernel("neighbor")

    def judge_ip(self, port, frame, packet, now):
        if not self.services.is_vip(packet.destination):
            return self.judge_for_others(port, frame, packet, now)
        try:
            return self.judge_for_vip(port, frame, packet, now)
        except Refused as refused:
            return self.answered(refused, port, frame, packet)

    def judge_for_others(self, port, frame, packet, now):
        outcome = None
        if not link.is_group(frame) and not self.configuration.is_own(packet.destination):
            try:
                outcome = replies.judge(self, port, frame, packet, now)
            except Refused as refused:  # to the backend we are a router
                own = port.own_address(packet.family)
                return self.answered(refused, port, frame, packet, own) if own else Dropped(refused.reason)
        return outcome or ToKernel("neighbor" if is_neighbor_discovery(packet) else "other")

    def answered(self, refused, port, frame, packet, own=None):
        """A packet whose sender may learn why it was dropped; `own`: by whom, if not by the VIP."""
        told = None
        if self.configuration.has_icmp_errors and refused.reason == "ttl_expired":
            told = icmp_out.expired(port, frame, packet)
        elif self.configuration.has_icmp_errors:
            told = icmp_out.too_big(port, frame, packet, refused.mtu, own)
        return told or Dropped(refused.reason)

    def judge_for_vip(self, port, frame, packet, now):
        group_frame = link.is_group(frame)
        is_martian = martian.is_martian(packet.source, packet.destination)
        if packet.protocol in (ICMP, ICMP6) and not is_martian:
            if self.configuration.has_icmp_errors and not packet.fragment and icmp_in.is_error(packet):
                return icmp_in.judge(self, packet, group_frame, now)
            if not self.take_echo(packet):
                return ToKernel("neighbor" if is_neighbor_discovery(packet) else "vip_icmp")
        if group_frame:  # RFC 1122 3.3.6: unicast in a group frame
            raise Dropped("not_our_mac")
        if is_martian:
            raise Dropped("martian")
        if packet.ttl <= 1:
            raise Refused("ttl_expired")
        if packet.fragment:
            self.read_fragment(port, frame, packet, now)
        else:
            transport.read(packet)
        service = self.services.find(packet.destination, packet.protocol, packet.destination_port)
        if service is None:
            raise Dropped("unknown_port")
        return self.send(service, self.backend_of(service, packet, now), packet, now)

    def take_echo(self, packet):
        """An echo request for a service, whose flow is addresses and identifier; or a fragment that may be of
        one. False: another message."""
        if packet.protocol != icmp_in.PROTOCOL[packet.family]:
            return False
        if self.services.find(packet.destination, packet.protocol, 0) is None:
            return False
        if packet.fragment:
            return True
        identifier = icmp_in.echo_identifier(packet)
        packet.source_port = identifier or 0
        return identifier is not None

    def read_fragment(self, port, frame, packet, now):
        if packet.learnt:
            return
        if not fragments.may_have_ports(packet) and not self.services.find(packet.destination, packet.protocol, 0):
            raise Dropped("unknown_port")
        fault = self.fragments.learn(packet, port, frame, now)
        if fault:
            raise fault

    def backend_of(self, service, packet, now):
        """The one that its connection ID names, else the flow's own while it may keep it, else the one
        of its slot."""
        named = quic.server(service, packet)
        if named is not None:
            return self.named_backend(service, packet, named, now)
        backend = self.connections.kept(service, packet.flow, packet.tcp_flags, now)
        if backend is None:
            backend = self.picked(service, packet.flow)
            self.connections.remember(service, packet.flow, packet.protocol, backend, now)
        return backend

    def named_backend(self, service, packet, named, now):
        """A flow that another one holds stays its own, and does not live longer for it."""
        holder = self.connections.holder(service, packet.flow, packet.tcp_flags, now)
        if holder is None:
            self.connections.remember(service, packet.flow, packet.protocol, named, now)
        elif holder is named:
            self.connections.kept(service, packet.flow, packet.tcp_flags, now)
        return named

    def picked(self, service, flow):
        value = hashing.slot_hash(flow, self.configuration.seed)
        backend = service.table[hashing.slot_of(value, service.table_size)]
        if backend is None:
            raise Dropped("no_backend")
        return backend

    def send(self, service, backend, packet, now, flow=None):
        """`flow`: what an ICMP error is about."""
        leaving = self.from_pool(service, backend, packet, now, flow)
        way = egress.find(self.configuration, backend.address)
        mac = egress.mac_of(way)
        mode = MODES.get(service.forward)
        if leaving:
            kind, length, data = link.IPV4 if leaving.family == 4 else link.IPV6, None, None
        elif flow and hasattr(mode, "forward_error"):
            kind, length, data = mode.forward_error(service, backend, way, packet, flow)
        else:
            kind, length, data = mode.forward(service, backend, way, mss.clamped(packet, service.mss_clamp))
        header = link.header(mac, way.port.mac, way.port.vlan, kind)
        names = f"{service.name}/{backend.name}", f"error to {service.name}" if flow else service.name
        if leaving:
            sent, mtu = leaving.sent(way, header, flow or packet.flow, *names), leaving.mtu(way.port)
        else:
            sent = cut.sent(packet, way.port, header, length, data, flow or packet.flow, *names)
            mtu = way.port.mtu - (length - len(packet.ip))
        if sent is None:
            raise Refused("too_big", mtu)
        return sent

    def from_pool(self, service, backend, packet, now, flow):
        if service.forward != "full-nat":
            return None
        if flow:
            return full_nat.error(self, service, backend, packet, now, flow)
        return full_nat.request(self, service, backend, packet, now)


def read(port, frame):
    """The Packet in a frame that came in by `port`; None: it is ARP."""
    link.check_station(frame, port.mac)
    kind, at = link.payload(frame, port.vlan)
    if kind == link.ARP:
        return None
    if kind not in (link.IPV4, link.IPV6):
        raise Dropped("not_ip")
    return (ipv4 if kind == link.IPV4 else ipv6).read(frame[at:])


def outcome_of(judge):
    try:
        return judge()
    except (Dropped, Held) as outcome:
        return outcome


def is_neighbor_discovery(packet):
    """RFC 4861 6.1 and 7.1: hop limit 255, so that it comes from this link."""
    return (packet.family == 6 and packet.protocol == ICMP6 and not packet.fragment
            and packet.ttl == 255 and packet.payload[:1] != b""
            and packet.payload[0] in NEIGHBOR_DISCOVERY)

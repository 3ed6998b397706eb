# SPDX-License-Identifier: BSD-3-Clause
"""full-nat: the client's end becomes one of a pool, the VIP the backend's; replies to the pool go back the same
way, if they come from the backend that the flow goes to. Where the pool is of the other family than the VIP,
packets change theirs: families.py."""

from . import cut, families, families_icmp, fragments, icmp_in, mss, replies, transport
from .connections import next_state
from .modes.dsr_l2 import with_padding
from .modes.nat import end_of
from .outcome import Dropped, FromPool, Sent
from .packet import SCTP
from .services import TRANSLATED
from .translate import ADDRESSES, End, translated
from .translate_icmp import translated_error


def request(balancer, service, backend, packet, now):
    """What of a client's packet has the right length and checksums once the end of the pool is known."""
    binding = balancer.bindings.of_request(service, backend, packet.flow, packet.tcp_flags, now)
    if binding is None:
        raise Dropped("nat_ports_exhausted")
    to = end_of(backend, packet.destination_port)
    packet = mss.clamped(packet, service.mss_clamp)
    if families.crosses(service):
        return LeavingBetweenFamilies(binding, packet, to)
    at = ADDRESSES[packet.family].start
    ports_at = packet.transport if packet.has_transport_header else None
    return Leaving(binding, packet, lambda end: translated(packet, source=end, destination=to), at, ports_at)


def error(balancer, service, backend, packet, now, flow):
    """An ICMP error about a packet to the client: the backend sent it to the pool."""
    binding = balancer.bindings.of_flow(flow, now)
    if binding is None or not binding.settled:
        raise Dropped("unknown_port")
    own = end_of(backend, flow[3])
    if families.crosses(service):
        return LeavingError(binding, packet, own)
    inner = packet.payload[8:]
    _, transport_at = icmp_in.EMBEDDED[packet.family](inner)
    inner_at = packet.transport + 8
    addresses = ADDRESSES[packet.family]
    at = inner_at + (addresses.start + addresses.stop) // 2
    return Leaving(binding, packet, lambda end: translated_error(packet, destination=own, inner_source=own,
                                                                  inner_destination=end),
                   at, inner_at + transport_at + 2)


class Leaving:
    def __init__(self, binding, packet, build, address_at, port_at):
        """`build(end)`: the IP packet. `address_at`, `port_at`: where the end stands in it."""
        self.binding, self.packet, self.build = binding, packet, build
        self.address_at, self.port_at = address_at, port_at
        self.family = packet.family

    @staticmethod
    def mtu(port):
        """What the packet's sender may send."""
        return port.mtu

    def sent(self, way, header, flow, backend, what):
        """None: it is too long."""
        def sent(end):
            data = self.build(end)
            return cut.sent(self.packet, way.port, header, len(data), with_padding(data, self.packet.trailer, way),
                            flow, backend, what)
        if sent(self.binding.blank) is None:
            return None
        port_at = None if self.port_at is None else len(header) + self.port_at
        return FromPool(way.port.number, sent, self.binding, len(header) + self.address_at, port_at, flow, backend,
                        what)


class LeavingBetweenFamilies:
    def __init__(self, binding, packet, to):
        self.binding, self.packet, self.to = binding, packet, to
        self.family = families.OTHER[packet.family]

    def mtu(self, port):
        return families.in_terms_of_sender(self.packet.family, port.mtu)

    def sent(self, way, header, flow, backend, what):
        def sent(end):
            return families.sent(self.packet, way.port, header, end, self.to, flow, backend, what)
        blank = sent(self.binding.blank)
        if blank is None:
            return None
        ip = (blank.frame if isinstance(blank, Sent) else blank.frames[0])[len(header):]
        port_at = len(header) + families.transport_at(ip) if self.packet.has_transport_header else None
        return FromPool(way.port.number, sent, self.binding, len(header) + ADDRESSES[self.family].start, port_at, flow,
                        backend, what)


class LeavingError:
    """An ICMP error to a backend of the other family."""

    def __init__(self, binding, packet, own):
        self.binding, self.packet, self.own = binding, packet, own
        self.family = families.OTHER[packet.family]
        self.blank = self.build(binding.blank)  # what has no counterpart there goes nowhere

    @staticmethod
    def mtu(port):
        return port.mtu  # which none of them fills

    def build(self, end):
        return families_icmp.translated_error(self.packet, source=end, destination=self.own, inner_source=self.own,
                                              inner_destination=end)

    def sent(self, way, header, flow, backend, what):
        def sent(end):
            return Sent(way.port.number, header + self.build(end), flow, backend, what,
                        own_identification=self.family == 4)
        inner_at = families.transport_at(self.blank) + 8
        port_at = inner_at + families.transport_at(self.blank[inner_at:]) + 2
        return FromPool(way.port.number, sent, self.binding, len(header) + ADDRESSES[self.family].start,
                        len(header) + port_at, flow, backend, what)


def judge_reply(balancer, port, frame, packet, now):
    """To an address of the pool. None: it is the kernel's."""
    if packet.fragment and not packet.learnt:
        if packet.protocol == SCTP or not fragments.may_have_ports(packet):
            return None
        fault = balancer.fragments.learn(packet, port, frame, now)
    else:
        fault = None if packet.fragment else fault_of(packet)
    if packet.protocol not in TRANSLATED:
        return None
    replies.check(packet, (packet.source, packet.destination))
    if fault:
        raise fault
    binding, service, backend = flow_of(balancer, packet.destination, packet.destination_port, packet.protocol,
                                        End(packet.source, packet.source_port), now)
    outcome = replies.reply(balancer, service, binding.flow, packet)
    binding.state, binding.last_packet = next_state(binding.state, packet.tcp_flags), now
    balancer.connections.reply(service, binding.flow, packet.tcp_flags, now, lambda one: end_of(
        one, binding.flow[3]) == end_of(backend, binding.flow[3]))
    return outcome


def fault_of(packet):
    try:
        transport.read(packet)
    except Dropped as fault:
        return fault
    return None


def flow_of(balancer, address, port, protocol, backend_end, now):
    """(binding, its service and backend) where that backend may answer."""
    binding = balancer.bindings.at(address, port, protocol, now)
    service = binding and balancer.by_name.get(binding.service)
    backend = service and service.backends.get(binding.backend)
    if not backend or end_of(backend, binding.flow[3]) != backend_end:
        raise Dropped("unknown_port")
    return binding, service, backend


def judge_error(balancer, packet, protocol, pool_port, backend_port, now):
    """About a packet that left from the pool, which its destination was then the source of."""
    icmp_in.check_sum(packet)
    address = icmp_in.embedded_destination(packet)
    binding, service, _ = flow_of(balancer, packet.destination, pool_port, protocol, End(address, backend_port),
                                  now)
    client, vip = End(binding.flow[0], binding.flow[2]), End(binding.flow[1], binding.flow[3])
    what = f"error behind {service.name}"
    if families.crosses(service):
        data = families_icmp.translated_error(packet, source=vip, destination=client, inner_source=client,
                                              inner_destination=vip)
        way, header = replies.way_to(balancer, client.address)
        return Sent(way.port.number, header + data, packet.flow, what, what,
                    own_identification=len(client.address) == 4)
    data = translated_error(packet, source=vip if packet.source == address else None, destination=client,
                            inner_source=client, inner_destination=vip)
    return replies.to_client(balancer, client.address, packet, data, what)

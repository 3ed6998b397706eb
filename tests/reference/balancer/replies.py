# SPDX-License-Identifier: BSD-3-Clause
"""What the backends of nat services send: replies go to the client from the VIP, ICMP errors about a
client's packets tell of the packet as the client sent it (RFC 5508 4). All else is the kernel's."""

from . import cut, egress, families, fragments, full_nat, icmp_in, link, martian, mss, transport
from .modes.dsr_l2 import with_padding
from .modes.nat import end_of
from .outcome import Dropped, Refused
from .packet import ICMP, ICMP6, SCTP
from .services import TRANSLATED, speaks
from .translate import End, translated
from .translate_icmp import translated_error


class Ends:
    """Where replies come from."""

    def __init__(self, services):
        self.by_address = {}
        for service in services:
            if service.forward != "nat":
                continue
            for backend in service.backends.values():
                self.by_address.setdefault(backend.address, []).append((service, backend))

    def is_backend(self, address):
        return address in self.by_address

    def service_of(self, address, protocol, port):
        for service, backend in self.by_address.get(address, ()):
            if not speaks(service, protocol):
                continue
            if (backend.port or service.first_port) <= port <= (backend.port or service.last_port):
                return service
        return None


def judge(balancer, port, frame, packet, now):
    """The outcome, or None: it is no such packet. Precondition: it is for somebody else than us, and came
    in a frame for our station alone."""
    if packet.protocol in (ICMP, ICMP6):
        return judge_error(balancer, packet, now)
    if balancer.services.is_pool(packet.destination):
        return full_nat.judge_reply(balancer, port, frame, packet, now)
    if packet.fragment and not packet.learnt:
        if packet.protocol == SCTP or not fragments.may_have_ports(packet):
            return None
        if not balancer.ends.is_backend(packet.source) or balancer.fragments.learn(packet, port, frame, now):
            return None
    if packet.protocol not in TRANSLATED:
        return None
    if not packet.fragment:
        try:
            transport.read(packet)
        except Dropped:
            return None
    service = balancer.ends.service_of(packet.source, packet.protocol, packet.source_port)
    if service is None:
        return None
    flow = client_flow(service, packet.destination, packet.destination_port, packet.protocol, packet.source_port)
    check(packet, flow)
    outcome = reply(balancer, service, flow, packet)
    from_backend = End(packet.source, packet.source_port)
    balancer.connections.reply(service, flow, packet.tcp_flags, now,
                               lambda backend: end_of(backend, flow[3]) == from_backend)
    return outcome


def client_flow(service, client, client_port, protocol, backend_port):
    """As the client's packets have it."""
    one = service.first_port == service.last_port
    return client, service.vip, client_port, service.first_port if one else backend_port, protocol


def check(packet, *flows):
    """Nobody has such an address; and a router's hop must be left. `flows`: source and destination come first."""
    if any(martian.is_martian(flow[0], flow[1]) for flow in flows):
        raise Dropped("martian")
    if packet.ttl <= 1:
        raise Dropped("ttl_expired")


def reply(balancer, service, flow, packet):
    client, vip, client_port, vip_port, _ = flow
    packet = mss.clamped(packet, service.mss_clamp)
    if families.crosses(service):
        return to_client_of_other_family(balancer, packet, End(vip, vip_port), End(client, client_port),
                                         f"reply of {service.name}")
    data = translated(packet, source=End(vip, vip_port), destination=End(client, client_port))
    return to_client(balancer, client, packet, data, f"reply of {service.name}")


def way_to(balancer, client):
    """(the way, the header of the frame)"""
    way = egress.find(balancer.configuration, client)
    mac = egress.mac_of(way)
    return way, link.header(mac, way.port.mac, way.port.vlan, link.IPV4 if len(client) == 4 else link.IPV6)


def to_client_of_other_family(balancer, packet, vip, client, what):
    way, header = way_to(balancer, client.address)
    sent = families.sent(packet, way.port, header, vip, client, packet.flow, what, what)
    if sent is None:
        raise Refused("too_big", families.in_terms_of_sender(packet.family, way.port.mtu))
    return sent


def to_client(balancer, client, packet, data, what):
    way, header = way_to(balancer, client)
    sent = cut.sent(packet, way.port, header, len(data), with_padding(data, packet.trailer, way), packet.flow, what,
                    what)
    if sent is None:
        raise Refused("too_big", way.port.mtu)
    return sent


def judge_error(balancer, packet, now):
    """About a packet to a backend."""
    if packet.fragment or not icmp_in.is_error(packet):
        return None
    try:
        icmp_in.check_form(packet)
        protocol, ports = icmp_in.embedded(packet)
    except Dropped:
        return None  # it does not tell
    if protocol not in TRANSLATED:
        return None
    client_port, backend_port = ports
    if balancer.services.is_pool(packet.destination):
        check(packet, (packet.source, packet.destination))
        return full_nat.judge_error(balancer, packet, protocol, client_port, backend_port, now)
    backend = icmp_in.embedded_destination(packet)
    service = balancer.ends.service_of(backend, protocol, backend_port)
    if service is None:
        return None
    flow = client_flow(service, packet.destination, client_port, protocol, backend_port)
    check(packet, (packet.source, packet.destination), flow)
    icmp_in.check_sum(packet)
    vip = End(flow[1], flow[3])
    data = translated_error(packet, source=vip if packet.source == backend else None, inner_destination=vip)
    return to_client(balancer, flow[0], packet, data, f"error behind {service.name}")

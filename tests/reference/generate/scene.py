# SPDX-License-Identifier: BSD-3-Clause
"""Who talks to whom: clients, services, and how a sound packet of theirs looks."""

import struct

from balancer import families
from balancer.packet import SCTP, TCP, UDP

from . import quic
from .recipe import Recipe, icmp

CLIENT_MAC = bytes.fromhex("0200000000c1")
TCP_FLAGS = (0x02, 0x10, 0x10, 0x10, 0x18, 0x18, 0x11, 0x04, 0x14, 0x12, 0xC2, 0x30, 0x0A)


class Scene:
    """`clients` addresses of each family come again and again, so that flows have many packets."""

    def __init__(self, configuration, rng, clients=600):
        self.configuration, self.rng = configuration, rng
        # Families take turns: the weight of a kind of packet does not hang on the configuration.
        self.services = {length: [service for service in configuration.services
                                  if len(service.vip) == length] for length in (4, 16)}
        self.nat_services = [service for service in configuration.services if service.forward == "nat"]
        self.full_nat_services = [service for service in configuration.services if service.pool]
        self.crossing_services = [service for service in self.full_nat_services if families.crosses(service)]
        self.staying_services = [service for service in self.full_nat_services if not families.crosses(service)]
        self.bindings = list  # answers the live ones of full-nat, as far as they are known
        self.clients = {4: [self.client(4) for _ in range(clients)],
                        16: [self.client(16) for _ in range(clients)]}
        # Sizes at which something changes: packets that just fit a port, alone or in a tunnel.
        self.edges = sorted({port.mtu - outer + off for port in configuration.ports
                             for outer in (0, 20, 24, 28, 32, 40, 44, 48, 52) for off in (-1, 0, 1)})

    def client(self, length):
        if length == 4:
            return bytes([self.rng.choice((9, 11, 41, 88, 100, 151, 198, 223)),
                          *self.rng.randbytes(3)])
        return bytes.fromhex("2001") + self.rng.randbytes(14)

    def port(self):
        """Ingress: any; VIPs are reached by every port."""
        return self.configuration.ports[self.rng.choice((0, 0, 0, 1, 2))]

    def protocol_of(self, service):
        return {"tcp": TCP, "udp": UDP, "sctp": SCTP}.get(service.protocol) or self.rng.choice(
            (TCP, TCP, UDP, UDP, SCTP))

    def port_of(self, service):
        """The edges of a range more often."""
        return self.rng.choice((service.first_port, service.last_port,
                                self.rng.randint(service.first_port, service.last_port)))

    def to_service(self, service=None):
        """A sound packet of a client to a service."""
        rng = self.rng
        if service is None:
            service = rng.choice(self.services[rng.choice((4, 16))])
        source = rng.choice(self.clients[len(service.vip)])
        if service.protocol == "icmp":
            return self.ping(self.frame(source, service.vip))
        recipe = self.sound(source, service.vip, self.protocol_of(service), self.client_port(),
                            self.port_of(service))
        if "quic" in service.options:
            recipe.data = quic.payload(rng, service)
        return recipe

    def client_port(self):
        return self.rng.choice((1024, 5000, 40000, 65535, self.rng.randrange(1, 65536)))

    def sound(self, source, destination, protocol, source_port, destination_port):
        """TCP, UDP or SCTP of whatever flags and data."""
        rng = self.rng
        recipe = self.frame(source, destination)
        recipe.protocol = protocol
        recipe.source_port, recipe.destination_port = source_port, destination_port
        recipe.tcp_flags = rng.choice(TCP_FLAGS)
        recipe.traffic_class = rng.choice((0, 0, 1, 2, 3, 0xB8, 0xFF, rng.randrange(256)))
        recipe.ttl = rng.choice((2, 64, 64, 128, 255))
        recipe.flow_label = rng.choice((0, rng.randrange(1 << 20)))
        recipe.identification = rng.randrange(1 << 16)
        recipe.fragment = rng.choice((0x4000, 0x4000, 0, 0x8000))
        recipe.data = rng.randbytes(rng.choice((0, 0, 1, 6, 32, 100, rng.randrange(200))))
        return recipe

    def ping(self, recipe):
        """Few identifiers, so that flows have many packets."""
        kind = 8 if recipe.family == 4 else 128
        recipe.source_port = self.rng.choice((1, 2, 40000, 65535))
        word = struct.pack(">HH", recipe.source_port, self.rng.randrange(65536))
        return icmp(recipe, kind, 0, word, self.rng.randbytes(self.rng.choice((0, 20, 56))))

    def frame(self, source, destination):
        """From the wire to us, on some port."""
        port = self.port()
        recipe = Recipe(port.number, port.mac, CLIENT_MAC, source, destination)
        if port.vlan:
            recipe.tags = [(0x8100, self.rng.choice((0, 0x2000, 0xE000)) | port.vlan)]
        return recipe

    def resize(self, recipe, ip_length):
        """Fills the packet up to `ip_length` bytes from the IP header on, if it is not longer."""
        longest = 65535 if recipe.family == 4 else 65575
        room = min(ip_length, longest) - (len(recipe.build()) - 14 - 4 * len(recipe.tags) - len(recipe.padding))
        if room > 0:
            recipe.data += self.rng.randbytes(room)
        return recipe

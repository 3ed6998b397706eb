# SPDX-License-Identifier: BSD-3-Clause
"""How frames reach a backend: the port whose network holds its address, by the longest prefix; else
the first port with a gateway of its family. Next hops are the static neighbours of that port."""

from dataclasses import dataclass

from .configuration import Port
from .martian import in_network
from .outcome import Dropped


@dataclass(frozen=True)
class Egress:
    port: Port
    next_hop: bytes

    @property
    def direct(self):
        """`next_hop` is the backend itself."""
        return self.next_hop == self.backend

    backend: bytes


def find(configuration, backend):
    networks = [(interface.network.prefixlen, -port.number, port)
                for port in configuration.ports for interface in port.interfaces
                if in_network(backend, interface.network)]
    if networks:
        return Egress(max(networks, key=lambda one: one[:2])[2], backend, backend)
    for port in configuration.ports:
        for gateway in port.gateways:
            if len(gateway) == len(backend):
                return Egress(port, gateway, backend)
    raise Dropped("no_route")


def mac_of(egress):
    try:
        return egress.port.neighbors[egress.next_hop]
    except KeyError:
        raise Dropped("no_neighbor") from None


def own_address(port, towards):
    """The port's address in the narrowest network that holds `towards`, else its first one."""
    family = [one for one in port.interfaces if len(one.ip.packed) == len(towards)]
    if not family:
        raise Dropped("no_route")
    around = [one for one in family if in_network(towards, one.network)]
    if around:
        return max(around, key=lambda one: one.network.prefixlen).ip.packed
    return family[0].ip.packed

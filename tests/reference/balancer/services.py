# SPDX-License-Identifier: BSD-3-Clause
"""Which service a packet is for: of those that match, the most specific (docs/configuration.md)."""

from .packet import ICMP, ICMP6, SCTP, TCP, UDP

PROTOCOLS = {"tcp": (TCP,), "udp": (UDP,), "sctp": (SCTP,), "icmp": (ICMP, ICMP6), "any": (TCP, UDP, SCTP)}
TRANSLATED = (TCP, UDP)


def speaks(service, protocol):
    if service.forward in ("nat", "full-nat") and protocol not in TRANSLATED:
        return False
    if protocol in PROTOCOLS[service.protocol]:
        return True
    # What has no ports; checksums of most protocols cover the address that l3dsr changes.
    return (service.protocol == "any" and (service.first_port, service.last_port) == (0, 65535)
            and service.forward != "l3dsr" and protocol not in (ICMP, ICMP6))


class Services:
    def __init__(self, services):
        self.by_vip = {}
        self.pool = {address for service in services for address in service.pool}
        for service in services:
            self.by_vip.setdefault(service.vip, []).append(service)

    def is_vip(self, address):
        return address in self.by_vip

    def is_pool(self, address):
        return address in self.pool

    def find(self, vip, protocol, port):
        """None when no service stands there. One port before a range, a narrow range before a wide
        one, a protocol before `any`."""
        matching = [service for service in self.by_vip.get(vip, ())
                    if speaks(service, protocol)
                    and service.first_port <= port <= service.last_port]
        return min(matching, default=None, key=lambda service: (
            service.last_port - service.first_port, service.protocol == "any"))

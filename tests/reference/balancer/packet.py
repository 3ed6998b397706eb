# SPDX-License-Identifier: BSD-3-Clause
"""What the headers of a packet say."""

from dataclasses import dataclass

ICMP, TCP, UDP, ICMP6, SCTP = 1, 6, 17, 58, 132


@dataclass
class Fragment:
    """A piece of the payload of a datagram."""

    identification: int
    begin: int  # bytes
    end: int
    last: bool
    limit: int  # where the payload ends at most, as the length field of the whole counts headers, too


@dataclass
class Packet:
    family: int  # 4 or 6
    ip: bytes  # from the IP header to the last byte that it counts
    trailer: bytes  # Ethernet padding behind it
    source: bytes
    destination: bytes
    traffic_class: int  # DSCP and ECN
    ttl: int  # or hop limit
    protocol: int  # behind IPv6 extension headers
    transport: int  # offset in `ip` of what `protocol` names
    dont_fragment: bool  # always for IPv6
    identification: int = None  # IPv4's, or of an IPv6 fragment header; None where there is none
    fragment: Fragment = None  # of a larger datagram
    cut_extensions: bool = False  # the datagram's payload, of which this is a piece, begins with extension headers
    segments_left: bool = False  # of an IPv6 routing header
    learnt: bool = False  # of a fragment: its first one is known
    source_port: int = 0  # TCP, UDP and SCTP; the identifier of an echo request
    destination_port: int = 0
    tcp_flags: int = 0

    @property
    def has_transport_header(self):
        return self.fragment is None or self.fragment.begin == 0

    @property
    def payload(self):
        return self.ip[self.transport:]

    @property
    def flow(self):
        return (self.source, self.destination, self.source_port, self.destination_port, self.protocol)

# SPDX-License-Identifier: BSD-3-Clause
"""A frame field by field. None: the value that belongs there, from the other fields."""

import struct
from dataclasses import dataclass, field

from balancer.checksum import checksum, pseudo_header
from balancer.packet import ICMP6, SCTP, TCP, UDP


@dataclass
class Recipe:
    port: int
    to: bytes  # MAC addresses
    by: bytes
    source: bytes
    destination: bytes
    tags: list = field(default_factory=list)  # (TPID, TCI), outermost first
    ether_type: int = None
    traffic_class: int = 0
    ttl: int = 64
    identification: int = 0
    flow_label: int = 0
    fragment: int = 0x4000  # IPv4 flags and offset
    options: bytes = b""  # IPv4, a multiple of 4
    extensions: list = field(default_factory=list)  # IPv6: (type, bytes with a blank first byte)
    protocol: int = TCP
    version: int = None
    header_words: int = None
    ip_length: int = None  # IPv4 total length, IPv6 payload length
    ip_checksum: int = None
    source_port: int = 0
    destination_port: int = 0
    tcp_flags: int = 0x10
    tcp_options: bytes = b""
    tcp_words: int = None
    udp_length: int = None
    checksum: int = None  # of the transport header
    transport: bytes = None  # in place of the TCP or UDP header
    data: bytes = b""
    padding: bytes = b""

    @property
    def family(self):
        return 4 if len(self.source) == 4 else 6

    def build(self):
        kind = self.ether_type
        if kind is None:
            kind = 0x0800 if self.family == 4 else 0x86DD
        tags = b"".join(struct.pack(">HH", *tag) for tag in self.tags)
        ip = self.ipv4() if self.family == 4 else self.ipv6()
        return self.to + self.by + tags + struct.pack(">H", kind) + ip + self.padding

    def ipv4(self):
        payload = self.segment()
        words = 5 + len(self.options) // 4 if self.header_words is None else self.header_words
        version = 4 if self.version is None else self.version
        total = 20 + len(self.options) + len(payload) if self.ip_length is None else self.ip_length
        header = struct.pack(">BBHHHBBH4s4s", version << 4 | words, self.traffic_class, total & 0xFFFF,
                             self.identification, self.fragment, self.ttl, self.protocol, 0,
                             self.source, self.destination) + self.options
        summed = checksum(header) if self.ip_checksum is None else self.ip_checksum
        return header[:10] + struct.pack(">H", summed) + header[12:] + payload

    def ipv6(self):
        payload = self.segment()
        following = self.protocol
        for kind, body in reversed(self.extensions):
            payload = bytes([following]) + body[1:] + payload
            following = kind
        version = 6 if self.version is None else self.version
        length = len(payload) if self.ip_length is None else self.ip_length
        first = version << 28 | self.traffic_class << 20 | self.flow_label
        return struct.pack(">IHBB16s16s", first, length & 0xFFFF, following, self.ttl, self.source,
                           self.destination) + payload

    def segment(self):
        """Transport header and data."""
        if self.transport is not None:
            return self.transport + self.data
        if self.protocol == TCP:
            words = 5 + len(self.tcp_options) // 4 if self.tcp_words is None else self.tcp_words
            header = struct.pack(">HHIIBBHHH", self.source_port, self.destination_port, 1, 1,
                                 words << 4, self.tcp_flags, 0xFFFF, 0, 0) + self.tcp_options
            return self.summed(header, 16)
        if self.protocol == UDP:
            length = 8 + len(self.data) if self.udp_length is None else self.udp_length
            header = struct.pack(">HHHH", self.source_port, self.destination_port, length & 0xFFFF, 0)
            return self.summed(header, 6)
        if self.protocol == SCTP:  # the receiver's CRC32c is not a balancer's business
            return struct.pack(">HHII", self.source_port, self.destination_port, 1, 0) + self.data
        return self.data

    def summed(self, header, at):
        value = self.checksum
        if value is None:
            segment = header + self.data
            value = checksum(pseudo_header(self.source, self.destination, len(segment),
                                           self.protocol) + segment)
            value = value or (0xFFFF if self.protocol == UDP else 0)
        return header[:at] + struct.pack(">H", value) + header[at + 2:] + self.data


def icmp(recipe, kind, code, rest, body):
    """Makes `recipe` an ICMP message of its family, with a sound checksum."""
    message = struct.pack(">BBH", kind, code, 0) + rest + body
    recipe.protocol = 1 if recipe.family == 4 else ICMP6
    front = b"" if recipe.family == 4 else pseudo_header(recipe.source, recipe.destination,
                                                         len(message), ICMP6)
    recipe.transport = message[:2] + struct.pack(">H", checksum(front + message)) + message[4:]
    return recipe

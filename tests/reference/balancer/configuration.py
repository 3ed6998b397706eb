# SPDX-License-Identifier: BSD-3-Clause
"""The TOML of docs/configuration.md as plain objects. It is read here, not judged: `weir --check`
has said that it is sound."""

import ipaddress
import re
import tomllib
from dataclasses import dataclass, field
from functools import cached_property

from . import maglev

SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


def packed(text):
    return ipaddress.ip_address(text).packed


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(ms|s|m|h)", text).groups()
    return int(number) * SECONDS[unit]


@dataclass
class Port:
    number: int
    mac: bytes
    mtu: int
    vlan: int
    interfaces: list  # own addresses with their networks
    gateways: list
    tunnel_sources: list  # networks
    neighbors: dict  # address -> MAC
    has_tap: bool

    def own_address(self, family):
        """The first of its own addresses of this family, or None."""
        return next((one.ip.packed for one in self.interfaces if one.version == family), None)


@dataclass
class Backend:
    name: str
    address: bytes
    weight: int
    state: str  # active, drain, disabled
    port: int = 0
    quic_server_id: bytes = b""

    @property
    def takes_flows(self):
        return self.state == "active" and self.weight > 0

    @property
    def keeps_flows(self):
        return self.state != "disabled"


@dataclass
class Service:
    name: str
    vip: bytes
    protocol: str
    first_port: int
    last_port: int
    forward: str
    table_size: int
    backends: dict  # by name
    options: dict = field(default_factory=dict)  # the tables gue, l3dsr, quic ...
    mss_clamp: int = 0  # 0: none
    pool: list = field(default_factory=list)  # of full-nat

    @property
    def seats(self):
        return sorted(self.backends.values(), key=lambda backend: backend.name.encode())

    @cached_property
    def members(self):
        return [(maglev.name_hash(backend.name), backend.weight) for backend in self.seats]

    @cached_property
    def configured(self):
        return maglev.configured_table(self.members, self.table_size)

    @cached_property
    def table(self):
        """By slot: the backend that takes new flows there, or None."""
        seats = self.seats
        live = [i for i, backend in enumerate(seats) if backend.takes_flows]
        return [None if seat == maglev.NO_SEAT else seats[seat]
                for seat in maglev.live_table(self.configured, self.members, live)]

    def set_state(self, backend, state):
        self.backends[backend].state = state
        self.__dict__.pop("table", None)


@dataclass
class Configuration:
    ports: list
    services: list
    seed: int
    timeouts: dict
    has_icmp_errors: bool  # [icmp] is there: errors are answered and forwarded

    def is_own(self, address):
        return any(interface.ip.packed == address for port in self.ports for interface in port.interfaces)


def read_port(number, table):
    return Port(
        number=number,
        # The station addresses that DPDK gives to net_pcap0, net_pcap1 ...
        mac=bytes([2, 0x70, 0x63, 0x61, 0x70, number]),
        mtu=table.get("mtu", 1500),
        vlan=table.get("vlan", 0),
        interfaces=[ipaddress.ip_interface(text) for text in table.get("address", [])],
        gateways=[packed(text) for text in table.get("gateway", [])],
        tunnel_sources=[ipaddress.ip_network(text, strict=False)
                        for text in table.get("tunnel_source", [])],
        neighbors={packed(one["address"]): mac(one["mac"]) for one in table.get("neighbor", [])},
        has_tap="exception_tap" in table)


def port_range(value):
    if value == "any":
        return 0, 65535
    first, _, last = str(value).partition("-")
    return int(first), int(last or first)


def address_range(text):
    """Of "10.0.0.32-10.0.0.39", of one address or of None."""
    if not text:
        return []
    first, _, last = text.partition("-")
    first, last = ipaddress.ip_address(first), ipaddress.ip_address(last or first)
    return [(first + i).packed for i in range(int(last) - int(first) + 1)]


def read_service(table):
    backends = {one["name"]: Backend(one["name"], packed(one["address"]), one.get("weight", 100),
                                     one.get("state", "active"), one.get("port", 0),
                                     bytes.fromhex(one.get("quic_server_id", "")))
                for one in table["backend"]}
    first, last = (0, 0) if table.get("protocol") == "icmp" else port_range(table["port"])
    size = table.get("schedule", {}).get("table_size") or maglev.default_size(len(backends))
    return Service(table["name"], packed(table["vip"]), table.get("protocol", "tcp"), first, last,
                   table["forward"], size, backends,
                   {key: table[key] for key in ("gue", "l3dsr", "quic") if key in table},
                   table.get("mss_clamp", 0), address_range(table.get("nat", {}).get("source_pool")))


def read(text):
    table = tomllib.loads(text)
    timeouts = {"tcp_syn": 30, "tcp_established": 900, "tcp_fin": 30, "udp": 60, "icmp": 10}
    for key, value in table.get("conntrack", {}).get("timeout", {}).items():
        timeouts[key] = seconds(value)
    return Configuration(
        ports=[read_port(number, port) for number, port in enumerate(table["port"])],
        services=[read_service(service) for service in table.get("service", [])],
        seed=int(table["system"].get("hash_seed", "0"), 16), timeouts=timeouts,
        has_icmp_errors="icmp" in table)

# SPDX-License-Identifier: BSD-3-Clause
"""Sources that no client has (RFC 1812 5.3.7, RFC 6890, RFC 4291 2.5 and 2.7)."""

import ipaddress

MARTIAN_NETWORKS = [ipaddress.ip_network(text) for text in (
    "0.0.0.0/8",  # this network
    "127.0.0.0/8",  # loopback
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",  # reserved, and broadcast
    "::/128",  # unspecified
    "::1/128",  # loopback
    "::ffff:0:0/96",  # IPv4-mapped: never on a wire
    "ff00::/8",  # multicast
)]


def in_network(address, network):
    bits = len(address) * 8
    shift = bits - network.prefixlen
    return (bits == network.max_prefixlen
            and int.from_bytes(address, "big") >> shift == int(network.network_address) >> shift)


def is_martian(source, destination):
    return source == destination or any(in_network(source, network) for network in MARTIAN_NETWORKS)

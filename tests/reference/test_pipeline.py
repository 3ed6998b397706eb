# SPDX-License-Identifier: BSD-3-Clause
"""Packets through the reference and through process(): the same verdict, port and bytes for each."""

import random
from collections import Counter

import pytest
from balancer import configuration
from compare import cases, play, report, setup
from compare.abilities import left_out
from generate import stream

# What a share of packets must have reached, and how often.
REASONS = {
    "l2_truncated": 100, "not_our_mac": 100, "vlan_unexpected": 100, "not_ip": 100, "ip_bad_header": 100,
    "ip_bad_length": 100, "ip_bad_checksum": 100, "ip_source_route": 50, "ipv6_ext_chain": 100,
    "martian": 50, "ttl_expired": 50, "l4_bad_length": 100, "tcp_bad_flags": 50, "udp_zero_checksum": 50,
    "fragment": 100, "unknown_port": 100, "no_backend": 100, "no_neighbor": 50, "too_big": 50,
    "tunnel_loop": 50, "kernel:neighbor": 50, "kernel:vip_icmp": 50, "kernel:other": 50}

ERRORS = {"answered:ttl_expired": 50, "answered:too_big": 50, "icmp_bad": 100}  # with icmp.toml


@pytest.mark.parametrize("name", sorted(cases.kept()))
def test_what_once_differed(name):
    packets = cases.kept()[name]
    with play.Match(setup.for_pipeline()) as match:
        sentence = match.first_difference(packets)
    assert sentence is None, report.describe(packets, sentence)


def test_generated_packets(seed, share):
    text, counts = setup.for_pipeline(), Counter()
    parts = configuration.read(text)
    failure = play.compare(text, stream.packets(parts, seed, share), random.Random(seed), counts)
    if failure:
        pytest.fail(failure, pytrace=False)
    services = {f"sent:{one.name}": 20 for one in parts.services if one.name not in ("disabled", "empty")}
    if share == 25_000:
        wanted = {**REASONS, **services}
        if parts.has_icmp_errors:
            wanted.update(ERRORS)
            del wanted["ttl_expired"], wanted["too_big"]  # nearly all are answered
        for outcome in left_out():
            wanted.pop(outcome.reason, None)
        missed = {what: counts[what] for what, least in wanted.items() if counts[what] < least}
        assert not missed, f"hardly reached: {missed}"

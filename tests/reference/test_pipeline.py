# SPDX-License-Identifier: BSD-3-Clause
"""Packets through the reference and through process(): the same verdict, port and bytes for each."""

import random
import re
from collections import Counter

import pytest
from balancer import configuration
from compare import cases, play, report, setup
from generate import families, nat, stream

# What a share of packets must have reached, and how often.
REASONS = {
    "l2_truncated": 100, "not_our_mac": 100, "vlan_unexpected": 100, "not_ip": 100, "ip_bad_header": 100,
    "ip_bad_length": 100, "ip_bad_checksum": 100, "ip_source_route": 50, "ipv6_ext_chain": 100,
    "martian": 50, "ttl_expired": 50, "l4_bad_length": 100, "tcp_bad_flags": 50, "udp_zero_checksum": 50,
    "fragment": 100, "frag_bad": 300, "frag_table_full": 10, "held": 500, "unknown_port": 100, "no_backend": 100,
    "no_neighbor": 50, "too_big": 50,
    "tunnel_loop": 50, "kernel:neighbor": 50, "kernel:vip_icmp": 50, "kernel:other": 50}

ERRORS = {"answered:ttl_expired": 50, "answered:too_big": 50, "icmp_bad": 100}  # with icmp.toml

# Of all services of a kind together.
GROUPS = {"sent:error to nat-": 30, "sent:error to full": 30, "in pieces:": 50, "in pieces:reply": 10,
          "in pieces:four-to-six": 10, "in pieces:six-to-four": 3, "in pieces:reply of four-to-six": 1,
          "in pieces:reply of six-to-four": 5}


@pytest.mark.parametrize("name", sorted(cases.kept()))
def test_what_once_differed(name):
    packets = cases.kept()[name]
    with play.Match(setup.for_pipeline()) as match:
        sentence = match.first_difference(packets)
    assert sentence is None, report.describe(packets, sentence)


def test_generated_packets(seed, share):
    text, counts = setup.for_pipeline(), Counter()
    parts = configuration.read(text)
    failure = play.compare(text, lambda bindings: stream.packets(parts, seed, share, bindings=bindings),
                           random.Random(seed), counts)
    if failure:
        pytest.fail(failure, pytrace=False)
    services = {f"sent:{one.name}": 20 for one in parts.services if one.name not in ("disabled", "empty")}
    if share == 25_000:
        wanted = {**REASONS, **services}
        if parts.has_icmp_errors:
            wanted.update(ERRORS)
            del wanted["ttl_expired"], wanted["too_big"]  # nearly all are answered
        for one in parts.services:
            if one.forward in ("nat", "full-nat"):
                wanted |= {f"sent:reply of {one.name}": 60, f"sent:error behind {one.name}": 5}
        missed = {what: counts[what] for what, least in wanted.items() if counts[what] < least}
        assert not missed, f"hardly reached: {missed}"
        for beginning, least in GROUPS.items():
            found = sum(count for what, count in counts.items() if what.startswith(beginning))
            assert found >= least, f"hardly reached: {beginning}, {found} times"


def narrow(text):
    """The third port takes IPv4 alone, in small pieces."""
    for old, new in (("mtu = 1400", "mtu = 600"), ('"10.9.0.5/24", "fd00:9::5/64"', '"10.9.0.5/24"')):
        assert old in text
        text = text.replace(old, new)
    return re.sub(r'.*(address|name = ".*", address) = "fd00:9::11".*\n', "", text)


def test_a_narrow_way_to_backends_of_the_other_family():
    """Even what may be fragmented on its way, with an identification of Weir's, leaves in pieces there."""
    text, counts = narrow(setup.for_pipeline()), Counter()
    kinds = families.REQUESTS | families.WEIGHTS
    failure = play.compare(text, lambda bindings: stream.some_of(configuration.read(text), 1, kinds, 4000, bindings),
                           random.Random(1), counts)
    if failure:
        pytest.fail(failure, pytrace=False)
    assert counts["in pieces:six-to-four"] > 15


def test_without_gateways_there_is_no_route_to_clients():
    text, counts = re.sub(r'gateway = .*|.*name = "routed.*\n', "", setup.for_pipeline()), Counter()
    replies = stream.few(configuration.read(text), 1, nat.WEIGHTS, 2000)
    failure = play.compare(text, lambda bindings: iter(replies), random.Random(1), counts)
    if failure:
        pytest.fail(failure, pytrace=False)
    assert counts["no_route"] > 1000

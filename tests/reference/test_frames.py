# SPDX-License-Identifier: BSD-3-Clause
"""What the reference balancer sends, read by scapy: lengths and checksums that scapy computes anew are
those in the frame, and the client's packet is in it unchanged."""

import random

import pytest
from balancer import configuration, decide
from balancer.outcome import Sent
from balancer.packet import SCTP
from compare import setup
from generate import scene
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import GRE, Ether


def rebuilt(frame):
    """`frame` with every length and checksum computed by scapy."""
    packet = Ether(frame)
    layer = packet
    while layer and layer.name != "Raw":
        for field in ("len", "chksum", "plen"):
            # A UDP checksum of 0 is none, and stays.
            if field in layer.fields and not (layer.name == "UDP" and layer.chksum == 0):
                layer.delfieldval(field)
        layer = layer.payload
    return bytes(packet)


@pytest.mark.parametrize("feature", ["base", "gre", "gue", "l3dsr", "mss", "nat"])
def test_scapy_computes_the_same_lengths_and_checksums(feature):
    names = ["base", feature] if feature != "base" else ["base"]
    parts = configuration.read(setup.filled(names))
    balancer, rng = decide.Balancer(parts), random.Random(1)
    place, sent = scene.Scene(parts, rng), 0
    wanted = [one for one in parts.services if one.name.startswith(feature) or feature == "base"]
    for _ in range(600):
        packet = place.to_service(rng.choice(wanted))
        outcome = balancer.decide(packet.port, packet.build())
        if not isinstance(outcome, Sent):
            continue
        sent += 1
        assert rebuilt(outcome.frame).hex() == outcome.frame.hex()
    assert sent > 200


def inner(frame, feature):
    """The client's packet, as scapy finds it behind the outer headers."""
    outer = Ether(frame).payload
    if feature == "gre":
        return bytes(outer[GRE].payload)
    data = bytes(outer[UDP].payload)
    return data[4:] if data[0] >> 4 == 0 else data


@pytest.mark.parametrize("feature", ["gre", "gue"])
def test_the_packet_is_in_the_tunnel_as_it_came(feature):
    parts = configuration.read(setup.filled(["base", feature]))
    balancer, rng = decide.Balancer(parts), random.Random(2)
    place = scene.Scene(parts, rng)
    wanted = [one for one in parts.services if one.name.startswith(feature)]
    for _ in range(300):
        packet = place.to_service(rng.choice(wanted))
        outcome = balancer.decide(packet.port, packet.build())
        assert inner(outcome.frame, feature) == (packet.ipv4() if packet.family == 4 else packet.ipv6())


def test_generated_packets_are_sound():
    """By scapy's own arithmetic: else the differential test would play malformed packets alone."""
    rng = random.Random(3)
    place = scene.Scene(configuration.read(setup.filled(["base"])), rng)
    for _ in range(300):
        frame = place.to_service().build()
        assert rebuilt(frame).hex() == frame.hex()
        packet = Ether(frame)
        assert IP in packet or IPv6 in packet
        protocol = packet[IP].proto if IP in packet else packet[IPv6].nh
        assert TCP in packet or UDP in packet or protocol == SCTP

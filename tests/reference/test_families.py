# SPDX-License-Identifier: BSD-3-Clause
"""full-nat between families in the reference: what it sends is what scapy makes of the layers that RFC 7915 tells."""

import pytest
from balancer import configuration, decide
from balancer.outcome import SentInPieces
from balancer.translate import End
from compare import setup
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import (ICMPv6DestUnreach, ICMPv6PacketTooBig, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,
                                IPv6ExtHdrHopByHop)
from scapy.layers.l2 import Ether

CLIENT = {4: "198.18.0.7", 6: "2001:db8:7::7"}
VIP = {4: "203.0.113.125", 6: "2001:db8:443::125"}
POOL = {4: "10.0.201.1", 6: "fd00:5:201::1"}
BACKEND = {4: "10.0.1.12", 6: "fd00:5::12"}
LONG = bytes(range(256)) * 6


def request(family, **fields):
    """The IP layer; Weir's of the other family is `onward`."""
    layer = IP if family == 4 else IPv6
    return layer(src=CLIENT[family], dst=VIP[family], **fields)


def onward(family, **fields):
    layer = IP if family == 4 else IPv6
    return layer(src=POOL[family], dst=BACKEND[family], **fields)


DATAGRAM = bytes(onward(6) / UDP(sport=2000, dport=80) / LONG)[40:]

REQUESTS = {
    "TCP to IPv4": (
        request(6, tc=0xB9, fl=5, hlim=9) / TCP(sport=1000, dport=80, flags="S", options=[("MSS", 1400)]),
        [onward(4, tos=0xB9, ttl=8, id=0) / TCP(sport=2000, dport=80, flags="S", options=[("MSS", 1400)])]),
    "extension headers stay behind": (
        request(6, hlim=9) / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / UDP(sport=1000, dport=80) / b"hello",
        [onward(4, ttl=8, id=0) / UDP(sport=2000, dport=80) / b"hello"]),
    "alone behind a fragment header": (
        request(6, hlim=9) / IPv6ExtHdrFragment(id=0x12345678) / UDP(sport=1000, dport=80) / LONG[:1400],
        [onward(4, ttl=8, id=0x5678) / UDP(sport=2000, dport=80) / LONG[:1400]]),
    "as long as may be fragmented": (
        request(6, hlim=9) / UDP(sport=1000, dport=80) / LONG[:1232],
        [onward(4, ttl=8, id=0) / UDP(sport=2000, dport=80) / LONG[:1232]]),
    "longer": (
        request(6, hlim=9) / UDP(sport=1000, dport=80) / LONG[:1233],
        [onward(4, ttl=8, id=0, flags="DF") / UDP(sport=2000, dport=80) / LONG[:1233]]),
    "TCP to IPv6": (
        request(4, tos=0xB9, ttl=9, flags="DF", options=[IPOption_NOP()] * 4) / TCP(sport=1000, dport=80, flags="PA"),
        [onward(6, tc=0xB9, hlim=8) / TCP(sport=2000, dport=80, flags="PA")]),
    "UDP without a checksum": (
        request(4, ttl=9) / UDP(sport=1000, dport=80, chksum=0) / b"odd",
        [onward(6, hlim=8) / UDP(sport=2000, dport=80) / b"odd"]),
    "cut": (
        request(4, ttl=9, id=77) / UDP(sport=1000, dport=80, chksum=0) / LONG,
        [onward(6, hlim=8) / IPv6ExtHdrFragment(nh=17, m=1, id=77) / DATAGRAM[:1512],
         onward(6, hlim=8) / IPv6ExtHdrFragment(nh=17, offset=189, id=77) / DATAGRAM[1512:]]),
}


REPLIES = {
    "from IPv4": (
        IP(src=BACKEND[4], dst=POOL[4], tos=3, ttl=9) / UDP(sport=80, dport=2000, chksum=0) / b"answer",
        IPv6(src=VIP[6], dst=CLIENT[6], tc=3, hlim=8) / UDP(sport=80, dport=1000) / b"answer"),
    "from IPv6": (
        IPv6(src=BACKEND[6], dst=POOL[6], tc=3, hlim=9) / TCP(sport=80, dport=2000, flags="A") / LONG[:1300],
        IP(src=VIP[4], dst=CLIENT[4], tos=3, ttl=8, id=0, flags="DF") / TCP(sport=80, dport=1000, flags="A") / LONG[:1300]),
}


def quote(source, destination, source_port, destination_port, **fields):
    layer = IPv6 if ":" in source else IP
    return layer(src=source, dst=destination, **fields) / UDP(sport=source_port, dport=destination_port) / b"asked"


ERRORS = {
    "fragmentation needed, from behind": (
        IP(src="10.0.0.9", dst=POOL[4], ttl=9) / ICMP(type=3, code=4, nexthopmtu=1400) / quote(
            POOL[4], BACKEND[4], 2000, 80, ttl=3, tos=7, id=5, flags="DF"),
        IPv6(src=VIP[6], dst=CLIENT[6], hlim=8) / ICMPv6PacketTooBig(mtu=1420) / quote(
            CLIENT[6], VIP[6], 1000, 80, hlim=3, tc=7)),
    "port unreachable, from behind": (
        IPv6(src=BACKEND[6], dst=POOL[6], hlim=9) / ICMPv6DestUnreach(code=4) / quote(
            POOL[6], BACKEND[6], 2000, 80, hlim=3),
        IP(src=VIP[4], dst=CLIENT[4], ttl=8, id=0) / ICMP(type=3, code=3) / quote(
            CLIENT[4], VIP[4], 1000, 80, ttl=3, id=0, flags="DF")),
    "packet too big, from the client's side": (
        IPv6(src="2001:db8::9", dst=VIP[6], hlim=9) / ICMPv6PacketTooBig(mtu=1280) / quote(
            VIP[6], CLIENT[6], 80, 1000, hlim=60),
        IP(src=POOL[4], dst=BACKEND[4], ttl=8, id=0) / ICMP(type=3, code=4, nexthopmtu=1260) / quote(
            BACKEND[4], POOL[4], 80, 2000, ttl=60, id=0, flags="DF")),
    "host unreachable, from the client's side": (
        IP(src="198.18.0.1", dst=VIP[4], ttl=9) / ICMP(type=3, code=1) / quote(
            VIP[4], CLIENT[4], 80, 1000, ttl=60, id=6, flags="MF"),
        IPv6(src=POOL[6], dst=BACKEND[6], hlim=8) / ICMPv6DestUnreach(code=0) / (
            IPv6(src=BACKEND[6], dst=POOL[6], hlim=60) / IPv6ExtHdrFragment(m=1, id=6)
            / UDP(sport=80, dport=2000) / b"asked")),
}


def frame(layers):
    return bytes(Ether(src="02:00:00:00:00:c1", dst="02:70:63:61:70:00") / layers)


@pytest.fixture
def balancer():
    """In which nobody but the backend "same-port" takes flows."""
    one = decide.Balancer(configuration.read(setup.filled(["base", "icmp", "families"])))
    for name in ("four-to-six", "six-to-four"):
        for backend in list(one.by_name[name].backends):
            one.set_state(name, backend, "active" if backend == "same-port" else "disabled")
    return one


def bound(balancer, layers):
    """What leaves of a client's packet, from the end of the pool that all here have."""
    outcome = balancer.decide(0, frame(layers))
    address = configuration.packed(POOL[4 if layers.version == 6 else 6])
    assert balancer.bindings.learn(outcome.binding, End(address, 2000), 0) is None
    balancer.bindings.settle()
    return outcome.sent_from(outcome.binding.end)


def ip_of(sent):
    frames = sent.frames if isinstance(sent, SentInPieces) else (sent.frame,)
    return [one[14:].hex() for one in frames]


@pytest.mark.parametrize("name", REQUESTS)
def test_requests(balancer, name):
    layers, expected = REQUESTS[name]
    assert ip_of(bound(balancer, layers)) == [bytes(one).hex() for one in expected]


@pytest.mark.parametrize("name", REPLIES)
def test_replies(balancer, name):
    layers, expected = REPLIES[name]
    family = 4 if expected.version == 4 else 6
    protocol = UDP(sport=1000, dport=80) if UDP in layers else TCP(sport=1000, dport=80, flags="S")
    bound(balancer, request(family) / protocol)
    assert ip_of(balancer.decide(0, frame(layers))) == [bytes(expected).hex()]


@pytest.mark.parametrize("name", ERRORS)
def test_errors(balancer, name):
    layers, expected = ERRORS[name]
    bound(balancer, request(4 if "203.0.113.125" in (layers.dst, expected.src) else 6) / UDP(sport=1000, dport=80))
    outcome = balancer.decide(0, frame(layers))
    if expected.src in POOL.values():
        outcome = outcome.sent_from(outcome.binding.end)
    assert ip_of(outcome) == [bytes(expected).hex()]

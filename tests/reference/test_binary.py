# SPDX-License-Identifier: BSD-3-Clause
"""Packets through the real binary on net_pcap ports: what leaves, byte for byte, and the counters."""

from itertools import chain

import pytest
from balancer import configuration, decide
from balancer.outcome import Dropped
from compare import cases, play_binary, setup
from conftest import PACKETS, SEED
from generate import fragments, icmp_errors, stream

ONE_RUN = 100_000
# What a hand-over ring takes at once, whoever is slow: a poller on net_pcap waits for nobody, and drops as
# ring_full what does not fit.
RING = 1_500


# ICMP errors about flows that no entry holds: so many pass at once, whatever the rate. Datagrams in pieces: so few
# that none has to make room for others.
ICMP_ERRORS, DATAGRAMS = 80, 60


def generated(seed, count):
    parts = configuration.read(setup.for_binary())
    kept = chain.from_iterable(cases.kept().values())
    errors = stream.few(parts, seed, icmp_errors.WEIGHTS, ICMP_ERRORS if parts.has_icmp_errors else 0)
    pieces = stream.few(parts, seed, fragments.WEIGHTS, DATAGRAMS)
    others = (packet for packet in stream.packets(parts, seed, count, tracked=False)
              if not is_fragment(parts, *packet))
    return [*kept, *errors, *pieces, *others]


def is_fragment(parts, port, frame):
    """A mutation may have made it one."""
    try:
        packet = decide.read(parts.ports[port], frame)
    except Dropped:
        return False
    return packet is not None and packet.fragment is not None


def check(packets, arrangement):
    failure = play_binary.compare(packets, arrangement)
    if failure:
        pytest.fail(failure, pytrace=False)


@pytest.mark.parametrize("number", range(max(PACKETS // ONE_RUN, 1)))
def test_a_polling_worker(number):
    check(generated(SEED + 1000 + number, min(ONE_RUN, PACKETS)), "polling worker")


def test_an_rx_lcore_and_a_worker():
    check(generated(SEED + 2000, RING)[:RING], "RX lcore and worker")


def test_two_workers_share_a_queue():
    check(generated(SEED + 3000, RING)[:RING], "two workers")

# SPDX-License-Identifier: BSD-3-Clause
"""What there is a bounded number of, filled to the last: fragments that wait, and ports of a pool."""

import random
from collections import Counter

from balancer import configuration
from balancer.packet import TCP, UDP
from compare import setup
from compare.play import Match, kind_of
from generate import fragments
from generate.scene import Scene


def played(match, recipes):
    """Counter of outcomes; of a difference, its sentence."""
    counts = Counter()
    for first in range(0, max(len(recipes), 1), 64):
        burst = [(recipe.port, recipe.build()) for recipe in recipes[first:first + 64]]
        for _, expected, sentence in match.play(burst):
            counts[sentence or kind_of(expected)] += 1
    return counts


def service_named(match, name):
    return next(one for one in match.balancer.configuration.services if one.name == name)


def pieces_of(scene, service, count):
    """A UDP datagram in `count` pieces of 8 bytes."""
    recipe = scene.to_service(service)
    recipe.data, recipe.ttl = bytes(8 * (count - 1)), 64
    payload = recipe.segment()
    return [fragments.piece(recipe, UDP, payload, at, at + 8, 7, at + 8 == len(payload))
            for at in range(0, len(payload), 8)]


def test_as_many_fragments_wait_as_there_are_places():
    with Match(setup.filled(["base"])) as match:
        scene = Scene(match.balancer.configuration, random.Random(1))
        first, *others = pieces_of(scene, service_named(match, "dns6"), 301)
        assert played(match, others) == {"held": 255, "frag_table_full": 45}
        assert played(match, [first]) == {"sent:dns6": 256}
        # Their places are free again; a second later, nothing waits any more.
        first, *others = pieces_of(scene, service_named(match, "dns4"), 256)
        assert played(match, others) == {"held": 255}
        match.wait(999)
        assert played(match, []) == {}
        match.wait(1)
        assert played(match, []) == {"fragment": 255}
        assert played(match, [first]) == {"sent:dns4": 1}


def of_new_flows(scene, service, protocol, ports):
    clients = scene.clients[16][0]
    return [scene.sound(clients, service.vip, protocol, port, service.first_port) for port in ports]


def test_a_pool_runs_out_of_ports():
    text = setup.filled(["base", "full-nat"])
    with Match(text, place=(7, 8064)) as match:  # eight ports of each address are this worker's
        scene = Scene(configuration.read(text), random.Random(1))
        service = service_named(match, "full6")
        for first in (2000, 3000, 4000):
            tcp, udp = (of_new_flows(scene, service, protocol, range(first, first + 40)) for protocol in (TCP, UDP))
            # Two addresses; of the first 16 flows more packets still pass.
            assert played(match, tcp) == {"sent:full6": 16, "nat_ports_exhausted": 24}
            assert played(match, udp) == {"sent:full6": 16, "nat_ports_exhausted": 24}
            assert played(match, tcp) == {"sent:full6": 16, "nat_ports_exhausted": 24}
            match.wait(1_000_000)  # longer than any of them lives

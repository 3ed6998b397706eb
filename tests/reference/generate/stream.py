# SPDX-License-Identifier: BSD-3-Clause
"""The sequence of packets of a seed."""

import itertools
import random
from collections import deque

from . import families, fragments, full_nat, icmp_errors, malformed, nat, odd
from .mutate import mutated
from .scene import Scene

VALID, ODD, MALFORMED, MUTATED = 34, 31, 20, 15  # of a hundred


class Kinds:
    """Functions that make packets, with how often each is to be picked."""

    def __init__(self, *weights):
        self.kinds = [kind for one in weights for kind in one]
        self.cumulated = list(itertools.accumulate(weight for one in weights for weight in one.values()))

    def make(self, scene):
        """A list of packets."""
        made = scene.rng.choices(self.kinds, cum_weights=self.cumulated)[0](scene)
        return [built(one) for one in made] if isinstance(made, list) else [built(made)]


def packets(configuration, seed, count=None, tracked=True, bindings=list):
    """(port number, frame) again and again, or `count` of them. `tracked`: also what becomes of which is not told
    by itself and the configuration: ICMP errors, fragments and what comes to a pool; `bindings()`: see
    Scene."""
    rng = random.Random(seed)
    scene = Scene(configuration, rng)
    scene.bindings = bindings
    weights = [odd.WEIGHTS]
    if scene.nat_services:
        weights.append(nat.WEIGHTS)
    if scene.crossing_services:
        weights.append(families.REQUESTS)
    if tracked:
        weights.append(fragments.WEIGHTS)
        if scene.full_nat_services:
            weights.append(full_nat.WEIGHTS)
        if scene.crossing_services:
            weights.append(families.WEIGHTS)
        if configuration.has_icmp_errors:
            weights.append(icmp_errors.WEIGHTS)
    stream = endless(scene, Kinds(*weights), Kinds(malformed.WEIGHTS))
    return stream if count is None else itertools.islice(stream, count)


def few(configuration, seed, weights, count):
    """`count` of the kinds of `weights`; of those that make several packets, a few more."""
    scene = Scene(configuration, random.Random(seed))
    kinds = Kinds(weights)
    return [packet for _ in range(count) for packet in kinds.make(scene)]


def some_of(configuration, seed, weights, count, bindings):
    """The same one after the other, of kinds that look at the live `bindings()`."""
    scene = Scene(configuration, random.Random(seed))
    scene.bindings = bindings
    kinds = Kinds(weights)
    return (packet for _ in range(count) for packet in kinds.make(scene))


def endless(scene, odd_kinds, bad_kinds):
    """Packets that belong together come in their order, and others between them."""
    rng, waiting = scene.rng, deque()
    while True:
        if waiting and rng.random() < 0.7:
            yield waiting.popleft()
            continue
        first, *rest = some(scene, odd_kinds, bad_kinds)
        yield first
        waiting.extend(rest)


def some(scene, odd_kinds, bad_kinds):
    rng = scene.rng
    dice = rng.randrange(100)
    if dice < VALID:
        return [built(scene.to_service())]
    if dice < VALID + ODD:
        return odd_kinds.make(scene)
    if dice < VALID + ODD + MALFORMED:
        return bad_kinds.make(scene)
    made = [built(scene.to_service())] if rng.random() < 0.5 else odd_kinds.make(scene)
    at = rng.randrange(len(made))
    port, frame = made[at]
    made[at] = port, mutated(rng, frame)
    return made


def built(recipe):
    return recipe if isinstance(recipe, tuple) else (recipe.port, recipe.build())

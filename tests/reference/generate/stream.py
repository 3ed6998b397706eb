# SPDX-License-Identifier: BSD-3-Clause
"""The sequence of packets of a seed."""

import itertools
import random

from . import icmp_errors, malformed, odd
from .mutate import mutated
from .scene import Scene

VALID, ODD, MALFORMED, MUTATED = 40, 25, 20, 15  # of a hundred


def packets(configuration, seed, count=None, with_icmp_errors=True):
    """(port number, frame) again and again, or `count` of them."""
    rng = random.Random(seed)
    scene = Scene(configuration, rng)
    odd_weights = dict(odd.WEIGHTS)
    if configuration.has_icmp_errors and with_icmp_errors:
        odd_weights.update(icmp_errors.WEIGHTS)
    odd_kinds = list(odd_weights), list(itertools.accumulate(odd_weights.values()))
    bad_kinds = list(malformed.WEIGHTS), list(itertools.accumulate(malformed.WEIGHTS.values()))
    for _ in itertools.count() if count is None else range(count):
        yield one(scene, rng, odd_kinds, bad_kinds)


def icmp(configuration, seed, count):
    """`count` ICMP errors about flows of VIPs, sound ones and others."""
    scene = Scene(configuration, random.Random(seed))
    for _ in range(count):
        yield built(scene.rng.choice(list(icmp_errors.WEIGHTS))(scene))


def one(scene, rng, odd_kinds, bad_kinds):
    dice = rng.randrange(100)
    if dice < VALID:
        return built(scene.to_service())
    if dice < VALID + ODD:
        return built(picked(rng, odd_kinds)(scene))
    if dice < VALID + ODD + MALFORMED:
        return built(picked(rng, bad_kinds)(scene))
    make = Scene.to_service if rng.random() < 0.5 else picked(rng, odd_kinds)
    port, frame = built(make(scene))
    return port, mutated(rng, frame)


def picked(rng, kinds):
    return rng.choices(kinds[0], cum_weights=kinds[1])[0]


def built(recipe):
    return recipe if isinstance(recipe, tuple) else (recipe.port, recipe.build())

# SPDX-License-Identifier: BSD-3-Clause
"""What a build does of which the reference does not say yet how: found out by one packet of the kind.
Such packets are left out, and only they. Each line here is a debt of balancer/."""

import random
from functools import lru_cache

from balancer import configuration, decide
from balancer.outcome import Dropped
from generate import odd
from generate.scene import Scene

from . import setup
from .pipeline import Pipeline

# By what the reference answers.
DEBTS = {
    Dropped("fragment"): odd.fragment,  # fragments of one datagram go to one backend
    Dropped("too_big"): odd.too_long_to_fit,  # the outer packet is fragmented
}


@lru_cache
def left_out():
    """The outcomes of the reference that are not compared."""
    text = setup.for_pipeline()
    balancer = decide.Balancer(configuration.read(text))
    found = set()
    with Pipeline(text) as pipeline:
        for outcome, make in DEBTS.items():
            scene = Scene(balancer.configuration, random.Random(1))
            packets = [(recipe.port, recipe.build()) for recipe in (make(scene) for _ in range(50))]
            packets = [packet for packet in packets if balancer.decide(*packet) == outcome]
            assert packets, f"no packet made by {make.__name__} is {outcome}"
            if any(got != outcome for got in pipeline.decide(packets)):
                found.add(outcome)
    return frozenset(found)

# SPDX-License-Identifier: BSD-3-Clause
"""Pairs of windows, a reference and what is measured beside it, and which of them to believe."""

STRAY = 0.05             # of the reference, from its best: the window is dropped
POLLER_SHARE, GENERATOR_SHARE = 0.97, 0.93  # of a CPU: below, somebody else had it


def disturbed(window):
    """Somebody else had a CPU. The generator shares its own with the control lcore of what is
    measured, which belongs to the measurement."""
    generator, poller, control = window["shares"][:3]
    return generator + control < GENERATOR_SHARE or poller < POLLER_SHARE


def sort_out(pairs):
    """(kept, dropped because the reference strayed, dropped because a CPU was taken)"""
    calm = [pair for pair in pairs if not disturbed(pair[0]) and not disturbed(pair[1])]
    best = max((macfwd["mpps"] for macfwd, _ in calm), default=0)
    kept = [pair for pair in calm if pair[0]["mpps"] >= best * (1 - STRAY)]
    return kept, len(calm) - len(kept), len(pairs) - len(calm)


def take_pairs(reference, measured, wanted, tries=3):
    """(reference(), measured()) in changing order, until `wanted` are good or `tries` times as many
    were tried."""
    pairs = []
    while len(pairs) < tries * wanted and len(sort_out(pairs)[0]) < wanted:
        if len(pairs) % 2:
            second = measured()
            pairs.append((reference(), second))
        else:
            first = reference()
            pairs.append((first, measured()))
    return pairs

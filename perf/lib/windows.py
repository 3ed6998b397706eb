# SPDX-License-Identifier: BSD-3-Clause
"""Pairs of windows, a reference and what is measured beside it, and which of them to believe."""

import dataclasses
import time

STRAY = 0.05             # of the reference, from its best: the window is dropped
POLLER_SHARE, GENERATOR_SHARE = 0.97, 0.93  # of a CPU: below, somebody else had it


def disturbed(window):
    """Somebody else had a CPU. The generator shares its own with the control lcore of what is
    measured, which belongs to the measurement."""
    generator, poller, control = window["shares"][:3]
    return generator + control < GENERATOR_SHARE or poller < POLLER_SHARE


def sort_out(pairs, distance):
    """(kept, dropped because the reference strayed or the CPUs were far apart, dropped because a CPU
    was taken)"""
    calm = [pair for pair in pairs if not disturbed(pair[0]) and not disturbed(pair[1])]
    near = [pair for pair in calm if not any(distance.far(window["line_ns"]) for window in pair)]
    best = max((macfwd["mpps"] for macfwd, _ in near), default=0)
    kept = [pair for pair in near if pair[0]["mpps"] >= best * (1 - STRAY)]
    return kept, len(calm) - len(kept), len(pairs) - len(calm)


def merged(windows):
    """Slices of one window, of the same length."""
    def mean(name):
        return sum(window[name] for window in windows) / len(windows)
    shares = [sum(column) / len(windows) for column in zip(*(window["cpu_shares"] for window in windows))]
    return {"mpps": mean("right_mpps"), "full": mean("full_share"), "shares": shares}


def window_of(result):
    """Of a run with one window."""
    return merged(result["windows"][-1:])


def slices_of(reference, measured, seconds=1.0, slices=4):
    """A window of each, in slices that take turns: (ABBA)*. So what the machine does to one it does
    to the other."""
    parts = ([], [])
    for number in range(slices):
        for which in ((0, 1), (1, 0))[number % 2]:
            result = (reference, measured)[which].right(seconds=seconds / slices, window=seconds / slices, warmup=0.03)
            parts[which].append(result["windows"][-1])
    return merged(parts[0]), merged(parts[1])


def near_pair(take, distance):
    """take() while the CPUs are near each other, if they come near; its two windows know how far
    they were apart."""
    before = distance.settle()
    pair = take()
    line = max(before, distance.measure())
    return tuple({**window, "line_ns": line} for window in pair)


def calm_pairs(pairs, distance, poller=POLLER_SHARE):
    """Those in which the poller had this share of its CPU, near the other one. For pairs without a
    reference that must not stray."""
    return [pair for pair in pairs if all(window["shares"][1] >= poller and not distance.far(window["line_ns"])
                                          for window in pair)]


@dataclasses.dataclass
class Effort:
    """How long to go on until there are enough good pairs: on a machine that others use, most are
    not good for minutes."""
    tries: int     # times the pairs that are wanted
    seconds: float

    def __post_init__(self):
        self.end = time.monotonic() + self.seconds

    def left(self, pairs, wanted):
        return len(pairs) < wanted or (len(pairs) < wanted * self.tries and time.monotonic() < self.end)


def effort(options):
    """Of one row, from now on."""
    return Effort(2, 10) if options.quick else Effort(6, 150)


def take_pairs(reference, measured, wanted, distance, row):
    """Windows of both links until `wanted` pairs are good or the effort `row` is over; no more than
    `wanted` where the CPUs do not come near each other."""
    pairs = []
    while len(sort_out(pairs, distance)[0]) < wanted and row.left(pairs, wanted):
        if len(pairs) >= wanted and distance.patience <= 0:
            break
        pairs.append(near_pair(lambda: slices_of(reference, measured), distance))
    return pairs

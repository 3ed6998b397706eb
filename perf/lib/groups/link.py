# SPDX-License-Identifier: BSD-3-Clause
"""Weir against testpmd's macfwd on the same memif link: P1 and P2.

Both run with one polling core and the same burst, rings and buffers, and take turns in slices of a
quarter of a second (the one that waits is stopped by a signal). perf/gen loads them and checks every
packet that comes back.
"""

from lib.distance import Distance
from lib.goals import figure, short, spread
from lib.groups import Group, Outcome
from lib.memif import LEAST_ENTRIES, SERVICES, SETTINGS, Pair
from lib.system import tsc_hertz
from lib.windows import effort, sort_out, take_pairs

FULL = 0.25              # share of its bursts that find the ring full: then it is the faster one


def evaluate(forward, flows, pairs, wanted, distance):
    kept, strayed, taken = sort_out(pairs, distance)
    cell = {"forward": forward, "flows": flows, "tried": len(pairs), "kept": len(kept), "strayed": strayed,
            "cpu_taken": taken, "enough": len(kept) >= wanted,
            "windows": [{"macfwd": macfwd, "weir": weir} for macfwd, weir in pairs]}
    used = kept or pairs  # a figure all the same, marked
    cell["weir_mpps"] = spread([weir["mpps"] for _, weir in used])
    cell["macfwd_mpps"] = spread([macfwd["mpps"] for macfwd, _ in used])
    cell["ratio"] = spread([weir["mpps"] / macfwd["mpps"] for macfwd, weir in used])
    cell["extra_cycles"] = spread(
        [tsc_hertz() / 1e6 * (1 / weir["mpps"] - 1 / macfwd["mpps"]) for macfwd, weir in used])
    cell["generator_full"] = min(macfwd["full"] for macfwd, _ in used)
    cell["line_ns"] = spread([macfwd["line_ns"] for macfwd, _ in used])
    return cell


def row(cell):
    def of(values):
        return f"{values['median']:6.2f} ({values['min']:.2f}..{values['max']:.2f})"
    mark = "" if cell["enough"] else "  too few good windows"
    mark += f"  line {cell['line_ns']['median']:.0f} ns"
    return (f"{cell['forward']:7} {short(cell['flows']):>5}  {of(cell['weir_mpps']):21}"
            f" {of(cell['macfwd_mpps']):21} {of(cell['ratio']):20} {cell['extra_cycles']['median']:6.0f}"
            f"  {cell['kept']:3} +{cell['strayed']:2} +{cell['cpu_taken']:2}{mark}")


HEADING = (f"{'forward':7} {'flows':>5}  {'weir Mpps':21} {'macfwd Mpps':21} {'ratio':20} {'cycles':>6}"
           "  windows kept, +dropped: reference strayed or CPUs far apart, CPU taken")


def words_on_generator(cells):
    full = min(cell["generator_full"] for cell in cells)
    if full >= FULL:
        return (f"generator: found macfwd's ring full in {100 * full:.0f} % of its bursts or more: it is "
                "faster than macfwd")
    return (f"generator: found macfwd's ring full in only {100 * full:.0f} % of its bursts: it is NOT clearly "
            "faster than macfwd, so the ratios flatter Weir")


def entries_for(flows):
    return max(LEAST_ENTRIES, flows * 8 // 5)


def figures_of(cells):
    """Of ipip, which the goals are about."""
    figures = [figure(goal, short(cell["flows"]), cell[name], cell["enough"])
               for goal, name in (("P1", "ratio"), ("P2", "extra_cycles"))
               for cell in cells if cell["forward"] == "ipip"]
    return [entry for entry in figures if entry is not None]


def cases(options):
    """(forward, flows): the goals are about ipip."""
    if options.flows or options.forward:
        return [(forward, flows) for forward in options.forward or ["ipip"]
                for flows in options.flows or (1_000, 1_000_000, 10_000_000)]
    if options.quick:
        return [("ipip", 1_000), ("ipip", 1_000_000)]
    return [("ipip", 1_000), ("ipip", 100_000), ("ipip", 1_000_000), ("ipip", 10_000_000),
            ("dsr-l2", 1_000), ("dsr-l2", 1_000_000)]


class OnLink(Group):
    name = "link"
    about = "Weir beside testpmd's macfwd on the same memif link"
    targets = ["app/weir", "perf/gen", "perf/line"]

    def add_options(self, parser):
        parser.add_argument("--flows", type=int, nargs="+", help="of the link group (1000 1000000 10000000)")
        parser.add_argument("--forward", nargs="+", choices=list(SERVICES), help="of the link group (ipip)")

    def hugepages(self, options):
        most = max(flows for _, flows in cases(options))
        return 1200 + 80 * (entries_for(most) - LEAST_ENTRIES) // 2**20

    def run(self, context):
        options = context.options
        wanted = options.windows or (3 if options.quick else 10)
        cells = []
        print(HEADING, flush=True)
        for forward, flows in cases(options):
            distance = Distance(context, 45)
            pair = Pair(context, flows, forward, entries_for(flows))
            try:
                pairs = take_pairs(pair.macfwd, pair.weir, wanted, distance, effort(options))
            finally:
                pair.end()
            cells.append(evaluate(forward, flows, pairs, wanted, distance))
            print(row(cells[-1]), flush=True)
        print(words_on_generator(cells))
        return Outcome({"settings": SETTINGS, "cells": cells}, figures_of(cells),
                       all(cell["enough"] for cell in cells))

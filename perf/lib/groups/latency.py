# SPDX-License-Identifier: BSD-3-Clause
"""How long packets are away: P13. Weir and macfwd take turns on the same memif link, at the same rate."""

import json
import statistics
import subprocess

from lib import memif
from lib.distance import Distance
from lib.goals import figure, spread
from lib.groups import Group, Outcome
from lib.memif import Pair
from lib.system import BUILD, die, prefer
from lib.windows import Effort, calm_pairs, effort, near_pair, window_of

# With 1k flows the lines of the connection table are in the cache; with 100k each packet waits for one
# of memory.
FEW, MANY, IDLE_RATE = (1000, "1k"), (100_000, "100k"), 10_000
# Packets that the generator hands over at once, at most. A wire brings them one by one, so there are
# small ones; large ones are those of the link group, and come when its CPU was taken.
BURSTS = (8, memif.GENERATOR_BURST)
LEAST_REACHED = 0.97  # of the rate
LEAST_SHARE = 0.995  # of the poller's CPU: what waits for longer than that is the p99
NAMES = ("p50", "p90", "p99", "max")


def timed(link, rate, burst, seconds):
    window = link.right(seconds=seconds, window=seconds, warmup=0.05, rate=rate, burst=burst)["windows"][-1]
    return {**{name: window["latency"][f"{name}_ns"] for name in NAMES},
            "mpps": window["right_mpps"], "shares": window["cpu_shares"]}


def in_turn(links, number, *how):
    """A window of each, the second one first when `number` is odd."""
    order = ((0, 1), (1, 0))[number % 2]
    windows = {which: timed(links[which], *how) for which in order}
    return windows[0], windows[1]


def compare(pair, rate, burst, seconds, wanted, row, distance):
    links, pairs, calm = (pair.macfwd, pair.weir), [], []
    while len(calm) < wanted and row.left(pairs, wanted):
        pairs.append(near_pair(lambda: in_turn(links, len(pairs), rate, burst, seconds), distance))
        calm = calm_pairs(pairs, distance, LEAST_SHARE)
    used = calm or pairs
    reached = min(one["mpps"] for pair in used for one in pair) * 1e6 / rate
    cell = {"rate": rate, "burst": burst, "reached": reached, "pairs": pairs,
            "enough": len(calm) >= wanted and reached >= LEAST_REACHED}
    for place, who in enumerate(("macfwd", "weir")):
        cell[who] = {name: spread([one[place][name] for one in used]) for name in NAMES}
    cell["added"] = {name: spread([weir[name] - macfwd[name] for macfwd, weir in used]) for name in NAMES}
    return cell


class Latency(Group):
    name = "latency"
    about = "time that packets are away, beside macfwd, and the bump at a table swap"
    targets = ["app/weir", "app/weirctl", "perf/gen", "perf/line", "perf/loop"]

    def hugepages(self, options):
        return 1200

    def run(self, context):
        wanted = context.options.windows or (3 if context.options.quick else 10)
        distance = Distance(context, 60)
        cells = {}
        for (flows, about), bursts in ((FEW, BURSTS[:1]), (MANY, BURSTS)):
            pair = Pair(context, flows, options=["--latency"])
            try:
                pair.macfwd.right(seconds=0.2, warmup=0.3)  # all flows were sent once before it counts
                greatest = statistics.median(
                    window_of(pair.weir.right(seconds=0.5, warmup=0.3))["mpps"] for _ in range(3))
                cases = [(f"idle, {about} flows", IDLE_RATE, 1),
                         *((f"half load, bursts of {burst}, {about} flows", int(greatest * 0.5e6), burst)
                           for burst in bursts)]
                for name, rate, burst in cases:
                    row, seconds = (Effort(1, 0), 0.4) if context.options.quick else (effort(context.options), 1)
                    cells[name] = compare(pair, rate, burst, seconds, wanted, row, distance)
            finally:
                pair.end()
        figures = []
        for name, cell in cells.items():
            print(f"{name}, {cell['rate'] / 1e6:.2f} Mpps: " + "; ".join(
                f"{who} p50 {cell[who]['p50']['median']:.0f} p99 {cell[who]['p99']['median']:.0f} "
                f"max {cell[who]['max']['median']:.0f} ns" for who in ("macfwd", "weir")), flush=True)
            for quantile in ("p50", "p99"):
                entry = figure("P13", f"{quantile} added, {name}, ns", cell["added"][quantile], cell["enough"])
                figures += [entry] if entry else []
        bump = self.swap(context)
        figures.append(figure("P13", "bump at a table swap, us", spread([bump["bump_us"]])))
        return Outcome({"cells": cells, "swap": bump}, figures, all(entry["reliable"] for entry in figures))

    def swap(self, context):
        command = [BUILD / "perf/loop", "--mode", "swap", "--forward", "ipip", "--json", "--flows", MANY[0],
                   "--cpus", f"{context.cpus[1]},{context.cpus[0]}", "--windows", 10]
        done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, preexec_fn=prefer)
        if done.returncode != 0:
            die(f"perf/loop: {done.stdout}{done.stderr}")
        result = json.loads(done.stdout)
        print(f"longest turn of the loop in 2 ms: {result['longest_turn_without_us']['median']:.1f} us, with "
              f"{result['swaps']} table swaps {result['longest_turn_with_us']['median']:.1f} us", flush=True)
        return result

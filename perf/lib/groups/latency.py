# SPDX-License-Identifier: BSD-3-Clause
"""How long packets are away: P13. Weir and macfwd take turns on the same memif link, at the same rate."""

import json
import os
import statistics
import subprocess

from lib.goals import figure, spread
from lib.groups import Group, Outcome
from lib.memif import Pair
from lib.system import BUILD, die, prefer
from lib.windows import POLLER_SHARE

FLOWS, IDLE_RATE, IDLE_FLOWS = 100_000, 10_000, 1_000  # all are sent once before it counts


class Latency(Group):
    name = "latency"
    about = "time that packets are away, beside macfwd, and the bump at a table swap"
    targets = ["app/weir", "app/weirctl", "perf/gen", "perf/loop"]

    def hugepages(self, options):
        return 1200

    def run(self, context):
        wanted = context.options.windows or (3 if context.options.quick else 10)
        pair = TimedPair(context.folder, f"weirlatency{os.getpid()}", context.huge, context.cpus)
        try:
            greatest = statistics.median(pair.weir_window("ipip", FLOWS)["mpps"] for _ in range(3))
            most = wanted if context.options.quick else 2 * wanted
            cells = {"idle": pair.compare(IDLE_RATE, IDLE_FLOWS, wanted, most),
                     "50 % load": pair.compare(int(greatest * 0.5e6), FLOWS, wanted, most)}
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
        command = [BUILD / "perf/loop", "--mode", "swap", "--forward", "ipip", "--json", "--flows", FLOWS,
                   "--cpus", f"{context.cpus[1]},{context.cpus[0]}", "--windows", 10]
        done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, preexec_fn=prefer)
        if done.returncode != 0:
            die(f"perf/loop: {done.stdout}{done.stderr}")
        result = json.loads(done.stdout)
        print(f"longest turn of the loop in 2 ms: {result['longest_turn_without_us']['median']:.1f} us, with "
              f"{result['swaps']} table swaps {result['longest_turn_with_us']['median']:.1f} us", flush=True)
        return result


class TimedPair(Pair):
    rate = 0

    def pick(self, result):
        if not self.rate:
            return super().pick(result)
        last = result["windows"][-1]
        return {**super().pick(result), **{name: last["latency"][f"{name}_ns"] for name in
                                           ("p50", "p90", "p99", "max")}}

    def compare(self, rate, flows, wanted, most):
        self.rate, usual = rate, self.extra
        self.extra = ["--latency", "--rate", rate, "--burst", 1 if rate == IDLE_RATE else 32]
        pairs = []
        for number in range(most):
            turns = [lambda: self.macfwd_window(flows), lambda: self.weir_window("ipip", flows)]
            first, second = turns[number % 2](), turns[1 - number % 2]()
            pairs.append((second, first) if number % 2 else (first, second))
            calm = [one for one in pairs if all(window["shares"][1] >= POLLER_SHARE for window in one)]
            if len(calm) >= wanted:
                break
        self.rate, self.extra = 0, usual
        used = calm or pairs
        names = ("p50", "p90", "p99", "max")
        cell = {"rate": rate, "enough": len(calm) >= wanted, "pairs": pairs}
        for place, who in enumerate(("macfwd", "weir")):
            cell[who] = {name: spread([one[place][name] for one in used]) for name in names}
        cell["added"] = {name: spread([weir[name] - macfwd[name] for macfwd, weir in used]) for name in names}
        return cell

# SPDX-License-Identifier: BSD-3-Clause
"""The goals P1 to P17, and figures beside them. docs/performance.md says what each of them means."""

import dataclasses
import statistics


@dataclasses.dataclass(frozen=True)
class Goal:
    what: str
    unit: str
    at_most: bool
    cases: dict  # name of the case: (target, stretch or None)
    inverted: tuple = ()  # cases that are bounded on the other side

    def bounded_above(self, case):
        return self.at_most != (case in self.inverted)


GOALS = {
    "P1": Goal("Mpps / macfwd's Mpps, ipip", "", False,
               {"1k": (0.82, 0.86), "1M": (0.74, 0.79), "10M": (0.66, 0.72)}),
    "P2": Goal("cycles a packet over macfwd, ipip", "cycles", True,
               {"1k": (30, 22), "1M": (48, 35), "10M": (70, 51)}),
    "P3": Goal("flow lookup / random line, 10M flows", "", True,
               {"IPv4": (1.4, 1.2), "IPv6": (1.4, 1.2)}),
    "P4": Goal("of 10M flows", "", True,
               {"bytes a flow, IPv4": (16, 11), "bytes a flow, IPv6": (32, None),
                "false matches, IPv4": (0, None), "false matches, IPv6": (0, None)}),
    "P5": Goal("new flows a second, table growing 0 to 10M", "M/s", False,
               {"IPv4, in memory": (5, 10), "IPv6, in memory": (5, 10), "IPv4, on the link": (5, 10)}),
    "P6": Goal("all-SYN throughput / established", "", False,
               {"table full": (0.90, 0.97), "table growing": (0.90, 0.97)}),
    "P7": Goal("SYN flood, a backend removed and one added", "", False,
               {"established at their backend, %": (100, None),
                "throughput / that without a flood": (0.85, 0.95), "memory growth, MiB": (0, None)},
               ("memory growth, MiB",)),
    "P8": Goal("slots changed / necessary, of 1000 backends", "", True,
               {"1": (1, None), "5": (1, None), "100": (1, None)}),
    "P9": Goal("balance, 1000 backends", "", True,
               {"most / average, all up": (1.01, 1.001), "most / average, 1 % down": (1.02, 1.01),
                "most / average, 10 % down": (1.05, 1.03), "weights' shares, % off": (1, None)}),
    "P10": Goal("time to a new table, 1000 backends", "ms", True,
                {"65537 slots": (0.8, 0.5), "65537 slots, one change": (0.15, 0.03),
                 "655373 slots": (12, 8)}),
    "P11": Goal("10 000 services of 10 backends", "", True,
                {"load, ms": (2000, 500), "throughput loss by 1000 flips/s, %": (2, 0.5)}),
    "P12": Goal("backends change at 80 % of the maximum", "", True,
                {"packets lost": (0, None), "packets misdirected": (0, None)}),
    "P13": Goal("latency over macfwd", "", True,
                {**{f"{quantile} added, half load, bursts of {burst}, {flows} flows, ns": goals
                    for flows, burst in (("1k", 8), ("100k", 8), ("100k", 128))
                    for quantile, goals in (("p50", (100, 50)), ("p99", (1000, 500)))},
                 "bump at a table swap, us": (20, None)}),
    "P14": Goal("two workers / one, 1M flows each", "", False,
                {"each gets its own flows": (1.90, 1.97), "any worker receives any flow": (1.90, 1.97)}),
    "P15": Goal("ring hand-over over direct polling", "cycles", True,
                {"1k flows": (12, 6), "1M flows": (12, 6)}),
    "P16": Goal("process() in memory, ipip", "ns", True,
                {f"{family}, {flows}": (target, None) for family in ("IPv4", "IPv6")
                 for flows, target in (("1", 16), ("1k", 19), ("128k", 25), ("1M", 28))}),
}

NAMES = {1: "1", 1_000: "1k", 100_000: "100k", 131_072: "128k", 1_000_000: "1M", 10_000_000: "10M"}


def short(flows):
    return NAMES.get(flows, str(flows))


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def figure(goal, case, measured, reliable=True):
    """`measured`: as spread() makes it, or more. `reliable`: from enough quiet windows. None when
    there is no such case."""
    target, stretch = GOALS[goal].cases.get(case, (None, None))
    if target is None:
        return None
    value, at_most = measured["median"], GOALS[goal].bounded_above(case)

    def reached(bound):
        if bound is None:
            return None
        return value <= bound if at_most else value >= bound
    return {"goal": goal, "what": GOALS[goal].what, "case": case, "unit": GOALS[goal].unit,
            "measured": value, "min": measured["min"], "max": measured["max"],
            "at_most": at_most, "target": target, "stretch": stretch,
            "met": reached(target), "stretch_met": reached(stretch), "reliable": reliable}

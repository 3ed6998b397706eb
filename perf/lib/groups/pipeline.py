# SPDX-License-Identifier: BSD-3-Clause
"""process() in memory: P16, and P5 without a link."""

from lib import bench, goals
from lib.groups import Group, Outcome


OTHER_MODES = ["gre", "gue", "l3dsr", "nat", "full-nat"]  # they differ from ipip in the rewrite alone: one number of flows

MIXED_MODES = ["ipip", "gre", "gue", "full-nat"]  # an IPv6 client's backend may be of IPv4, and the reverse


class InMemory(Group):
    name = "pipeline"
    about = "the pipeline over packets in memory, and its stages"
    targets = ["perf/bench"]

    def hugepages(self, options):
        return 1400  # a table for 10M flows with room, and the packets

    def run(self, context):
        result = bench.run(context, "pipeline", ["--no-stages"] if context.options.quick else [])
        others = bench.run(context, "pipeline", ["--no-stages", "--forward", *OTHER_MODES, "--flows", 1000])
        mixed = bench.run(context, "pipeline", ["--no-stages", "--to-other-family", "--forward", *MIXED_MODES,
                                                "--flows", 1000])
        result["figures"] += others["figures"] + mixed["figures"]
        figures = []
        for entry in bench.select(result, "process", forward="ipip", to=None):
            flows = goals.short(entry["conditions"]["flows"])
            if entry["unit"] == "ns":
                figures.append(goals.figure("P16", f"IPv{entry['conditions']['family']}, {flows}", entry,
                                            bench.reliable(entry)))
        for entry in bench.select(result, "new flows a second", forward="ipip", flows=10_000_000):
            figures.append(goals.figure("P5", f"IPv{entry['conditions']['family']}, in memory", entry,
                                        bench.reliable(entry)))
        figures = [figure for figure in figures if figure is not None]
        return Outcome(result, figures, all(figure["reliable"] for figure in figures))

# SPDX-License-Identifier: BSD-3-Clause
"""Parts alone: P3, P4, P8, P9, P10."""

from lib import bench, goals
from lib.groups import Group, Outcome

MOST_FLOWS = 10_000_000


class Micro(Group):
    name = "micro"
    about = "connection table, Maglev tables, headers and checksums, alone"
    targets = ["perf/bench"]

    def hugepages(self, options):
        return 1700  # two regions of the size of a table for 10M flows

    def run(self, context):
        lookups = 10_000_000 if context.options.quick else 1_000_000_000
        result = bench.run(context, "micro", ["--false-lookups", lookups])
        figures = []

        def add(goal, case, entries):
            for entry in entries:
                figures.append(goals.figure(goal, case, entry, bench.reliable(entry)))

        for family in (4, 6):
            flows = {"family": family, "flows": MOST_FLOWS}
            add("P3", f"IPv{family}", bench.select(result, "flow lookup / random line", **flows))
            add("P4", f"bytes a flow, IPv{family}", bench.select(result, "bytes a flow", **flows))
            add("P4", f"false matches, IPv{family}", bench.select(result, "false matches", **flows))
        for count in (1, 5, 100):
            both = bench.select(result, "slots changed / necessary", of=f"{count} of 1000")
            add("P8", str(count), [max(both, key=lambda entry: entry["median"])])
        for down, case in ((0, "all up"), (10, "1 % down"), (100, "10 % down")):
            add("P9", f"most / average, {case}", bench.select(result, "most loaded / average", down=down))
        add("P9", "weights' shares, % off", bench.select(result, "weights 1..100"))
        add("P10", "65537 slots", bench.select(result, "maglev, whole table", slots=65537))
        add("P10", "65537 slots, one change", bench.select(result, "maglev, one change", slots=65537))
        add("P10", "655373 slots", bench.select(result, "maglev, whole table", slots=655373))
        return Outcome(result, figures, all(figure["reliable"] for figure in figures))

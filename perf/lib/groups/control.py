# SPDX-License-Identifier: BSD-3-Clause
"""Ten thousand services of ten backends (P11): the load, what they take, and a thousand flips a second."""

from lib import bench, goals
from lib.groups import Group, Outcome
from lib.loop import TRIES, enough, run_loop


class Control(Group):
    name = "control"
    about = "10 000 services: load, memory, and a thousand backends a second that fall or return under load"
    targets = ["perf/bench", "perf/loop"]

    def hugepages(self, options):
        return 600

    def run(self, context):
        result = bench.run(context, "control")
        load, = bench.select(result, "load")
        more = [] if context.options.quick else ["--seconds", 1, "--tries", TRIES]
        flips = run_loop(context, "flips", 1_000_000, *more)
        print(f"worker: {flips['cycles_without']['median']:.0f} cycles a packet, with flips "
              f"{flips['cycles_with']['median']:.0f}; a publication takes control "
              f"{flips['publish_us']['median']:.0f} us", flush=True)
        figures = [goals.figure("P11", "load, ms", load, bench.reliable(load)),
                   goals.figure("P11", "throughput loss by 1000 flips/s, %", flips["loss_percent"], enough(context, flips))]
        return Outcome({"bench": result, "flips": flips}, figures, all(figure["reliable"] for figure in figures))

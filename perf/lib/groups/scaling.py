# SPDX-License-Identifier: BSD-3-Clause
"""The real loop without a link (perf/loop): two workers beside one (P14), the ring hand-over (P15)."""

from lib.goals import figure, short
from lib.groups import Group, Outcome
from lib.loop import TRIES, enough, run_loop

LEAST_SCALING = 1.9  # of macfwd: below, the machine gives no two whole CPUs


def loop_cycles(result):
    """name -> the worker's cycles a packet"""
    return {runner["name"]: runner["stations"][-1]["cycles"]["median"] for runner in result["runners"]}


class Scaling(Group):
    name = "scaling"
    about = "the worker loop without a link: its parts, the ring hand-over, two workers"
    targets = ["perf/loop"]

    def hugepages(self, options):
        return 600

    def run(self, context):
        data, figures = {}, []
        more = [] if context.options.quick else ["--tries", TRIES]
        for flows in (1_000, 1_000_000):
            direct = data[f"direct {flows}"] = run_loop(context, "direct", flows)
            parts = {name: value["median"] for runner in direct["runners"]
                     for name, value in runner["stations"][0]["parts"].items()}
            cycles = loop_cycles(direct)
            print(f"{short(flows):>4} flows: loop {cycles['weir']:.0f} cycles a packet, macfwd {cycles['macfwd']:.0f}; "
                  "parts " + ", ".join(f"{name} {value:.1f}" for name, value in parts.items()), flush=True)
            ring = data[f"ring {flows}"] = run_loop(context, "ring", flows, *more)
            figures.append(figure("P15", f"{short(flows)} flows", ring["handover_cycles"],
                                  enough(context, ring)))
        two = data["scaling"] = run_loop(context, "scaling", 1_000_000, *more)
        machine = two["macfwd_two_over_one"]["median"]
        reliable = enough(context, two) and machine >= LEAST_SCALING
        figures.append(figure("P14", "each gets its own flows", two["two_over_one"], reliable))
        figures.append(figure("P14", "any worker receives any flow", two["two_over_one_any"], reliable))
        print(f"macfwd scales by {machine:.2f} on these CPUs", flush=True)
        return Outcome(data, figures, all(entry["reliable"] for entry in figures))

# SPDX-License-Identifier: BSD-3-Clause
"""New flows, and backends that come and go under load: P5 on the link, P6, P7 and P12.

One Weir on a memif link, ipip. Every packet is checked: an established flow may move
only when its own backend was removed.
"""

import statistics
import time

from lib.balancer import DEEP_LOG2, SPARE, Balancer
from lib.distance import Distance
from lib.goals import figure, spread
from lib.groups import Group, Outcome
from lib.windows import POLLER_SHARE, calm_pairs, effort, near_pair, slices_of

FLOWS = 100_000
MANY, MANY_ENTRIES = 10_000_000, 16_000_000  # flows that a table grows to
FLOOD = 0.9          # of all packets; the rest are those of established flows
LOAD = 0.8           # of the greatest throughput, while backends change
# Of P12: packets on their way. More than the ring back holds, and Weir must drop some whenever the
# generator, which shares its CPU with the control lcore, does not empty it.
MOST_AWAY = (1 << DEEP_LOG2) - 1024
FIRST = "10.0.1.1"   # address of b1, which is removed
MAY_MOVE = ["--leaves", FIRST, "--leaves", SPARE[0], "--joins", "=".join(SPARE)]


class AllNew:
    """Turns of a link in which every packet is the SYN of another flow."""

    def __init__(self, link):
        self.right = lambda **words: link.right(new=1, **words)


def rates(result):
    """Mpps of the windows in which Weir had its CPU, or of all when there is none."""
    windows = result["windows"]
    calm = [window for window in windows if window["cpu_shares"][1] >= POLLER_SHARE]
    return [window["right_mpps"] for window in calm or windows], bool(calm)


def sleep_until(moment):
    time.sleep(max(0.0, moment - time.monotonic()))


class Watch:
    """Looks every few seconds how far the CPUs are apart, and knows it of each second in between."""

    STEP = 2.5

    def __init__(self, distance):
        self.distance, self.seen = distance, []

    def sleep_until(self, moment):
        while time.monotonic() < moment:
            self.seen.append((time.monotonic(), self.distance.measure()))
            sleep_until(min(moment, time.monotonic() + self.STEP))

    def was_near(self, begin, end):
        around = [line for moment, line in self.seen if begin - 2 * self.STEP < moment < end + 2 * self.STEP]
        return bool(around) and not any(map(self.distance.far, around))


class Churn(Group):
    name = "churn"
    about = "new flows, SYN floods, and backends that come and go under load"
    targets = ["app/weir", "app/weirctl", "perf/gen", "perf/line"]

    def hugepages(self, options):
        return 1800  # two of them, or the large one

    def run(self, context):
        figures, data = [], {}
        for part in (self.growth, self.all_new, self.flood, self.changes):
            data[part.__name__] = part(context, figures)
        return Outcome(data, figures, all(figure["reliable"] for figure in figures))

    def growth(self, context, figures):
        """P5: each packet is the first of its flow, until there are 10M; then each once more, which
        shows that Weir remembers where the flow was."""
        weir = Balancer(context, "growth", ["--flows", MANY], entries=MANY_ENTRIES)
        try:
            result = weir.right(seconds=60, window=0.1, passes=1)
            weir.right(seconds=60, passes=2)
            weir.server.go_on()
            flows = weir.ask("status")["flows"]["entries"]
        finally:
            weir.end()
        measured, reliable = rates(result)
        seconds = sum(window["seconds"] for window in result["windows"])
        rate = sum(window["right"] for window in result["windows"]) / seconds / 1e6
        figures.append(figure("P5", "IPv4, on the link", {**spread(measured), "median": rate}, reliable))
        print(f"{MANY} new flows in {seconds:.2f} s, {rate:.2f} M/s ({min(measured):.2f}..{max(measured):.2f}); "
              f"{flows} in the table, {result['lost']} packets lost on the way", flush=True)
        return {"result": result, "flows": flows}

    def all_new(self, context, figures):
        """P6: a Weir that gets SYNs of new flows alone takes turns with one that has established
        flows. The first flood fills its connection table; from then on it is full."""
        wanted = context.options.windows or (3 if context.options.quick else 10)
        known = Balancer(context, "known", ["--flows", FLOWS])
        flooded = Balancer(context, "flooded", ["--flows", 1])
        new = AllNew(flooded)
        try:
            growing = new.right(seconds=0.3, window=0.1)
            new.right(seconds=2)
            distance, pairs, calm = Distance(context, 30), [], []
            row = effort(context.options)
            while len(calm) < wanted and row.left(pairs, wanted):
                pairs.append(near_pair(lambda: slices_of(known, new), distance))
                calm = calm_pairs(pairs, distance)
        finally:
            known.end()
            flooded.end()
        used = calm or pairs
        ratio = spread([flood["mpps"] / established["mpps"] for established, flood in used])
        usual = statistics.median(established["mpps"] for established, _ in used)
        first = spread([rate / usual for rate in rates(growing)[0]])
        reliable = len(calm) >= wanted
        figures.append(figure("P6", "table full", ratio, reliable))
        figures.append(figure("P6", "table growing", first, reliable))
        print(f"all new / established: {ratio['median']:.2f} with a full table, {first['median']:.2f} while it "
              f"grows; established {usual:.2f} Mpps", flush=True)
        return {"pairs": pairs, "growing": growing}

    def flood(self, context, figures):
        """P7."""
        seconds = 9 if context.options.quick else 60
        weir = Balancer(context, "flood", ["--flows", FLOWS, *MAY_MOVE])
        try:
            watch = Watch(Distance(context, 45))
            watch.distance.settle()
            before = weir.load(seconds=3, warmup=0.3)
            weir.server.go_on()
            weir.reload()  # what a first reload takes from the heap is not growth by the flood
            warmup, first = 0.5, time.monotonic()
            weir.begin(seconds=seconds, warmup=warmup, new=FLOOD)
            begin = first + 2
            watch.sleep_until(begin)
            memory = weir.resident_kib()
            watch.sleep_until(begin + seconds / 3)
            weir.backends.without("b1")
            weir.reload()
            watch.sleep_until(begin + seconds * 2 / 3)
            weir.backends.plus("b17", SPARE[0])
            weir.reload()
            watch.sleep_until(begin + seconds - 1.5)
            growth = weir.resident_kib() - memory
            result = weir.result()
        finally:
            weir.end()
        known = result["established"]
        share = 100 * known["right"] / known["returned"]
        quiet, reliable = rates(before)
        first += warmup
        near = [window for second, window in enumerate(result["windows"])
                if watch.was_near(first + second, first + second + 1)]
        flooded, also = rates({"windows": near or result["windows"]})
        also = also and len(near) >= min(10, seconds // 2)
        ratio = spread([rate / statistics.median(quiet) for rate in flooded])
        late = result["windows"][-1]["at_backends"]
        figures += [figure("P7", "established at their backend, %", spread([share])),
                    figure("P7", "memory growth, MiB", spread([growth // 1024])),
                    figure("P7", "throughput / that without a flood", ratio, reliable and also)]
        print(f"flood of {seconds} s: established {known['right']} right of {known['returned']} returned, "
              f"{known['lost']} of {known['sent']} lost; {result['rehomed']} flows left the removed backend, "
              f"which got {late[0]} packets in the last second, the new one {late[-1]}; memory +{growth} KiB; "
              f"{statistics.median(flooded):.2f} of {statistics.median(quiet):.2f} Mpps in {len(near)} windows "
              f"with the CPUs near each other, of {len(result['windows'])}", flush=True)
        lines = [{"second": moment - first, "line_ns": line} for moment, line in watch.seen]
        return {"before": before, "result": result, "growth_kib": growth, "lines": lines}

    def changes(self, context, figures):
        """P12: the same load twice, without changes and with them."""
        steps = [("add b17", lambda b: b.plus("b17", SPARE[0])),
                 ("weight of b2 to 50", lambda b: b.plus("b2", "10.0.1.2", 50)),
                 ("reload of the same", lambda b: b),
                 ("remove b1", lambda b: b.without("b1")),
                 ("weight of b2 to 100", lambda b: b.plus("b2", "10.0.1.2")),
                 ("remove b17", lambda b: b.without("b17"))]
        rounds = 1 if context.options.quick else 4
        pause, seconds = 0.5, 1 + 0.5 * (len(steps) + 1) * rounds
        options = ["--flows", FLOWS, "--most-away", MOST_AWAY, *MAY_MOVE]
        weir = Balancer(context, "changes", options, DEEP_LOG2)
        try:
            most = statistics.median(rates(weir.load(seconds=2, warmup=0.3))[0])
            load = {"seconds": seconds, "warmup": 0.3, "rate": int(most * LOAD * 1e6)}
            control = weir.load(**load)
            weir.begin(**load)
            begin = time.monotonic() + 0.8
            done = 0
            for _ in range(rounds):
                for _, step in [*steps, ("add b1", lambda b: b.plus("b1", FIRST))]:
                    sleep_until(begin + pause * done)
                    step(weir.backends)
                    weir.reload()
                    done += 1
            result = weir.result()
            weir.server.go_on()
            drops = weir.ask("drop", "list")
        finally:
            weir.end()
        figures += [figure("P12", "packets lost", spread([result["lost"]]), control["lost"] == 0),
                    figure("P12", "packets misdirected", spread([result["wrong"]]))]
        print(f"{done} changes at {most * LOAD:.2f} Mpps: {result['lost']} of {result['sent']} lost "
              f"({control['lost']} of {control['sent']} without changes), {result['wrong']} misdirected; "
              f"{result['rehomed']} flows left a removed backend; drops "
              + (", ".join(f"{drop['reason']} {drop['packets']}" for drop in drops["drops"] if drop["packets"]) or "none"),
              flush=True)
        return {"control": control, "result": result, "drops": drops}

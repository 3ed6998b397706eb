# SPDX-License-Identifier: BSD-3-Clause
"""The differential test through the real binary: what left each port, and every counter of drops."""

import math
from collections import Counter

from balancer import configuration, decide
from balancer.outcome import Answered, Dropped, FromPool, Held, Sent, SentInPieces

from . import binary, cases, report, setup, shrink
from .entropy import Entropy, with_blank_identification, without_identification
from .pool_ends import PoolEnds, frames_of

# CPU 1 alone polls and works; CPU 1 polls and hands over to the worker that takes turns with it on a
# ring; two workers share one RX queue, so half of the flows cross a ring.
ARRANGEMENTS = {
    "polling worker": {"rx": "[]", "workers": "[1]"},
    "RX lcore and worker": {"rx": "[1]", "workers": "[1]"},
    "two workers": {"rx": "[]", "workers": "[0, 1]"},
}

SHRINK = 120  # seconds: each try is a run of the binary


def start(frame):
    return f"{len(frame)} bytes, {frame[:100].hex()}"


class Prediction:
    """What must leave and be counted; nothing of it hangs on the order of packets of other flows."""

    def __init__(self, packets):
        self.configuration = configuration.read(setup.for_binary())
        self.entropy = Entropy(self.configuration)
        self.ends = PoolEnds(self.configuration)
        balancer = decide.Balancer(self.configuration)
        self.left, self.dropped = Counter(), Counter()
        self.order = {}  # (in, out): frames
        for port, frame in packets:
            outcome = balancer.decide(port, frame)
            if isinstance(outcome, (Sent, SentInPieces, FromPool)):
                self.order.setdefault((port, outcome.port), []).extend(self.predicted(outcome))
            self.add(outcome)
            for _, late in balancer.released(0):
                self.add(late)
        balancer.pass_time(math.inf)
        for _, late in balancer.released(0):
            self.add(late)

    def predicted(self, outcome):
        """The frames, without what is not known beforehand."""
        frames = self.ends.predicted(outcome) if isinstance(outcome, FromPool) else frames_of(outcome)
        return [self.compared(outcome.port, frame) for frame in frames]

    def compared(self, port, frame):
        return without_identification(self.entropy.without(port, frame)[0])

    def recognized(self, port, frame):
        """A frame that left, as it was predicted if only its identification was not known."""
        blank = with_blank_identification(frame)
        return blank if (port, frame) not in self.left and (port, blank) in self.left else frame

    def add(self, outcome):
        if isinstance(outcome, (Sent, SentInPieces, FromPool)):
            self.left.update((outcome.port, frame) for frame in self.predicted(outcome))
        elif isinstance(outcome, Answered):
            self.left[outcome.port, outcome.frame] += 1
            self.dropped[outcome.reason] += 1
        elif not isinstance(outcome, Held):
            reason = outcome.reason if isinstance(outcome, Dropped) else "no_exception_path"
            self.dropped[reason] += 1

    def difference(self, run):
        """The first, in one sentence; or None."""
        frames = [[self.recognized(port, self.compared(port, self.ends.without(frame))) for frame in sent]
                  for port, sent in enumerate(run.left)]
        got = Counter((port, frame) for port, sent in enumerate(frames) for frame in sent)
        for (port, frame), count in (self.left - got).items():
            return f"did not leave by port {port}, {count} times: {start(frame)}"
        for (port, frame), count in (got - self.left).items():
            return f"left by port {port}, {count} times too often: {start(frame)}"
        if run.dropped != self.dropped:
            return (f"expected to be dropped: {dict(self.dropped - run.dropped)}; dropped instead: "
                    f"{dict(run.dropped - self.dropped)}")
        if run.punted:
            return f"{run.punted} packets for the kernel, of ports that have none"
        return self.ends.difference() or self.difference_of_order(frames)

    def difference_of_order(self, frames):
        """Packets that came by one port and leave by one port keep their order (those are looked at
        that occur once)."""
        places = [{frame: i for i, frame in enumerate(sent)} for sent in frames]
        for (came, port), wanted in self.order.items():
            once = [frame for frame in wanted if self.left[port, frame] == 1]
            last = -1
            for frame in once:
                if places[port][frame] < last:
                    return f"from port {came}, left by port {port} after a later one: {start(frame)}"
                last = places[port][frame]
        return None


def difference(packets, arrangement):
    prediction = Prediction(packets)
    run = binary.run(packets, **ARRANGEMENTS[arrangement])
    # With two workers packets of different flows may overtake each other.
    if arrangement == "two workers":
        prediction.order = {}
    return prediction.difference(run)


def compare(packets, arrangement):
    """A description of the first difference, shrunk, or None."""
    sentence = difference(packets, arrangement)
    if sentence is None:
        return None
    small = shrink.ddmin(packets, lambda some: difference(some, arrangement) is not None, SHRINK)
    sentence = difference(small, arrangement) or sentence
    path = cases.keep(small, f"{arrangement}: {sentence}")
    return report.describe(small, f"{arrangement}: {sentence}\nkept as {path}")

# SPDX-License-Identifier: BSD-3-Clause
"""The differential test through process(): verdict by verdict, shrunk where one differs."""

from itertools import islice

from balancer import configuration, decide
from balancer.outcome import Answered, Dropped, ToKernel

from . import cases, report, shrink
from .abilities import left_out
from .pipeline import MAX_BURST, Pipeline
from .verdicts import Judge

# Milliseconds between bursts: what is rate limited (ICMP errors) stays within its rate.
BREATH = 8


class Match:
    """Both balancers side by side, with the same configuration and history."""

    def __init__(self, text):
        self.balancer = decide.Balancer(configuration.read(text))
        self.judge = Judge(self.balancer.configuration)
        self.pipeline = Pipeline(text)
        self.now = 0  # milliseconds

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.pipeline.__exit__()

    def wait(self, milliseconds):
        self.now += milliseconds
        self.pipeline.wait(milliseconds)

    def configure(self, text):
        """As a reload does. Backends may have moved, and entropy with them."""
        self.balancer.configure(configuration.read(text))
        self.judge = Judge(self.balancer.configuration)
        self.pipeline.configure(text)

    def forget(self):
        self.balancer.forget()
        self.pipeline.forget()

    def play(self, burst):
        """[(packet, expected outcome, what differs or None)]"""
        predicted = [(packet, self.balancer.decide(*packet, self.now / 1000)) for packet in burst]
        predicted = [(packet, outcome) for packet, outcome in predicted if outcome not in left_out()]
        got = self.pipeline.decide([packet for packet, _ in predicted])
        return [(packet, expected, self.judge.difference(packet[0], expected, outcome))
                for (packet, expected), outcome in zip(predicted, got)]

    def first_difference(self, packets):
        """In bursts of one, from an empty connection table."""
        self.forget()
        for packet in packets:
            self.wait(BREATH)
            for _, _, sentence in self.play([packet]):
                if sentence:
                    return sentence
        return None


def kind_of(outcome):
    """What is counted for coverage."""
    if isinstance(outcome, Dropped):
        return outcome.reason
    if isinstance(outcome, Answered):
        return f"answered:{outcome.reason}"
    if isinstance(outcome, ToKernel):
        return f"kernel:{outcome.punt_class}"
    return f"sent:{outcome.backend.split('/')[0]}"


def bursts(packets, rng):
    """Mostly full ones, which are worked on sixteen packets at once; some of a few packets."""
    while burst := list(islice(packets, rng.choice((1, 3, 8, 16, 31, 48, MAX_BURST, MAX_BURST)))):
        yield burst


def failure(match, history, sentence):
    """Shrinks the failing end of `history`, keeps it as a case and describes it."""
    recent = history[-1:]
    if match.first_difference(recent) is None:
        recent = history
    if match.first_difference(recent) is None:
        return (f"{sentence}\n(only in bursts: the packets one by one do not differ)\n"
                + report.describe(history[-1:], ""))
    small = shrink.shrink(recent, lambda packets: match.first_difference(packets) is not None)
    sentence = match.first_difference(small)
    path = cases.keep(small, sentence)
    return report.describe(small, f"{sentence}\nkept as {path}")


def compare(text, packets, rng, counts):
    """Plays all `packets`; a description of the first difference, or None. `counts`: a Counter of
    what was reached."""
    with Match(text) as match:
        history = []  # since the connection tables were empty
        for burst in bursts(packets, rng):
            if len(history) > 50_000:
                match.forget()
                history = []
            match.wait(BREATH)
            for packet, expected, sentence in match.play(burst):
                history.append(packet)
                counts[kind_of(expected)] += 1
                if sentence:
                    return failure(match, history, sentence)
    return None

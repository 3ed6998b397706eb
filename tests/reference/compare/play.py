# SPDX-License-Identifier: BSD-3-Clause
"""The differential test through process(): verdict by verdict, shrunk where one differs."""

from itertools import islice

from balancer import configuration, decide
from balancer.outcome import Answered, Dropped, FromPool, Held, SentInPieces, ToKernel

from . import cases, report, shrink
from .pipeline import MAX_BURST, Pipeline
from .verdicts import Judge

# Milliseconds between bursts: what is rate limited (ICMP errors) stays within its rate.
BREATH = 8
# After which no fragment waits any more, and how many bursts may come until then: datagrams that lack some are
# few enough that none has to make room for others.
PATIENCE, BURSTS = 1100, 40
# Number of the worker that is played, and how many there are: they share the ports of pools.
PLACE = 5, 64


class Match:
    """Both balancers side by side, with the same configuration and history."""

    def __init__(self, text, place=PLACE):
        self.balancer = decide.Balancer(configuration.read(text), place)
        self.judge = Judge(self.balancer.configuration, lambda: self.balancer.bindings)
        self.pipeline = Pipeline(text, place)
        self.now = 0  # milliseconds
        self.held = {}  # by number: fragments that wait

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.pipeline.__exit__()

    def wait(self, milliseconds):
        self.now += milliseconds
        self.pipeline.wait(milliseconds)
        self.balancer.pass_time(self.now / 1000)

    def configure(self, text):
        """As a reload does. Backends may have moved, and entropy with them."""
        self.balancer.configure(configuration.read(text))
        self.judge = Judge(self.balancer.configuration, lambda: self.balancer.bindings)
        self.pipeline.configure(text)

    def forget(self):
        self.balancer.forget()
        self.pipeline.forget()
        self.held = {}

    def play(self, burst):
        """[(packet, expected outcome, what differs or None)]: of the burst, then of fragments that waited."""
        predicted = [(packet, self.balancer.decide(*packet, self.now / 1000)) for packet in burst]
        first = self.pipeline.given
        outcomes, released = self.pipeline.decide([packet for packet, _ in predicted])
        self.held |= {number: expected for number, (_, expected) in enumerate(predicted, first)
                      if isinstance(expected, Held)}
        played = [(packet, expected, self.difference(packet[0], expected, outcome))
                  for (packet, expected), outcome in zip(predicted, outcomes)]
        return played + self.played_released(self.balancer.released(self.now / 1000), released)

    def difference(self, port, expected, outcome):
        return self.judge.difference(port, expected, outcome, self.now / 1000)

    def live_bindings(self):
        """Flows of which it is known from which end of a pool they come."""
        bindings = self.balancer.bindings
        return [one for one in bindings.by_flow.values()
                if one.end and one.settled and bindings.is_live(one, self.now / 1000)]

    def played_released(self, predicted, got):
        """`predicted`: [(Held, outcome)]; `got`: [(number, outcome)]. Those of a datagram keep their order."""
        wanted = {id(held): (held, outcome) for held, outcome in predicted}
        order = {id(held): place for place, (held, _) in enumerate(predicted)}
        played, last = [], {}
        for number, outcome in got:
            held = self.held.pop(number)
            packet = held.port.number, held.frame
            if id(held) not in wanted:
                played.append((packet, held, f"waits no longer, too early: {outcome}"))
                continue
            _, expected = wanted.pop(id(held))
            sentence = self.difference(held.port.number, expected, outcome)
            if order[id(held)] < last.get(id(held.datagram), -1):
                sentence = sentence or "overtaken by a later fragment of its datagram"
            last[id(held.datagram)] = order[id(held)]
            played.append((packet, expected, sentence))
        return played + [((held.port.number, held.frame), outcome, f"still waits; expected {outcome}")
                         for held, outcome in wanted.values()]

    def first_difference(self, packets):
        """In bursts of one, from an empty connection table."""
        self.forget()
        for packet in packets:
            self.wait(BREATH)
            for _, _, sentence in self.play([packet]):
                if sentence:
                    return sentence
        self.wait(PATIENCE)
        return next((sentence for _, _, sentence in self.play([]) if sentence), None)


def kind_of(outcome):
    """What is counted for coverage."""
    if isinstance(outcome, Dropped):
        return outcome.reason
    if isinstance(outcome, Answered):
        return f"answered:{outcome.reason}"
    if isinstance(outcome, Held):
        return "held"
    if isinstance(outcome, ToKernel):
        return f"kernel:{outcome.punt_class}"
    if isinstance(outcome, FromPool):
        outcome = outcome.blank
    if isinstance(outcome, SentInPieces):
        return f"in pieces:{outcome.what}"
    return f"sent:{outcome.what}"


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
    found = match.first_difference(small)
    path = cases.keep(small, found)
    return report.describe(small, f"{found}\nkept as {path}; at first it was: {sentence}")


def compare(text, packets_of, rng, counts):
    """Plays all of `packets_of(live bindings)`; a description of the first difference, or None. `counts`: a Counter of
    what was reached."""
    with Match(text) as match:
        history = []  # since the connection tables were empty
        for number, burst in enumerate(bursts(packets_of(match.live_bindings), rng)):
            if len(history) > 50_000:
                match.forget()
                history = []
            match.wait(PATIENCE if number % BURSTS == BURSTS - 1 else BREATH)
            for packet, expected, sentence in match.play(burst):
                history.append(packet)
                counts[kind_of(expected)] += 1
                if sentence:
                    return failure(match, history, sentence)
    return None

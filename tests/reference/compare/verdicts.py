# SPDX-License-Identifier: BSD-3-Clause
"""Does an outcome of Weir's agree with the predicted one?"""

from balancer.outcome import Dropped, FromPool, Held, Sent, SentInPieces, ToKernel
from balancer.translate import End

from .entropy import Entropy, identification_at, with_blank_identification


class Judge:
    """Remembers the entropy of each flow, as one boot has one secret."""

    def __init__(self, configuration, bindings):
        """`bindings()`: those of the reference, which learn the ends that were chosen."""
        self.bindings = bindings
        self.ports = configuration.ports
        self.entropy = Entropy(configuration)
        self.of_flow = {}

    def difference(self, port, expected, got, now=0.0):
        """`port`: where the packet came in. What differs in one sentence, or None."""
        if isinstance(expected, FromPool) and isinstance(got, (Sent, SentInPieces)):
            end = expected.end_in(got.frame if isinstance(got, Sent) else got.frames[0])
            sentence = self.learn(expected, *end, now)
            if sentence:
                return sentence
            expected = expected.sent_from(expected.binding.end or End(end[0], 0))
        if isinstance(expected, ToKernel) and not self.ports[port].has_tap:
            expected = Dropped("no_exception_path")
        if isinstance(expected, Sent) and isinstance(got, Sent):
            return self.of_frames(expected, got)
        if isinstance(expected, SentInPieces) and isinstance(got, SentInPieces):
            return self.of_pieces(expected, got)
        if isinstance(expected, Held) and isinstance(got, Held):
            return None
        return None if expected == got else f"expected {expected}, got {got}"

    def learn(self, expected, address, port, now):
        binding = expected.binding
        if binding.end is not None:
            return None
        if port is None:  # the first fragment was refused; no later one tells the port
            return None if address in binding.pool else f"{address.hex()} is not of the pool"
        return self.bindings().learn(binding, End(address, port), now)

    def of_pieces(self, expected, got):
        if expected.port != got.port:
            return f"expected port {expected.port}, got port {got.port}"
        if expected.own_identification and len({identification_of(frame) for frame in got.frames}) > 1:
            return f"pieces of one packet have several identifications: {got}"
        wanted = [self.entropy.without(expected.port, frame)[0] for frame in known(expected, expected.frames)]
        pieces = [self.entropy.without(got.port, frame) for frame in known(expected, got.frames)]
        if wanted != [frame for frame, _ in pieces]:
            return f"expected {expected}, got {got}"
        # Later ones have no ports.
        if any(bits[0] != pieces[0][1][0] for _, bits in pieces):
            return f"the entropy of pieces of one packet differs: {got}"
        bits = pieces[0][1]
        if self.of_flow.setdefault((expected.flow, expected.backend), bits) != bits:
            return f"the entropy of flow {expected.flow} changed"
        return None

    def of_frames(self, expected, got):
        if expected.port != got.port:
            return f"expected port {expected.port}, got port {got.port}"
        wanted, _ = self.entropy.without(expected.port, *known(expected, [expected.frame]))
        frame, bits = self.entropy.without(got.port, *known(expected, [got.frame]))
        if wanted != frame:
            return f"expected {expected}, got {got}"
        if self.of_flow.setdefault((expected.flow, expected.backend), bits) != bits:
            return f"the entropy of flow {expected.flow} changed"
        return None


def identification_of(frame):
    at = identification_at(frame)
    return frame[at:at + 2]


def known(expected, frames):
    """Without the identification, where that is Weir's choice."""
    return [with_blank_identification(frame) for frame in frames] if expected.own_identification else frames

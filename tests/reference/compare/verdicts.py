# SPDX-License-Identifier: BSD-3-Clause
"""Does an outcome of Weir's agree with the predicted one?"""

from balancer.outcome import Dropped, Sent, ToKernel

from .entropy import Entropy


class Judge:
    """Remembers the entropy of each flow, as one boot has one secret."""

    def __init__(self, configuration):
        self.ports = configuration.ports
        self.entropy = Entropy(configuration)
        self.of_flow = {}

    def difference(self, port, expected, got):
        """`port`: where the packet came in. What differs in one sentence, or None."""
        if isinstance(expected, ToKernel) and not self.ports[port].has_tap:
            expected = Dropped("no_exception_path")
        if isinstance(expected, Sent) and isinstance(got, Sent):
            return self.of_frames(expected, got)
        return None if expected == got else f"expected {expected}, got {got}"

    def of_frames(self, expected, got):
        if expected.port != got.port:
            return f"expected port {expected.port}, got port {got.port}"
        wanted, _ = self.entropy.without(expected.port, expected.frame)
        frame, bits = self.entropy.without(got.port, got.frame)
        if wanted != frame:
            return f"expected {expected}, got {got}"
        if self.of_flow.setdefault((expected.flow, expected.backend), bits) != bits:
            return f"the entropy of flow {expected.flow} changed"
        return None

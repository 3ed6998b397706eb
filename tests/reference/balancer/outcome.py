# SPDX-License-Identifier: BSD-3-Clause
"""What becomes of a packet: it is sent, handed to the kernel, or dropped for a named reason."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Dropped(Exception):
    """Also raised as an exception: a packet ends where its first fault is found."""

    reason: str

    def __str__(self):
        return f"dropped: {self.reason}"


@dataclass(frozen=True)
class ToKernel:
    """`punt_class`: which meter and ring it takes. A port without TAP has no way there."""

    punt_class: str

    def __str__(self):
        return f"to the kernel: {self.punt_class}"


@dataclass(frozen=True)
class Sent:
    """`frame`: its bytes; those that the flow hash fills are zero, see entropy.py."""

    port: int
    frame: bytes
    flow: tuple = None  # whose packet it is, for what must be the same for all of a flow
    backend: str = ""

    def __str__(self):
        return f"sent by port {self.port} to {self.backend}: {self.frame.hex()}"


@dataclass(frozen=True)
class SentInPieces:
    """Too long for its port, and cut: `frames`, in order."""

    port: int
    frames: tuple

    def __str__(self):
        return f"sent in pieces by port {self.port}: {', '.join(one.hex() for one in self.frames)}"


@dataclass(frozen=True)
class Answered:
    """Dropped for `reason`, and its sender is told: `frame`, by the port that it came from."""

    reason: str
    port: int
    frame: bytes

    def __str__(self):
        return f"dropped: {self.reason}, and answered by port {self.port}: {self.frame.hex()}"

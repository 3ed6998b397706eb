# SPDX-License-Identifier: BSD-3-Clause
"""What becomes of a packet: it is sent, handed to the kernel, or dropped for a named reason."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Dropped(Exception):
    """Also raised as an exception: a packet ends where its first fault is found."""

    reason: str

    def __str__(self):
        return f"dropped: {self.reason}"


class Refused(Exception):
    """Dropped for `reason`, if its sender is not told. `mtu`: the longest packet that would have fitted."""

    def __init__(self, reason, mtu=None):
        super().__init__(reason)
        self.reason, self.mtu = reason, mtu


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
    what: str = ""  # counted as this, where "of the service" would not tell
    own_identification: bool = False  # IPv4's is Weir's choice, and 0 here

    def __str__(self):
        return f"sent by port {self.port} to {self.backend}: {self.frame.hex()}"


@dataclass(frozen=True)
class SentInPieces:
    """Too long for its port, and cut: `frames`, in order."""

    port: int
    frames: tuple
    flow: tuple = None  # as of Sent
    backend: str = ""
    what: str = ""
    own_identification: bool = False

    def __str__(self):
        return f"sent in pieces by port {self.port}: {', '.join(one.hex() for one in self.frames)}"


@dataclass(eq=False)
class FromPool:
    """Sent from an end of a pool that may not be known yet: Sent or SentInPieces is
    `sent_from(end)`. `address_at`, `port_at`: where it stands in the frame; no port in later fragments."""

    port: int
    sent_from: object
    binding: object
    address_at: int
    port_at: int
    flow: tuple
    backend: str
    what: str

    @property
    def blank(self):
        """As from a blank end."""
        return self.sent_from(self.binding.blank)

    def end_in(self, frame):
        """(address, port or None) of a frame that left."""
        address = frame[self.address_at:self.address_at + len(self.binding.pool[0])]
        port = None if self.port_at is None else int.from_bytes(frame[self.port_at:self.port_at + 2], "big")
        return address, port

    def __str__(self):
        return f"sent by port {self.port} to {self.backend} from the pool"


@dataclass(eq=False)
class Held(Exception):
    """A fragment that waits for the first one of its datagram; what becomes of it comes later."""

    port: object  # where it came in
    frame: bytes
    packet: object
    datagram: object = None

    def __str__(self):
        return "held until the datagram's first fragment comes"


@dataclass(frozen=True)
class Answered:
    """Dropped for `reason`, and its sender is told: `frame`, by the port that it came from."""

    reason: str
    port: int
    frame: bytes

    def __str__(self):
        return f"dropped: {self.reason}, and answered by port {self.port}: {self.frame.hex()}"

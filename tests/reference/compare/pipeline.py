# SPDX-License-Identifier: BSD-3-Clause
"""Weir's process() as a child program (play.cc): packets in bursts, one outcome each."""

import struct
import subprocess
from functools import lru_cache

from balancer.outcome import Answered, Dropped, Held, Sent, SentInPieces, ToKernel

from .setup import PLAY

MAX_BURST = 64
DROP, SEND, PUNT, ANSWER, HOLD = range(5)
PIECE = 0x80 | SEND


@lru_cache
def names():
    lines = subprocess.run([PLAY, "--names"], capture_output=True, text=True, check=True,
                           timeout=30).stdout.split()
    pairs = list(zip(lines[::2], lines[1::2]))
    return [[name for kind, name in pairs if kind == wanted] for wanted in ("reason", "class")]


class Pipeline:
    def __init__(self, configuration, place=(0, 1)):
        """`configuration`: its text. `place`: number of the worker that is played, and how many there are."""
        self.reasons, self.classes = names()
        self.given = 0  # packets
        self.held = {}  # frames by their number
        self.child = subprocess.Popen([PLAY], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.configure(configuration)
        self.tell(b"w", struct.pack("<II", *place))
        self.forget()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.stdin.close()
        self.child.stdout.close()
        self.child.wait(30)

    def tell(self, *words):
        self.child.stdin.write(b"".join(words))

    def configure(self, text):
        data = text.encode()
        self.tell(b"c", struct.pack("<I", len(data)), data)

    def set_state(self, service, backend, state):
        name = f"{service}/{backend}".encode()
        number = ("active", "drain", "disabled").index(state)
        self.tell(b"s", struct.pack("<BH", number, len(name)), name)

    def wait(self, milliseconds):
        self.tell(b"t", struct.pack("<I", milliseconds))

    def forget(self):
        self.tell(b"f")

    def decide(self, packets):
        """[(port, frame)], a burst: their outcomes, and [(number, outcome)] of earlier packets that were
        held. Packets are numbered from 0 on."""
        assert len(packets) <= MAX_BURST
        for port, frame in packets:
            self.tell(b"p", struct.pack("<BI", port, len(frame)), frame)
        self.tell(b"b")
        self.child.stdin.flush()
        outcomes = [self.outcome(frame, number) for number, (_, frame) in enumerate(packets, self.given)]
        self.given += len(packets)
        return outcomes, [self.released() for _ in range(self.number())]

    def number(self):
        return struct.unpack("<I", self.child.stdout.read(4))[0]

    def released(self):
        number = self.number()
        return number, self.outcome(self.held.pop(number), number)

    def read(self):
        head = struct.unpack("<BBBBI", self.child.stdout.read(8))
        return *head[:4], self.child.stdout.read(head[4])

    def outcome(self, frame, number):
        action, reason, punt_class, port, data = self.read()
        pieces = []
        while action == PIECE:
            pieces.append(data)
            action, reason, punt_class, port, data = self.read()
        if pieces:
            return SentInPieces(port, tuple(pieces))
        if action == DROP:
            return Dropped(self.reasons[reason])
        if action == SEND:
            return Sent(port, data)
        if action == ANSWER:
            return Answered(self.reasons[reason], port, data)
        if action == HOLD:
            self.held[number] = frame
            return Held(None, frame, None)
        if action != PUNT:
            return f"an action that the test does not know, number {action}"
        if data != frame:
            return f"to the kernel, but changed: {data.hex()}"
        return ToKernel(self.classes[punt_class])

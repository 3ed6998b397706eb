# SPDX-License-Identifier: BSD-3-Clause
"""Connection tracking: a flow keeps its backend for as long as it is remembered and the backend
takes its packets. Seen from the client's side alone where replies bypass the balancer."""

from dataclasses import dataclass

from .packet import ICMP, ICMP6, TCP
from .transport import ACK, FIN, RST, SYN


@dataclass
class Entry:
    service: str
    backend: str
    state: str  # a key of [conntrack] timeout
    last_packet: float  # seconds


def first_state(protocol):
    """One packet, of whatever flags, earns no long timeout."""
    if protocol in (ICMP, ICMP6):
        return "icmp"
    return "tcp_syn" if protocol == TCP else "udp"


def next_state(state, flags):
    if state in ("udp", "icmp", "tcp_fin"):
        return state
    if flags & (FIN | RST):
        return "tcp_fin"
    return state if flags & SYN else "tcp_established"


def reopens(state, flags):
    """A plain SYN on a closed flow: the client uses its port again."""
    return state == "tcp_fin" and flags & (SYN | ACK | RST | FIN) == SYN


class Connections:
    def __init__(self, timeouts):
        self.timeouts = timeouts
        self.entries = {}

    def holder(self, service, flow, flags, now):
        """The backend that the flow has, or None: pick one."""
        entry = self.entries.get(flow)
        if entry is None or entry.service != service.name:
            return None
        if now - entry.last_packet > self.timeouts[entry.state] or reopens(entry.state, flags):
            return None
        backend = service.backends.get(entry.backend)
        return backend if backend is not None and backend.keeps_flows else None

    def kept(self, service, flow, flags, now):
        """The same for a packet by which the flow lives on."""
        backend = self.holder(service, flow, flags, now)
        if backend is not None:
            entry = self.entries[flow]
            entry.state = next_state(entry.state, flags)
            entry.last_packet = now
        return backend

    def remember(self, service, flow, protocol, backend, now):
        self.entries[flow] = Entry(service.name, backend.name, first_state(protocol), now)

    def reply(self, service, flow, flags, now, is_from):
        """The backend's side moves the state as well; `is_from(backend)`: it is that backend."""
        entry = self.entries.get(flow)
        if entry is None or entry.service != service.name:
            return
        if now - entry.last_packet > self.timeouts[entry.state]:
            return
        backend = service.backends.get(entry.backend)
        if backend is None or not is_from(backend):
            return
        entry.state = next_state(entry.state, flags)
        entry.last_packet = now

    def is_certain(self, flow, now):
        """False while an entry may or may not have expired: it lives for its timeout, and a 64th of
        that and 256 ms longer at most."""
        entry = self.entries.get(flow)
        if entry is None:
            return True
        timeout = self.timeouts[entry.state]
        return not timeout <= now - entry.last_packet <= timeout * 65 / 64 + 0.256

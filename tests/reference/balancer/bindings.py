# SPDX-License-Identifier: BSD-3-Clause
"""full-nat: which client's flow stands behind an address, protocol and port of a pool. Ports are the worker's
choice, so the reference learns one from the first packet of a flow that left; from then on all is told."""

from dataclasses import dataclass

from .connections import first_state, next_state, reopens
from .translate import End

FIRST_PORT, LAST_PORT = 1024, 65535


@dataclass
class Binding:
    flow: tuple  # of the client's packets
    pool: list  # of the service
    service: str
    backend: str  # where its packets went last
    state: str  # a key of [conntrack] timeout
    last_packet: float
    end: End = None  # not learnt yet
    settled: bool = False  # made in an earlier burst

    @property
    def protocol(self):
        return self.flow[4]

    @property
    def blank(self):
        """In place of an end that is not known."""
        return End(bytes(len(self.pool[0])), 0)


class Bindings:
    def __init__(self, timeouts, worker=0, workers=1):
        """`worker` of `workers` gives out ports; workers None: it is not known which."""
        self.timeouts, self.worker, self.workers = timeouts, worker, workers
        self.share = len(range(FIRST_PORT + worker, LAST_PORT + 1, workers or 1))
        self.by_flow, self.by_end, self.fresh = {}, {}, []

    def is_live(self, binding, now):
        return now - binding.last_packet <= self.timeouts[binding.state]

    def of_request(self, service, backend, flow, flags, now):
        """The flow's binding, or a new one; None: no port is free."""
        binding = self.of_flow(flow, now)
        if binding is None:
            self.drop(self.by_flow.get(flow))
            if self.is_full(service.pool, flow[4], now):
                return None
            binding = Binding(flow, service.pool, service.name, backend.name, first_state(flow[4]), now)
            self.by_flow[flow] = binding
            self.fresh.append(binding)
        elif reopens(binding.state, flags):
            binding.state = first_state(flow[4])
        else:
            binding.state = next_state(binding.state, flags)
        binding.last_packet, binding.backend = now, backend.name
        return binding

    def of_flow(self, flow, now):
        return self.live(self.by_flow.get(flow), now)

    def at(self, address, port, protocol, now):
        return self.live(self.by_end.get((address, port, protocol)), now)

    def live(self, binding, now):
        return binding if binding and self.is_live(binding, now) else None

    def settle(self):
        for binding in self.fresh:
            binding.settled = True
        self.fresh = []

    def drop(self, binding):
        if binding is None:
            return
        del self.by_flow[binding.flow]
        if binding.end and self.by_end.get(self.key(binding.end, binding)) is binding:
            del self.by_end[self.key(binding.end, binding)]

    @staticmethod
    def key(end, binding):
        return end.address, end.port, binding.protocol

    def is_full(self, pool, protocol, now):
        if self.workers is None or len(self.by_flow) < self.share * len(pool):
            return False
        taken = sum(1 for one in self.by_flow.values() if one.protocol == protocol and self.is_live(one, now)
                    and (one.end.address in pool if one.end else one.pool == pool))
        return taken >= self.share * len(pool)

    def is_ours(self, port):
        return self.workers is None or (port - FIRST_PORT) % self.workers == self.worker

    def learn(self, binding, end, now):
        """What is wrong with it as a new end, in one sentence, or None."""
        if end.address not in binding.pool:
            return f"{end.address.hex()} is not of the pool"
        if not FIRST_PORT <= end.port <= LAST_PORT or not self.is_ours(end.port):
            return f"port {end.port} is not the worker's to give out"
        other = self.by_end.get(self.key(end, binding))
        if other is not None and other is not binding and self.is_live(other, now):
            return f"{end} is already the end of {other.flow}"
        self.drop(other)
        binding.end = end
        self.by_end[self.key(end, binding)] = binding
        return None

    def is_certain(self, now):
        """See Connections."""
        return all(not self.timeouts[one.state] <= now - one.last_packet <= self.timeouts[one.state] * 65 / 64 + 0.256
                   for one in self.by_flow.values())

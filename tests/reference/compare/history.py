# SPDX-License-Identifier: BSD-3-Clause
"""Flows that live through changes: time passes, operators drain and disable backends, files with other
weights and backends are loaded. After each change both balancers must still agree on every packet."""

from generate import fragments, full_nat, nat
from generate.scene import Scene

from .play import Match

# In the text of configuration/base.toml: what a reload may change.
VARIANTS = (
    ('{ name = "b", address = "10.0.1.12", weight = 50 },', ""),
    ('{ name = "a", address = "10.0.1.11", weight = 100 },', '{ name = "a", address = "10.0.1.11", weight = 3 },'),
    ('{ name = "a", address = "10.0.1.11", weight = 100 },',
     '{ name = "a", address = "10.0.1.11", state = "disabled" },'),
    ('{ name = "d", address = "10.0.1.13", state = "drain" },', '{ name = "d", address = "10.0.1.13" },'),
    ('{ name = "four", address = "10.0.1.12" },', ""),
    ('{ name = "six", address = "fd00:5::12" },', '{ name = "six", address = "fd00:5::12", weight = 0 },'),
    ('{ name = "four", address = "10.0.1.12" },', '{ name = "four", address = "10.0.1.11" },'),
)
SECONDS = (0.4, 1, 7, 29.5, 31, 62, 400, 899, 930)
STATES = ("active", "active", "drain", "disabled")


class History:
    def __init__(self, text, rng):
        self.text, self.rng = text, rng
        self.match = Match(text)
        # Few clients, so that flows have many packets and see many changes.
        self.scene = Scene(self.match.balancer.configuration, rng, clients=40)
        self.scene.client_port = lambda: rng.choice((5000, 5001))
        self.scene.bindings = self.match.live_bindings
        self.log = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.match.__exit__()

    def step(self):
        """A burst or a change; what differs first, or None."""
        dice = self.rng.random()
        if dice < 0.06:
            self.change_state()
        elif dice < 0.1:
            self.wait()
        elif dice < 0.11:
            self.reload()
        else:
            return self.burst()
        return None

    def burst(self):
        """Of clients or of backends: what comes at once from both sides has no order."""
        count, dice = self.rng.choice((1, 5, 16, 40, 64)), self.rng.random()
        if dice < 0.2 and self.scene.nat_services:
            replies = nat.reply, full_nat.reply
            return self.play([self.rng.choice(replies)(self.scene) for _ in range(count)])
        if dice < 0.4:
            return self.datagram()
        return self.play([self.scene.to_service() for _ in range(count)])

    def datagram(self):
        """In pieces, of which some come later."""
        pieces = fragments.shuffled(self.scene)
        at = self.rng.randrange(len(pieces) + 1)
        sentence = self.play(pieces[:at])
        if at < len(pieces) and self.rng.random() < 0.3:
            self.wait()
        return sentence or self.play(pieces[at:])

    def play(self, recipes):
        packets = [(recipe.port, recipe.build()) for recipe in recipes]
        for (port, frame), _, sentence in self.match.play(packets):
            if sentence:
                return f"{sentence}\nin by port {port}: {frame.hex()}\nafter " + "; ".join(self.log[-20:])
        return None

    def change_state(self):
        service = self.rng.choice([one for one in self.match.balancer.configuration.services if one.backends])
        backend, state = self.rng.choice(sorted(service.backends)), self.rng.choice(STATES)
        self.log.append(f"{state} {service.name}/{backend}")
        self.match.balancer.set_state(service.name, backend, state)
        self.match.pipeline.set_state(service.name, backend, state)

    def wait(self):
        """A time after which every entry surely is there or surely is not."""
        connections = self.match.balancer.connections
        bindings = self.match.balancer.bindings
        seconds = self.rng.choice(SECONDS)
        while not all(connections.is_certain(flow, self.match.now / 1000 + seconds)
                      for flow in connections.entries) or not bindings.is_certain(self.match.now / 1000 + seconds):
            seconds += 1
        self.log.append(f"{seconds} s")
        self.match.wait(int(seconds * 1000))

    def reload(self):
        text = self.text
        for old, new in VARIANTS:
            if self.rng.random() < 0.4:
                text = text.replace(old, new)
        self.log.append("reload")
        self.match.configure(text)

# SPDX-License-Identifier: BSD-3-Clause
"""A Weir on a memif link whose configuration changes while the generator loads it."""

import json
import pathlib
import subprocess

from lib import memif
from lib.memif import Link
from lib.system import BUILD, die

SERVICE = "ipip"
SPARE = ("10.0.1.17", "02:00:00:00:01:11")  # a neighbour from the start, a backend when it joins
DEEP_LOG2 = 14  # the generator's CPU may be away for a millisecond


def line_of(name, address, weight=100):
    return f'  {{ name = "{name}", address = "{address}", weight = {weight} }},'


class Backends:
    """name -> (address, weight); as the text of a service."""

    def __init__(self):
        self.all = {f"b{i}": (f"10.0.1.{i}", 100) for i in range(1, memif.BACKENDS + 1)}

    def without(self, name):
        self.all.pop(name)
        return self

    def plus(self, name, address, weight=100):
        self.all[name] = (address, weight)
        return self

    def text(self):
        return "\n".join(line_of(name, *entry) for name, entry in self.all.items())


class Balancer(Link):
    """`options`: of the generator, its flows among them."""

    def __init__(self, context, name, options, ring_log2=memif.RING_LOG2, entries=memif.LEAST_ENTRIES):
        self.folder = context.folder / name
        self.folder.mkdir()
        socket = f"@{name}{context.folder.name}"
        base = memif.configuration(self.folder, socket, context.huge, context.cpus, entries, ring_log2)
        head, services = base.split("\n[[service]]", 1)
        self.head = head.replace("neighbor = [",
                                 f'neighbor = [\n  {{ address = "{SPARE[0]}", mac = "{SPARE[1]}" }},')
        self.tail = services[services.index("[api]"):]
        self.file = self.folder / "weir.toml"
        self.backends = Backends()
        self.write()
        super().__init__(socket, context.cpus[0], self.folder, [*memif.expected(SERVICE), *options],
                         lambda: memif.start_weir(self.file, socket[1:], self.folder / "weir.log"))

    def write(self):
        self.file.write_text(f"""{self.head}
[[service]]
name = "{SERVICE}"
vip = "{memif.SERVICES[SERVICE]}"
protocol = "tcp"
port = 80
forward = "ipip"
backend = [
{self.backends.text()}
]
{self.tail}""")

    def ask(self, *words):
        done = subprocess.run([BUILD / "app/weirctl", "-s", self.folder / "ctl.sock", "-j", *words],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            die(f"weirctl {' '.join(words)}: {done.stderr}{self.server.last_words()}")
        return json.loads(done.stdout or "{}")

    def reload(self):
        """With the backends as they are now."""
        self.write()
        return self.ask("reload")

    def resident_kib(self):
        for line in pathlib.Path(f"/proc/{self.server.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        return 0

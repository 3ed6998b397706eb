# SPDX-License-Identifier: BSD-3-Clause
"""A Weir behind a memif link whose configuration changes while the generator loads it."""

import json
import pathlib
import subprocess

from lib import memif
from lib.server import Server
from lib.system import BUILD, die, prefer

SERVICE = "ipip"
SPARE = ("10.0.1.17", "02:00:00:00:01:11")  # a neighbour from the start, a backend when it joins
RING_LOG2, DEEP_LOG2 = 10, 14  # deep: the generator's CPU may be away for a millisecond


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


class Balancer:
    def __init__(self, context, name, ring_log2=RING_LOG2, entries=memif.LEAST_ENTRIES):
        self.ring_log2 = ring_log2
        self.folder = context.folder / name
        self.folder.mkdir()
        self.huge, self.cpus, self.link = context.huge, context.cpus, f"@{name}{context.folder.name}-weir"
        base = memif.configuration(self.folder, self.link[1:-5], context.huge, context.cpus, entries)
        head, services = base.split("\n[[service]]", 1)
        self.head = head.replace("neighbor = [",
                                 f'neighbor = [\n  {{ address = "{SPARE[0]}", mac = "{SPARE[1]}" }},')
        self.tail = services[services.index("[api]"):]
        self.file = self.folder / "weir.toml"
        self.backends = Backends()
        self.write()
        self.server = Server("weir", [BUILD / "app/weir", "--config", self.file, "--",
                                      f"--file-prefix={self.link[1:]}"],
                             self.folder / "weir.log", "weir: ready", "worker-1")

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

    def generator(self, options):
        """Started; end it with result()."""
        command = [BUILD / "perf/gen", "--json", "--cpu", self.cpus[0], "--memory",
                   "in-memory" if self.huge else "no-huge", "--burst", memif.GENERATOR_BURST,
                   "--device", f"net_memif0,role=client,id=0,socket={self.link},rsize={self.ring_log2}",
                   "--weir", self.folder / "ctl.sock", "--service", SERVICE,
                   "--watch", self.server.thread, *options]
        return subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, preexec_fn=prefer)

    def result(self, generator):
        """Its JSON. Wrong packets are the caller's to judge."""
        words, complaint = generator.communicate(timeout=300)
        if not words.startswith("{"):
            die(f"the generator failed: {complaint}{self.server.last_words()}")
        return json.loads(words)

    def load(self, options):
        self.server.go_on()
        result = self.result(self.generator(options))
        self.server.pause()
        return result

    def end(self):
        self.server.end()


def window_of(result):
    """As lib.windows wants it: the last window."""
    last = result["windows"][-1]
    return {"mpps": last["right_mpps"], "shares": last["cpu_shares"], "full": last["full_share"]}

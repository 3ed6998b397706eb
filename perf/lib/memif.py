# SPDX-License-Identifier: BSD-3-Clause
"""Weir and testpmd's macfwd behind memif links of the same settings, and windows of traffic through
either, checked by perf/gen."""

import json
import signal
import subprocess

from lib.server import Server
from lib.system import BUILD, die, prefer

BACKENDS, BURST, RING, MBUFS, LEAST_ENTRIES = 16, 32, 1024, 16_384, 4_194_304
GENERATOR_BURST = 64     # for both; larger ones cost it less
SERVICES = {"dsr-l2": "203.0.113.10", "ipip": "203.0.113.11"}
SETTINGS = {"burst": BURST, "generator_burst": GENERATOR_BURST, "ring": RING, "mbufs": MBUFS,
            "backends": BACKENDS, "frame_bytes": 64, "link": "memif, generator client, measured side server"}


def eal_memory(huge):
    return ["--in-memory"] if huge else ["--no-huge", "-m", "256"]


def configuration(folder, prefix, huge, cpus, entries):
    macs = [(f"10.0.1.{i}", f"02:00:00:00:01:{i:02x}") for i in range(1, BACKENDS + 1)]
    neighbors = "\n".join(f'  {{ address = "{a}", mac = "{m}" }},' for a, m in macs)
    backends = "\n".join(f'  {{ name = "b{a.rpartition(".")[2]}", address = "{a}" }},' for a, _ in macs)
    services = "".join(f"""
[[service]]
name = "{forward}"
vip = "{vip}"
protocol = "tcp"
port = 80
forward = "{forward}"
backend = [
{backends}
]
""" for forward, vip in SERVICES.items())
    return f"""config_version = 1

[system]
name = "perf"
control_lcore = {cpus[0]}
worker_lcores = [{cpus[1]}]
memory = {{ mode = "{'in-memory' if huge else 'no-huge'}", mbufs = {MBUFS} }}

[[port]]
name = "wan0"
device = "net_memif0,role=server,socket=@{prefix}-weir"
rings = {{ rx = {RING}, tx = {RING} }}
mtu = 1560
address = ["10.0.0.5/16"]
tunnel_source = ["10.64.0.0/16"]
neighbor = [
{neighbors}
]

[conntrack]
entries_per_worker = {entries}
{services}
[api]
socket = {{ path = "{folder}/ctl.sock" }}
"""


def start_weir(folder, prefix, huge, cpus, entries):
    file = folder / "weir.toml"
    file.write_text(configuration(folder, prefix, huge, cpus, entries))
    return Server("weir", [BUILD / "app/weir", "--config", file, "--", f"--file-prefix={prefix}-weir"],
                  folder / "weir.log", "weir: ready", "worker-1")


def start_macfwd(folder, prefix, huge, cpus):
    command = ["dpdk-testpmd", f"--lcores=0@{cpus[0]},1@{cpus[1]}", "--main-lcore=0", *eal_memory(huge),
               "--no-pci", "--no-telemetry", f"--file-prefix={prefix}-pmd",
               f"--vdev=net_memif0,role=server,socket=@{prefix}-pmd", "--",
               "--forward-mode=mac", "--auto-start", "--no-flush-rx", f"--total-num-mbufs={MBUFS}",
               f"--burst={BURST}", f"--rxd={RING}", f"--txd={RING}"]
    return Server("testpmd", command, folder / "testpmd.log", "Press enter to exit", "worker-1")


class Pair:
    """Both on the same CPU, each with a link of its own; a window is traffic through one of them."""

    def __init__(self, folder, prefix, huge, cpus, entries=LEAST_ENTRIES):
        self.prefix, self.cpus, self.folder = prefix, cpus, folder
        self.common = ["--json", "--cpu", cpus[0], "--memory", "in-memory" if huge else "no-huge"]
        self.extra = ["--burst", GENERATOR_BURST]
        self.starters = {"weir": lambda: start_weir(folder, prefix, huge, cpus, entries),
                         "macfwd": lambda: start_macfwd(folder, prefix, huge, cpus)}
        self.servers = {name: start() for name, start in self.starters.items()}
        self.restarts = {"weir": 0, "macfwd": 0}

    def end(self):
        for server in self.servers.values():
            server.end()

    def window(self, name, options, flows):
        """One window of traffic through the server `name`. DPDK 22.11's memif now and then takes the
        memory away under its own polling thread when the peer, here the generator, leaves: a server
        that died of that (SIGSEGV between two windows) is started again, and this is told."""
        while True:
            result = self.try_window(self.servers[name], options, flows)
            if result is not None:
                return result
            self.restarts[name] += 1
            if self.restarts[name] > 20:
                die(f"{name} died 20 times: {self.servers[name].last_words()}")
            self.servers[name].end()
            self.servers[name] = self.starters[name]()

    def try_window(self, server, options, flows, seconds=1):
        server.go_on()
        command = [BUILD / "perf/gen", *self.common, *self.extra, *options, "--flows", flows, "--seconds", seconds,
                   "--warmup", 0.3, "--watch", server.thread, "--watch", server.process.pid]
        done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, preexec_fn=prefer, timeout=120)
        if server.process.poll() == -signal.SIGSEGV:
            return None
        server.pause()
        if not done.stdout.startswith("{"):
            die(f"the generator failed on {server.name}: {done.stderr}{server.last_words()}")
        result = json.loads(done.stdout)
        if not result["ok"]:
            kinds = {kind: n for kind, n in result["wrong_by_kind"].items() if n}
            die(f"{server.name} sent {result['wrong']} wrong packets {kinds} and {result['right']} right ones")
        return self.pick(result)

    def pick(self, result):
        last = result["windows"][-1]
        return {"mpps": last["right_mpps"], "full": last["full_share"], "shares": last["cpu_shares"],
                "lost": result["lost"], "right": result["right"]}

    def weir_window(self, forward, flows):
        return self.window("weir", ["--socket", f"@{self.prefix}-weir", "--weir", self.folder / "ctl.sock",
                                    "--service", forward], flows)

    def macfwd_window(self, flows):
        return self.window("macfwd", ["--socket", f"@{self.prefix}-pmd", "--forward", "macfwd",
                                         "--vip", SERVICES["dsr-l2"], "--mac", "02:00:00:00:00:05"], flows)

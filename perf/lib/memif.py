# SPDX-License-Identifier: BSD-3-Clause
"""Weir and testpmd's macfwd behind memif links of the same settings, and windows of traffic through
either, checked by perf/gen, which is the server of both links and stays."""

from lib.generator import BURST as GENERATOR_BURST
from lib.generator import Generator
from lib.server import Server
from lib.system import BUILD, die

BACKENDS, BURST, RING_LOG2, MBUFS, LEAST_ENTRIES = 16, 64, 10, 16_384, 4_194_304
SERVICES = {"dsr-l2": "203.0.113.10", "ipip": "203.0.113.11"}
MAC, TUNNEL_SOURCE = "02:00:00:00:00:05", "10.64.0.0/16"
SETTINGS = {"burst": BURST, "generator_burst": GENERATOR_BURST, "ring": 1 << RING_LOG2, "mbufs": MBUFS,
            "backends": BACKENDS, "frame_bytes": 64,
            "link": "memif, generator server, measured side client with zero-copy"}


def eal_memory(huge):
    # Zero-copy wants its memory in one file.
    return ["--in-memory", "--single-file-segments"] if huge else ["--no-huge", "-m", "256"]


def device(socket, huge, ring_log2=RING_LOG2):
    return (f"net_memif0,role=client,socket={socket},mac={MAC},rsize={ring_log2}"
            + (",zero-copy=yes" if huge else ""))


def mbufs(ring_log2):
    """Both rings may be full of them."""
    return max(MBUFS, 3 << ring_log2)


def backend_macs():
    return [(f"10.0.1.{i}", f"02:00:00:00:01:{i:02x}") for i in range(1, BACKENDS + 1)]


def configuration(folder, socket, huge, cpus, entries, ring_log2=RING_LOG2):
    macs = backend_macs()
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
memory = {{ mode = "{'in-memory' if huge else 'no-huge'}", mbufs = {mbufs(ring_log2)} }}

[[port]]
name = "wan0"
device = "{device(socket, huge, ring_log2)}"
mtu = 1560
address = ["10.0.0.5/16"]
tunnel_source = ["{TUNNEL_SOURCE}"]
neighbor = [
{neighbors}
]

[conntrack]
entries_per_worker = {entries}
{services}
[api]
socket = {{ path = "{folder}/ctl.sock" }}
"""


def expected(forward):
    """What the generator is told of Weir: it must listen before Weir is there to be asked."""
    words = ["--vip", SERVICES[forward], "--mac", MAC, "--forward", forward]
    for address, mac in backend_macs():
        words += ["--backend", f"{address}={mac}"]
    return words + (["--tunnel-source", TUNNEL_SOURCE] if forward == "ipip" else [])


def start_weir(file, prefix, log):
    return Server("weir", [BUILD / "app/weir", "--config", file, "--", f"--file-prefix={prefix}"],
                  log, "weir: ready", "worker-1")


def start_macfwd(socket, prefix, huge, cpus, log):
    command = ["dpdk-testpmd", f"--lcores=0@{cpus[0]},1@{cpus[1]}", "--main-lcore=0", *eal_memory(huge),
               "--no-pci", "--no-telemetry", f"--file-prefix={prefix}", f"--vdev={device(socket, huge)}", "--",
               "--forward-mode=mac", "--auto-start", "--no-flush-rx", f"--total-num-mbufs={MBUFS}",
               f"--burst={BURST}"]
    return Server("testpmd", command, log, "Press enter to exit", "worker-1")


class Link:
    """A generator and what it loads, which is stopped while nothing is asked of it."""

    def __init__(self, socket, cpu, folder, options, start):
        self.generator = Generator(socket, cpu, folder / f"{socket[1:]}-gen.log", options)
        self.server = start()

    def begin(self, **words):
        self.server.go_on()
        self.generator.begin([self.server.thread, self.server.process.pid], **words)

    def result(self):
        result = self.generator.result()
        self.server.pause()
        if self.server.process.poll() is not None:
            die(self.server.last_words())
        return result

    def load(self, **words):
        self.begin(**words)
        return self.result()

    def right(self, **words):
        """load(), of which nothing may be wrong."""
        result = self.load(**words)
        if not result["ok"]:
            kinds = {kind: n for kind, n in result["wrong_by_kind"].items() if n}
            die(f"{self.server.name} sent {result['wrong']} wrong packets {kinds} and {result['right']} right ones; "
                f"{self.server.last_words()}")
        return result

    def end(self):
        self.server.end()  # first: memif's client may not survive that its server goes
        self.generator.end()


class Pair:
    """Weir (`forward`) and macfwd on the same CPU, each with a link and a generator of its own."""

    def __init__(self, context, flows, forward="ipip", entries=LEAST_ENTRIES, options=()):
        name, folder, huge, cpus = f"weirperf{context.folder.name}", context.folder, context.huge, context.cpus
        options = [*options, "--flows", flows]
        sockets = {who: f"@{name}-{who}" for who in ("weir", "pmd")}
        file = folder / "weir.toml"
        file.write_text(configuration(folder, sockets["weir"], huge, cpus, entries))
        self.weir = Link(sockets["weir"], cpus[0], folder, [*expected(forward), *options],
                         lambda: start_weir(file, f"{name}-weir", folder / "weir.log"))
        self.macfwd = Link(sockets["pmd"], cpus[0], folder,
                           ["--forward", "macfwd", "--vip", SERVICES[forward], "--mac", MAC, *options],
                           lambda: start_macfwd(sockets["pmd"], f"{name}-pmd", huge, cpus, folder / "testpmd.log"))

    def end(self):
        self.weir.end()
        self.macfwd.end()

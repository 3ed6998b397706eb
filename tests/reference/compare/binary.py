# SPDX-License-Identifier: BSD-3-Clause
"""One run of the real `weir` on net_pcap ports: packets in, what left and what was counted out."""

import json
import os
import pathlib
import selectors
import signal
import subprocess
import tempfile
import time
from collections import Counter
from dataclasses import dataclass

from . import pcap
from .setup import PORTS, WEIR, WEIRCTL, for_binary

LIMIT = 120  # seconds


@dataclass
class Run:
    left: list  # by port: frames in order
    dropped: Counter  # by reason
    punted: int


class Daemon:
    """Stops with the `with` block, by SIGTERM; it must then end by itself, well."""

    def __init__(self, configuration, deadline):
        self.deadline, self.log = deadline, ""
        self.child = subprocess.Popen(
            [WEIR, "--config", configuration, "--", f"--file-prefix=weirreference{os.getpid()}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        os.set_blocking(self.child.stderr.fileno(), False)

    def __enter__(self):
        try:
            self.read_until(lambda: "weir: ready" in self.log, "become ready")
        except BaseException:
            self.child.kill()
            raise
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.child.kill()
            self.child.wait()
            return
        self.child.send_signal(signal.SIGTERM)
        self.read_until(lambda: self.child.poll() is not None, "stop")
        assert self.child.returncode == 0, f"weir ended with {self.child.returncode}:\n{self.log}"

    def read_until(self, done, what):
        with selectors.DefaultSelector() as selector:
            selector.register(self.child.stderr, selectors.EVENT_READ)
            while not done():
                selector.select(0.1)
                self.log += (self.child.stderr.read() or b"").decode(errors="replace")
                assert self.child.poll() is None or done(), f"weir ended:\n{self.log}"
                assert time.monotonic() < self.deadline, f"weir did not {what}:\n{self.log}"


def ask(socket, *words):
    result = subprocess.run([WEIRCTL, "-s", socket, "-j", *words], capture_output=True, text=True,
                            timeout=30)
    assert result.returncode == 0, f"weirctl {' '.join(words)}: {result.stdout}{result.stderr}"
    return json.loads(result.stdout)


def wait_decided(socket, total, daemon):
    """Until every packet was received and has its verdict."""
    while True:
        counts = ask(socket, "status")["packets"]
        decided = counts["sent"] + counts["punted"] + counts["dropped"]
        if counts["received"] == total == decided:
            return counts
        assert time.monotonic() < daemon.deadline, f"not every packet was decided: {counts}\n{daemon.log}"


def run(packets, **arrangement):
    """[(port, frame)] -> Run. `arrangement`: the lcore lists, rx and workers."""
    deadline = time.monotonic() + LIMIT
    with tempfile.TemporaryDirectory(prefix="weir-reference-") as name:
        folder = pathlib.Path(name)
        devices = []
        for number in range(PORTS):
            pcap.write(folder / f"in{number}.pcap", [frame for port, frame in packets if port == number])
            devices.append(f"net_pcap{number},rx_pcap={folder}/in{number}.pcap,"
                           f"tx_pcap={folder}/out{number}.pcap")
        socket, file = folder / "ctl.sock", folder / "weir.toml"
        file.write_text(for_binary(devices=devices, **arrangement)
                        + f'\n[api]\nsocket = {{ path = "{socket}" }}\n')
        with Daemon(file, deadline) as daemon:
            counts = wait_decided(socket, len(packets), daemon)
            drops = ask(socket, "drop", "list")["drops"]
        return Run([pcap.read(folder / f"out{number}.pcap") for number in range(PORTS)],
                   Counter({drop["reason"]: drop["packets"] for drop in drops if drop["packets"]}),
                   counts["punted"])

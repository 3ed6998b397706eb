# SPDX-License-Identifier: BSD-3-Clause
"""perf/gen as the memif server of one link: it stays, and loads the link when it is asked to."""

import json
import pathlib
import subprocess
import time

from lib.system import BUILD, die, prefer

BURST = 128


def listens(name):
    """Abstract sockets have an @ for their first byte."""
    return any(line.split()[-1].rstrip("@") == f"@{name}" for line in
               pathlib.Path("/proc/net/unix").read_text().splitlines()[1:])


class Generator:
    def __init__(self, socket, cpu, log, options):
        self.log = log
        command = [BUILD / "perf/gen", "--turns", "--serve", "--socket", socket, "--cpu", cpu, "--wait", 60,
                   "--burst", BURST, *options]
        with open(log, "wb") as complaints:
            self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=complaints, text=True, preexec_fn=prefer)
        deadline = time.monotonic() + 20
        while not listens(socket):
            if self.process.poll() is not None or time.monotonic() > deadline:
                die(f"the generator does not start: {self.last_words()}")
            time.sleep(0.01)

    def last_words(self):
        return self.log.read_text(errors="replace")[-2000:]

    def begin(self, watch, **words):
        """`words`: seconds, warmup, window, rate, new. `watch`: ids of threads."""
        line = " ".join([*(f"{name}={value}" for name, value in words.items()), *(f"watch={i}" for i in watch)])
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            die(f"the generator is gone: {self.last_words()}")

    def result(self):
        """Of what begin() began. Wrong packets are the caller's to judge."""
        line = self.process.stdout.readline()
        if not line.startswith("{"):
            die(f"the generator failed: {self.last_words()}")
        return json.loads(line)

    def end(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

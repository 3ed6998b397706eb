# SPDX-License-Identifier: BSD-3-Clause
"""A program that polls a CPU behind a memif link, and waits while it is not its turn."""

import os
import pathlib
import signal
import subprocess
import time

from lib.system import die, prefer


class Server:
    """A process that polls one CPU behind a memif server, stopped while it is not its turn."""

    def __init__(self, name, command, log, ready, thread):
        self.name, self.log = name, log
        with open(log, "wb") as output:
            self.process = subprocess.Popen(["stdbuf", "-oL", *map(str, command)], stdin=subprocess.PIPE,
                                            stdout=output, stderr=subprocess.STDOUT, preexec_fn=prefer)
        deadline = time.monotonic() + 60
        while ready not in log.read_text(errors="replace"):
            if self.process.poll() is not None or time.monotonic() > deadline:
                die(f"{name} did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)
        self.thread = self.find(thread)
        self.pause()

    def find(self, name):
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            if (task / "comm").read_text().strip().endswith(name):
                return task.name
        return die(f"{self.name} has no thread *{name}")

    def last_words(self):
        ended = self.process.poll()
        state = "runs" if ended is None else f"ended with {ended}"
        return f"{self.name} {state}; its log ends:\n{self.log.read_text(errors='replace')[-2000:]}"

    def pause(self):
        os.killpg(self.process.pid, signal.SIGSTOP)

    def go_on(self):
        os.killpg(self.process.pid, signal.SIGCONT)

    def end(self):
        if self.process.poll() is None:
            self.go_on()
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.stdin.close()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()

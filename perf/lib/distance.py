# SPDX-License-Identifier: BSD-3-Clause
"""How far the two CPUs are apart. A virtual machine's host moves them: near each other a cache line
is back within some 70 ns, far apart within 350 ns, and the link is then half as fast."""

import json
import subprocess
import time

from lib.system import BUILD, cpu_model, die, prefer

KEPT = BUILD / "line.json"  # {CPU: the best that was measured on it}
FAR = 2.0                   # times the best
QUICK_PATIENCE = 3          # seconds


def known():
    try:
        return json.loads(KEPT.read_text())
    except (OSError, ValueError):
        return {}


class Distance:
    def __init__(self, context, patience):
        """`patience`: seconds to wait in all for the CPUs to come near; fewer with --quick."""
        self.cpus = context.cpus
        self.patience = min(patience, QUICK_PATIENCE) if context.options.quick else patience
        self.best = known().get(cpu_model(), float("inf"))

    def measure(self):
        """Nanoseconds there and back."""
        done = subprocess.run([BUILD / "perf/line", *map(str, self.cpus), "0.03"], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, preexec_fn=prefer)
        if done.returncode != 0:
            die(f"perf/line failed: {done.stderr}")
        time_ = float(done.stdout.split()[1])
        if time_ < self.best:
            self.best = time_
            KEPT.write_text(json.dumps({**known(), cpu_model(): time_}) + "\n")
        return time_

    def far(self, nanoseconds):
        return nanoseconds > FAR * self.best

    def settle(self):
        """measure(), after a wait while they are far apart."""
        while self.far(time_ := self.measure()) and self.patience > 0:
            self.patience -= 0.5
            time.sleep(0.5)
        return time_

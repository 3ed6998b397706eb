# SPDX-License-Identifier: BSD-3-Clause
"""perf/loop, for the groups that run it."""

import json
import subprocess

from lib.system import BUILD, die, prefer


def run_loop(context, mode, flows, *extra):
    windows = context.options.windows or (4 if context.options.quick else 12)
    command = [BUILD / "perf/loop", "--json", "--mode", mode, "--forward", "ipip", "--flows", flows,
               "--windows", windows, "--cpus", f"{context.cpus[1]},{context.cpus[0]}", *extra]
    done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          preexec_fn=prefer)
    if done.returncode != 0:
        die(f"perf/loop: {done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def enough(result):
    return result["kept"] >= result["windows"] * 0.7

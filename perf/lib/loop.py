# SPDX-License-Identifier: BSD-3-Clause
"""perf/loop, for the groups that run it."""

import json
import subprocess

from lib.system import BUILD, die, prefer


QUICK_SECONDS = {"flips": 0.5}  # of a window, by mode
SHORT = 0.15                    # in the other modes
TRIES = 4  # so many times as many windows at most, until enough are good


def windows_of(options):
    return options.windows or (4 if options.quick else 10)


def run_loop(context, mode, flows, *extra):
    command = [BUILD / "perf/loop", "--json", "--mode", mode, "--forward", "ipip", "--flows", flows,
               "--windows", windows_of(context.options), "--cpus", f"{context.cpus[1]},{context.cpus[0]}", *extra]
    if context.options.quick:
        command += ["--seconds", QUICK_SECONDS.get(mode, SHORT)]
    done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          preexec_fn=prefer)
    if done.returncode != 0:
        die(f"perf/loop: {done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def enough(context, result):
    """Good windows: all that were wanted, ten if nothing else was said; of quick ones most."""
    wanted = windows_of(context.options)
    return result["kept"] >= (wanted * 0.7 if context.options.quick else wanted)

# SPDX-License-Identifier: BSD-3-Clause
"""perf/bench, for the groups that run it."""

import json
import subprocess

from lib.system import BUILD, die, prefer

QUICK_WINDOW, WINDOW = 5, 30  # milliseconds
PACE = BUILD / "pace"         # the best that was seen on this machine, by earlier runs


def known_pace():
    try:
        return ["--best-pace", float(PACE.read_text())]
    except (OSError, ValueError):
        return []


def run(context, group, extra=()):
    """Its figures; its lines go to the terminal."""
    options = context.options
    path = context.folder / f"{group}.json"
    command = [BUILD / "perf/bench", "--group", group, "--cpu", context.cpus[1], "--json", path,
               "--windows", max(10, options.windows or 0),
               "--window-ms", QUICK_WINDOW if options.quick else WINDOW, *known_pace(), *extra]
    done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, preexec_fn=prefer)
    if done.returncode != 0:
        die(f"{' '.join(map(str, command))} failed")
    result = json.loads(path.read_text())
    PACE.write_text(f"{result['best_pace']}\n")
    return result


def reliable(entry):
    """From ten quiet windows, or a count that has none."""
    return entry["windows"] >= 10 or entry["windows"] + entry["dropped"] == 0


def select(result, what, **conditions):
    """The figures of that name under these conditions."""
    return [entry for entry in result["figures"] if entry["what"].startswith(what)
            and all(entry["conditions"].get(name) == value for name, value in conditions.items())]

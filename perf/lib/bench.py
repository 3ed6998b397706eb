# SPDX-License-Identifier: BSD-3-Clause
"""perf/bench, for the groups that run it."""

import json
import subprocess

from lib.system import BUILD, cpu_model, die, prefer

QUICK_WINDOW, WINDOW = 5, 30  # milliseconds
PACE = BUILD / "pace.json"    # {CPU: the best that was measured on it}


def known_paces():
    try:
        return json.loads(PACE.read_text())
    except (OSError, ValueError):
        return {}


def pace_options():
    pace = known_paces().get(cpu_model())
    return [] if pace is None else ["--best-pace", pace]


def keep_pace(pace):
    paces = known_paces()
    paces[cpu_model()] = min(pace, paces.get(cpu_model(), pace))
    PACE.write_text(json.dumps(paces) + "\n")


def run(context, group, extra=()):
    """Its figures; its lines go to the terminal."""
    options = context.options
    path = context.folder / f"{group}.json"
    command = [BUILD / "perf/bench", "--group", group, "--cpu", context.cpus[1], "--json", path,
               "--windows", max(10, options.windows or 0),
               "--window-ms", QUICK_WINDOW if options.quick else WINDOW, *pace_options(), *extra]
    done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, preexec_fn=prefer)
    if done.returncode != 0:
        die(f"{' '.join(map(str, command))} failed")
    result = json.loads(path.read_text())
    keep_pace(result["best_pace"])
    return result


def reliable(entry):
    """From ten quiet windows, or a count that has none."""
    return entry["windows"] >= 10 or entry["windows"] + entry["dropped"] == 0


def select(result, what, **conditions):
    """The figures of that name under these conditions."""
    return [entry for entry in result["figures"] if entry["what"].startswith(what)
            and all(entry["conditions"].get(name) == value for name, value in conditions.items())]

# SPDX-License-Identifier: BSD-3-Clause
"""What is told at the end: a table of the goals, and the JSON."""

import json

from lib.system import BUILD, TOP

RESULTS = TOP / "perf/results"


def number(value):
    if value is None:
        return "-"
    return f"{value:.3f}" if abs(value) < 10 and value != int(value) else f"{value:.4g}"


def row(entry):
    sign = "<=" if entry["at_most"] else ">="
    around = "" if entry["min"] == entry["max"] else f"({number(entry['min'])}..{number(entry['max'])})"
    met = "stretch" if entry["stretch_met"] else "yes" if entry["met"] else "NO"
    mark = "" if entry["reliable"] else "  too few good windows"
    return (f"{entry['goal']:4} {entry['what'] + ': ' + entry['case']:66} {number(entry['measured']):>8}"
            f" {entry['unit']:6} {around:20} {sign} {number(entry['target']):>5} {number(entry['stretch']):>6}"
            f"  {met}{mark}")


def table(figures):
    lines = [f"{'goal':4} {'what':66} {'measured':>8} {'unit':6} {'(least..most)':20} {'target':>8} {'stretch':>6}"
             "  met"]
    by_number = sorted(figures, key=lambda entry: int(entry["goal"][1:]))
    return "\n".join([*lines, *map(row, by_number)])


def write(report, save):
    """To build-perf/perf.json, or by date to perf/results/."""
    path = BUILD / "perf.json"
    if save:
        RESULTS.mkdir(parents=True, exist_ok=True)
        name, number_ = report["machine"]["date"][:10], 1
        path = RESULTS / f"{name}.json"
        while path.exists():
            number_ += 1
            path = RESULTS / f"{name}-{number_}.json"
    path.write_text(json.dumps(report, indent=1) + "\n")
    return path.relative_to(TOP)

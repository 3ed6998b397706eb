# SPDX-License-Identifier: BSD-3-Clause
"""The groups of perf/run, in the order in which they run. A new one is a file here and a line below.

A group has
  name            as on the command line
  about           one line for --help
  targets         what ninja builds for it
  add_options(parser)    options of its own, if any
  hugepages(options)     MiB that it wants reserved while it runs
  run(context)           measures and returns Outcome; prints lines while it goes on
"""

import dataclasses
import pathlib


@dataclasses.dataclass
class Context:
    options: object         # of the command line: quick, windows, and what the groups added
    cpus: tuple             # (generator and control, poller)
    huge: bool              # the huge pages are there
    folder: pathlib.Path    # for files of this run


@dataclasses.dataclass
class Outcome:
    data: dict              # for the JSON
    figures: list = dataclasses.field(default_factory=list)  # of goals.figure()
    enough: bool = True     # windows; False: exit 1


class Group:
    name = about = ""
    targets = []

    def add_options(self, parser):
        pass

    def hugepages(self, options):
        return 0

    def run(self, context):
        raise NotImplementedError


def all_groups():
    from lib.groups import churn, control, latency, link, micro, pipeline, scaling
    return [micro.Micro(), control.Control(), pipeline.InMemory(), link.OnLink(), churn.Churn(), latency.Latency(),
            scaling.Scaling()]

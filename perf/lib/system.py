# SPDX-License-Identifier: BSD-3-Clause
"""The machine: its facts, its CPUs and huge pages, and how programs are built and started on it."""

import datetime
import os
import pathlib
import shutil
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = TOP / "build-perf"
SETUP = ["-Ddpdk=enabled", "-Dbuildtype=release", "-Dmarch=native", "-Dtests=false", "-Dwerror=false"]
PRIORITY = -15  # of what is measured and what measures


def die(sentence):
    sys.exit(f"run: {sentence}")


def quiet(command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        die(f"{' '.join(map(str, command))} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")


def build(targets):
    """Optimised, in a folder of its own. -O3 has false alarms in libfmt, so warnings stay warnings."""
    subprocess.run([TOP / "scripts/setup"], check=True, stdout=subprocess.DEVNULL)
    if not shutil.which("dpdk-testpmd"):
        subprocess.run([TOP / "scripts/setup"], check=True)
    if not (BUILD / "build.ninja").exists():
        quiet(["meson", "setup", BUILD, TOP, *SETUP])
    quiet(["ninja", "-C", BUILD, *targets])


def pick_cpus():
    """(generator and control, poller)"""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        die("needs two CPUs: one for the generator and one for what is measured")
    return cpus[0], cpus[1]


def prefer():
    """In the child: before others. Where the scheduler groups by session, the group's
    priority counts, not the process's."""
    os.setsid()
    try:
        os.nice(PRIORITY)
        pathlib.Path("/proc/self/autogroup").write_text(str(PRIORITY))
    except OSError:
        pass


class Hugepages:
    """Some for the time of the run; the number is set back afterwards."""

    SETTING = pathlib.Path("/proc/sys/vm/nr_hugepages")

    def __init__(self, mebibytes):
        self.mebibytes = mebibytes

    def __enter__(self):
        self.before = self.SETTING.read_text().strip()
        self.here = subprocess.run([TOP / "hugepages/reserve", "--any", f"{self.mebibytes}MiB"],
                                   stdin=subprocess.DEVNULL, capture_output=True).returncode == 0
        return self

    def __exit__(self, *_):
        if self.SETTING.read_text().strip() != self.before:
            self.SETTING.write_text(self.before)


def tsc_hertz():
    """The TSC runs at the nominal clock; /proc/cpuinfo shows that of a virtual machine."""
    for line in open("/proc/cpuinfo"):
        if line.startswith("cpu MHz"):
            return float(line.split(":")[1]) * 1e6
    return 0.0


def first_line(command):
    done = subprocess.run(command, capture_output=True, text=True)
    return (done.stdout + done.stderr).strip().splitlines()[0]


def cpu_model():
    return next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")),
                "unknown")


def facts(huge):
    return {"cpu": cpu_model(), "cpus": os.cpu_count(), "tsc_mhz": tsc_hertz() / 1e6,
            "kernel": os.uname().release, "load_average": os.getloadavg()[0],
            "dpdk": first_line(["pkg-config", "--modversion", "libdpdk"]),
            "compiler": first_line(["c++", "--version"]), "flags": " ".join(SETUP),
            "commit": first_line(["git", "-C", TOP, "describe", "--always", "--dirty"]),
            "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
            "memory": "hugepages" if huge else "ordinary pages", "nice": PRIORITY}

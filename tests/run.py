#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs the test groups and counts their cases. scripts/test calls it after setup and build.

A group passes when it has at least one passed case and no failed one. Every process runs in a
session of its own under a time limit, so nothing can hang and nothing stays behind.
"""

import argparse
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

TOP = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("WEIR_BUILD", TOP / "build"))
LOGS = BUILD / "test-logs"
SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1:check_initialization_order=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
}


@dataclass
class Outcome:
    """Counts of one group; failed and skipped hold (name, reason)."""

    passed: int = 0
    failed: list = field(default_factory=list)
    skipped: list = field(default_factory=list)

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    @property
    def good(self):
        return self.passed > 0 and not self.failed

    def line(self, name):
        text = f"{name}: {self.passed} passed, {len(self.failed)} failed"
        if self.skipped:
            reasons = "; ".join(f"{case}: {reason}" for case, reason in self.skipped)
            text += f", {len(self.skipped)} skipped ({reasons})"
        return text


def run(command, log, limit, environment=None):
    """Runs `command` with its output in `log`; returns its exit code, or a sentence when it was
    killed after `limit` seconds."""
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [str(word) for word in command], cwd=TOP, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, start_new_session=True, env={**os.environ, **(environment or {})})
        try:
            return process.wait(limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGTERM)  # the session that we started above
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            return f"did not end within {limit} s"


def tail(log, lines=25):
    return "\n".join(pathlib.Path(log).read_text(errors="replace").splitlines()[-lines:])


def catch2_cases(report):
    """Catch2's own XML has one TestCase a case (its JUnit output has one a section)."""
    outcome, last = Outcome(), None
    try:
        for event, element in ElementTree.iterparse(report, events=("start", "end")):
            if element.tag != "TestCase":
                continue
            if event == "start":
                last = element.get("name")
                continue
            result = element.find("OverallResult")
            if result is not None and result.get("success") == "true":
                outcome.passed += 1
            else:
                places = [f"{e.get('filename')}:{e.get('line')}" for e in element.iter("Expression")
                          if e.get("success") != "true"]
                outcome.failed.append((last, ", ".join(places[:3]) or "failed"))
            last = None
    except (ElementTree.ParseError, FileNotFoundError):
        outcome.failed.append((last or "start-up", "the program died here"))
    return outcome


def catch2_binary(binary, group, environment=None, cases=(), limit=300):
    """Runs the binary's cases, or those that `cases` (Catch2's test specification) names."""
    name = binary.name
    report, log = LOGS / f"{group}-{name}.xml", LOGS / f"{group}-{name}.log"
    report.unlink(missing_ok=True)
    code = run([binary, *cases, "-r", "xml", "-o", report], log, limit, environment)
    outcome = catch2_cases(report)
    outcome.failed = [(f"{name}: {case}", reason) for case, reason in outcome.failed]
    if code != 0 and not outcome.failed:
        outcome.failed.append((name, f"exit {code}\n{tail(log)}"))
    return outcome


def pytest_folder(folder, group, limit, environment=None):
    """`folder`: or one file of tests."""
    report, log = LOGS / f"{group}-pytest.xml", LOGS / f"{group}-pytest.log"
    report.unlink(missing_ok=True)
    code = run([sys.executable, "-m", "pytest", folder, "-v", "-p", "no:cacheprovider", "--tb=short",
                f"--junitxml={report}"], log, limit, {"WEIR_TEST_LOGS": str(LOGS), **(environment or {})})
    outcome = Outcome()
    if not report.exists():
        outcome.failed.append((str(folder), f"pytest: {code}\n{tail(log)}"))
        return outcome
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname', '').split('.')[-1]}.{case.get('name')}"
        bad = [part for part in case if part.tag in ("failure", "error")]
        skip = case.find("skipped")
        if bad:
            outcome.failed.append((name, bad[0].get("message", "").split("\n")[0][:300]))
        elif skip is not None:
            outcome.skipped.append((name, skip.get("message", "").split("\n")[0]))
        else:
            outcome.passed += 1
    if code != 0 and not outcome.failed:
        outcome.failed.append((str(folder), f"pytest: exit {code}\n{tail(log)}"))
    if outcome.failed:
        print(tail(log, 60), flush=True)
    return outcome


def binaries(pattern, build=BUILD):
    return sorted(path for path in build.glob(pattern) if path.is_file() and os.access(path, os.X_OK))


def catch2_group(group, patterns, build=BUILD, environment=None, **options):
    outcome = Outcome()
    found = [binary for pattern in patterns for binary in binaries(pattern, build)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for one in pool.map(lambda binary: catch2_binary(binary, group, environment, **options), found):
            outcome.add(one)
    return outcome


def unit(options):
    outcome = catch2_group("unit", ["tests/unit/**/unit_*"])
    if options.long:  # hidden cases, which bare binaries do not run
        outcome.add(catch2_group("unit-long", ["tests/unit/**/unit_*"], cases=["[long]"], limit=7200))
    return outcome


def packet(_options):
    outcome = catch2_group("packet", ["tests/packet/**/packet_*"])
    if list((TOP / "tests/packet").glob("test_*.py")):
        outcome.add(pytest_folder(TOP / "tests/packet", "packet", 300))
    return outcome


def reference(options):
    """The slow reference balancer against process() and against the binary: files of it side by side."""
    environment = {"WEIR_REFERENCE_PACKETS": "1000000" if options.long else "100000"}
    outcome = Outcome()

    def one(file):
        group = f"reference-{file.stem.removeprefix('test_')}"
        return pytest_folder(file, group, 7200 if options.long else 600, environment)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        # The longest first.
        files = sorted((TOP / "tests/reference").glob("test_*.py"), key=lambda file: -file.stat().st_size)
        for part in pool.map(one, files):
            outcome.add(part)
    return outcome


def system(options):
    if os.geteuid() != 0:
        return Outcome(skipped=[("all", "needs root for network namespaces")])
    if not list((TOP / "tests/system").glob("test_*.py")):
        return Outcome()
    environment = {"WEIR_MALFORMED_SECONDS": "600" if options.long else "15",
                   "WEIR_TRANSFER_BYTES": "1000000000" if options.long else "30000000"}
    return pytest_folder(TOP / "tests/system", "system", 4800 if options.long else 1500, environment)


def fuzz(options):
    """All targets together for FUZZ_SECONDS of CPU time; a long run goes on until they made
    FUZZ_EXECUTIONS in all."""
    if not side_build():
        return side_failure()
    targets = binaries("tests/fuzz/**/fuzz_*", SIDE)
    seconds = 60 if options.long else max(1, FUZZ_SECONDS // max(1, len(targets)))
    outcome, made = Outcome(passed=len(targets)), {target.name: 0 for target in targets}
    going = bool(targets)
    while going:
        before = sum(made.values())
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for name, code, log in pool.map(lambda target: fuzz_one(target, seconds), targets):
                made[name] += executions(log)
                if code != 0:
                    outcome.passed -= 1
                    outcome.failed.append((name, f"exit {code}\n{tail(log)}"))
        total = sum(made.values())
        going = options.long and not outcome.failed and before < total < FUZZ_EXECUTIONS
    print("fuzz: " + ", ".join(f"{name.removeprefix('fuzz_')} {count}" for name, count in made.items())
          + f": {sum(made.values())} executions in all", flush=True)
    return outcome


FUZZ_SECONDS = 120
FUZZ_EXECUTIONS = 100_000_000


def fuzz_one(target, seconds):
    log = LOGS / f"fuzz-{target.name}.log"
    room = SIDE / "findings" / target.name  # corpus grows here, findings land here
    room.mkdir(parents=True, exist_ok=True)
    seeds = TOP / "tests/fuzz/corpus" / target.name.removeprefix("fuzz_")
    code = run([target, room, *([seeds] if seeds.is_dir() else []), f"-max_total_time={seconds}",
                "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1",
                f"-artifact_prefix={room}/"], log, seconds + 120, SANITIZERS)
    return target.name, code, log


def executions(log):
    """That libFuzzer's last lines tell; 0 where it did not come to that."""
    found = re.findall(r"^stat::number_of_executed_units: (\d+)$", log.read_text(errors="replace"), re.MULTILINE)
    return int(found[-1]) if found else 0


def sanitize(_options):
    if not side_build():
        return side_failure()
    return catch2_group("sanitize", ["tests/unit/**/unit_*", "tests/packet/**/packet_*"], SIDE, SANITIZERS)


# A build beside the main one, for both groups: without DPDK, since only there does AddressSanitizer
# see an overread, and with clang, since only clang has libFuzzer.
SIDE = TOP / "build-sanitize"
side_lock = threading.Lock()
side_result = []  # one bool, once it is known


def side_build():
    """Configures and builds SIDE, once a run; true when that succeeded."""
    with side_lock:
        if not side_result:
            log, code = LOGS / "build-sanitize.log", 0
            if not (SIDE / "build.ninja").exists():
                shutil.rmtree(SIDE, ignore_errors=True)
                code = run(["meson", "setup", SIDE, TOP, "-Ddpdk=disabled", "-Dfuzz=true",
                            "-Db_sanitize=address,undefined", "-Db_lundef=false", "-Doptimization=1"],
                           log, 120, {"CC": "clang", "CXX": "clang++"})
            if code == 0:
                code = run(["nice", "-n", "10", "ninja", "-C", SIDE], log, 2400)
            side_result.append(code == 0)
        return side_result[0]


def side_failure():
    lines = (LOGS / "build-sanitize.log").read_text(errors="replace").splitlines()
    errors = [line for line in lines if "error:" in line or "ERROR" in line]
    return Outcome(failed=[("build-sanitize", "\n".join(errors[:10] or lines[-10:]))])


GROUPS = {"unit": unit, "packet": packet, "reference": reference, "system": system, "fuzz": fuzz, "sanitize": sanitize}


def main():
    parser = argparse.ArgumentParser(prog="scripts/test")
    parser.add_argument("--long", action="store_true",
                        help="fuzz until 10^8 executions were made, compare 10^6 packets with the reference, and "
                             "run the unit tests that take minutes")
    parser.add_argument("group", nargs="*", metavar="GROUP", help=" ".join(GROUPS))
    options = parser.parse_args()
    unknown = [group for group in options.group if group not in GROUPS]
    if unknown:
        parser.error(f"no group {unknown[0]} (known: {' '.join(GROUPS)})")
    wanted = [group for group in GROUPS if not options.group or group in options.group]
    LOGS.mkdir(parents=True, exist_ok=True)

    # The side build goes on while the unit and packet groups run; the system group, which watches
    # times, waits for it.
    builder = threading.Thread(target=side_build)
    if "fuzz" in wanted or "sanitize" in wanted:
        builder.start()
    total, all_good = Outcome(), True
    for name in wanted:
        if name == "system" and builder.is_alive():
            builder.join()
        started = time.monotonic()
        outcome = GROUPS[name](options)
        print(f"{outcome.line(name)} [{time.monotonic() - started:.0f} s]", flush=True)
        for case, reason in outcome.failed:
            print(f"  failed: {case}: {reason}", flush=True)
        if not outcome.good and not outcome.failed:
            print(f"  failed: {name}: no test ran", flush=True)
        total.add(outcome)
        all_good = all_good and outcome.good
    for case, reason in total.failed:  # again, where who reads only the end finds them
        print(f"failed: {case}: {' '.join(reason.split())[:200]}", flush=True)
    summary = f"{total.passed} passed, {len(total.failed)} failed"
    if total.skipped:
        summary += f", {len(total.skipped)} skipped"
    print(summary, flush=True)
    return 0 if all_good else 1


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: BSD-3-Clause
"""Start, stop, crash, and the files that a user gets wrong."""

import re
import signal
import subprocess
import time

from testbed import VIP4, WEIR, failures, placement, wait_until


def taps(testbed):
    return testbed.inside("lb", "ip", "-o", "link", "show", "type", "tun")


def test_after_kill_9_it_is_ready_within_5_s_and_flows_land_where_they_did(fresh):
    before = placement(fresh.flows("c4", VIP4, 20_000, 1000))
    options = fresh.command_options()
    fresh.kill_dead()
    began = time.monotonic()
    fresh.start(*options)
    assert time.monotonic() - began < 5
    after = fresh.flows("c4", VIP4, 20_000, 1000)
    assert not failures(after)[:5]
    assert placement(after) == before


def test_sigterm_under_load_stops_it_in_good_order(fresh):
    # Ports of its own: what closes while nobody forwards keeps its address and port for a while.
    load = fresh.start_flows("c4", VIP4, 27_000, 3000, rate=1000, timeout=1)
    time.sleep(1)
    assert "wan0x" in taps(fresh)
    began = time.monotonic()
    fresh.signal(signal.SIGTERM)
    wait_until(lambda: not fresh.running(), 30, "weir ends after SIGTERM")
    print(f"stopped after {time.monotonic() - began:.2f} s")
    fresh.end_flows(load)
    assert not taps(fresh), "the TAP is removed on stop"
    assert not fresh.socket.exists()


def test_a_second_instance_says_who_runs_already(fresh):
    done = fresh.run_weir(fresh.file)
    assert done.returncode != 0
    assert f"already running, pid {fresh.pid()}" in done.stderr, done.stderr
    assert not failures(fresh.flows("c4", VIP4, 20_000, 300)), "the first one is untouched"


def test_a_missing_interface_is_fatal_and_named(network):
    path = network.state / "missing.toml"
    path.write_text(network.config().replace("iface=wan0", "iface=nosuch0"))
    done = network.run_weir(path)
    assert done.returncode != 0
    assert "nosuch0" in done.stderr and "wan0" in done.stderr, done.stderr
    assert "weir: ready" not in done.stderr


# Twenty mistakes, each on a line that carries its number, and a word of the message.
MISTAKES = r"""config_version = 1
[system]
name = 7                                    # 1 name
hash_seed = "green"                         # 2 hash_seed
control_lcore = -1                          # 3 control_lcore
worker_lcores = []                          # 4 worker_lcores
memory = { mode = "lots" }                  # 5 in-memory
colour = "blue"                             # 6 colour
[[port]]
name = "wan 0"                              # 7 wan 0
device = "net_null0"
mtu = 20                                    # 8 mtu
vlan = 5000                                 # 9 vlan
address = ["10.0.0.5/40"]                   # 10 10.0.0.5/40
gateway = ["10.0.0.256"]                    # 11 10.0.0.256
[health.web]
type = "htp"                                # 12 http
interval = "2 parsecs"                      # 13 interval
rise = 0                                    # 14 rise
[[service]]
name = "web"
vip = "203.0.113"                           # 15 203.0.113
protocol = "dccp"                           # 16 dccp
port = 70000                                # 17 'port'
forward = "teleport"                        # 18 teleport
schedule = { table_size = 1000 }            # 19 prime
backend = [
  { name = "b1", address = "10.0.1.11", weight = -5 },     # 20 weight
]
"""


def test_twenty_mistakes_get_twenty_located_errors_in_one_run(tmp_path):
    path = tmp_path / "mistakes.toml"
    path.write_text(MISTAKES)
    done = subprocess.run([WEIR, "--config", path, "--check"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    located = re.findall(rf"^{re.escape(str(path))}:(\d+):(\d+): (.+)$", done.stdout + done.stderr, re.M)
    lines = [int(line) for line, _, _ in located]
    assert lines == sorted(lines)
    assert len(located) >= 20
    for number, text in enumerate(MISTAKES.splitlines(), 1):
        if mark := re.search(r"# (\d+) (.+)$", text):
            messages = [message for line, _, message in located if int(line) == number]
            assert any(mark[2] in message for message in messages), (number, text, messages)


def test_check_prints_the_plan_and_needs_no_privilege(network):
    path = network.state / "plan.toml"
    path.write_text(network.config("--mode", "ring"))
    path.chmod(0o644)
    done = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
                           "--inh-caps=-all", WEIR, "--config", path, "--check"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    for word in ("lcore 0", "lcore 1", "wan0", "packet buffers", "connection tables"):
        assert word in done.stdout, done.stdout

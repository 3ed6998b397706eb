# SPDX-License-Identifier: BSD-3-Clause
"""What operators read: telemetry, metrics, HTTP, weirctl. And what garbage does to it: nothing."""

import json
import os
import random
import socket
import subprocess

import pytest
from testbed import BACKENDS, VIP4, failures

COMMANDS = ["/weir/info", "/weir/services", "/weir/service,web4", "/weir/backends,web4", "/weir/workers",
            "/weir/ports", "/weir/flows", "/weir/health", "/weir/drops"]


def entries(reply):
    return {value["name"]: value for value in reply.values() if isinstance(value, dict)}


def test_telemetry_answers_every_command(weir):
    weir.flows("c4", VIP4, 20_000, 300)
    replies = weir.telemetry(*COMMANDS)
    assert all(isinstance(reply, dict) and "error" not in reply for reply in replies.values()), replies
    assert replies["/weir/info"]["pid"] == weir.pid()
    assert {"web4", "web6", "tun44", "udp"} <= set(entries(replies["/weir/services"]))
    assert replies["/weir/service"]["name"] == "web4"
    assert set(entries(replies["/weir/backends"])) == set(BACKENDS)
    assert set(entries(replies["/weir/ports"])) == {"wan0"}
    assert "web4/b1" in entries(replies["/weir/health"])
    assert "unknown_port" in entries(replies["/weir/drops"])


def test_telemetry_of_unknown_names_is_an_error_not_a_crash(weir):
    for command in ("/weir/service,nosuch", "/weir/backends,nosuch", "/weir/backends,web4,99999999999",
                    "/weir/service", "/weir/services,-1"):
        weir.telemetry(command)
    assert weir.running()


def test_promtool_finds_nothing_to_say(weir):
    weir.flows("c4", VIP4, 21_000, 300)
    text = weir.inside("lb", "curl", "-s", "http://127.0.0.1:8404/metrics")
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stdout + done.stderr, done
    assert 'weir_service_packets_total{service="web4",family="ipv4"}' in text


def test_http_is_read_only_and_has_the_pages_of_the_contract(weir):
    def http(path, *options):
        return weir.inside("lb", "curl", "-s", "-w", "\n%{http_code}", *options,
                           f"http://127.0.0.1:8404{path}").rsplit("\n", 1)
    for path in ("/", "/metrics", "/healthz", "/api/v1/status"):
        assert http(path)[1] == "200", path
    assert "generation" in http("/api/v1/status")[0]
    assert http("/api/v1/reload", "-X", "POST")[1] in ("403", "404", "405")
    assert http("/nosuch")[1] == "404"


@pytest.mark.parametrize("words", [
    ["status"], ["service", "list"], ["service", "show", "web4"], ["backend", "list"],
    ["backend", "list", "web4"], ["backend", "show", "web4/b1"], ["worker", "list"], ["port", "list"],
    ["neighbor", "list"], ["health", "list"], ["drop", "list"], ["flow", "list", "--limit", "5"],
    ["config", "show"]], ids=" ".join)
def test_weirctl_speaks_to_people_and_to_programs(weir, words):
    assert weir.ctl(*words).stdout.strip()
    json.loads(weir.ctl("-j", *words).stdout)


def test_weirctl_takes_unique_prefixes_and_has_the_exit_codes_of_the_contract(weir):
    assert weir.ctl("st").stdout == weir.ctl("status").stdout or weir.ctl("st").returncode == 0
    assert weir.ctl("backend", "show", "web4/nosuch", check=False).returncode == 1
    assert weir.ctl("nosuch", check=False).returncode == 2
    done = subprocess.run([weir.ctl_path(), "-s", "/nonexistent.sock", "status"], capture_output=True)
    assert done.returncode == 3


def test_flow_list_shows_a_connection_and_its_backend(weir):
    flow = weir.flows("c4", VIP4, 22_000, 1)[0]
    listed = weir.ctl("flow", "list", "--service", "web4", "--limit", "10000").stdout
    lines = [line for line in listed.splitlines() if line.split()[1:2] == ["{}:{}".format(*flow.key)]]
    assert len(lines) == 1 and flow.answer in lines[0].split(), listed[:2000]


def garbage(seed, lines=10):
    source = random.Random(seed)
    return [bytes(source.randrange(256) for _ in range(source.randrange(1, 2000))).replace(b"\n", b"?") + b"\n"
            for _ in range(lines)]


def shout(kind, address, lines, sequenced=False):
    """Each line on a connection of its own; whatever comes back is read away."""
    for line in lines:
        with socket.socket(kind, socket.SOCK_SEQPACKET if sequenced else socket.SOCK_STREAM) as client:
            client.settimeout(2)
            client.connect(address)
            try:
                client.sendall(line)
                client.recv(65536)
            except OSError:
                pass


def test_ten_garbage_lines_to_each_socket_change_nothing(weir):
    before = {name: value for name, value in weir.metrics().items() if "generation" in name or "_up{" in name}
    shout(socket.AF_UNIX, str(weir.socket), garbage(1))
    shout(socket.AF_UNIX, f"/var/run/dpdk/{weir.file_prefix}/dpdk_telemetry.v2", garbage(2), sequenced=True)
    for line in garbage(3):
        subprocess.run(weir.netns("lb", "curl", "-s", "--max-time", "2", "telnet://127.0.0.1:8404"),
                       input=line, capture_output=True, timeout=10)
    after = weir.metrics()
    assert {name: after[name] for name in before} == before
    weir.telemetry("/weir/info")
    assert not failures(weir.flows("c4", VIP4, 23_000, 300))


def test_the_control_socket_is_not_for_everyone(weir):
    assert os.stat(weir.socket).st_mode & 0o777 == 0o660

# SPDX-License-Identifier: BSD-3-Clause
"""full-nat that tells the backend the client's address: as a capture at the backend shows it, and as
servers read it, nginx among them."""

import hashlib
import itertools
import json
import os
import signal
import socket
import subprocess

import pytest
from testbed import SOURCES, TOP, wait_until

BACKEND = {"c4": "10.10.0.11", "c6": "fd00:10::11"}  # b1
POOLS = {"c4": "10.10.0.80", "c6": "fd00:10::80"}
VIPS = {"toa": {"c4": "192.0.2.40", "c6": "2001:db8:10::40"},
        "proxy-v2": {"c4": "192.0.2.41", "c6": "2001:db8:10::41"}}  # nginx
PORTS = {"toa": 80, "proxy-v2": 8441}
TALK_VIPS = {"c4": "192.0.2.42", "c6": "2001:db8:10::42"}  # proxied.py
TALK_PORT, CLOSED_PORT = 8442, 8449                        # of the backend; a VIP's is 80
CLOSED_VIP = "192.0.2.43"
SIZE = 32 << 20
FREE_PORTS = itertools.count(41_000)  # of clients: each once, as a closed one waits a minute
SYN, ACK = 0x02, 0x10


def service(how, client, vip, port):
    return (f'\n[[service]]\nname = "{how}-{client}-{port}"\nvip = "{vip}"\nport = 80\n'
            f'forward = "full-nat"\n'
            f'nat = {{ source_pool = "{POOLS[client]}", client_address = "{how}" }}\n'
            f'backend = [{{ name = "b1", address = "{BACKEND[client]}", port = {port} }}]\n')


def services():
    text = service("proxy-v2", "c4", CLOSED_VIP, CLOSED_PORT)
    for client in BACKEND:
        text += service("proxy-v2", client, TALK_VIPS[client], TALK_PORT)
        text += "".join(service(how, client, VIPS[how][client], PORTS[how]) for how in VIPS)
    return text


@pytest.fixture(scope="module")
def told(network, mode):
    network.stop()
    file = network.state / "client-address.toml"
    file.write_text(network.config("--mode", mode, "--memory", "no-huge") + services())
    network.start("--config", file)
    yield network
    network.stop()


def url(how, client, path):
    vip = VIPS[how][client]
    return f"http://{f'[{vip}]' if ':' in vip else vip}/{path}"


def start_and_wait(network, host, *words):
    """A program that says when it is ready."""
    process = subprocess.Popen(network.netns(host, *words), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


def option(client, port):
    address = socket.inet_pton(socket.AF_INET6 if client == "c6" else socket.AF_INET, SOURCES[client][0])
    return (bytes([254, 4 + len(address)]) + port.to_bytes(2, "big") + address).hex()


@pytest.mark.parametrize("client", VIPS["toa"])
def test_toa_tells_the_client_until_the_backend_answered(told, tmp_path, client):
    capture = start_and_wait(told, "b1", TOP / "tests/system/tcp_capture.py", "eth0", PORTS["toa"])
    path = tmp_path / "file"
    try:
        port = told.inside(client, "curl", "-sS", "--max-time", 30, "--interface", SOURCES[client][0],
                           "-w", "%{local_port}", "-o", path, url("toa", client, "file"))
    finally:
        capture.send_signal(signal.SIGTERM)
        output, _ = capture.communicate(timeout=20)
    assert told.is_whole(path)
    segments = [one for one in map(json.loads, output.splitlines()) if one["source"] == POOLS[client]]
    wanted = option(client, int(port))
    syns = [one for one in segments if one["flags"] & SYN]
    first = [one for one in segments if not one["flags"] & SYN and one["sequence"] == syns[0]["sequence"] + 1]
    assert syns and all(one["options"].startswith(wanted) for one in syns)
    assert first[0]["flags"] & ACK and first[0]["payload"] == 0
    assert any(one["payload"] for one in first)
    assert all(one["options"].startswith(wanted) for one in first), first
    later = segments[-1]
    assert wanted not in later["options"], "the backend answered long ago"
    assert all(one["sum"] for one in segments)


@pytest.mark.parametrize("client", VIPS["toa"])
def test_toa_carries_large_files_and_many_connections(told, tmp_path, client):
    path = tmp_path / "file"
    told.inside(client, "curl", "-sS", "--max-time", 30, "-o", path, url("toa", client, "file"))
    assert told.is_whole(path)
    status = told.inside(client, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", 30,
                         "--data-binary", f"@{path}", url("toa", client, "upload"))
    assert status == "204"
    flows = told.flows(client, VIPS["toa"][client], 20_000, 300, target_port=80)
    assert all(flow.result == "ok" for flow in flows), [flow for flow in flows if flow.result != "ok"][:5]


NGINX = """
user root;
pid {room}/nginx.pid;
error_log {room}/error.log warn;
worker_processes 1;
events {{ worker_connections 1024; }}
http {{
    {temporary}
    log_format told '$proxy_protocol_addr $proxy_protocol_port $remote_addr $realip_remote_addr';
    access_log {room}/access.log told;
    server {{
        listen {port} proxy_protocol;
        listen [::]:{port} proxy_protocol;
        set_real_ip_from {pool4};
        set_real_ip_from {pool6};
        real_ip_header proxy_protocol;
        root {room};
    }}
}}
"""


@pytest.fixture(scope="module")
def nginx(told, tmp_path_factory):
    """On b1: the file `big`, and the folder that it and the access log lie in."""
    room = tmp_path_factory.mktemp("nginx")
    (room / "big").write_bytes(os.urandom(SIZE))
    temporary = "\n".join(f"{kind}_temp_path {room}/{kind};"
                          for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (room / "nginx.conf").write_text(NGINX.format(room=room, temporary=temporary, port=PORTS["proxy-v2"],
                                                  pool4=POOLS["c4"], pool6=POOLS["c6"]))
    process = subprocess.Popen(told.netns("b1", "nginx", "-e", room / "error.log", "-c", room / "nginx.conf",
                                          "-g", "daemon off;"), stdin=subprocess.DEVNULL)
    wait_until(lambda: told.inside("b1", "ss", "-Htln", "sport", "=", f":{PORTS['proxy-v2']}"), 10, "nginx listens")
    yield room
    process.terminate()
    process.wait()


@pytest.fixture(scope="module")
def talker(told):
    for host in ("c4", "c6", "b1"):
        told.inside(host, "sysctl", "-qw", "net.ipv4.tcp_fastopen=3")
    process = start_and_wait(told, "b1", TOP / "tests/system/proxied.py", "serve", TALK_PORT)
    yield told
    process.terminate()
    process.wait()
    for host in ("c4", "c6", "b1"):
        told.inside(host, "sysctl", "-qw", "net.ipv4.tcp_fastopen=1")


def talk(network, client, source_port, count, *options):
    """What proxied.py prints: the greeting and whether all arrived."""
    return network.inside(client, TOP / "tests/system/proxied.py", "ask", SOURCES[client][1], source_port,
                          TALK_VIPS[client], 80, count, *options).splitlines()


@pytest.mark.parametrize("client", BACKEND)
def test_nginx_reads_the_client_from_the_proxy_header(told, nginx, tmp_path, client):
    path = tmp_path / "file"
    port = told.inside(client, "curl", "-sS", "--max-time", 30, "--interface", SOURCES[client][0],
                       "-w", "%{local_port}", "-o", path, url("proxy-v2", client, "big"))
    digests = [hashlib.sha256(file.read_bytes()).digest() for file in (path, nginx / "big")]
    assert digests[0] == digests[1]
    line = f"{SOURCES[client][0]} {port} {SOURCES[client][0]} {POOLS[client]}"
    wait_until(lambda: line in (nginx / "access.log").read_text().splitlines(), 5, f"nginx logs {line}")


@pytest.mark.parametrize("client", BACKEND)
def test_a_server_that_speaks_first_knows_the_client(talker, client):
    for count in (1, 16 << 20):
        port = next(FREE_PORTS)
        assert talk(talker, client, port, count) == [f"{SOURCES[client][1]} {port}", "same"]


# The backend drops the first segments behind the handshake that begin the stream.
@pytest.mark.parametrize("lost", (1, 2, 3))
def test_the_header_comes_again_when_it_was_lost(talker, lost):
    rules = (f"table ip loss {{ chain in {{ type filter hook input priority 0; "
             f"ip saddr {POOLS['c4']} tcp dport {TALK_PORT} tcp flags & (syn | ack) == ack "
             f"numgen inc mod 1000000 < {lost} counter drop; }}; }}")
    talker.inside("b1", "nft", rules)
    try:
        port = next(FREE_PORTS)
        assert talk(talker, "c4", port, 100_000) == [f"{SOURCES['c4'][1]} {port}", "same"]
        assert f"counter packets {lost} " in talker.inside("b1", "nft", "list", "table", "ip", "loss")
    finally:
        talker.inside("b1", "nft", "delete", "table", "ip", "loss")


def test_data_in_a_syn_comes_behind_the_header(talker):
    # The first one asks for a cookie.
    for port in itertools.islice(FREE_PORTS, 3):
        assert talk(talker, "c4", port, 1000, "fast") == [f"{SOURCES['c4'][1]} {port}", "same"]


def test_a_port_used_again_and_again_is_told_each_time(talker):
    port = next(FREE_PORTS)
    for _ in range(5):
        assert talk(talker, "c4", port, 10, "abort") == [f"{SOURCES['c4'][1]} {port}"]
    assert talk(talker, "c4", port, 10) == [f"{SOURCES['c4'][1]} {port}", "same"]


def test_a_refused_connection_is_refused_at_once(told):
    code = told.inside("c4", "curl", "-s", "-o", "/dev/null", "--max-time", 20, "-w", "%{exitcode}",
                       f"http://{CLOSED_VIP}/", check=False)
    assert code == "7", "curl's code for a connection that was refused, and did not time out"


def test_no_host_saw_a_bad_checksum(told):
    assert not told.checksum_errors()

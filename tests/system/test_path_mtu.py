# SPDX-License-Identifier: BSD-3-Clause
"""Path MTU discovery through Weir, and what else ICMP errors tell."""

import itertools
import re
import subprocess
import sys

import pytest
from conftest import running
from testbed import BACKENDS, SOURCES, TUNNEL_VIPS, VIP4, VIP6, VIP_UDP

# The router's routes to the clients; the kernel gave the one of IPv6 its metric.
ROUTES = {"c4": ["198.51.100.0/24", "dev", "rc4"],
          "c6": ["2001:db8:6::/64", "dev", "rc6", "metric", 256]}
CLIENT_PORTS = itertools.count(63_000)  # none twice, no other test has them: TIME_WAIT holds them


def route(testbed, host, client, *words):
    testbed.inside(host, "ip", *(["-6"] if client == "c6" else []), "route", *words)


def forget_path_mtus(testbed, client):
    for host in (client, *BACKENDS):
        route(testbed, host, client, "flush", "cache")


@pytest.fixture(params=["c4", "c6"])
def narrow(request, weir):
    """The client whose link behind the router takes 1400 bytes; the client itself thinks 1500."""
    client = request.param
    forget_path_mtus(weir, client)
    route(weir, "router", client, "change", *ROUTES[client], "mtu", "lock", 1400)
    yield client
    route(weir, "router", client, "change", *ROUTES[client])
    forget_path_mtus(weir, client)


def told(testbed, client):
    """"Too big" messages that the backends' kernels got."""
    name = "IcmpInDestUnreachs" if client == "c4" else "Icmp6InPktTooBigs"
    counts = [testbed.inside(backend, "nstat", "-asz", name) for backend in BACKENDS]
    return [int(re.search(rf"{name}\s+(\d+)", text)[1]) for text in counts]


def vips_of(client):
    return [VIP4 if client == "c4" else VIP6,
            *(vip for who, vip in TUNNEL_VIPS.values() if who == client)]


def holders(testbed, source, port):
    """The backends of flows from there."""
    flows = testbed.ctl_json("flow", "list", "--src", source, "--limit", 10_000)["flows"]
    return {flow["backend"] for flow in flows if flow["source_port"] == port}


def test_a_download_shrinks_to_the_path(weir, narrow, tmp_path):
    """The router's errors reach the one backend of three that has the flow, or curl would hang."""
    before = told(weir, narrow)
    held = set()
    for vip, port in zip(vips_of(narrow), CLIENT_PORTS):
        forget_path_mtus(weir, narrow)
        transfers = {}
        for source in SOURCES[narrow]:
            path = tmp_path / f"{port}-{source.replace(':', '-')}"
            key = (source, port)
            transfers[path] = weir.start_download(narrow, vip, path, key=key)
        for path, transfer in transfers.items():
            assert transfer.wait(70) == 0, f"{vip}: {transfer.stderr.read()}"
            assert weir.is_whole(path)
            path.unlink()
        for source in SOURCES[narrow]:
            held |= holders(weir, source, port)
    after = told(weir, narrow)
    assert len(held) > 1
    for backend, then, now in zip(BACKENDS, before, after):
        assert now > then or backend not in held, (backend, held, before, after)


# Sends a datagram and prints who says that its TTL is used up.
LAST_HOP = """
import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 2)
s.setsockopt(socket.IPPROTO_IP, 11, 1)  # IP_RECVERR
s.settimeout(5)
s.connect((sys.argv[1], 53))
s.send(b"who")
try:
    s.recv(100)
except OSError:
    pass
_, ancillary, _, _ = s.recvmsg(100, 1000, socket.MSG_ERRQUEUE)
_, _, kind, code = struct.unpack_from("=IBBB", ancillary[0][2])
print(kind, code, socket.inet_ntoa(ancillary[0][2][20:24]))
"""


def test_a_last_hop_at_weir_is_told_by_the_vip(weir):
    printed = weir.inside("c4", sys.executable, "-c", LAST_HOP, VIP_UDP)
    assert printed.split() == ["11", "0", VIP_UDP]


@pytest.fixture(scope="module")
def tight(network, mode):
    """A balancer whose port has no room for tunnel headers beside full packets."""
    network.stop()
    file = network.state / "tight.toml"
    text = network.config("--mode", mode, "--memory", "no-huge")
    file.write_text(text.replace("mtu = 1560", "mtu = 1500"))
    running(network, "--config", file)
    yield network
    network.stop()


@pytest.mark.parametrize("service", TUNNEL_VIPS)
def test_an_upload_shrinks_to_the_tunnel(tight, tmp_path, service):
    client, vip = TUNNEL_VIPS[service]
    forget_path_mtus(tight, client)
    name = 'weir_icmp_errors_sent_total{type="too_big"}'
    before = tight.metrics()[name]
    path = tmp_path / "file"
    path.write_bytes(bytes(1_000_000))
    assert tight.upload(client, vip, path) == "204"
    assert tight.metrics()[name] > before
    room = 1480 if service.endswith("4") else 1460
    family = ["-6"] if client == "c6" else []
    assert f"mtu {room}" in tight.inside(client, "ip", *family, "route", "get", vip)
    forget_path_mtus(tight, client)


# This kernel may have no tunnel device, and the program that opens tunnels on the backends (XDP) sees
# each fragment by itself. What the kernel has put together it gives to a raw socket; the packet inside
# goes back to it by a TUN device.
OPEN_TUNNELS = """
import fcntl, select, socket, struct, subprocess
tun = open("/dev/net/tun", "r+b", buffering=0)
fcntl.ioctl(tun, 0x400454ca, struct.pack("16sH22x", b"opened0", 0x1001))  # TUNSETIFF: TUN, no header
for words in ("addr add 169.254.99.1/32 dev opened0", "link set opened0 up"):
    subprocess.run(["ip", *words.split()], check=True)
for name in ("all", "opened0"):
    open(f"/proc/sys/net/ipv4/conf/{name}/rp_filter", "w").write("0")
v4 = socket.socket(socket.AF_INET, socket.SOCK_RAW, 4)
v6 = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 4)
print("ready", flush=True)
while True:
    for one in select.select([v4, v6], [], [])[0]:
        packet = one.recv(70000)
        tun.write(packet[20:] if one is v4 else packet)
"""


@pytest.fixture
def may_be_fragmented(tight):
    """The IPv4 client sends without DF, and backends open tunnels behind the kernel's reassembly."""
    processes = [subprocess.Popen(tight.netns(backend, sys.executable, "-c", OPEN_TUNNELS),
                                  stdout=subprocess.PIPE, text=True) for backend in BACKENDS]
    try:
        assert all(process.stdout.readline() == "ready\n" for process in processes)
        tight.inside("c4", "sysctl", "-qw", "net.ipv4.ip_no_pmtu_disc=1")
        yield
    finally:
        tight.inside("c4", "sysctl", "-qw", "net.ipv4.ip_no_pmtu_disc=0")
        for process in processes:
            process.kill()
            process.communicate()


@pytest.mark.parametrize("service", [name for name, (who, _) in TUNNEL_VIPS.items() if who == "c4"])
def test_an_upload_that_may_be_fragmented_is(tight, may_be_fragmented, tmp_path, service):
    client, vip = TUNNEL_VIPS[service]
    forget_path_mtus(tight, client)
    told_before = tight.metrics()['weir_icmp_errors_sent_total{type="too_big"}']
    before = tight.metrics()["weir_fragmented_packets_total"]
    path = tmp_path / "file"
    path.write_bytes(bytes(1_000_000))
    assert tight.upload(client, vip, path) == "204"
    metrics = tight.metrics()
    assert metrics["weir_fragmented_packets_total"] - before > 500
    assert metrics['weir_icmp_errors_sent_total{type="too_big"}'] == told_before

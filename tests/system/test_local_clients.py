# SPDX-License-Identifier: BSD-3-Clause
"""Clients on the network of Weir's own port, which no configuration names: replies that are translated
find them, as the kernel resolves their addresses."""

import contextlib
import itertools
import subprocess

import pytest
from test_full_nat import FULL_VIPS, full_service
from test_nat import TCP_PORT, VIPS, prepare_backends, service
from testbed import BACKENDS, wait_until

HOST, MAC = "local", "02:00:0a:0a:00:77"
WEIR = {"c4": "10.10.0.5", "c6": "fd00:10::5"}
NETWORKS = {"c4": ("192.0.2.0/24", "10.10.0.", 24), "c6": ("2001:db8:10::/64", "fd00:10::", 64)}
NUMBERS = itertools.count(100)  # an address for each test: each is unknown at first
FORWARDS = {"nat": VIPS, "full-nat": FULL_VIPS}


@contextlib.contextmanager
def local_host(network):
    """A host beside the backends, with a way to the VIPs."""
    name = network.prefix + HOST
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        network.inside(HOST, "ip", "link", "set", "lo", "up")
        network.inside(HOST, "sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0",
                       "net.ipv6.conf.default.accept_ra=0")
        subprocess.run(["ip", "-n", network.prefix + "bridge", "link", "add", "local-eth0", "type", "veth",
                        "peer", "name", "eth0", "address", MAC, "netns", name], check=True)
        network.inside("bridge", "ip", "link", "set", "local-eth0", "master", "br0", "up")
        for host, interface in (("bridge", "local-eth0"), (HOST, "eth0")):
            network.inside(host, "ethtool", "-K", interface, "tx", "off", "gso", "off", "tso", "off", "gro", "off")
        network.inside(HOST, "ip", "link", "set", "eth0", "up")
        for client, (vips, own, length) in NETWORKS.items():
            network.inside(HOST, "ip", "addr", "add", f"{own}77/{length}", "dev", "eth0",
                           *(["nodad"] if client == "c6" else []))
            network.inside(HOST, "ip", "route", "add", vips, "via", WEIR[client])
        yield
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


@pytest.fixture(scope="module")
def balancer(network, mode):
    network.stop()
    prepare_backends(network)
    file = network.state / "local-clients.toml"
    services = "".join(service(client, "tcp", TCP_PORT, 80) + full_service(client, "tcp", TCP_PORT, 80)
                       for client in VIPS)
    file.write_text(network.config("--mode", mode, "--memory", "no-huge") + services)
    with local_host(network):
        network.start("--config", file)
        wait_until(lambda: all(network.backend_up(f"{kind}-{client}-tcp", backend) == 1 for kind in ("nat", "full")
                               for client in VIPS for backend in BACKENDS), 15, "backends are up")
        yield network
        network.stop()


def fresh_address(network, client):
    own, length = NETWORKS[client][1:]
    address = f"{own}{next(NUMBERS)}"
    network.inside(HOST, "ip", "addr", "add", f"{address}/{length}", "dev", "eth0",
                   *(["nodad"] if client == "c6" else []))
    return address


def download(network, vip, source, path):
    host = f"[{vip}]" if ":" in vip else vip
    network.inside(HOST, "curl", "-sS", "--max-time", 30, "--interface", source, "-o", path,
                   f"http://{host}:{TCP_PORT}/file")
    return network.is_whole(path)


def listed(network):
    return {one["address"]: one for one in network.ctl_json("neighbor", "list")["neighbors"]}


@pytest.mark.parametrize("client", VIPS)
@pytest.mark.parametrize("forward", FORWARDS)
def test_a_client_that_nobody_named_is_served(balancer, tmp_path, forward, client):
    source = fresh_address(balancer, client)
    assert source not in listed(balancer)
    before = balancer.metrics()['weir_dropped_packets_total{reason="no_neighbor"}']
    assert download(balancer, FORWARDS[forward][client], source, tmp_path / "file")
    assert balancer.metrics()['weir_dropped_packets_total{reason="no_neighbor"}'] > before
    assert listed(balancer)[source]["mac"] == MAC


@pytest.mark.parametrize("client", VIPS)
def test_a_known_client_loses_nothing_also_across_a_reload(balancer, tmp_path, client):
    source = fresh_address(balancer, client)
    assert download(balancer, VIPS[client], source, tmp_path / "file")
    before = balancer.metrics()['weir_dropped_packets_total{reason="no_neighbor"}']
    assert download(balancer, FULL_VIPS[client], source, tmp_path / "file")
    balancer.ctl("reload")
    assert listed(balancer)[source]["mac"] == MAC
    assert download(balancer, VIPS[client], source, tmp_path / "file")
    assert balancer.metrics()['weir_dropped_packets_total{reason="no_neighbor"}'] == before


def test_a_client_that_gets_another_mac_address_is_found_again(balancer, tmp_path):
    source = fresh_address(balancer, "c4")
    assert download(balancer, VIPS["c4"], source, tmp_path / "file")
    other = "02:00:0a:0a:00:78"
    balancer.inside(HOST, "ip", "link", "set", "eth0", "address", other)
    # It asks for Weir's address anew, which tells the kernel there its own.
    assert download(balancer, VIPS["c4"], source, tmp_path / "file")
    assert listed(balancer)[source]["mac"] == other
    balancer.inside(HOST, "ip", "link", "set", "eth0", "address", MAC)

# SPDX-License-Identifier: BSD-3-Clause
"""full-nat between families, end to end: IPv6 clients of IPv4 backends and the other way round, which know
nothing of each other's family."""

import re

import pytest
from test_full_nat import PLAIN, POOLS
from test_nat import NETWORKS, TCP_PORT, UDP_PORT, VIPS, service
from test_path_mtu import ROUTES, forget_path_mtus, route
from testbed import BACKENDS, answers, failures, wait_until

FAMILY_VIPS = {"c4": "192.0.2.61", "c6": "2001:db8:10::61"}
OTHER = {"c4": "c6", "c6": "c4"}
OTHER_IP = {"c4": ["-6"], "c6": ["-4"]}
# What a backend knows of a path of 1400 bytes: to the pool, in its own family.
KNOWN = {"c4": r"fd00:10::6[45] [^/]*?mtu 1420", "c6": r"10\.10\.0\.6[45] [^/]*?mtu 1380"}


def across(client, protocol, port, to):
    """The backends and the pool are what clients of the other family have."""
    text = service(client, protocol, port, to).replace(NETWORKS[client], PLAIN[OTHER[client]])
    text = text.replace(VIPS[client], FAMILY_VIPS[client]).replace('"nat-', '"across-')
    return text.replace('forward = "nat"',
                        f'forward = "full-nat"\nnat = {{ source_pool = "{POOLS[OTHER[client]]}" }}')


@pytest.fixture(scope="module")
def families(network, mode):
    network.stop()
    file = network.state / "families.toml"
    services = "".join(across(client, *one) for client in FAMILY_VIPS
                       for one in (("tcp", TCP_PORT, 80), ("udp", UDP_PORT, 53)))
    file.write_text(network.config("--mode", mode, "--memory", "no-huge") + services)
    network.start("--config", file)
    wait_until(lambda: all(network.backend_up(f"across-{client}-tcp", backend) == 1
                           for client in FAMILY_VIPS for backend in BACKENDS), 15, "backends are up")
    yield network
    network.stop()


def url(client, path):
    vip = FAMILY_VIPS[client]
    return f"http://{f'[{vip}]' if ':' in vip else vip}:{TCP_PORT}/{path}"


def transfers(testbed, client, directory):
    """A download, whole, and an upload of what came."""
    path = directory / "file"
    testbed.inside(client, "curl", "-sS", "--max-time", 30, "-o", path, url(client, "file"))
    assert testbed.is_whole(path)
    status = testbed.inside(client, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", 30,
                            "--data-binary", f"@{path}", url(client, "upload"))
    assert status == "204"


@pytest.mark.parametrize("client", FAMILY_VIPS)
def test_clients_reach_backends_of_the_other_family(families, tmp_path, client):
    flows = families.flows(client, FAMILY_VIPS[client], 20_000, 600, target_port=TCP_PORT)
    assert not failures(flows)[:5]
    assert all(answers(flows)[backend] > 120 for backend in BACKENDS), answers(flows)
    transfers(families, client, tmp_path)


def test_udp_of_ipv4_clients_is_answered_by_ipv6_backends(families):
    replies = families.udp_flows(FAMILY_VIPS["c4"], UDP_PORT, 20_000, 600)
    assert len(replies) == 600 and set(replies.values()) == set(BACKENDS)


@pytest.mark.parametrize("client", FAMILY_VIPS)
def test_path_mtu_discovery_crosses_the_families(families, tmp_path, client):
    """The router behind which the path is narrow tells the VIP in the client's family."""
    forget_path_mtus(families, client)
    forget_path_mtus(families, OTHER[client])
    route(families, "router", client, "change", *ROUTES[client], "mtu", "lock", 1400)
    try:
        transfers(families, client, tmp_path)
        known = "".join(families.inside(backend, "ip", *OTHER_IP[client], "route", "show", "cache")
                        for backend in BACKENDS)
        assert re.search(KNOWN[client], known, re.DOTALL), known
    finally:
        route(families, "router", client, "change", *ROUTES[client])
        forget_path_mtus(families, client)
        forget_path_mtus(families, OTHER[client])


def test_families_left_no_bad_checksum(families):
    assert not families.checksum_errors()

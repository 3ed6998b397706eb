# SPDX-License-Identifier: BSD-3-Clause
"""Backends behind routers that the kernel's routes by the TAP name, as an operator or a routing daemon
puts them there: packets go to the router of the longest prefix, and a change of routes loses none."""

import contextlib
import re
import subprocess
import time

import pytest
from test_full_nat import full_service
from test_nat import TCP_PORT
from testbed import BACKENDS, VIP4, answers, failures, wait_until

HOST, MAC = "other", "02:00:0a:0a:00:07"
ROUTER = {"c4": "10.10.0.7", "c6": "fe80::a0a:7"}       # the other router, beside the gateway
GATEWAY = {"c4": "10.10.0.1", "c6": "fd00:10::1"}
FAR = {"c4": "10.30.0.1", "c6": "fd00:30::1"}           # backend bN is ...1N there
FAR_NETWORK = {"c4": "10.30.0.0/24", "c6": "fd00:30::/64"}
CLIENTS = {"c4": "198.51.100.0/24", "c6": "2001:db8:6::/64"}
VIP_NETWORK = {"c4": "192.0.2.0/24", "c6": "2001:db8:10::/64"}
VIPS = {"c4": "192.0.2.80", "c6": "2001:db8:10::80"}    # ipip
FULL_VIP = "192.0.2.31"


def ip(client, *words):
    return ["ip", "-4" if client == "c4" else "-6", *words]


@contextlib.contextmanager
def other_router(network):
    """A second router on the backends' network. It counts what it forwards to the far addresses of
    backends, and to clients."""
    name = network.prefix + HOST
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        network.inside(HOST, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1",
                       "net.ipv4.conf.all.send_redirects=0", "net.ipv4.conf.default.send_redirects=0",
                       "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0",
                       "net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.default.addr_gen_mode=1")
        subprocess.run(["ip", "-n", network.prefix + "bridge", "link", "add", "other-eth0", "mtu", "1560", "type",
                        "veth", "peer", "name", "eth0", "mtu", "1560", "address", MAC, "netns", name], check=True)
        network.inside("bridge", "ip", "link", "set", "other-eth0", "master", "br0", "up")
        for host, interface in (("bridge", "other-eth0"), (HOST, "eth0")):
            network.inside(host, "ethtool", "-K", interface, "tx", "off", "gso", "off", "tso", "off", "gro", "off")
        network.inside(HOST, "ip", "link", "set", "eth0", "up")
        for address in (ROUTER["c4"] + "/24", ROUTER["c6"] + "/64", "fd00:10::7/64"):
            network.inside(HOST, "ip", "addr", "add", address, "dev", "eth0", *(["nodad"] if ":" in address else []))
        for client, gateway in GATEWAY.items():
            network.inside(HOST, *ip(client, "route", "add", "default", "via", gateway))
        network.inside(HOST, "nft", "add table inet seen; add chain inet seen forward "
                       "{ type filter hook forward priority 0; }")
        for client in FAR:
            family = "ip" if client == "c4" else "ip6"
            for to in (FAR_NETWORK[client], CLIENTS[client], VIP_NETWORK[client]):
                network.inside(HOST, "nft", f"add rule inet seen forward {family} daddr {to} counter")
        yield
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def seen(network):
    """Packets that the other router forwarded: {client: (to far backends, to clients, to VIPs)}."""
    counts = [int(n) for n in re.findall(r"counter packets (\d+)", network.inside(HOST, "nft", "list table inet seen"))]
    return {"c4": tuple(counts[:3]), "c6": tuple(counts[3:])}


def prepare(network):
    """Far addresses on the backends, and both routers' way there."""
    for number, backend in enumerate(BACKENDS, 1):
        for client in FAR:
            length = 32 if client == "c4" else 128
            nodad = [] if client == "c4" else ["nodad"]
            for address in (FAR[client] + str(number), VIPS[client]):
                network.inside(backend, *ip(client, "addr", "replace", f"{address}/{length}", "dev", "lo", *nodad))
            near = f"10.10.0.1{number}" if client == "c4" else f"fd00:10::1{number}"
            for router in ("router", HOST):
                network.inside(router, *ip(client, "route", "replace", f"{FAR[client]}{number}/{length}", "via", near))


def ipip_service(client):
    backends = ", ".join(f'{{ name = "b{n}", address = "{FAR[client]}{n}" }}' for n in (1, 2, 3))
    return (f'\n[[service]]\nname = "far-{client}"\nvip = "{VIPS[client]}"\nprotocol = "tcp"\nport = 80\n'
            f'forward = "ipip"\nhealth = "alive"\nbackend = [{backends}]\n')


@pytest.fixture(scope="module")
def far(network, mode):
    network.stop()
    file = network.state / "kernel-routes.toml"
    services = "".join(ipip_service(client) for client in VIPS)
    services += full_service("c4", "tcp", TCP_PORT, 80).replace("10.10.0.1", FAR["c4"])
    file.write_text(network.config("--mode", mode, "--memory", "no-huge") + services)
    with other_router(network):
        prepare(network)
        network.start("--config", file)
        wait_until(lambda: all(network.backend_up(service, backend) == 1 for service in
                               ("far-c4", "far-c6", "full-c4-tcp", "web4") for backend in BACKENDS), 15,
                   "backends are up")
        yield network
        network.stop()


def next_hops(network, service):
    shown = [network.ctl_json("backend", "show", f"{service}/{backend}") for backend in BACKENDS]
    assert all(one["port"] == "wan0" for one in shown)
    return {(one["next_hop"], one["resolved"]) for one in shown}


def change(network, *words, client="c4", service="far-c4", leads_to):
    network.inside("lb", *ip(client, "route", *words))
    wait_until(lambda: next_hops(network, service) == {(leads_to, True)}, 5, f"{service} goes by {leads_to}")


@contextlib.contextmanager
def route(network, to, router, client="c4", service="far-c4"):
    """A route by the TAP, and the way back to what was before."""
    before, = next_hops(network, service)
    after = router if service.startswith("far") else before[0]
    change(network, "add", to, "via", router, "dev", "wan0x", client=client, service=service, leads_to=after)
    try:
        yield
    finally:
        change(network, "del", to, "via", router, "dev", "wan0x", client=client, service=service,
               leads_to=before[0])


def unresolved_drops(network):
    metrics = network.metrics()
    return sum(metrics[f'weir_dropped_packets_total{{reason="{reason}"}}'] for reason in ("no_neighbor", "no_route"))


@pytest.mark.parametrize("client", VIPS)
def test_a_route_leads_a_tunnel_to_its_router_and_back(far, client):
    service = f"far-{client}"
    assert next_hops(far, service) == {(GATEWAY[client], True)}
    before = seen(far)[client]
    assert not failures(far.flows(client, VIPS[client], 20_000, 300))[:5]
    assert seen(far)[client] == before, "through the gateway alone"
    with route(far, FAR_NETWORK[client], ROUTER[client], client, service):
        flows = far.flows(client, VIPS[client], 21_000, 300)
        assert not failures(flows)[:5]
        assert set(answers(flows)) == set(BACKENDS)
        # SYN, ACK, request, and the end: each in a tunnel by the other router.
        assert seen(far)[client][0] >= before[0] + 4 * len(flows)
    after = seen(far)[client]
    assert not failures(far.flows(client, VIPS[client], 22_000, 300))[:5]
    assert seen(far)[client] == after


@pytest.mark.parametrize("client", VIPS)
def test_routes_that_come_and_go_under_load_lose_nothing(far, client):
    service = f"far-{client}"
    drops, before = unresolved_drops(far), seen(far)[client][0]
    load = far.start_flows(client, VIPS[client], 30_000, 4000, rate=500)
    for _ in range(10):
        with route(far, FAR_NETWORK[client], ROUTER[client], client, service):
            pass
    changed = time.monotonic()
    flows = far.end_flows(load)
    assert sum(flow.start < changed for flow in flows) > 500, "while routes changed"
    assert not failures(flows)[:5]
    assert unresolved_drops(far) == drops
    assert seen(far)[client][0] > before + 500


def test_only_the_route_reaches_backends_that_the_gateway_does_not(far):
    far.inside("router", "ip", "route", "replace", "blackhole", FAR_NETWORK["c4"])
    for number in (1, 2, 3):
        far.inside("router", "ip", "route", "del", f"{FAR['c4']}{number}/32")
    try:
        wait_until(lambda: all(far.backend_up("far-c4", backend) == 0 for backend in BACKENDS), 15, "nobody is reached")
        with route(far, FAR_NETWORK["c4"], ROUTER["c4"]):
            wait_until(lambda: all(far.backend_up("far-c4", backend) == 1 for backend in BACKENDS), 15,
                       "probes go by the route, too")
            flows = far.flows("c4", VIPS["c4"], 23_000, 300)
            assert not failures(flows)[:5]
            assert set(answers(flows)) == set(BACKENDS)
    finally:
        far.inside("router", "ip", "route", "del", "blackhole", FAR_NETWORK["c4"])
        prepare(far)
        wait_until(lambda: all(far.backend_up("far-c4", backend) == 1 for backend in BACKENDS), 15, "as before")


def test_the_longest_prefix_decides_and_a_metric_between_equals(far):
    change(far, "add", FAR_NETWORK["c4"], "via", ROUTER["c4"], "dev", "wan0x", leads_to=ROUTER["c4"])
    change(far, "add", "10.30.0.0/28", "via", GATEWAY["c4"], "dev", "wan0x", leads_to=GATEWAY["c4"])
    change(far, "del", "10.30.0.0/28", leads_to=ROUTER["c4"])
    far.inside("lb", "ip", "route", "add", FAR_NETWORK["c4"], "via", GATEWAY["c4"], "dev", "wan0x", "metric", "9")
    change(far, "del", FAR_NETWORK["c4"], "via", ROUTER["c4"], leads_to=GATEWAY["c4"])
    far.inside("lb", "ip", "route", "del", FAR_NETWORK["c4"])


def test_replies_to_clients_go_by_routes(far, tmp_path):
    before = seen(far)["c4"]
    with route(far, CLIENTS["c4"], ROUTER["c4"], service="full-c4-tcp"):
        wait_until(lambda: ROUTER["c4"] in {one["address"] for one in far.ctl_json("neighbor", "list")["neighbors"]},
                   5, "the route is followed")
        path = tmp_path / "file"
        far.inside("c4", "curl", "-sS", "--max-time", 30, "-o", path, f"http://{FULL_VIP}:{TCP_PORT}/file")
        assert far.is_whole(path)
        to_backends, to_clients, _ = seen(far)["c4"]
        assert to_clients > before[1] + 2000, "4 MiB in segments"
        assert to_backends == before[0], "backends are reached by the gateway"


def test_dsr_l2_goes_its_own_way(far):
    direct = {(f"10.10.0.1{number}", True) for number in (1, 2, 3)}
    drops, before = unresolved_drops(far), seen(far)["c4"]
    assert next_hops(far, "web4") == direct
    far.inside("lb", "ip", "route", "add", "10.10.0.8/29", "via", ROUTER["c4"], "dev", "wan0x")
    # One that shows when both were read.
    with route(far, FAR_NETWORK["c4"], ROUTER["c4"]):
        assert next_hops(far, "web4") == direct
        assert not failures(far.flows("c4", VIP4, 24_000, 300))[:5]
    far.inside("lb", "ip", "route", "del", "10.10.0.8/29")
    assert seen(far)["c4"][1:] == before[1:]
    assert unresolved_drops(far) == drops

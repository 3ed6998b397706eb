# SPDX-License-Identifier: BSD-3-Clause
"""Other protocols than TCP and UDP, end to end: real pings through services of echo requests; SCTP and
protocols without ports from raw sockets, as few kernels of test machines have SCTP."""

import collections
import subprocess

import pytest
from conftest import keep_log, running
from testbed import SOURCES, TOP, VIP4, Testbed

BACKENDS = ("b1", "b2")
RAW_FLOWS = TOP / "tests/system/raw_flows.py"
SCTP, ESP, EXPERIMENT = 132, 50, 253  # RFC 9260, RFC 4303, RFC 3692
PINGS = 4  # of each flow

Service = collections.namedtuple("Service", "client vip protocol port backend")
SERVICES = {
    "echo4": Service("c4", "192.0.2.80", "icmp", None, "10.10.0.1"),
    "echo6": Service("c6", "2001:db8:10::80", "icmp", None, "fd00:10::1"),
    "sctp": Service("c4", "192.0.2.81", "sctp", 5000, "10.10.0.1"),
    "all": Service("c4", "192.0.2.82", "any", '"any"', "10.10.0.1"),
}


def service_text(name, service):
    backends = ", ".join(f'{{ name = "{b}", address = "{service.backend}{b[1]}" }}' for b in BACKENDS)
    port = f"port = {service.port}\n" if service.port else ""
    return (f'\n[[service]]\nname = "{name}"\nvip = "{service.vip}"\nprotocol = "{service.protocol}"\n'
            f'{port}forward = "dsr-l2"\nbackend = [{backends}]\n')


def set_up(testbed, service, backend):
    """Runs what `weirctl backend setup` prints."""
    for step in testbed.ctl_json("backend", "setup", f"{service}/{backend}")["steps"]:
        testbed.inside(backend, "sh", "-c", step["command"])


@pytest.fixture(scope="module")
def weir(request, requirements, mode):
    testbed = Testbed("weirpro-")
    testbed.up()
    running(testbed, "--mode", mode)
    text = testbed.config(*testbed.command_options())
    testbed.reload_text(text + "".join(service_text(*item) for item in SERVICES.items()))
    for name in SERVICES:
        for backend in BACKENDS:
            set_up(testbed, name, backend)
    servers = [serve(testbed, backend, SERVICES[name].vip, protocols)
               for name, protocols in (("sctp", [SCTP]), ("all", [SCTP, ESP, EXPERIMENT]))
               for backend in BACKENDS]
    yield testbed
    for server in servers:
        server.kill()
        server.wait()
    keep_log(testbed, f"test_protocols-{mode}")
    testbed.stop()
    testbed.down()


def serve(testbed, backend, vip, protocols):
    server = subprocess.Popen(testbed.netns(backend, RAW_FLOWS, "serve", backend, vip, *protocols),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert server.stdout.readline() == "ready\n"
    return server


def ask(testbed, vip, protocol, sources, *ports):
    """{(source, port): backend}"""
    output = testbed.inside("c4", RAW_FLOWS, "ask", vip, protocol, ",".join(sources), *ports)
    return dict(line.split("\t") for line in output.splitlines())


def echo_requests(testbed, host, client):
    """That the host's kernel got."""
    name = "IcmpInEchos" if client == "c4" else "Icmp6InEchos"
    return int(testbed.inside(host, "nstat", "-asz", name).split()[-2])


def all_echo_requests(testbed, client):
    return {host: echo_requests(testbed, host, client) for host in (*BACKENDS, "lb")}


def ping_flows(testbed, service, first, count):
    """`count` pings at once, each with an identifier of its own: those that lost a packet."""
    command = (f"for i in $(seq {first} {first + count - 1}); do ping -q -e $i -c {PINGS} -i 0.2 -W 2 "
               f"{service.vip} | grep -q ' {PINGS} received' || echo $i & done; wait")
    return testbed.inside(service.client, "sh", "-c", command).split()


def flows(testbed, service):
    listed = testbed.ctl_json("flow", "list", "--service", service, "--limit", 10_000)
    return listed["flows"]


@pytest.mark.parametrize("name", ["echo4", "echo6"])
def test_pings_are_answered_by_the_backends_each_flow_by_one(weir, name):
    service = SERVICES[name]
    before = all_echo_requests(weir, service.client)
    assert not ping_flows(weir, service, 1000, 40)
    listed = [flow for flow in flows(weir, name) if 1000 <= flow["source_port"] < 1040]
    got = {host: count - before[host] for host, count in all_echo_requests(weir, service.client).items()}
    assert len(listed) == 40
    assert all(flow["protocol"] == ("icmp" if service.client == "c4" else "icmpv6") for flow in listed)
    by_backend = collections.Counter(flow["backend"] for flow in listed)
    assert set(by_backend) == set(BACKENDS)
    assert got == {**{backend: PINGS * by_backend[backend] for backend in BACKENDS}, "lb": 0}


@pytest.mark.parametrize("name", ["echo4", "echo6"])
def test_a_ping_in_fragments_comes_to_one_backend_whole(weir, name):
    service = SERVICES[name]
    before = all_echo_requests(weir, service.client)
    # The answers, as long again, need a network that carries fragments of full size to the client.
    weir.inside(service.client, "ping", "-q", "-s", 4000, "-e", 77, "-c", 5, "-i", 0.2, "-W", 1, service.vip,
                check=False)
    got = {host: count - before[host] for host, count in all_echo_requests(weir, service.client).items()}
    assert sorted(got.values()) == [0, 0, 5] and got["lb"] == 0, got


def test_new_pings_go_to_the_backend_that_is_left(weir):
    service = SERVICES["echo4"]
    weir.ctl("backend", "disable", "echo4/b1")
    try:
        before = all_echo_requests(weir, "c4")
        assert not ping_flows(weir, service, 2000, 10)
        after = all_echo_requests(weir, "c4")
    finally:
        weir.ctl("backend", "enable", "echo4/b1")
    assert after == {"b1": before["b1"], "b2": before["b2"] + 10 * PINGS, "lb": before["lb"]}


@pytest.mark.parametrize("vip", [VIP4, SERVICES["all"].vip])
def test_a_vip_without_an_echo_service_is_answered_by_the_kernel(weir, vip):
    before = all_echo_requests(weir, "c4")
    assert " 5 received" in weir.inside("c4", "ping", "-q", "-c", 5, "-i", 0.2, "-W", 2, vip)
    assert all_echo_requests(weir, "c4") == {**before, "lb": before["lb"] + 5}


@pytest.mark.parametrize("name", ["sctp", "all"])
def test_sctp_goes_by_ports_and_stays(weir, name):
    vip, source = SERVICES[name].vip, SOURCES["c4"][:1]
    answers = ask(weir, vip, SCTP, source, 20_000, 300)
    counts = collections.Counter(answers.values())
    assert set(counts) == set(BACKENDS) and min(counts.values()) > 90, counts
    assert ask(weir, vip, SCTP, source, 20_000, 300) == answers
    assert sum(flow["protocol"] == "sctp" for flow in flows(weir, name)) == 300


def test_protocols_without_ports_go_by_addresses_and_protocol(weir):
    vip, sources = SERVICES["all"].vip, SOURCES["c4"]
    chosen = {protocol: ask(weir, vip, protocol, sources) for protocol in (ESP, EXPERIMENT)}
    for protocol, answers in chosen.items():
        assert len(answers) == len(sources) and set(answers.values()) == set(BACKENDS), answers
        assert ask(weir, vip, protocol, sources) == answers
        listed = [flow for flow in flows(weir, "all") if flow["protocol"] == str(protocol)]
        assert {flow["source"]: flow["backend"] for flow in listed} == {
            key.split()[0]: backend for key, backend in answers.items()}
        assert all(flow["source_port"] == flow["destination_port"] == 0 for flow in listed)
    assert chosen[ESP] != chosen[EXPERIMENT]

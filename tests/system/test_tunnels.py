# SPDX-License-Identifier: BSD-3-Clause
"""GRE, GUE and L3DSR, end to end: real clients get files from real servers.

The backends are made ready by the commands that `weirctl backend setup` prints. Where this kernel
has no such tunnels, the backends' XDP program takes off the outer headers in their place; where it
has them, the program is removed and the kernel does it.
"""

import collections
import re

import pytest
from conftest import all_resolved, keep_log, running
from testbed import BACKENDS, Testbed, answers, failures, wait_until

Service = collections.namedtuple("Service", "client vip forward keys backend")
GUE, GUE_HEADER = "gue = { port = 6080 }", "gue = { port = 6081, variant = 0 }"


def combinations(name, first, forward, keys=""):
    """{name + families: Service} of the four combinations of families."""
    made = {}
    for inner, client, vip in (("4", "c4", "192.0.2."), ("6", "c6", "2001:db8:10::")):
        for i, (outer, backend) in enumerate((("4", "10.10.0.1"), ("6", "fd00:10::1"))):
            made[name + inner + outer] = Service(client, f"{vip}{first + i}", forward, keys, backend)
    return made


SERVICES = {
    **combinations("gre", 70, "gre"),
    **combinations("gue", 72, "gue", GUE),
    **combinations("gueh", 74, "gue", GUE_HEADER),
    "l3dsr4": Service("c4", "192.0.2.76", "l3dsr", "l3dsr = { dscp = 10 }", "10.10.0.1"),
    "l3dsr6": Service("c6", "2001:db8:10::76", "l3dsr", "l3dsr = { dscp = 46 }", "fd00:10::1"),
}
UDP = [name for name, service in SERVICES.items() if service.client == "c4"]


def service_text(name, service, protocol, port):
    backends = ", ".join(f'{{ name = "{b}", address = "{service.backend}{b[1]}" }}' for b in BACKENDS)
    return (f'\n[[service]]\nname = "{name}"\nvip = "{service.vip}"\nprotocol = "{protocol}"\n'
            f'port = {port}\nforward = "{service.forward}"\n{service.keys}\nhealth = "alive"\n'
            f"backend = [{backends}]\n")


def kernel_has_tunnels(testbed):
    """Whether a device of GRE can be made here; the others come with the same kernels."""
    made = testbed.inside("b1", "sh", "-c", "ip link add weir-try type gre local 10.10.0.11 remote any 2>&1"
                          " && ip link del weir-try && echo made", check=False)
    return made.endswith("made\n")


def needs_tunnels(command):
    return bool(re.search(r"modprobe|fou add|ip link |weir-\w+\.rp_filter", command))


def set_up(testbed, service, backend, tunnels):
    """Runs what `weirctl backend setup` prints, but for what this kernel lacks."""
    for step in testbed.ctl_json("backend", "setup", f"{service}/{backend}")["steps"]:
        command = step["command"]
        if needs_tunnels(command) and not tunnels:
            continue
        there_already = "fou add" in command  # of another service
        testbed.inside(backend, "sh", "-c", command, check=not there_already)


@pytest.fixture(scope="module")
def weir(request, requirements):
    testbed = Testbed("weirtun-")
    testbed.up()
    running(testbed)
    text = testbed.config(*testbed.command_options())
    for name, service in SERVICES.items():
        text += service_text(name, service, "tcp", 80)
    for name in UDP:
        text += service_text(name + "-udp", SERVICES[name], "udp", 53)
    testbed.reload_text(text)
    testbed.tunnels = kernel_has_tunnels(testbed)
    for backend in BACKENDS:
        if testbed.tunnels:
            testbed.inside(backend, "ip", "link", "set", "dev", "eth0", "xdp", "off")
        for service in SERVICES:
            set_up(testbed, service, backend, testbed.tunnels)
    wait_until(lambda: all_resolved(testbed), 15, "all backends are up")
    yield testbed
    keep_log(testbed, request.module.__name__)
    testbed.down()


def decapsulated(weir, backend):
    return 0 if weir.tunnels else int(weir.command("decapsulated", backend))


@pytest.mark.parametrize("name", SERVICES)
def test_connections_reach_every_backend_in_the_mode_of_the_service(weir, name):
    service = SERVICES[name]
    before = {b: decapsulated(weir, b) for b in BACKENDS}
    flows = weir.flows(service.client, service.vip, 20_000, 400)
    assert not failures(flows)[:5]
    counts = answers(flows)
    for backend in BACKENDS:
        assert counts[backend] > 80, counts
        opened = decapsulated(weir, backend) - before[backend]
        if service.forward == "l3dsr":
            assert opened == 0, "no tunnel is in it"
        elif not weir.tunnels:
            # SYN, ACK, request and at least one more: each comes in the tunnel, none beside it.
            assert opened >= 4 * counts[backend]


@pytest.mark.parametrize("name", SERVICES)
def test_a_large_upload_and_download_arrive_whole(weir, tmp_path, name):
    service = SERVICES[name]
    path = tmp_path / "file"
    process = weir.start_download(service.client, service.vip, path)
    assert process.wait(30) == 0, process.stderr.read()
    assert weir.is_whole(path)
    assert weir.upload(service.client, service.vip, path) == "204"


@pytest.mark.parametrize("name", UDP)
def test_udp_is_answered_from_the_vip_by_all_backends(weir, name):
    vip = SERVICES[name].vip
    replies = weir.udp_flows(vip, 53, 20_000, 300)
    assert len(replies) == 300 and set(replies.values()) == set(BACKENDS)
    assert weir.udp_flows(vip, 53, 20_000, 300) == replies, "a flow stays where it was"


def test_l3dsr_marks_what_it_sends_and_nothing_else(weir):
    """nftables at a backend counts packets to its own address by DSCP."""
    weir.inside("b1", "nft", "add table ip count")
    weir.inside("b1", "nft", "add chain ip count in { type filter hook prerouting priority -310; }")
    weir.inside("b1", "nft", "add rule ip count in ip daddr 10.10.0.11 tcp dport 80 ip dscp 10 counter")
    weir.inside("b1", "nft", "add rule ip count in ip daddr 192.0.2.76 counter")
    flows = weir.flows("c4", SERVICES["l3dsr4"].vip, 30_000, 200)
    counts = answers(flows)
    marked, unmarked = (int(found) for found in
                        re.findall(r"counter packets (\d+)", weir.inside("b1", "nft", "list table ip count")))
    weir.inside("b1", "nft", "delete table ip count")
    assert marked >= 4 * counts["b1"] > 0
    assert unmarked == 0, "no packet came for the VIP itself"


def test_setup_is_a_script_that_may_run_again(weir):
    script = weir.ctl("backend", "setup", "l3dsr4/b2").stdout
    assert script.startswith('# l3dsr4/b2 at 10.10.0.12, forward = "l3dsr"')
    weir.inside("b2", "sh", "-ec", script)
    assert not failures(weir.flows("c4", SERVICES["l3dsr4"].vip, 40_000, 100))


def test_services_are_shown_with_their_mode(weir):
    shown = {one["name"]: one["forward"] for one in weir.ctl_json("service", "list")["services"]}
    assert all(shown[name] == service.forward for name, service in SERVICES.items())
    configured = {one["name"]: one for one in weir.ctl_json("config", "show")["service"]}
    assert configured["gueh46"]["gue"] == {"port": 6081, "variant": 0}
    assert configured["l3dsr6"]["l3dsr"] == {"dscp": 46}
    told = weir.telemetry("/weir/service,gre64")["/weir/service"]
    assert told["forward"] == "gre", told


def test_no_host_saw_a_bad_checksum(weir):
    assert not weir.checksum_errors()

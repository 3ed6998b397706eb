# SPDX-License-Identifier: BSD-3-Clause
"""A flood of junk to the balancer's own addresses: the kernel gets its metered share, and the health
probes, which use the same worker, control lcore and punt rings, notice nothing.

The junk comes over a memif port, as fast as 1 Mpps where the machine gives that; and on the probes'
own port, where junk and the answers to probes share every queue."""

import json
import os
import subprocess

import pytest
from conftest import keep_log, running
from testbed import BACKENDS, BUILD, TOP, VIP4, WEIR, answers, failures, wait_until

GENERATOR = BUILD / "perf/gen"
JUNK_ADDRESS, SECONDS = "10.99.0.5", 10
JUNK_PORT = f"""
[[port]]
name = "junk0"
device = "net_memif9,role=server,socket=@weirjunk"
address = ["{JUNK_ADDRESS}/24"]
exception_tap = "junk0x"
"""


@pytest.fixture(scope="module")
def weir(request, network):
    if not GENERATOR.exists():
        pytest.skip(f"{GENERATOR} is not built")
    running(network)
    options = network.command_options()
    network.stop()
    text = network.config(*options, "--interval", "1s", "--timeout", "1s", "--fall", "3")
    assert text.count("\n[[port]]\n") == 1
    head, port, rest = text.partition("\n[[port]]\n")
    file = network.state / "junk.toml"
    file.write_text(head + port + rest.replace("\n[[service]]\n", JUNK_PORT + "\n[[service]]\n", 1))
    if 'mode = "no-huge"' not in text:
        subprocess.run([TOP / "hugepages/reserve", "--config", file], check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, env={**os.environ, "WEIR": str(WEIR)})
    network.start("--config", file)
    wait_until(lambda: all(check["state"] == "up" for check in checks(network).values()), 20, "all are up")
    yield network
    keep_log(network, request.module.__name__)
    network.stop()


def send_junk(weir, host, device, address, mac, rate):
    """The generator's report."""
    command = weir.netns(host, GENERATOR, "--device", device, "--memory", "no-huge", "--junk", "--vip", address,
                         "--mac", mac, "--protocol", "udp", "--port", "9", "--flows", "100000", "--rate", rate,
                         "--seconds", SECONDS, "--json")
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("{"), done.stderr
    return json.loads(done.stdout)


def checks(weir):
    """{(service, backend): health entry}"""
    return {(check["service"], check["backend"]): check for check in weir.ctl_json("health", "list")["health"]}


def mac_of(weir, port):
    return next(p["mac"] for p in weir.ctl_json("port", "list")["ports"] if p["name"] == port)


def dropped(weir, reason):
    return weir.metrics()[f'weir_dropped_packets_total{{reason="{reason}"}}']


def accounted_for(weir):
    packets = weir.ctl_json("status")["packets"]
    return packets["received"] == packets["sent"] + packets["punted"] + packets["dropped"]


def probes_live_through(weir, junk):
    """Runs `junk()`; no check may change its mind meanwhile, or stop."""
    before = checks(weir)
    report = junk()
    after = checks(weir)
    assert before and before.keys() == after.keys()
    for key, check in after.items():
        assert check["state"] == before[key]["state"] == "up", (key, check)
        assert check["transitions"] == before[key]["transitions"], (key, check)
        assert check["successes"] > before[key]["successes"] + SECONDS // 2, (key, check)
    return report


def junk_seen(weir):
    """Packets of the class of junk: those that the kernel got and those that the meter dropped."""
    return weir.ctl_json("status")["packets"]["punted_by_class"]["other"] + dropped(weir, "punt_limited")


def test_junk_from_another_port_changes_no_health_and_every_packet_is_accounted_for(weir):
    seen, limited = junk_seen(weir), dropped(weir, "punt_limited")
    report = probes_live_through(weir, lambda: send_junk(
        weir, "lb", "net_memif0,role=client,socket=@weirjunk", JUNK_ADDRESS, mac_of(weir, "junk0"), 1_000_000))
    assert report["sent"] > 100_000
    print(f"{report['sent'] / SECONDS / 1e6:.2f} Mpps of junk")
    assert dropped(weir, "punt_limited") > limited
    wait_until(lambda: junk_seen(weir) - seen >= report["sent"], 5, f"{report['sent']} packets seen")
    wait_until(lambda: accounted_for(weir), 5, "received = sent + punted + dropped")


def test_junk_on_the_port_of_the_probes_changes_no_health(weir):
    mac = mac_of(weir, "wan0")
    report = probes_live_through(weir, lambda: send_junk(
        weir, "router", "net_af_packet0,iface=rl,qdisc_bypass=1", "10.10.0.5", mac, 20_000))
    assert report["sent"] > 10_000
    print(f"{report['sent'] / SECONDS / 1e6:.2f} Mpps of junk")


def test_clients_are_served_after_it(weir):
    flows = weir.flows("c4", VIP4, 20_000, 300)
    assert not failures(flows)
    assert set(answers(flows)) == set(BACKENDS)

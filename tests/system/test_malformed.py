# SPDX-License-Identifier: BSD-3-Clause
"""Malformed packets of every kind, as fast as testpmd can send them on a port of its own, beside
real HTTP clients: nobody notices, memory stays flat, and every packet dropped has a reason."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import keep_log, running
from testbed import TOP, VIP4, Testbed, failures, wait_until

# Of a first part everything is seen once that takes memory for the first time.
WARM, SECONDS = 5, int(os.environ.get("WEIR_MALFORMED_SECONDS", "15"))
FRAMES, CLIENTS = 10_000, 100  # and new connections a second
PORT = """
[[port]]
name = "junk0"
device = "net_memif9,role=server,socket=@weirmalformed"
address = ["10.99.0.5/24"]
exception_tap = "junk0x"
"""


@pytest.fixture(scope="module")
def weir(request, requirements):
    """In a network of its own: other tests ask whether hosts ever saw a bad checksum."""
    network = Testbed("weirbad-")
    network.up()
    running(network)
    options = network.command_options()
    network.stop()
    text = network.config(*options)
    assert text.count("\n[[port]]\n") == 1
    file = network.state / "malformed.toml"
    file.write_text(text.replace("\n[[service]]\n", PORT + "\n[[service]]\n", 1))
    network.start("--config", file)
    yield network
    keep_log(network, request.module.__name__)
    network.stop()
    network.down()


@pytest.fixture
def flood(weir, tmp_path):
    """testpmd that sends the frames of a file again and again."""
    mac = next(p["mac"] for p in weir.ctl_json("port", "list")["ports"] if p["name"] == "junk0")
    file = tmp_path / "frames.pcap"
    subprocess.run([sys.executable, TOP / "tests/system/malformed_frames.py", weir.state / "malformed.toml",
                    "junk0", mac, str(FRAMES), file], check=True, stdin=subprocess.DEVNULL)
    command = weir.netns(
        "lb", "dpdk-testpmd", "--lcores=0@1,1@0", "--main-lcore=0", "--no-huge", "-m", "512", "--no-telemetry",
        "--file-prefix=weirmalformed", f"--vdev=net_pcap0,rx_pcap={file},infinite_rx=1",
        "--vdev=net_memif0,role=client,socket=@weirmalformed", "--", "--forward-mode=io",
        "--total-num-mbufs=40000")
    with open(tmp_path / "testpmd.log", "w") as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)
        yield process
        process.communicate(b"\n", timeout=30)


def packets(weir):
    return weir.ctl_json("status")["packets"]


def accounted_for(weir):
    now = packets(weir)
    return now["received"] == now["sent"] + now["punted"] + now["dropped"]


def resident(weir):
    status = Path(f"/proc/{weir.pid()}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1])


def dropped_by_reason(weir):
    pattern = r'weir_dropped_packets_total\{reason="(\w+)"\}'
    return {match[1]: value for name, value in weir.metrics().items() if (match := re.fullmatch(pattern, name))}


def test_malformed_packets_at_full_rate_harm_nobody(weir, flood):
    wait_until(lambda: packets(weir)["dropped"] > 100_000, 60, "malformed packets arrive")
    assert not failures(weir.flows("c4", VIP4, 35_000, WARM * CLIENTS, rate=CLIENTS))[:5]
    dropped_by_reason(weir)
    before, memory = packets(weir), resident(weir)
    started = time.monotonic()
    load = weir.start_flows("c4", VIP4, 36_000, SECONDS * CLIENTS, rate=CLIENTS)
    flows = weir.end_flows(load, timeout=SECONDS + 120)
    seconds = time.monotonic() - started
    after, grown = packets(weir), resident(weir) - memory
    assert flood.poll() is None
    assert len(flows) == SECONDS * CLIENTS
    assert not failures(flows)[:5]
    assert grown <= 512, f"{grown} KiB more"
    rate = (after["received"] - before["received"]) / seconds
    print(f"{rate / 1e6:.2f} Mpps of malformed packets for {seconds:.0f} s, {grown} KiB more memory")
    assert after["dropped"] - before["dropped"] > 100_000


def test_every_malformed_packet_dropped_has_a_reason(weir):
    wait_until(lambda: accounted_for(weir), 10, "received = sent + punted + dropped")
    reasons = dropped_by_reason(weir)
    assert sum(reasons.values()) == packets(weir)["dropped"]
    seen = {reason for reason, count in reasons.items() if count > 0}
    print(", ".join(sorted(seen)))
    assert len(seen) >= 12, seen

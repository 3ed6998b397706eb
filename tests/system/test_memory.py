# SPDX-License-Identifier: BSD-3-Clause
"""What the program takes of the machine's memory, and when it takes it.

These cases need no network: ports without a device, and one that reads a file of packets for ever.
"""

import contextlib
import json
import os
import pathlib
import re
import subprocess

import pytest
from scapy.all import IP, TCP, UDP, Ether, ICMP, IPv6, wrpcap
from testbed import WEIR, WEIRCTL, wait_until

HUGE_PAGE = 2 << 20
NR_HUGEPAGES = pathlib.Path("/proc/sys/vm/nr_hugepages")
PCAP_MAC = "02:70:63:61:70:00"  # of DPDK's first net_pcap device
CPUS = sorted(os.sched_getaffinity(0))


def configuration(socket, device="net_null0", memory="no-huge", workers=1, entries=65_536, services=3,
                  backends=3, hosts=1):
    """`hosts`: the first number of the backends' addresses, so that two files differ in all."""
    cpus = [CPUS[-1 - i % len(CPUS)] for i in range(workers)]
    text = f"""config_version = 1
[system]
control_lcore = {CPUS[0]}
worker_lcores = {cpus}
memory = {{ mode = "{memory}" }}
[api]
socket = {{ path = "{socket}", mode = "0660" }}
[conntrack]
entries_per_worker = {entries}
[[port]]
name = "wan0"
device = "{device}"
mtu = 1600
address = ["10.0.0.5/24", "fd00::5/64"]
gateway = ["10.0.0.1", "fd00::1"]
neighbor = [
  {{ address = "10.0.0.1", mac = "02:00:00:00:00:01" }},
  {{ address = "fd00::1", mac = "02:00:00:00:00:01" }},
]
"""
    parts = [text]
    for i in range(services):
        vip = f"203.{i >> 16}.{i >> 8 & 255}.{i & 255}" if i != 1 else "2001:db8::1"
        parts.append(f'[[service]]\nname = "s{i}"\nvip = "{vip}"\nprotocol = "{"udp" if i == 2 else "tcp"}"\n'
                     f'port = 80\nforward = "ipip"\nbackend = [')
        for j in range(backends):
            number = i * backends + j
            parts.append(f'  {{ name = "b{j}", address = "10.{hosts + (number >> 16)}.{number >> 8 & 255}'
                         f'.{number & 255}" }},')
        parts.append("]")
    return "\n".join(parts) + "\n"


def plan_of(file):
    done = subprocess.run([WEIR, "--config", file, "--check"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def bytes_of(plan, line):
    return int(re.search(rf"^ *(\d+) bytes .*{line}", plan, re.M)[1])


def need_of(plan):
    """Huge pages for DPDK and the connection tables."""
    dpdk = bytes_of(plan.split("memory of the process")[0], "in all")
    return (dpdk + bytes_of(plan, "connection tables")) // HUGE_PAGE + 1


@contextlib.contextmanager
def running(file, log):
    """The pid of a weir with this configuration, ready."""
    with open(log, "w") as output:
        process = subprocess.Popen([WEIR, "--config", file, "--", "--file-prefix=weirtest-memory"],
                                   stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        wait_until(lambda: process.poll() is not None or "weir: ready" in log.read_text(), 60, "weir is ready")
        assert process.poll() is None, log.read_text()
        yield process.pid
    finally:
        process.terminate()
        assert process.wait(30) == 0


def ctl(socket, *words):
    done = subprocess.run([WEIRCTL, "-s", socket, *words], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def resident(pid):
    """Bytes that the kernel counts for a process, in ordinary and in huge pages."""
    sizes = dict(re.findall(r"^(\w+): +(\d+) kB", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M))
    return 1024 * sum(int(sizes[name]) for name in ("Rss", "Private_Hugetlb", "Shared_Hugetlb"))


@contextlib.contextmanager
def huge_pages(count):
    """So many more, or the case is skipped."""
    before = int(NR_HUGEPAGES.read_text())
    NR_HUGEPAGES.write_text(str(before + count))
    try:
        if int(NR_HUGEPAGES.read_text()) < before + count:
            pytest.skip(f"no {count} huge pages to be had")
        yield
    finally:
        NR_HUGEPAGES.write_text(str(before))


@pytest.mark.parametrize("options", [
    {}, {"entries": 10_000_000}, {"workers": 2, "entries": 1_000_000}, {"services": 10_000},
    {"services": 3, "backends": 1000}], ids=str)
@pytest.mark.parametrize("memory", ["in-memory", "no-huge"])
def test_check_predicts_the_resident_size_within_5_percent(tmp_path, memory, options):
    file = tmp_path / "weir.toml"
    file.write_text(configuration(tmp_path / "ctl.sock", memory=memory, **options))
    plan = plan_of(file)
    predicted = bytes_of(plan, "resident")
    with contextlib.ExitStack() as stack:
        if memory == "in-memory":
            stack.enter_context(huge_pages(need_of(plan)))
        pid = stack.enter_context(running(file, tmp_path / "weir.log"))
        # The views of 10 000 services come within some seconds, and what made them goes.
        try:
            wait_until(lambda: abs(predicted - resident(pid)) <= 0.05 * resident(pid), 30,
                       "the prediction holds")
        finally:
            print(f"{predicted / 2**20:.1f} MiB predicted, {resident(pid) / 2**20:.1f} measured")


def packets():
    """6000 flows of three services, and what is dropped or left to the kernel."""
    frames = []
    for i in range(1, 2001):
        port, client = 1024 + i, f"198.51.{i >> 8}.{i & 255}"
        frames.append(IP(src=client, dst="203.0.0.0") / TCP(sport=port, dport=80, flags="SA"[i % 2]))
        frames.append(IPv6(src=f"2001:db8:6::{i:x}", dst="2001:db8::1") / TCP(sport=port, dport=80, flags="A"))
        frames.append(IP(src=client, dst="203.0.0.2") / UDP(sport=port, dport=80) / (b"x" * (i % 50)))
    frames += [IP(src="198.51.100.1", dst="203.0.0.0") / ICMP(),
               IP(src="198.51.100.1", dst="203.0.0.9") / UDP(),
               IP(src="198.51.100.1", dst="203.0.0.0", frag=100) / TCP(),
               IP(src="127.0.0.1", dst="203.0.0.0") / TCP()]
    return [Ether(src="02:00:00:00:00:01", dst=PCAP_MAC) / frame for frame in frames]


def faults_of_workers(pid):
    """{thread: page faults, minor and major}"""
    faults = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        if "worker" in (task / "comm").read_text():
            fields = (task / "stat").read_text().rpartition(")")[2].split()
            faults[task.name] = (int(fields[7]), int(fields[9]))
    assert faults
    return faults


@pytest.mark.parametrize("memory", ["in-memory", "no-huge"])
def test_the_loops_meet_no_page_fault_from_start_through_reloads(tmp_path, memory):
    file, socket, pcap = tmp_path / "weir.toml", tmp_path / "ctl.sock", tmp_path / "in.pcap"
    wrpcap(str(pcap), packets())
    device = f"net_pcap0,rx_pcap={pcap},infinite_rx=1,tx_pcap=/dev/null"

    def sent():
        return json.loads(ctl(socket, "-j", "status"))["packets"]["sent"]

    def wait_for_traffic():
        before = sent()
        wait_until(lambda: sent() > before + 200_000, 60, "traffic")

    def write(**options):
        # What one worker receives and the other sends comes round through all packet buffers.
        file.write_text(configuration(socket, device, memory, workers=2, **options))

    write()
    with contextlib.ExitStack() as stack:
        if memory == "in-memory":
            stack.enter_context(huge_pages(need_of(plan_of(file))))
        pid = stack.enter_context(running(file, tmp_path / "weir.log"))
        first = faults_of_workers(pid)
        wait_for_traffic()
        assert faults_of_workers(pid) == first, "after 200 000 packets"
        assert "established" in ctl(socket, "flow", "list", "--limit", "5000")
        assert faults_of_workers(pid) == first, "after a list of flows"
        for hosts in range(2, 6):
            write(services=500, backends=hosts, hosts=hosts)
            ctl(socket, "reload")
            wait_for_traffic()
            assert faults_of_workers(pid) == first, "after a reload"

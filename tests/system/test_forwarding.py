# SPDX-License-Identifier: BSD-3-Clause
"""Every way of forwarding, end to end, with real clients and servers."""

import collections
import re

import pytest
from testbed import BACKENDS, TUNNEL_VIPS, VIP4, VIP6, VIP_UDP, answers, failures


def test_ipv6_connections_spread_over_all_backends(weir):
    flows = weir.flows("c6", VIP6, 20_000, 3000)
    assert not failures(flows)[:5]
    counts = answers(flows)
    assert all(800 < counts[backend] < 1200 for backend in BACKENDS), counts


@pytest.mark.parametrize("service", TUNNEL_VIPS)
def test_ipip_reaches_every_backend_and_is_decapsulated_there(weir, service):
    client, vip = TUNNEL_VIPS[service]
    before = {b: int(weir.command("decapsulated", b)) for b in BACKENDS}
    flows = weir.flows(client, vip, 20_000, 600)
    assert not failures(flows)[:5]
    counts = answers(flows)
    for backend in BACKENDS:
        assert counts[backend] > 120, counts
        # SYN, ACK, request and at least one more: each comes in the tunnel, none beside it.
        assert int(weir.command("decapsulated", backend)) - before[backend] >= 4 * counts[backend]


@pytest.mark.parametrize("client, vip", [("c4", VIP4), ("c6", VIP6), *TUNNEL_VIPS.values()])
def test_a_large_upload_and_download_arrive_whole(weir, tmp_path, client, vip):
    path = tmp_path / "file"
    process = weir.start_download(client, vip, path)
    assert process.wait(30) == 0, process.stderr.read()
    assert weir.is_whole(path)
    assert weir.upload(client, vip, path) == "204"


def test_udp_is_answered_from_the_vip_by_all_backends(weir):
    replies = weir.udp_flows(VIP_UDP, 53, 20_000, 600)
    assert len(replies) == 600 and set(replies.values()) == set(BACKENDS)
    counts = collections.Counter(replies.values())
    assert all(count > 120 for count in counts.values()), counts
    assert weir.udp_flows(VIP_UDP, 53, 20_000, 600) == replies, "a flow stays where it was"


def test_datagrams_in_fragments_go_where_the_whole_ones_of_their_flow_go(weir):
    replies = weir.udp_flows(VIP_UDP, 53, 30_000, 300, size=4000)
    assert len(replies) == 300 and set(replies.values()) == set(BACKENDS)
    assert weir.udp_flows(VIP_UDP, 53, 30_000, 300) == replies
    assert weir.udp_flows(VIP_UDP, 53, 30_000, 300, size=2000) == replies


@pytest.mark.parametrize("client, address", [
    ("c4", VIP4), ("c4", "10.10.0.5"), ("c6", VIP6), ("c6", "fd00:10::5")])
def test_ping_is_answered_once_by_the_kernel(weir, client, address):
    output = weir.inside(client, "ping", "-c", "5", "-i", "0.2", "-W", "2", address)
    assert "5 packets transmitted, 5 received" in output and "DUP" not in output, output


def test_an_unknown_port_of_a_vip_is_a_counted_drop(weir):
    name = 'weir_dropped_packets_total{reason="unknown_port"}'
    before = weir.metrics().get(name, 0)
    weir.inside("c4", "curl", "-s", "--max-time", "2", f"http://{VIP4}:81/", check=False)
    assert weir.metrics()[name] > before


def test_no_host_saw_a_bad_checksum(weir):
    assert not weir.checksum_errors()


def test_in_equals_sent_punted_and_dropped_at_rest(network, mode):
    network.stop()
    quiet = network.state / "quiet.toml"
    text = network.config("--mode", mode, "--memory", "no-huge")
    quiet.write_text(re.sub(r'^health = ".*"$', "", text, flags=re.M))  # probes never rest
    network.start("--config", quiet)
    flows = network.flows("c4", VIP4, 40_000, 2000)
    assert not failures(flows)[:5]
    network.wait_quiet()
    reply = network.telemetry("/weir/workers")["/weir/workers"]
    workers = [worker for worker in reply.values() if isinstance(worker, dict)]
    total = {key: sum(worker[key] for worker in workers)
             for key in ("received", "sent", "punted", "dropped", "handed_over", "handed_in")}
    assert total["received"] >= 5 * len(flows)
    assert total["received"] == total["sent"] + total["punted"] + total["dropped"], total
    assert total["handed_over"] == total["handed_in"], total
    assert (total["handed_in"] > 0) == (mode == "ring"), total
    network.stop()

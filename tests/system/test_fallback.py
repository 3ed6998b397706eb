# SPDX-License-Identifier: BSD-3-Clause
"""AF_PACKET where AF_XDP cannot be had: chosen by itself, said, and the same for clients."""

import pytest
from testbed import BACKENDS, TUNNEL_VIPS, VIP4, answers, failures


@pytest.fixture(scope="module")
def fallen_back(network):
    network.stop()
    # Another XDP program holds the interface, so that an AF_XDP socket cannot be had.
    network.inside("lb", "ip", "link", "set", "dev", "wan0", "xdpdrv", "off")
    pin = network.state / "bpffs"
    network.occupy_xdp("lb", "wan0", pin)
    yield network, network.start()
    network.stop()
    network.inside("lb", "ip", "link", "set", "dev", "wan0", "xdpdrv", "off")


def test_the_fallback_is_said_with_its_reason(fallen_back):
    network, said = fallen_back
    programs = network.inside("lb", "bpftool", "net")
    assert "AF_XDP did not come up here" in said and "XDP program" in said, said + programs
    assert "af_packet on veth" in said, said


@pytest.mark.parametrize("client, vip", [("c4", VIP4), *TUNNEL_VIPS.values()])
def test_connections_and_uploads_work_over_af_packet(fallen_back, tmp_path, client, vip):
    network, _ = fallen_back
    flows = network.flows(client, vip, 24_000, 600)
    assert not failures(flows)[:5]
    assert set(answers(flows)) == set(BACKENDS)
    body = tmp_path / "body"
    body.write_bytes(bytes(2_000_000))
    assert network.upload(client, vip, body) == "204"


def test_the_kernel_does_not_answer_beside_weir(fallen_back):
    network, _ = fallen_back
    output = network.inside("c4", "ping", "-c", "5", "-i", "0.2", "-W", "2", VIP4)
    assert "5 packets transmitted, 5 received" in output and "DUP" not in output, output


def test_without_the_guard_it_refuses_to_start_and_names_the_command(network):
    network.stop()
    path = network.state / "unguarded.toml"
    path.write_text(network.config("--device", "af_packet", "--memory", "no-huge"))
    done = network.run_weir(path)
    assert done.returncode != 0
    assert "nft" in done.stderr and "wan0" in done.stderr and "drop" in done.stderr, done.stderr

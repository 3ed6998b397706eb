# SPDX-License-Identifier: BSD-3-Clause
"""Two ports: requests come in by wan0, leave by lan0 towards the backends' network."""

import pytest
from conftest import running
from testbed import TUNNEL_VIPS, VIP4, VIP6, answers, failures


@pytest.fixture(scope="module")
def two_arms(two_arm_network, mode):
    running(two_arm_network, "--mode", mode)
    yield two_arm_network
    two_arm_network.stop()


@pytest.mark.parametrize("client, vip", [("c4", VIP4), ("c6", VIP6), *TUNNEL_VIPS.values()])
def test_connections_cross_from_port_to_port(two_arms, client, vip):
    flows = two_arms.flows(client, vip, 20_000, 600)
    assert not failures(flows)[:5]
    assert set(answers(flows)) == {"b1", "b2", "b3"}


def test_packets_left_by_the_backends_port(two_arms):
    before = two_arms.metrics()
    two_arms.flows("c4", VIP4, 21_000, 500)
    after = two_arms.metrics()

    def grown(name, port):
        key = f'weir_port_{name}_packets_total{{port="{port}"}}'
        return after[key] - before[key]
    assert grown("rx", "wan0") >= 2000
    assert grown("tx", "lan0") >= 2000

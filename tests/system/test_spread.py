# SPDX-License-Identifier: BSD-3-Clause
"""Where connections go: shares, repeatability, and what a dying server takes with it.

30 000 connections, each from its own (address, source port) of a fixed list, one request each.
"""

import time

import pytest
from testbed import BACKENDS, VIP4, answers, failures, placement, wait_until

COUNT, FIRST_PORT = 30_000, 20_000
INTERVAL, TIMEOUT, FALL = 0.5, 0.5, 2  # of the network's health check


def check_shares(flows, weights):
    assert not failures(flows)[:5]
    counts = answers(flows)
    assert sum(counts.values()) == len(flows)
    for backend, weight in zip(BACKENDS, weights):
        share = len(flows) * weight / sum(weights)
        assert abs(counts[backend] - share) <= 0.05 * share, counts


@pytest.fixture(scope="module")
def first_pass(weir):
    return weir.flows("c4", VIP4, FIRST_PORT, COUNT)


def test_equal_weights_get_equal_shares(first_pass):
    check_shares(first_pass, (1, 1, 1))


def test_the_same_list_lands_the_same_way_again(weir, first_pass):
    again = weir.flows("c4", VIP4, FIRST_PORT, COUNT)
    assert not failures(again)[:5]
    assert placement(again) == placement(first_pass)


def test_weights_3_2_1_get_their_shares(weir):
    weir.reload("--weights", "300:200:100")
    try:
        check_shares(weir.flows("c4", VIP4, 50_000, COUNT // 2), (3, 2, 1))
        check_shares(weir.flows("c4", VIP4, 52_000, COUNT // 2), (3, 2, 1))
    finally:
        weir.reload()


def test_a_dead_server_fails_its_own_flows_only_and_only_until_it_is_detected(weir, first_pass):
    before = placement(first_pass)
    load = weir.start_flows("c4", VIP4, FIRST_PORT, 6000, rate=1000)
    time.sleep(2)
    killed = time.monotonic()
    weir.command("kill", "b2")
    try:
        flows = weir.end_flows(load)
        latest = killed + FALL * INTERVAL + TIMEOUT + 0.5
        for flow in failures(flows):
            assert before[flow.key] == "b2", flow
            assert flow.start <= latest, f"{flow.start - killed:.2f} s after the kill: {flow}"
        assert [flow for flow in flows if before[flow.key] == "b2" and flow.start > latest]
        for flow in flows:
            if before[flow.key] != "b2":
                assert flow.answer == before[flow.key], flow
    finally:
        weir.command("start", "b2")
        wait_until(lambda: weir.backend_up("web4", "b2") == 1, 10, "b2 is up again")
    time.sleep(2.5)  # tcp_fin of the network's configuration: closed flows leave the tables
    returned = weir.flows("c4", VIP4, FIRST_PORT, 6000)
    assert not failures(returned)[:5]
    assert placement(returned).items() <= before.items(), "a returned server gets exactly its flows"


def test_no_host_saw_a_bad_checksum(weir, first_pass):
    assert not weir.checksum_errors()

# SPDX-License-Identifier: BSD-3-Clause
"""Changes under traffic: nobody notices them who is not meant to."""

import itertools
import os
import re
import signal
import time

from testbed import VIP4, answers, failures, placement, wait_until

GENERATION = "weir_config_generation"


fresh_ports = itertools.count(60_000, 4)


def downloads(weir, tmp_path, rate):
    """Two slow downloads from each backend: {backend: [(process, path)]}. 64 requests find out which
    source ports lead where. curl closes first, so each call takes ports of its own."""
    scouts = weir.flows("c4", VIP4, next(fresh_ports), 64)
    assert not failures(scouts)
    found = {}
    for flow in scouts:
        under_way = found.setdefault(flow.answer, [])
        if len(under_way) < 2:
            path = tmp_path / f"{flow.answer}.{len(under_way)}"
            under_way.append((weir.start_download("c4", VIP4, path, rate, flow.key), path))
    assert set(found) == {"b1", "b2", "b3"}
    return found


def check_whole(weir, under_way):
    for backend, transfers in under_way.items():
        for process, path in transfers:
            assert process.wait(60) == 0, f"{backend}: {process.stderr.read()}"
            assert weir.is_whole(path), backend


def test_100_reloads_in_20_s_under_load_lose_no_request(weir):
    files = [weir.state / "even.toml", weir.state / "odd.toml"]
    files[0].write_text(weir.config("--weights", "100:100:100"))
    files[1].write_text(weir.config("--weights", "300:200:100"))
    before = weir.metrics()[GENERATION]
    load = weir.start_flows("c4", VIP4, 20_000, 24_000, rate=1000)
    began = time.monotonic()
    for i in range(100):
        printed = weir.ctl("reload", files[(i + 1) % 2]).stdout
        assert str(int(before) + i + 1) in re.findall(r"\d+", printed), printed
    took = time.monotonic() - began
    flows = weir.end_flows(load)
    assert took < 20
    assert not failures(flows)[:5]
    assert weir.metrics()[GENERATION] == before + 100
    assert weir.metrics()["weir_config_last_reload_successful"] == 1
    weir.reload()


def test_a_backend_that_sorts_first_leaves_open_connections_where_they_are(weir, tmp_path):
    under_way = downloads(weir, tmp_path, 900_000)
    text = weir.config()
    # Same machine as b1, other name: it sorts before all, and takes a quarter of the new flows.
    newcomer = '  { name = "a0", address = "10.10.0.11" },\n'
    at = text.index("backend = [\n", text.index('name = "web4"')) + len("backend = [\n")
    weir.reload_text(text[:at] + newcomer + text[at:])
    try:
        flows = weir.flows("c4", VIP4, 30_000, 3000)
        assert not failures(flows)[:5]
        assert 0.45 < answers(flows)["b1"] / len(flows) < 0.55  # b1 and a0
        check_whole(weir, under_way)
    finally:
        weir.reload()


def test_a_drained_backend_keeps_its_connections_and_gets_no_new_one(weir, tmp_path):
    under_way = downloads(weir, tmp_path, 900_000)
    weir.reload("--drain", "b3")
    try:
        flows = weir.flows("c4", VIP4, 31_000, 3000)
        assert not failures(flows)[:5]
        assert set(answers(flows)) == {"b1", "b2"}
        check_whole(weir, under_way)
    finally:
        weir.reload()


def test_drain_and_enable_by_command(weir):
    before = placement(weir.flows("c4", VIP4, 32_000, 1000))
    weir.ctl("backend", "drain", "web4/b1")
    assert "b1" not in answers(weir.flows("c4", VIP4, 33_000, 1000))
    weir.ctl("backend", "enable", "web4/b1")
    time.sleep(2.5)
    assert placement(weir.flows("c4", VIP4, 32_000, 1000)) == before


def test_a_file_with_an_error_changes_nothing_and_is_told(weir):
    before = weir.metrics()[GENERATION]
    bad = weir.state / "bad.toml"
    bad.write_text(weir.config().replace('forward = "ipip"', 'forward = "ipup"', 1))
    done = weir.ctl("reload", bad, check=False)
    assert done.returncode == 1
    assert re.search(r"bad\.toml:\d+:\d+: .*ipip", done.stdout + done.stderr), done
    assert weir.metrics()[GENERATION] == before
    assert weir.metrics()["weir_config_last_reload_successful"] == 0
    assert not failures(weir.flows("c4", VIP4, 34_000, 300))
    weir.reload()
    assert weir.metrics()["weir_config_last_reload_successful"] == 1


def test_sighup_reloads_the_file(weir):
    weir.reload()
    before = weir.metrics()[GENERATION]
    weir.file.write_text(weir.config("--drain", "b2"))
    os.kill(weir.pid(), signal.SIGHUP)
    wait_until(lambda: weir.metrics()[GENERATION] == before + 1, 5, "the generation rises")
    assert set(answers(weir.flows("c4", VIP4, 35_000, 600))) == {"b1", "b3"}
    weir.reload()

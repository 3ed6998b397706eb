# SPDX-License-Identifier: BSD-3-Clause
"""Translation of both ends, end to end: backends that know neither the VIP nor a way to clients
through Weir answer an address of the pool."""

import pytest
from test_nat import NETWORKS, TCP_PORT, UDP_PORT, VIPS, service
from testbed import BACKENDS, answers, failures, wait_until

FULL_VIPS = {"c4": "192.0.2.31", "c6": "2001:db8:10::31"}
POOLS = {"c4": "10.10.0.64-10.10.0.65", "c6": "fd00:10::64-fd00:10::65"}
PLAIN = {"c4": "10.10.0.1", "c6": "fd00:10::1"}  # backend bN at ...1N answers by its own routes


def full_service(client, protocol, port, to):
    text = service(client, protocol, port, to).replace(NETWORKS[client], PLAIN[client])
    text = text.replace(VIPS[client], FULL_VIPS[client]).replace('"nat-', '"full-')
    return text.replace('forward = "nat"',
                        f'forward = "full-nat"\nnat = {{ source_pool = "{POOLS[client]}" }}')


@pytest.fixture(scope="module")
def full_nat(network, mode):
    network.stop()
    file = network.state / "full-nat.toml"
    services = "".join(full_service(client, *one) for client in FULL_VIPS
                       for one in (("tcp", TCP_PORT, 80), ("udp", UDP_PORT, 53)))
    file.write_text(network.config("--mode", mode, "--memory", "no-huge") + services)
    network.start("--config", file)
    wait_until(lambda: all(network.backend_up(f"full-{client}-tcp", backend) == 1
                           for client in FULL_VIPS for backend in BACKENDS), 15, "backends are up")
    yield network
    network.stop()


@pytest.mark.parametrize("client", FULL_VIPS)
def test_full_nat_reaches_backends_that_know_no_way_to_clients(full_nat, tmp_path, client):
    vip = FULL_VIPS[client]
    flows = full_nat.flows(client, vip, 20_000, 600, target_port=TCP_PORT)
    assert not failures(flows)[:5]
    assert all(answers(flows)[backend] > 120 for backend in BACKENDS), answers(flows)
    host = f"[{vip}]" if ":" in vip else vip
    path = tmp_path / "file"
    full_nat.inside(client, "curl", "-sS", "--max-time", 30, "-o", path, f"http://{host}:{TCP_PORT}/file")
    assert full_nat.is_whole(path)
    status = full_nat.inside(client, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", 30,
                             "--data-binary", f"@{path}", f"http://{host}:{TCP_PORT}/upload")
    assert status == "204"


def test_full_nat_udp_is_answered_from_the_vip(full_nat):
    replies = full_nat.udp_flows(FULL_VIPS["c4"], UDP_PORT, 20_000, 600)
    assert len(replies) == 600 and set(replies.values()) == set(BACKENDS)


def test_full_nat_backends_see_the_pool_alone(full_nat):
    process = full_nat.start_flows("c4", FULL_VIPS["c4"], 30_000, 30, target_port=TCP_PORT,
                                   path="/file?rate=2000000")
    seen = set()

    def all_there():
        for backend in BACKENDS:
            for line in full_nat.inside(backend, "ss", "-Htn", "sport", "=", ":80").splitlines():
                seen.add(line.split()[4].rpartition(":")[0].strip("[]").removeprefix("::ffff:"))
        return len(seen & {"10.10.0.64", "10.10.0.65"}) == 2
    wait_until(all_there, 20, "backends have connections of both addresses of the pool")
    assert not {address for address in seen if address.startswith("198.51.100.")}, seen
    process.kill()
    process.wait()


def test_full_nat_pool_changes_need_a_restart(full_nat):
    text = (full_nat.state / "full-nat.toml").read_text()
    (full_nat.state / "other.toml").write_text(text.replace("10.10.0.65", "10.10.0.66"))
    done = full_nat.ctl("reload", full_nat.state / "other.toml", check=False)
    assert done.returncode == 1 and "needs a restart" in done.stdout + done.stderr


def test_full_nat_left_no_bad_checksum(full_nat):
    assert not full_nat.checksum_errors()

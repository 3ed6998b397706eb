# SPDX-License-Identifier: BSD-3-Clause
"""Translation of addresses, end to end: unmodified clients, nginx and a UDP server on ports other
than the VIP's, on backends that know nothing of the VIP and whose way back leads through Weir."""

import collections

import pytest
from testbed import BACKENDS, answers, failures, wait_until

VIPS = {"c4": "192.0.2.30", "c6": "2001:db8:10::30"}
NETWORKS = {"c4": "10.10.0.2", "c6": "fd00:10::2"}  # backend bN answers at ...2N for these services
TCP_PORT, UDP_PORT = 8088, 5353                     # of the VIP; the servers' are 80 and 53
WAYS = {"c4": ("-4", "10.10.0.5"), "c6": ("-6", "fd00:10::5")}
TABLE = 130


def prepare_backends(network):
    """An address of its own for translated packets, and the way back from there through Weir."""
    for number, backend in enumerate(BACKENDS, 1):
        for client, (family, weir) in WAYS.items():
            address = f"{NETWORKS[client]}{number}"
            length = 24 if client == "c4" else 64
            nodad = [] if client == "c4" else ["nodad"]
            network.inside(backend, "ip", family, "addr", "replace", f"{address}/{length}", "dev", "eth0",
                           *nodad)
            network.inside(backend, "ip", family, "rule", "del", "from", address, "lookup", TABLE,
                           check=False)
            network.inside(backend, "ip", family, "rule", "add", "from", address, "lookup", TABLE)
            network.inside(backend, "ip", family, "route", "replace", "default", "via", weir, "dev", "eth0",
                           "table", TABLE)


def service(client, protocol, port, to):
    backends = ", ".join(f'{{ name = "b{n}", address = "{NETWORKS[client]}{n}", port = {to} }}'
                         for n in (1, 2, 3))
    return (f'\n[[service]]\nname = "nat-{client}-{protocol}"\nvip = "{VIPS[client]}"\n'
            f'protocol = "{protocol}"\nport = {port}\nforward = "nat"\nhealth = "alive"\n'
            f'backend = [{backends}]\n')


@pytest.fixture(scope="module")
def nat(weir):
    prepare_backends(weir)
    plain = weir.config()
    weir.reload_text(plain + "".join(service(client, *one) for client in VIPS
                                     for one in (("tcp", TCP_PORT, 80), ("udp", UDP_PORT, 53))))
    wait_until(lambda: all(weir.backend_up(f"nat-{client}-tcp", backend) == 1
                           for client in VIPS for backend in BACKENDS), 15, "backends are up")
    yield weir
    weir.reload_text(plain)


def url(client, path):
    vip = VIPS[client]
    return f"http://{f'[{vip}]' if ':' in vip else vip}:{TCP_PORT}/{path}"


@pytest.mark.parametrize("client", VIPS)
def test_connections_reach_every_backend_and_none_fails(nat, client):
    flows = nat.flows(client, VIPS[client], 20_000, 600, target_port=TCP_PORT)
    assert not failures(flows)[:5]
    counts = answers(flows)
    assert all(counts[backend] > 120 for backend in BACKENDS), counts


@pytest.mark.parametrize("client", VIPS)
def test_curl_moves_large_files_both_ways(nat, tmp_path, client):
    path = tmp_path / "file"
    nat.inside(client, "curl", "-sS", "--max-time", 30, "-o", path, url(client, "file"))
    assert nat.is_whole(path)
    status = nat.inside(client, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", 30,
                        "--data-binary", f"@{path}", url(client, "upload"))
    assert status == "204"


def test_udp_is_answered_from_the_vip(nat):
    replies = nat.udp_flows(VIPS["c4"], UDP_PORT, 20_000, 600)
    assert len(replies) == 600 and set(replies.values()) == set(BACKENDS)
    counts = collections.Counter(replies.values())
    assert all(count > 120 for count in counts.values()), counts


def test_the_backend_sees_the_client_and_never_the_vip(nat):
    process = nat.start_flows("c4", VIPS["c4"], 30_000, 30, target_port=TCP_PORT, path="/file?rate=2000000")
    seen = {}

    def all_there():
        for backend in BACKENDS:
            for line in nat.inside(backend, "ss", "-Htn", "sport", "=", ":80").splitlines():
                local, peer = line.split()[3:5]
                if ":30000" in peer or ":30001" in peer:
                    seen[peer] = local
        return len(seen) >= 5
    wait_until(all_there, 20, "backends have connections of the clients")
    assert all(peer.startswith("198.51.100.") for peer in seen), seen
    assert all(local.startswith("10.10.0.2") for local in seen.values()), seen
    shown = nat.ctl_json("flow", "list", "--service", "nat-c4-tcp", "--limit", 1000)["flows"]
    listed = {f"{flow['source']}:{flow['source_port']}" for flow in shown}
    assert set(seen) <= listed, "flow list tells the client's address and port"
    assert {(flow["destination"], flow["destination_port"]) for flow in shown} == {(VIPS["c4"], TCP_PORT)}
    process.kill()
    process.wait()


def test_no_host_saw_a_bad_checksum(nat):
    assert not nat.checksum_errors()

# SPDX-License-Identifier: BSD-3-Clause
"""QUIC connections of a real client and real servers (ngtcp2's) that change address and port.

The servers make their connection IDs as QUIC-LB says (quic_cids.cc), each by another configuration: in
the clear, in four passes, in a single one. After the handshake the client takes another port, and only
then asks for a file: its server must get the request from an address that it never saw.
"""

import collections
import os
import re
import shutil
import subprocess

import pytest
from testbed import BACKENDS, BUILD, wait_until

VIP, PORT = "192.0.2.53", 443
KEY = "8f95f09245765f80256934e50c66207f"
# Configuration, server ID, nonce length, key. An ID of ngtcp2 has 18 bytes.
SERVERS = {"b1": ("0", "0a0b0c01", "13", ""), "b2": ("1", "0a0b0c02", "13", KEY),
           "b3": ("2", "0a0b0c03", "12", KEY)}
MOVES = {"migration": [], "nat-rebinding": ["--nat-rebinding"]}


def service(quic=True):
    """The same service with and without connection IDs."""
    configs = ", ".join(f'{{ id = {id}, server_id_length = 4, nonce_length = {nonce}'
                        + (f', key = "{key}" }}' if key else " }")
                        for id, _, nonce, key in SERVERS.values())
    backends = ", ".join(f'{{ name = "{name}", address = "10.10.0.1{name[1]}"'
                         + (f', quic_server_id = "{SERVERS[name][1]}" }}' if quic else " }")
                         for name in BACKENDS)
    return (f'\n[[service]]\nname = "h3"\nvip = "{VIP}"\nprotocol = "udp"\nport = {PORT}\n'
            f'forward = "dsr-l2"\n' + (f"quic = {{ configs = [{configs}] }}\n" if quic else "")
            + f"backend = [{backends}]\n")


@pytest.fixture(scope="module")
def servers(network, tmp_path_factory):
    """{backend: the file that it has}"""
    if not shutil.which("gtlsserver") or not shutil.which("gtlsclient"):
        pytest.skip("ngtcp2-server and ngtcp2-client are not installed")
    folder = tmp_path_factory.mktemp("quic")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                    "-nodes", "-subj", "/CN=weir", "-days", "2", "-keyout", key, "-out", certificate],
                   check=True, capture_output=True)
    files, processes = {}, []
    for name in BACKENDS:
        documents = folder / name
        documents.mkdir()
        files[name] = name.encode() * 500_000
        (documents / "file").write_bytes(files[name])
        environment = {**os.environ, "LD_PRELOAD": str(BUILD / "tests/system/quic_cids.so"),
                       "QUIC_LB": " ".join(SERVERS[name])}
        processes.append(subprocess.Popen(
            network.netns(name, "gtlsserver", "-q", "-d", documents, VIP, PORT, key, certificate),
            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL))
    for name in BACKENDS:
        wait_until(lambda: network.inside(name, "ss", "-Huln", "sport", "=", f":{PORT}"), 10,
                   f"{name} serves QUIC")
    yield files
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def h3(weir, servers):
    plain = weir.config()
    weir.reload_text(plain + service())
    yield weir
    weir.reload_text(plain)


class Download:
    """A connection that changes its port `move` after the handshake and asks for the file at `ask`."""

    def __init__(self, network, folder, move="100ms", ask="300ms", idle="3s", options=()):
        self.folder, self.ports = folder, []
        folder.mkdir(parents=True)
        self.log = folder / "log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                network.netns("c4", "gtlsclient", "--no-quic-dump", "--no-http-dump", f"--change-local-addr={move}",
                              f"--delay-stream={ask}", f"--timeout={idle}", "--exit-on-all-streams-close",
                              f"--download={folder}", *options, VIP, PORT, f"https://{VIP}/file"),
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)

    def sent_from(self):
        """The client's ports in their order."""
        return list(dict.fromkeys(re.findall(r"Sent packet: local=\[[^]]*\]:(\d+)", self.log.read_text())))

    def finish(self, files):
        """The backend whose file it got, whole; None: it failed."""
        self.process.wait(timeout=60)
        self.ports = self.sent_from()
        path = self.folder / "file"
        got = path.read_bytes() if path.exists() else b""
        return next((name for name, content in files.items() if content == got), None)


@pytest.mark.parametrize("move", MOVES)
def test_connections_keep_their_server_when_the_client_moves(h3, servers, tmp_path, move):
    counts = collections.Counter()
    for number in range(30):
        download = Download(h3, tmp_path / str(number), options=MOVES[move])
        server = download.finish(servers)
        assert server, f"connection {number} failed; ports {download.ports}"
        assert len(download.ports) == 2, "the client has moved"
        flows = h3.ctl_json("flow", "list", "--service", "h3", "--limit", 1000)["flows"]
        mine = {flow["backend"] for flow in flows if str(flow["source_port"]) in download.ports}
        assert mine == {server}, "both ports have a flow to the same server"
        counts[server] += 1
        if number >= 5 and set(counts) == set(BACKENDS):
            break
    assert set(counts) == set(BACKENDS), counts


def test_without_connection_ids_a_client_that_moves_loses_its_server(weir, servers, tmp_path):
    plain = weir.config()
    weir.reload_text(plain + service(quic=False))
    try:
        for number in range(30):
            if Download(weir, tmp_path / str(number)).finish(servers) is None:
                return
        pytest.fail("30 connections reached their server by chance")
    finally:
        weir.reload_text(plain)


def test_a_draining_server_keeps_a_connection_that_moves(h3, servers, tmp_path):
    download = Download(h3, tmp_path / "moving", move="2s", ask="3s", idle="30s")

    def holder():
        flows = h3.ctl_json("flow", "list", "--service", "h3", "--limit", 1000)["flows"]
        ports = download.sent_from()
        return next((flow["backend"] for flow in flows if str(flow["source_port"]) in ports), None)
    wait_until(holder, 10, "the connection has a flow")
    server = holder()
    h3.ctl("backend", "drain", f"h3/{server}")
    try:
        assert download.finish(servers) == server
        assert len(download.ports) == 2
        for number in range(6):
            other = Download(h3, tmp_path / str(number), move="10ms", ask="20ms").finish(servers)
            assert other not in (None, server), "a new connection goes elsewhere"
    finally:
        h3.ctl("backend", "enable", f"h3/{server}")


def test_the_key_is_told_to_nobody(h3):
    shown = h3.ctl("-j", "config", "show").stdout
    assert "0a0b0c02" in shown and KEY not in shown.lower()
    assert KEY not in h3.log.read_text().lower()
    assert "0a0b0c02" in h3.ctl("service", "show", "h3").stdout
    assert "0a0b0c03" in h3.ctl("backend", "show", "h3/b3").stdout

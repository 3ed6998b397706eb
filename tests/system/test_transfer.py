# SPDX-License-Identifier: BSD-3-Clause
"""A large file through every forwarding mode: it arrives with its checksum. 30 MB each; `scripts/test --long`
takes 1 GB. By curl and nginx, as iperf3 does not keep the bytes of a file in order."""

import os
import re
import subprocess

import pytest
import test_full_nat
import test_nat
import test_tunnels
from conftest import all_resolved, keep_log, running
from testbed import TUNNEL_VIPS, VIP4, VIP6, Testbed, wait_until

BYTES = int(os.environ.get("WEIR_TRANSFER_BYTES", 30_000_000))
PORT, BACKEND = 5201, "b1"  # the others are left out of the file
NGINX = """
daemon off;
user root;
pid FOLDER/nginx.pid;
error_log FOLDER/error.log;
events {}
http {
    access_log off;
    client_max_body_size 0;
    client_body_temp_path FOLDER/body;
    proxy_temp_path FOLDER/proxy;
    fastcgi_temp_path FOLDER/fastcgi;
    uwsgi_temp_path FOLDER/uwsgi;
    scgi_temp_path FOLDER/scgi;
    server {
        listen %d;
        listen [::]:%d;
        root FOLDER;
        location / { dav_methods PUT; }
    }
}
""" % (PORT, PORT)

# {service: (client, VIP)}
UPLOADS = {"web4": ("c4", VIP4), "web6": ("c6", VIP6), **TUNNEL_VIPS,
           **{name: (one.client, one.vip) for name, one in test_tunnels.SERVICES.items()}}
TRANSLATED = {**{f"nat-{client}-tcp": (client, vip) for client, vip in test_nat.VIPS.items()},
              **{f"full-{client}-tcp": (client, vip) for client, vip in test_full_nat.FULL_VIPS.items()}}


def configuration(testbed):
    head, *services = testbed.config(*testbed.command_options()).split("\n[[service]]")
    text = head + "".join("\n[[service]]" + one.replace("port = 80\n", f"port = {PORT}\n") for one in services)
    for name, service in test_tunnels.SERVICES.items():
        text += test_tunnels.service_text(name, service, "tcp", PORT)
    for client in test_nat.VIPS:
        text += test_nat.service(client, "tcp", PORT, PORT)
        text += test_full_nat.full_service(client, "tcp", PORT, PORT)
    others = re.compile(r'\{ name = "b[23]"[^}]*\},?')
    return others.sub("", text)


@pytest.fixture(scope="module")
def weir(request, requirements):
    testbed = Testbed("weirgig-")
    testbed.up()
    test_nat.prepare_backends(testbed)
    running(testbed)
    file = testbed.state / "transfer.toml"
    file.write_text(configuration(testbed))
    testbed.stop()
    running(testbed, "--config", file)  # a pool needs a restart
    tunnels = test_tunnels.kernel_has_tunnels(testbed)
    if tunnels:
        testbed.inside(BACKEND, "ip", "link", "set", "dev", "eth0", "xdp", "off")
    for name in test_tunnels.SERVICES:
        test_tunnels.set_up(testbed, name, BACKEND, tunnels)
    wait_until(lambda: all_resolved(testbed), 15, "the backend is up")
    yield testbed
    keep_log(testbed, request.module.__name__)
    testbed.down()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """No two of its blocks are alike."""
    path = tmp_path_factory.mktemp("transfer") / "sent"
    block = os.urandom(1_000_000)
    with open(path, "wb") as out:
        for number in range(BYTES // len(block)):
            out.write(number.to_bytes(8, "big") + block[8:])
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def server(weir, file):
    """nginx on the backend, which keeps what is PUT there; answers the folder."""
    folder = file.parent
    folder.chmod(0o755)
    (folder / "nginx.conf").write_text(NGINX.replace("FOLDER", str(folder)))
    process = subprocess.Popen(weir.netns(BACKEND, "nginx", "-c", folder / "nginx.conf"),
                               stdin=subprocess.DEVNULL)
    wait_until(lambda: weir.inside(BACKEND, "ss", "-Htln", "sport", "=", f":{PORT}"), 10, "nginx listens")
    yield folder
    process.terminate()
    process.wait(20)


def url(vip, name):
    return f"http://{f'[{vip}]' if ':' in vip else vip}:{PORT}/{name}"


def digest(path):
    return subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout.split()[0]


def same_and_gone(path, file):
    same = path.stat().st_size == BYTES and digest(path) == digest(file)
    path.unlink()
    return same


@pytest.mark.parametrize("service", [*UPLOADS, *TRANSLATED])
def test_an_upload_arrives_as_it_was(weir, server, file, service):
    client, vip = {**UPLOADS, **TRANSLATED}[service]
    weir.inside(client, "curl", "-sSf", "--max-time", 300, "-T", file, url(vip, "got"), timeout=310)
    assert same_and_gone(server / "got", file)


@pytest.mark.parametrize("service", TRANSLATED)
def test_a_download_arrives_as_it_was(weir, server, file, tmp_path, service):
    client, vip = TRANSLATED[service]
    weir.inside(client, "curl", "-sSf", "--max-time", 300, "-o", tmp_path / "got", url(vip, "sent"),
                timeout=310)
    assert same_and_gone(tmp_path / "got", file)


def test_no_host_saw_a_bad_checksum(weir):
    assert not weir.checksum_errors()

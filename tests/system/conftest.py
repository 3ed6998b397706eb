# SPDX-License-Identifier: BSD-3-Clause
"""Networks and running balancers for the system tests.

A network is made once a session. `weir` is a balancer that a module's tests share and leave as they
found it; `fresh` starts one for a single test. Modules that ask for `mode` run twice: workers that
poll the port, and an RX lcore that hands over on rings.
"""

import fcntl
import os
import shutil
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from testbed import BACKENDS, WEIR, Testbed, wait_until  # noqa: E402


def pytest_report_header(config):
    return f"weir: {WEIR}"


@pytest.fixture(scope="session", autouse=True)
def requirements():
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    assert WEIR.exists(), f"{WEIR} is not built: run scripts/build"
    with open("/run/weirtest.lock", "w") as lock:  # one run at a time: they share names and CPUs
        wait_until(lambda: locked(lock), 900, "another run of the system tests ended")
        yield


def locked(file):
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@pytest.fixture(scope="session")
def network(requirements):
    testbed = Testbed("weirtest-")
    testbed.up()
    yield testbed
    testbed.down()


@pytest.fixture(scope="session")
def two_arm_network(requirements):
    testbed = Testbed("weirtwo-")
    testbed.up("--two-arm")
    yield testbed
    testbed.down()


@pytest.fixture(scope="module", params=["direct", "ring"])
def mode(request):
    return request.param


def all_resolved(testbed):
    metrics = testbed.metrics()
    return all(value == 1 for name, value in metrics.items() if name.startswith("weir_backend_up"))


def running(testbed, *options):
    """Starts a balancer with all backends alive and waits until it knows that."""
    testbed.stop()
    for backend in BACKENDS:
        if not testbed.inside(backend, "ss", "-Htln", "sport", "=", ":80"):
            testbed.command("start", backend)
    testbed.start(*options)
    wait_until(lambda: all_resolved(testbed), 15, "all backends are up")


def keep_log(testbed, name):
    folder = os.environ.get("WEIR_TEST_LOGS")
    if folder and testbed.log.exists():
        shutil.copy(testbed.log, os.path.join(folder, f"system-{name}.log"))


@pytest.fixture(scope="module")
def weir(request, network, mode):
    running(network, "--mode", mode)
    yield network
    keep_log(network, f"{request.module.__name__}-{mode}")
    network.stop()


@pytest.fixture
def fresh(request, network):
    running(network)
    yield network
    keep_log(network, request.node.name)
    network.stop()

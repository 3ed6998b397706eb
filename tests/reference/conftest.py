# SPDX-License-Identifier: BSD-3-Clause
"""The differential test. How much is played: WEIR_REFERENCE_PACKETS packets (100 000), from the seed
WEIR_REFERENCE_SEED on. Fixed numbers, so that a run repeats."""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

PACKETS = int(os.environ.get("WEIR_REFERENCE_PACKETS", 100_000))
SEED = int(os.environ.get("WEIR_REFERENCE_SEED", 1))
SHARE = 25_000  # packets of one case


def pytest_generate_tests(metafunc):
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(SEED, SEED + max(PACKETS // SHARE, 1)))


@pytest.fixture
def share():
    return min(SHARE, PACKETS)

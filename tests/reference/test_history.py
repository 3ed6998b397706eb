# SPDX-License-Identifier: BSD-3-Clause
"""A flow keeps its backend through changes of tables, weights and backends, for as long as it is
remembered and the backend takes its packets; SYN, FIN and RST move its state."""

import random

import pytest
from compare import setup
from compare.history import History


def test_flows_through_changes(seed, share):
    with History(setup.for_pipeline(), random.Random(seed)) as history:
        for _ in range(share // 25):
            sentence = history.step()
            if sentence:
                pytest.fail(sentence, pytrace=False)
    assert len(history.log) > share // 500

# SPDX-License-Identifier: BSD-3-Clause
"""The rules of docs/hashing.md: known answers, which the unit tests of lib/ check as well."""

import pathlib

import golden


def test_the_known_answers_are_those_of_the_file():
    assert list(golden.lines()) == pathlib.Path(golden.__file__).with_name("golden.txt").read_text().splitlines()

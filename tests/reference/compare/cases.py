# SPDX-License-Identifier: BSD-3-Clause
"""cases/: packets in which Weir and the reference once differed. Every run plays them first.

A file: comment lines with "#", then a line "port hex" for each packet."""

import hashlib

from .setup import HERE

FOLDER = HERE / "cases"


def parse(text):
    lines = [line.split("#")[0].split() for line in text.splitlines()]
    return [(int(words[0]), bytes.fromhex("".join(words[1:]))) for words in lines if words]


def kept():
    """{name: packets}"""
    return {path.stem: parse(path.read_text()) for path in sorted(FOLDER.glob("*.case"))}


def text_of(packets, comment):
    lines = [f"# {line}" for line in comment.splitlines()]
    lines += [f"{port} {frame.hex() or '#'}" for port, frame in packets]
    return "\n".join(lines) + "\n"


def keep(packets, comment):
    """Writes a new case and answers its path."""
    text = text_of(packets, comment)
    path = FOLDER / f"{hashlib.sha256(text.encode()).hexdigest()[:12]}.case"
    path.write_text(text)
    return path

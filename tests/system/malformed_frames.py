#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""malformed_frames.py CONFIG PORT MAC COUNT FILE: frames for that port of a running balancer, as a
file of libpcap. Of a hundred, 97 are broken in one of the ways that the reference's generator knows,
the others are anything that it makes: sound packets, odd ones, and some with a few wrong bytes."""

import dataclasses
import itertools
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "reference"))

from balancer import configuration  # noqa: E402
from compare import pcap  # noqa: E402
from generate import malformed, stream  # noqa: E402
from generate.scene import Scene  # noqa: E402

LONGEST = 1514


def frames(parts, seed):
    rng = random.Random(seed)
    scene = Scene(parts, rng, clients=50)
    broken = stream.Kinds(malformed.WEIGHTS)
    others = stream.packets(parts, seed)
    while True:
        made = broken.make(scene) if rng.randrange(100) < 97 else [next(others)]
        yield from (frame for _, frame in made if 14 <= len(frame) <= LONGEST)


def main():
    file, name, mac, count, target = sys.argv[1:]
    text = pathlib.Path(file).read_text()
    parts = configuration.read(text)
    names = [port["name"] for port in configuration.tomllib.loads(text)["port"]]
    port = dataclasses.replace(parts.ports[names.index(name)], mac=configuration.mac(mac))
    parts = dataclasses.replace(parts, ports=[port] * 3)
    pcap.write(target, itertools.islice(frames(parts, 35), int(count)))


if __name__ == "__main__":
    main()

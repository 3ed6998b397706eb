# SPDX-License-Identifier: BSD-3-Clause
"""ICMP errors about flows of a VIP: what routers on the way to a client send."""

import struct

from balancer.packet import ICMP, ICMP6

from .recipe import Recipe, icmp


def error(scene, bad=False):
    rng = scene.rng
    about = scene.to_service()
    # What the backend sent: addresses and ports the other way round.
    reply = Recipe(about.port, about.to, about.by, about.destination, about.source,
                   protocol=about.protocol, source_port=about.destination_port,
                   destination_port=about.source_port, data=rng.randbytes(rng.choice((0, 20, 600))))
    if about.protocol in (ICMP, ICMP6):
        kind = 0 if reply.family == 4 else 129
        reply.transport = struct.pack(">BBHHH", kind, 0, 0, about.source_port, 1)
    if reply.family == 4 and rng.random() < 0.2:
        reply.checksum = 0  # of UDP: none
    if bad and rng.random() < 0.3:
        reply.source = rng.choice(scene.services[len(reply.source)]).vip
    return about_packet(scene, reply, rng.choice(scene.clients[len(about.destination)]), about.destination, bad)


def about_packet(scene, lost, source, destination, bad):
    """From `source` to `destination`: what became of `lost`. `bad`: perhaps with a fault."""
    rng = scene.rng
    inner = lost.ipv4() if lost.family == 4 else lost.ipv6()
    whole = 28 if lost.family == 4 else 48
    inner = inner[:rng.choice((whole, whole, whole + 12, 520))]
    if bad and rng.random() < 0.3:
        inner = inner[:rng.randrange(whole)]
    error_of = scene.frame(source, destination)
    error_of.ttl = rng.choice((1, 2) if bad else (2, 60, 255))
    kind, code, rest = rng.choice(kinds(lost.family, rng, bad))
    icmp(error_of, kind, code, rest, inner)
    if bad and rng.random() < 0.3:
        error_of.transport = error_of.transport[:2] + rng.randbytes(2) + error_of.transport[4:]
    return error_of


def bad_error(scene):
    return error(scene, bad=True)


def kinds(family, rng, bad):
    """(type, code, the four bytes behind the checksum)"""
    if family == 4:
        mtu = rng.choice((0, 67, 68, 1, 1400)) if bad else rng.choice((0, 68, 576, 1400, 65535))
        return ((3, 4, struct.pack(">HH", 0, mtu)), (3, 1, bytes(4)), (11, 0, bytes(4)), (12, 0, bytes(4)),
                (4, 0, bytes(4)))
    mtu = rng.choice((0, 1279, 1280)) if bad else rng.choice((1280, 1400, 0xFFFFFFFF))
    return (2, 0, struct.pack(">I", mtu)), (1, 0, bytes(4)), (3, 0, bytes(4)), (4, 1, bytes(4))


WEIGHTS = {error: 10, bad_error: 9}

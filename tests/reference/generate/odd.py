# SPDX-License-Identifier: BSD-3-Clause
"""Odd packets: legal ones that few programs send, and those that are for somebody else. Each takes
the scene and answers a Recipe or a frame; WEIGHTS says how often."""

import struct

from .recipe import icmp

ONE_BUFFER = 1500  # bytes of payload that lie in one buffer, whatever the headers


def padded(scene):
    recipe = scene.to_service()
    recipe.padding = scene.rng.randbytes(scene.rng.choice((1, 2, 6, 18, 46, 300, 1600)))
    return recipe


def at_an_edge(scene):
    """As long as just fits, or one byte too long."""
    recipe = scene.to_service()
    return scene.resize(recipe, scene.rng.choice(scene.edges))


def too_long_to_fit(scene):
    """Far too long for every port, and may be fragmented."""
    recipe = scene.to_service(scene.rng.choice(scene.services[4]))
    recipe.fragment = 0
    return scene.resize(recipe, 4000)


def jumbo(scene):
    recipe = scene.resize(scene.to_service(), scene.rng.randrange(1500, 9001))
    if scene.rng.random() < 0.05:
        scene.resize(recipe, scene.rng.choice((65535, 65575, 40000)))
    return recipe


def with_options(scene):
    """IPv4: up to 40 bytes of options; TCP: likewise."""
    rng = scene.rng
    recipe = scene.to_service(rng.choice(scene.services[4]))
    recipe.options = rng.choice((
        b"\1\1\1\1", b"\1" * 40, b"\0" + rng.randbytes(3), b"\7\7\4" + bytes(4) + b"\0",
        b"\x94\4\0\0", b"\x44\x0c\5\0" + bytes(8), b"\x82\x0b" + bytes(9) + b"\1"))
    if rng.random() < 0.5:
        recipe.tcp_options = rng.choice((b"\2\4\5\xb4", b"\1" * 40, rng.randbytes(12)))
    return recipe


def extension(rng, kind, length):
    """(type, bytes) of an IPv6 extension header; `length`: 8 or more."""
    units = length // 4 - 2 if kind == 51 else length // 8 - 1
    body = bytearray(b"\0" + bytes([units & 0xFF]) + bytes(length - 2))
    if kind == 43:
        body[2] = rng.choice((2, 3, 4, 253))
        body[3] = int(body[2] == 3)  # segments left
    if kind == 44:
        body[1] = rng.randrange(256)  # reserved
        body[4:8] = rng.randbytes(4)
    return kind, bytes(body)


def with_extensions(scene):
    rng = scene.rng
    recipe = scene.to_service(rng.choice(scene.services[16]))
    count = rng.choice((1, 1, 2, 3, 7, 8, 9, 12))
    for _ in range(count):
        kind = rng.choice((0, 43, 44, 51, 60, 135, 139, 140))
        length = 8 if kind == 44 or count > 4 else rng.choice((8, 8, 16, 24, 64, 120, 128, 136))
        if kind == 51:
            length += rng.choice((0, 4))
        recipe.extensions.append(extension(rng, kind, length))
    return recipe


def at_the_extension_limit(scene):
    """248 to 264 bytes of extension headers."""
    rng = scene.rng
    recipe = scene.to_service(rng.choice(scene.services[16]))
    total = rng.choice((248, 256, 264))
    while total:
        length = min(total, rng.choice((8, 64, 128, 256)))
        recipe.extensions.append(extension(rng, 60, length))
        total -= length
    return recipe


def priority_tagged(scene):
    recipe = scene.to_service()
    recipe.tags = [(0x8100, scene.rng.choice((0, 0x6000, 0x1000)))]
    return recipe


def atomic_fragment(scene):
    recipe = scene.to_service(scene.rng.choice(scene.services[16]))
    recipe.extensions = [(44, b"\0" + bytes(3) + scene.rng.randbytes(4))]
    return recipe


def fragment(scene):
    """First, middle and last ones; of IPv4 also with DF."""
    rng = scene.rng
    recipe = scene.to_service()
    offset, more = rng.choice(((0, 1), (185, 1), (185, 0), (1, 0), (8191, 0), (rng.randrange(8192), 1)))
    if recipe.family == 4:
        recipe.fragment = rng.choice((0, 0, 0x4000)) | more << 13 | offset
    else:
        body = b"\0\0" + struct.pack(">H", offset << 3 | more) + rng.randbytes(4)
        recipe.extensions = [(44, body)]
        if rng.random() < 0.3:
            recipe.extensions.insert(0, extension(rng, 60, 8))
    if offset and rng.random() < 0.5:
        recipe.transport = b""
        recipe.data = rng.randbytes(rng.choice((0, 8, 64)))
    return recipe


def another_port(scene):
    """A VIP where no service stands, or beside a range's edge."""
    rng = scene.rng
    recipe = scene.to_service()
    recipe.destination_port = rng.choice((0, 79, 81, 443, 7999, 8039, 8061, 8100, 65535))
    if rng.random() < 0.3:
        recipe.protocol = 17 if recipe.protocol == 6 else 6
    return recipe


def another_protocol(scene):
    recipe = scene.to_service()
    recipe.protocol = scene.rng.choice((2, 4, 41, 47, 50, 59, 89, 132, 136, 255, scene.rng.randrange(256)))
    recipe.transport = scene.rng.randbytes(scene.rng.choice((0, 1, 8, 40)))
    return recipe


def udp_without_checksum(scene):
    recipe = scene.to_service()
    recipe.protocol, recipe.checksum = 17, 0
    if any(service.vip == recipe.destination for service in scene.crossing_services):
        recipe.data = recipe.data[:ONE_BUFFER]  # in several no whole checksum is made
    return recipe


def wrong_transport_checksum(scene):
    """Not a balancer's business."""
    recipe = scene.to_service()
    recipe.checksum = scene.rng.randrange(1, 65536)
    return recipe


def ping(scene):
    rng = scene.rng
    recipe = scene.to_service()
    kind = rng.choice((8, 0, 13, 42) if recipe.family == 4 else (128, 129, 200, 130))
    return icmp(recipe, kind, 0, rng.randbytes(4), rng.randbytes(rng.choice((0, 8, 56))))


def neighbor_discovery(scene):
    rng = scene.rng
    recipe = scene.to_service(rng.choice(scene.services[16]))
    recipe.ttl = rng.choice((255, 255, 254, 64))
    if rng.random() < 0.6:
        recipe.destination = rng.choice((bytes.fromhex("fd000005") + bytes(10) + b"\0\5",
                                         bytes.fromhex("ff0200000000000000000001ff000005")))
    return icmp(recipe, rng.choice((132, 133, 134, 135, 136, 137, 138)), 0, bytes(4), rng.randbytes(16))


def to_ourselves(scene):
    """For the kernel, whatever it is."""
    rng = scene.rng
    own = rng.choice([one.ip.packed for port in scene.configuration.ports for one in port.interfaces])
    recipe = scene.to_service(rng.choice(scene.services[len(own)]))
    recipe.destination = own
    recipe.ttl = rng.choice((1, 64, 255))
    return recipe


def to_somebody_else(scene):
    rng = scene.rng
    recipe = scene.to_service()
    recipe.destination = (rng.randbytes(4) if recipe.family == 4 else rng.randbytes(16))
    return recipe


def arp(scene):
    rng = scene.rng
    recipe = scene.to_service()
    recipe.to = rng.choice((recipe.to, b"\xff" * 6))
    head = recipe.to + recipe.by + b"".join(struct.pack(">HH", *tag) for tag in recipe.tags)
    return recipe.port, head + b"\x08\x06" + rng.randbytes(rng.choice((0, 28, 46)))


def no_ip(scene):
    rng = scene.rng
    recipe = scene.to_service()
    recipe.ether_type = rng.choice((0, 0x05DC, 0x0801, 0x8035, 0x86DC, 0x8847, 0x88CC, 0xFFFF,
                                    rng.randrange(65536)))
    return recipe


WEIGHTS = {
    padded: 4, at_an_edge: 8, too_long_to_fit: 3, jumbo: 1, with_options: 4, with_extensions: 4,
    at_the_extension_limit: 1,
    priority_tagged: 2, atomic_fragment: 1, another_port: 3, another_protocol: 2,
    udp_without_checksum: 5, wrong_transport_checksum: 2, ping: 2, neighbor_discovery: 4, to_ourselves: 1,
    to_somebody_else: 1, arp: 1, no_ip: 1}

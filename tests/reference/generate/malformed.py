# SPDX-License-Identifier: BSD-3-Clause
"""Packets with one fault, each of a kind. Each takes the scene and answers a Recipe or a frame."""

from .odd import extension


def wrong_station(scene):
    rng = scene.rng
    recipe = scene.to_service()
    recipe.to = rng.choice((bytes.fromhex("020000000099"), b"\xff" * 6, bytes.fromhex("01005e000001"),
                            bytes.fromhex("333300000001"), bytes(6), rng.randbytes(6)))
    return recipe


def our_own_source(scene):
    recipe = scene.to_service()
    recipe.by = scene.configuration.ports[recipe.port].mac
    return recipe


def tags(scene):
    rng = scene.rng
    recipe = scene.to_service()
    recipe.tags = [(rng.choice((0x8100, 0x8100, 0x88A8, 0x9100, 0x8101)), rng.choice((0, 100, 101, 4095)))
                   for _ in range(rng.choice((0, 1, 1, 2, 3)))]
    return recipe


def ipv4_header(scene):
    rng = scene.rng
    recipe = scene.to_service(rng.choice(scene.services[4]))
    fault = rng.randrange(5)
    if fault == 0:
        recipe.version = rng.choice((0, 3, 5, 6, 15))
    elif fault == 1:
        recipe.header_words = rng.choice((0, 1, 4, 6, 9, 15))
    elif fault == 2:
        recipe.ip_checksum = rng.choice((0, 0xFFFF, rng.randrange(65536)))
    else:
        sound = len(recipe.ipv4())
        recipe.ip_length = rng.choice((0, 19, 20, 27, 28, 39, 40, sound - 1, sound + 1, 65535,
                                       rng.randrange(65536)))
    return recipe


def ipv4_options(scene):
    """Lengths of 0 and 1, past the header, missing; source routes."""
    rng = scene.rng
    recipe = scene.to_service(rng.choice(scene.services[4]))
    recipe.options = rng.choice((
        b"\7\0\0\0", b"\7\1\0\0", b"\7\5\4\0", b"\1\1\1\7", b"\x83\3\4\0", b"\x89\3\4\0", b"\x83\0\4\0",
        b"\x83\x09\4\0", b"\1\x83\3\4", b"\0\x83\3\4", b"\1\1\1\x83", b"\7\4\4\0\x89\7\4" + bytes(4) + b"\0",
        rng.randbytes(4 * rng.randrange(1, 11))))
    return recipe


def ipv6_header(scene):
    rng = scene.rng
    recipe = scene.to_service(rng.choice(scene.services[16]))
    if rng.random() < 0.3:
        recipe.version = rng.choice((0, 4, 5, 7))
        return recipe
    sound = len(recipe.ipv6()) - 40
    recipe.ip_length = rng.choice((0, 1, 7, 8, 19, 20, sound - 1, sound + 1, 65495, 65496, 65535))
    if rng.random() < 0.3:
        recipe.extensions = [extension(rng, rng.choice((0, 60)), 8)]  # with length 0: a jumbogram
    if rng.random() < 0.05:
        recipe.padding = bytes(65536)
    return recipe


def extension_chain(scene):
    """Past the packet, past the limits, or with a routing header of type 0."""
    rng = scene.rng
    recipe = scene.to_service(rng.choice(scene.services[16]))
    recipe.extensions = [extension(rng, rng.choice((0, 60, 135)), 8) for _ in range(rng.randrange(3))]
    fault = rng.randrange(3)
    if fault == 0:
        recipe.extensions.append((43, b"\0" + bytes([rng.choice((0, 2))]) + bytes(22)))
        recipe.ip_length = rng.choice((None, 8, 16, 20))
    elif fault == 1:
        recipe.extensions.append((rng.choice((60, 51, 139)), b"\0" + bytes([rng.randrange(256)]) + bytes(6)))
    else:
        recipe.protocol = rng.choice((0, 43, 44, 51, 60))
        recipe.transport = rng.randbytes(rng.choice((0, 1, 7, 8, 40)))
    return recipe


def bad_source(scene):
    rng = scene.rng
    recipe = scene.to_service()
    if rng.random() < 0.2:
        recipe.source = recipe.destination
    elif recipe.family == 4:
        recipe.source = bytes([rng.choice((0, 1, 126, 127, 128, 223, 224, 239, 240, 255)), *rng.randbytes(3)])
        if rng.random() < 0.1:
            recipe.source = b"\xff" * 4
    else:
        recipe.source = bytes.fromhex(rng.choice((
            "00" * 16, "00" * 15 + "01", "00" * 15 + "02", "00" * 10 + "ffff01020304",
            "00" * 10 + "fffe01020304", "00" * 9 + "01ffff01020304", "00" * 12 + "01020304",
            "ff020000000000000000000000000001", "fe800000000000000000000000000001", "00ff" + "00" * 14)))
    return recipe


def old_age(scene):
    recipe = scene.to_service()
    recipe.ttl = scene.rng.choice((0, 1, 2))
    return recipe


def tcp_header(scene):
    rng = scene.rng
    recipe = scene.to_service()
    recipe.protocol = 6
    if rng.random() < 0.5:
        recipe.tcp_flags = rng.randrange(256)
    else:
        recipe.tcp_words = rng.choice((0, 4, 5, 6, 8, 15))
        recipe.data = rng.randbytes(rng.choice((0, 3, 4, 12, 40)))
    return recipe


def udp_header(scene):
    rng = scene.rng
    recipe = scene.to_service()
    recipe.protocol = 17
    sound = 8 + len(recipe.data)
    recipe.udp_length = rng.choice((0, 7, 8, sound - 1, sound + 1, 65535))
    return recipe


def cut_transport(scene):
    """A sound IP header around less than a transport header."""
    return cut_transport_of(scene, scene.to_service())


def cut_transport_of(scene, recipe):
    recipe.transport = recipe.segment()[:scene.rng.randrange(24)]
    recipe.data = b""
    return recipe


def cut_frame(scene):
    """Truncated anywhere, the first bytes more often."""
    recipe = scene.to_service()
    frame = recipe.build()
    return recipe.port, frame[:scene.rng.choice((scene.rng.randrange(90), scene.rng.randrange(len(frame))))]


def noise(scene):
    """An Ethernet header and chance behind it."""
    rng = scene.rng
    recipe = scene.to_service()
    return recipe.port, recipe.build()[:rng.choice((0, 12, 14, 15, 20, 34))] + rng.randbytes(rng.randrange(80))


WEIGHTS = {
    wrong_station: 3, our_own_source: 1, tags: 3, ipv4_header: 4, ipv4_options: 3, ipv6_header: 3,
    extension_chain: 3, bad_source: 3, old_age: 2, tcp_header: 4, udp_header: 3, cut_transport: 3, cut_frame: 4,
    noise: 1}

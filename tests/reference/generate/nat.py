# SPDX-License-Identifier: BSD-3-Clause
"""What backends of nat services send: replies to clients, near ones and others, ICMP errors about clients'
packets, and what is neither. Requests: scene.py. Each takes the scene and answers a Recipe."""

from .icmp_errors import about_packet
from .malformed import cut_transport_of
from .odd import extension
from .recipe import Recipe

MSS_OPTIONS = (b"\2\4\5\xb4", b"\2\4\5\x78\1\1\1\0", b"\1\2\4\5\xb4\0\0\0", b"\2\4\5\x79\2\4\xff\xff", b"\2\3\5\xb4",
               b"\2\4\5\x79\x08\x0a" + bytes(8) + b"\1\1", b"\1\1\1\2")


def backend_end(scene):
    """(service, address, port) of a backend of a nat service."""
    rng = scene.rng
    service = rng.choice(scene.nat_services)
    backend = rng.choice(service.seats)
    return service, backend.address, backend.port or scene.port_of(service)


def reply(scene):
    service, address, port = backend_end(scene)
    client = scene.rng.choice(scene.clients[len(address)])
    return scene.sound(address, client, scene.protocol_of(service), port, scene.client_port())


def syn_with_mss(scene):
    """A SYN of either side, that announces a segment size: more, just as much, twice, at an odd place, cut."""
    rng = scene.rng
    recipe = reply(scene)
    if rng.random() < 0.5:
        clamped = [one for one in scene.configuration.services if one.mss_clamp and one.protocol != "udp"]
        recipe = scene.to_service(rng.choice(clamped))
    recipe.protocol = 6
    recipe.tcp_flags = rng.choice((0x02, 0x12, 0x12, 0x10, 0xC2))
    recipe.tcp_options = rng.choice(MSS_OPTIONS)
    return recipe


def reply_to_near_client(scene):
    """A client on a network of a port: a station whose MAC address is known or is not, a gateway."""
    rng = scene.rng
    recipe = reply(scene)
    port = rng.choice(scene.configuration.ports)
    known = [one for one in port.neighbors if len(one) == len(recipe.source)] or [recipe.destination]
    recipe.destination = rng.choice(known)
    if rng.random() < 0.3:
        recipe.destination = recipe.destination[:-1] + bytes([rng.choice((77, 200, 255))])
    return recipe


def reply_to_nobody(scene):
    """To addresses that no client has, to our own ones, to VIPs."""
    rng = scene.rng
    recipe = reply(scene)
    own = [one.ip.packed for port in scene.configuration.ports for one in port.interfaces]
    nobody = {4: ["e0000005", "7f000001", "00000000", "ffffffff", "f0000001"],
              16: ["ff02" + "00" * 13 + "05", "00" * 15 + "01", "00" * 16, "00" * 10 + "ffff01020304"]}
    length = len(recipe.source)
    recipe.destination = rng.choice((
        *(bytes.fromhex(text) for text in nobody[length]), recipe.source,
        rng.choice([one for one in own if len(one) == length]), rng.choice(scene.services[length]).vip))
    return recipe


def odd_reply(scene):
    """One thing about it is odd: old, padded, long, of options, of another port, unsummed, to everybody."""
    rng = scene.rng
    recipe = reply(scene)
    odd = rng.randrange(10)
    if odd == 0:
        recipe.ttl = rng.choice((0, 1, 2, 3))
    elif odd == 1:
        recipe.padding = rng.randbytes(rng.choice((1, 6, 46, 300, 1600)))
    elif odd == 2:
        scene.resize(recipe, rng.choice((scene.rng.choice(scene.edges), 1500, 1501)))
    elif odd == 3 and recipe.family == 4:
        recipe.options = rng.choice((b"\1\1\1\1", b"\1" * 40, b"\7\7\4" + bytes(4) + b"\0", b"\x83\3\4\0"))
    elif odd == 3:
        recipe.extensions = [extension(rng, rng.choice((0, 43, 44, 51, 60)), 8) for _ in range(rng.choice((1, 2)))]
    elif odd == 4:
        recipe.source_port = rng.choice((0, 1, recipe.source_port ^ 1, 8079, 8080, 65535))
    elif odd == 5:
        recipe.checksum = rng.choice((0, 0, 0xFFFF, rng.randrange(65536)))
    elif odd == 6:
        recipe.to = rng.choice((b"\xff" * 6, bytes.fromhex("01005e000001"), bytes.fromhex("020000000099")))
    elif odd == 7:
        recipe.protocol = rng.choice((6, 17, 1, 58, 47, 132))
    elif odd == 8:
        recipe.tcp_flags = rng.randrange(256)
    else:
        cut_transport_of(scene, recipe)
    return recipe


def sum_becomes_zero(scene):
    """UDP or TCP, of either side, whose checksum is near 0 or all ones: it may become 0 on the way."""
    rng = scene.rng
    recipe = reply(scene) if rng.random() < 0.5 else scene.to_service(rng.choice(scene.nat_services))
    if rng.random() < 0.5:
        recipe.checksum = rng.choice((0xFFFF, 0, 1, 0xFFFE))
        return recipe
    return with_zero_sum(scene, recipe)


def with_zero_sum(scene, recipe):
    """Data that make the sum come out as 0 behind a translation to some end of the same service."""
    rng = scene.rng
    there = Recipe(**vars(recipe))
    services = [one for one in scene.nat_services if recipe.destination == one.vip]
    if services:
        backend = rng.choice(rng.choice(services).seats)
        there.destination, there.destination_port = backend.address, backend.port or recipe.destination_port
    else:
        service = rng.choice([one for one in scene.nat_services if len(one.vip) == len(recipe.source)
                              and any(backend.address == recipe.source for backend in one.seats)])
        one = service.first_port == service.last_port
        there.source, there.source_port = service.vip, service.first_port if one else recipe.source_port
    there.data = bytes(2)
    at = 6 if there.protocol == 17 else 16
    recipe.data = there.segment()[at:at + 2]
    return recipe


def long_reply(scene):
    """Too long for the way to any client."""
    recipe = reply(scene)
    recipe.fragment = scene.rng.choice((0, 0, 0x4000))
    return scene.resize(recipe, 4000)


def error_behind(scene, bad=False):
    """What a router behind us, or the backend, tells the client about a packet as it was translated."""
    rng = scene.rng
    service, address, port = backend_end(scene)
    client = rng.choice(scene.clients[len(address)])
    lost = scene.sound(client, address, scene.protocol_of(service), scene.client_port(), port)
    if lost.family == 4 and rng.random() < 0.2:
        lost.checksum = 0  # of UDP: none
    elif rng.random() < 0.1:
        lost.checksum = rng.randrange(65536)
    router = rng.choice(scene.clients[len(address)])
    to = client
    if bad:
        lost.destination_port ^= rng.choice((0, 0, 1))
        router = rng.choice((router, bytes([127, 0, 0, 1]) if len(address) == 4 else bytes(16)))
        to = rng.choice((client, client, scene.rng.choice(scene.clients[len(address)])))
        if rng.random() < 0.1:
            to = lost.source = bytes.fromhex("e0000005" if len(address) == 4 else "ff02" + "00" * 13 + "05")
    source = address if rng.random() < 0.4 else router
    return about_packet(scene, lost, source, to, bad)


def bad_error_behind(scene):
    return error_behind(scene, bad=True)


WEIGHTS = {
    reply: 14, long_reply: 2, syn_with_mss: 3, reply_to_near_client: 3, reply_to_nobody: 2, odd_reply: 8,
    sum_becomes_zero: 3, error_behind: 5, bad_error_behind: 4}

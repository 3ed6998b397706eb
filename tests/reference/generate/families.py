# SPDX-License-Identifier: BSD-3-Clause
"""What services of full-nat between families see of both sides: packets whose lengths, headers and fragments matter
where the header changes, and ICMP errors of every type. Each takes the scene and answers a Recipe or a list of them."""

import struct

from balancer.packet import TCP, UDP

from . import fragments, full_nat
from .nat import MSS_OPTIONS
from .odd import ONE_BUFFER, extension
from .recipe import icmp

IPV4_OPTIONS = (b"\1\1\1\1", b"\1" * 40, b"\7\7\4" + bytes(4) + b"\0", b"\x94\4\0\0")


def request(scene):
    service = scene.rng.choice(scene.crossing_services)
    client = scene.rng.choice(scene.clients[len(service.vip)])
    protocol = scene.protocol_of(service)
    return scene.sound(client, service.vip, protocol, scene.client_port(), scene.port_of(service))


def odd_request(scene):
    return odd(scene, request(scene))


def reply(scene):
    return full_nat.reply(scene, scene.crossing_services)


def odd_reply(scene):
    return odd(scene, reply(scene))


def odd(scene, recipe):
    """One to three things about it are."""
    for change in scene.rng.sample(CHANGES, scene.rng.choice((1, 1, 2, 3))):
        change(scene, recipe)
    if recipe.checksum == 0 and len(recipe.data) > ONE_BUFFER:
        recipe.checksum = None
    return recipe


def headers(scene, recipe):
    """Options, or extension headers, among them a fragment header of a whole packet."""
    rng = scene.rng
    if recipe.family == 4:
        recipe.options = rng.choice(IPV4_OPTIONS)
    else:
        kinds = rng.choice(((44,), (44,), (0,), (60,), (60, 44), (44, 60), (0, 43, 60), (51,), (44, 44)))
        recipe.extensions = [extension(rng, kind, 8 if kind == 44 else rng.choice((8, 16, 24))) for kind in kinds]


def flags(scene, recipe):
    recipe.fragment = scene.rng.choice((0, 0x4000, 0x8000, 0xC000))
    recipe.identification = scene.rng.choice((0, 1, 0xFFFF))


def size(scene, recipe):
    """About what an IPv4 packet is that may be fragmented, what fits a port in the other family or what is the most
    that may be cut; or long."""
    rng = scene.rng
    edges = [1260, 1280, 40, 48, 1220, 1232, *(port.mtu for port in scene.configuration.ports)]
    if rng.random() < 0.1:
        edges = [48 + (port.mtu - 48) // 8 * 8 * 32 for port in scene.configuration.ports]
    elif rng.random() < 0.1:
        edges = [rng.randrange(1500, 9000)]
    scene.resize(recipe, rng.choice(edges) + rng.choice((0, 0, 20, -20, -28, 28, 8, -8)) + rng.choice((-1, 0, 0, 1)))


def becomes(scene, recipe, protocol):
    """A request may be of any. A reply stays as it is: another flow may have its port of the pool, of which no packet
    left, so that the reference does not know it."""
    if any(service.vip == recipe.destination for service in scene.crossing_services):
        recipe.protocol = protocol
    return recipe.protocol == protocol


def no_checksum(scene, recipe):
    """UDP, whose own length may be less than there is."""
    if becomes(scene, recipe, UDP):
        recipe.checksum = 0
        if scene.rng.random() < 0.2:
            recipe.udp_length = 8 + scene.rng.randrange(len(recipe.data) + 1)


def zero_sum(scene, recipe):
    """Whose checksum comes out as zero, or near it, where it is computed anew or changed."""
    rng = scene.rng
    if rng.random() < 0.5:
        recipe.checksum = rng.choice((0xFFFF, 1, 0xFFFE, rng.randrange(1, 65536)))
    elif becomes(scene, recipe, UDP):
        recipe.data = bytes(len(recipe.data))


def segment_size(scene, recipe):
    if becomes(scene, recipe, TCP):
        recipe.tcp_flags, recipe.tcp_options = scene.rng.choice((0x02, 0x12)), scene.rng.choice(MSS_OPTIONS)


def padding(scene, recipe):
    recipe.padding = scene.rng.randbytes(scene.rng.choice((1, 6, 20, 46)))


def age(scene, recipe):
    recipe.ttl = scene.rng.choice((1, 2, 3))


def all_bits(scene, recipe):
    """Traffic class and flow label have all bits."""
    recipe.traffic_class, recipe.flow_label = 0xFF, 0xFFFFF


CHANGES = (headers, headers, flags, flags, size, size, size, no_checksum, zero_sum, segment_size, padding, age,
           all_bits)


def whole(scene):
    """A datagram to cut."""
    rng = scene.rng
    recipe = reply(scene) if rng.random() < 0.5 else request(scene)
    recipe.data = rng.randbytes(rng.choice((40, 100, rng.randrange(16, 3000), 3000, rng.randrange(9000))))
    if rng.random() < 0.2 and becomes(scene, recipe, UDP):
        recipe.checksum = rng.choice((0, 0, 0xFFFF))
    if rng.random() < 0.2:
        headers(scene, recipe)
        recipe.extensions = [one for one in recipe.extensions if one[0] != 44]
    return recipe


def datagram(scene):
    """In pieces, of which IPv4's may have DF, and IPv6's an identification of 32 bits."""
    rng = scene.rng
    some = rng.choice((fragments.in_order, fragments.in_order, fragments.backwards, fragments.shuffled,
                       fragments.repeated))(scene, whole)
    front = rng.choice((0, rng.randrange(1 << 16)))
    set_df = rng.random() < 0.2
    for one in some:
        if one.family == 4:
            one.fragment |= 0x4000 if set_df else 0
        else:
            kind, body = one.extensions[-1]
            one.extensions[-1] = kind, body[:4] + struct.pack(">H", front) + body[6:]
    return some


def error(scene):
    """What a router behind us, or the backend, tells the pool about a packet that left from it."""
    rng = scene.rng
    address, port, pool, pool_port, protocol = full_nat.flow(scene, scene.crossing_services)
    lost = scene.sound(pool, address, protocol, pool_port, port)
    return about_packet(scene, lost, address if rng.random() < 0.4 else rng.choice(scene.clients[len(address)]), pool)


def about_reply(scene):
    """What a router on the way to the client tells the VIP about a reply."""
    rng = scene.rng
    bindings = full_nat.bindings_of(scene, scene.crossing_services)
    if not bindings:
        return error(scene)
    client, vip, client_port, vip_port, protocol = rng.choice(bindings).flow
    lost = scene.sound(vip, client, protocol, vip_port, client_port)
    return about_packet(scene, lost, rng.choice(scene.clients[len(vip)]), vip)


def about_packet(scene, lost, source, destination):
    rng = scene.rng
    make_quotable(scene, lost)
    inner = lost.ipv4() if lost.family == 4 else lost.ipv6()
    inner = inner[:rng.choice((len(inner) - len(lost.data), 128, 520, 548, 1180, 1232, 1300))]
    error_of = scene.frame(source, destination)
    error_of.ttl, error_of.traffic_class = rng.choice((2, 60, 255)), rng.choice((0, 0xC0, 0xFF))
    error_of.identification, error_of.fragment = rng.randrange(1 << 16), rng.choice((0, 0x4000))
    if rng.random() < 0.1:
        headers(scene, error_of)
    kind, code, rest = rng.choice((ipv4_kind if lost.family == 4 else ipv6_kind)(rng))
    if rng.random() < 0.3:
        inner, rest = with_extensions(rng, lost.family, inner, rest)
    icmp(error_of, kind, code, rest, inner)
    if rng.random() < 0.03:
        error_of.transport = error_of.transport[:2] + rng.randbytes(2) + error_of.transport[4:]
    return error_of


def make_quotable(scene, lost):
    """Headers and fields of all kinds, that stand in the packet that the error is about."""
    rng = scene.rng
    if rng.random() < 0.4:
        lost.data = rng.randbytes(rng.choice((100, 600, 1400)))
    if rng.random() < 0.3:
        headers(scene, lost)
    lost.ttl = rng.choice((0, 1, 2, 64, 255))
    dice = rng.random()
    if dice < 0.15:
        lost.checksum = rng.choice((0, 0, 0xFFFF, rng.randrange(65536)))
    elif dice < 0.3 and lost.family == 4:
        lost.fragment = rng.choice((0x2000, 0x6000, 0xA000, 0x2000, 0x2001))
    elif dice < 0.3:
        field = rng.choice((1, 1, 7, 8))
        lost.extensions = [*lost.extensions, (44, b"\0\0" + struct.pack(">H", field) + rng.randbytes(4))]
    elif dice < 0.35:
        lost.ip_length = rng.choice((0, 19, 20, 60, 65535))
    elif dice < 0.4:
        lost.destination_port ^= 1


def ipv4_kind(rng):
    """(type, code, the four bytes behind the checksum)"""
    rest = rng.choice((bytes(4), rng.randbytes(4)))
    mtu = struct.pack(">HH", 0, rng.choice((0, 67, 68, 576, 1259, 1260, 1261, 1400, 1500, 65515, 65516, 65535)))
    return ((3, rng.randrange(17), bytes(4)), (3, rng.randrange(17), bytes(4)), (3, 4, mtu), (11, rng.randrange(3), rest),
            (12, rng.choice((0, 0, 1, 2, 3)), bytes([rng.randrange(24)]) + rng.choice((bytes(3), rng.randbytes(3)))),
            (4, 0, rest))


def ipv6_kind(rng):
    mtu = struct.pack(">I", rng.choice((1279, 1280, 1281, 1400, 1500, 65555, 65556, 0xFFFFFFFF)))
    pointer = struct.pack(">I", rng.choice((rng.randrange(44), rng.randrange(44), 256, 1 << 24, 0xFFFFFFFF)))
    return ((1, rng.randrange(8), bytes(4)), (1, rng.randrange(8), bytes(4)), (2, rng.choice((0, 0, 1, 255)), mtu),
            (3, rng.randrange(3), rng.choice((bytes(4), bytes(1) + rng.randbytes(3)))),
            (4, rng.choice((0, 0, 0, 1, 1, 2, 3)), pointer))


def with_extensions(rng, family, inner, rest):
    """(the quoted packet with what RFC 4884 puts behind it, the four bytes of the header, which tell its length);
    the length may be any."""
    at, unit = (1, 4) if family == 4 else (0, 8)
    quoted = inner[:rng.choice((128, 256, 520))]
    quoted += bytes(max(128 - len(quoted), -len(quoted) % unit))
    length = rng.choice((len(quoted) // unit, len(quoted) // unit, len(quoted) // unit, rng.randrange(12), 255))
    extensions = b"\x20\0" + rng.randbytes(rng.choice((2, 10)))
    return quoted + extensions, rest[:at] + bytes([length]) + rest[at + 1:]


REQUESTS = {request: 4, odd_request: 8}
WEIGHTS = {reply: 4, odd_reply: 8, datagram: 5, error: 9, about_reply: 9}

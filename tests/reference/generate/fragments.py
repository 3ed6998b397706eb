# SPDX-License-Identifier: BSD-3-Clause
"""Datagrams in pieces: of clients, of nat backends, of nobody that there is a service for; in order and not,
some of them missing, twice, overlapping, too short or past the end. Each takes the scene and answers a list of
Recipes, in the order of their coming."""

import struct
from dataclasses import replace

from . import full_nat, nat
from .odd import extension, fragment
from .recipe import icmp


def whole(scene):
    """A datagram to cut."""
    rng = scene.rng
    recipe = sound(scene)
    recipe.data = rng.randbytes(rng.choice((16, 17, 40, 100, rng.randrange(16, 3000))))
    dice = rng.random()
    if dice < 0.1:
        recipe.tcp_flags = rng.randrange(256)
    elif dice < 0.15:
        recipe.checksum = rng.choice((0, rng.randrange(65536)))
    elif dice < 0.2:
        recipe.ttl = rng.choice((1, 2))
    elif dice < 0.25:
        recipe.destination_port = rng.choice((0, 79, 81, 8081, 65535))
    elif dice < 0.3:
        recipe.protocol = rng.choice((47, 50, 132))
    elif dice < 0.35:
        recipe = icmp(recipe, 8 if recipe.family == 4 else 128, 0, rng.randbytes(4), recipe.data)
    elif dice < 0.4:
        recipe.udp_length = rng.choice((0, 7, 8, 65535))
    elif dice < 0.45:
        recipe.tcp_words = rng.choice((0, 4, 6, 15))
    elif dice < 0.5 and recipe.family == 4:
        recipe.options = rng.choice((b"\1\1\1\1", b"\1" * 40))
    return recipe


def sound(scene):
    dice = scene.rng.random()
    if scene.nat_services and dice < 0.25:
        return nat.reply(scene)
    if scene.full_nat_services and dice < 0.4:
        return full_nat.reply(scene)
    return scene.to_service()


def cuts(rng, length):
    """Where the pieces begin, and the end of the last: multiples of 8."""
    places = list(range(8, length, 8))
    first = [place for place in (8, 16, 24, 32, 40) if place < length]
    chosen = set(rng.sample(places, min(len(places), rng.choice((1, 1, 2, 3, 6)))))
    if first and rng.random() < 0.7:  # often behind the transport header
        chosen = {place for place in chosen if place > first[-1]} | {first[-1]}
    return [0, *sorted(chosen), length]


def options_first(scene, recipe):
    """(protocol, bytes): what an IPv6 datagram begins with, perhaps further extension headers."""
    payload, protocol = recipe.segment(), recipe.protocol
    if recipe.family == 6 and scene.rng.random() < 0.2:
        kind, body = extension(scene.rng, 60, scene.rng.choice((8, 16)))
        return kind, bytes([protocol]) + body[1:] + payload
    return protocol, payload


def piece(recipe, protocol, payload, begin, end, identification, last):
    """[begin, end) of `payload`."""
    one = replace(recipe, transport=b"", data=payload[begin:end], protocol=protocol,
                  identification=identification)
    if recipe.family == 4:
        one.fragment = (recipe.fragment & 0x8000) | (0 if last else 0x2000) | begin // 8
    else:
        body = b"\0\0" + struct.pack(">HI", begin & 0xFFF8 | (not last), identification)
        one.extensions = [*recipe.extensions, (44, body)]
    return one


def pieces(scene, of=whole):
    """`of(scene)`: the datagram."""
    rng = scene.rng
    recipe = of(scene)
    protocol, payload = options_first(scene, recipe)
    at = cuts(rng, len(payload))
    # Few identifications, so that one comes again.
    identification = rng.choice((7, rng.randrange(1 << 16)))
    return [piece(recipe, protocol, payload, begin, end, identification, end == len(payload))
            for begin, end in zip(at, at[1:])]


def in_order(scene, of=whole):
    return pieces(scene, of)


def backwards(scene, of=whole):
    return pieces(scene, of)[::-1]


def shuffled(scene, of=whole):
    some = pieces(scene, of)
    scene.rng.shuffle(some)
    return some


def incomplete(scene):
    some = shuffled(scene)
    del some[scene.rng.randrange(len(some))]
    return some


def repeated(scene, of=whole):
    """One of them comes twice."""
    some = shuffled(scene, of)
    some.insert(scene.rng.randrange(len(some) + 1), scene.rng.choice(some))
    return some


def broken(scene):
    """One of them is moved, made longer or shorter, or says otherwise whether it is the last."""
    rng = scene.rng
    some = shuffled(scene)
    at = rng.randrange(len(some))
    one = replace(some[at], extensions=list(some[at].extensions))
    fault = rng.randrange(4)
    if fault == 0:
        one.data += rng.randbytes(rng.choice((1, 7, 8, 16, 100)))
    elif fault == 1:
        one.data = one.data[:rng.choice((0, 1, 7, len(one.data) - 1))]
    else:
        change = rng.choice((1, 2, 8191, 8190)) if fault == 2 else 0
        move(one, change)
    if rng.random() < 0.5:
        some[at] = one
    else:
        some.insert(rng.randrange(len(some) + 1), one)
    return some


def move(one, change):
    """By `change` times 8 bytes, up to the end of what an offset says; 0: last or not is the other way."""
    if one.family == 4:
        offset = min((one.fragment & 0x1FFF) + change, 0x1FFF)
        one.fragment = (one.fragment & 0xE000 | offset) ^ (0 if change else 0x2000)
        return
    kind, body = one.extensions[-1]
    field, = struct.unpack_from(">H", body, 2)
    offset = min((field >> 3) + change, 0x1FFF)
    more = field & 1 if change else ~field & 1
    one.extensions[-1] = kind, body[:2] + struct.pack(">H", offset << 3 | more) + body[4:]


def of_many_gaps(scene):
    """More stretches of a datagram than are kept apart, its first one last."""
    rng = scene.rng
    recipe = scene.to_service()
    recipe.data = rng.randbytes(600)
    payload = recipe.segment()
    places = rng.sample(range(16, 592, 16), rng.choice((15, 16, 17, 20)))
    some = [piece(recipe, recipe.protocol, payload, begin, begin + 8, 9, False) for begin in places]
    return [*some, piece(recipe, recipe.protocol, payload, 0, 8 if recipe.protocol == 17 else 24, 9, False)]


WEIGHTS = {
    fragment: 3, in_order: 6, backwards: 4, shuffled: 4, incomplete: 2, repeated: 3, broken: 4, of_many_gaps: 0.5}

# SPDX-License-Identifier: BSD-3-Clause
"""What comes to the pool of full-nat: replies of flows that live, of others, ICMP errors, and what is neither.
Requests: scene.py. Each takes the scene and answers a Recipe."""

from .icmp_errors import about_packet
from .malformed import cut_transport_of
from .nat import MSS_OPTIONS
from .recipe import icmp


def bindings_of(scene, services):
    names = {service.name for service in services}
    return [one for one in scene.bindings() if one.service in names]


def flow(scene, services=None):
    """(backend's address and port, pool's address and port, protocol) of a flow of the services, or else of those that
    stay in their family; seldom of one that there is not."""
    rng = scene.rng
    service = rng.choice(services or scene.staying_services)
    bindings = bindings_of(scene, [service])
    if not bindings or rng.random() < 0.1:
        backend = rng.choice(service.seats)
        return (backend.address, backend.port or scene.port_of(service), rng.choice(service.pool),
                rng.choice((0, 80, 1023, 60000 + rng.randrange(5536))), scene.protocol_of(service))
    one = rng.choice(bindings)
    backend = service.backends.get(one.backend, service.seats[0])
    return backend.address, backend.port or one.flow[3], one.end.address, one.end.port, one.protocol


def reply(scene, services=None):
    address, port, pool, pool_port, protocol = flow(scene, services)
    return scene.sound(address, pool, protocol, port, pool_port)


def odd_reply(scene):
    """One thing about it is odd: old, of somebody else or another port, padded, long, unsummed, cut, to everybody."""
    rng = scene.rng
    recipe = reply(scene)
    odd = rng.randrange(11)
    if odd == 0:
        recipe.ttl = rng.choice((0, 1, 2))
    elif odd == 1:
        recipe.source = rng.choice(scene.clients[len(recipe.source)])
    elif odd == 2:
        recipe.source_port ^= 1
    elif odd == 3:
        recipe.padding = rng.randbytes(rng.choice((1, 6, 46, 1600)))
    elif odd == 4:
        scene.resize(recipe, rng.choice(scene.edges))
    elif odd == 5:
        recipe.checksum = rng.choice((0, 0xFFFF, rng.randrange(65536)))
    elif odd == 6:
        recipe.tcp_flags = rng.randrange(256)
    elif odd == 7:
        cut_transport_of(scene, recipe)
    elif odd == 8:
        recipe.to = b"\xff" * 6
    elif odd == 9:
        recipe.protocol, recipe.tcp_flags, recipe.tcp_options = 6, 0x12, rng.choice(MSS_OPTIONS)
    else:
        recipe.source = bytes([127, 0, 0, 1]) if recipe.family == 4 else bytes(15) + b"\1"
    return recipe


def not_for_flows(scene):
    """A ping to the pool, or another protocol."""
    rng = scene.rng
    recipe = reply(scene)
    if rng.random() < 0.5:
        return icmp(recipe, 8 if recipe.family == 4 else 128, 0, rng.randbytes(4), rng.randbytes(20))
    recipe.protocol = rng.choice((4, 47, 50, 132))
    return recipe


def error(scene, bad=False):
    """What a router behind us, or the backend, tells the pool about a packet that left from it."""
    rng = scene.rng
    address, port, pool, pool_port, protocol = flow(scene)
    lost = scene.sound(pool, address, protocol, pool_port, port)
    if lost.family == 4 and rng.random() < 0.2:
        lost.checksum = 0  # of UDP: none
    if bad:
        lost.destination_port ^= rng.choice((0, 0, 1))
    router = rng.choice(scene.clients[len(address)])
    return about_packet(scene, lost, address if rng.random() < 0.4 else router, pool, bad)


def bad_error(scene):
    return error(scene, bad=True)


def about_reply(scene):
    """What a router on the way to the client tells the VIP about a reply."""
    rng = scene.rng
    bindings = bindings_of(scene, scene.staying_services)
    if not bindings:
        return error(scene)
    client, vip, client_port, vip_port, protocol = rng.choice(bindings).flow
    lost = scene.sound(vip, client, protocol, vip_port, client_port)
    if lost.family == 4 and rng.random() < 0.2:
        lost.checksum = 0  # of UDP: none
    return about_packet(scene, lost, rng.choice(scene.clients[len(vip)]), vip, rng.random() < 0.2)


WEIGHTS = {reply: 14, odd_reply: 5, not_for_flows: 1, error: 3, bad_error: 2, about_reply: 5}

# SPDX-License-Identifier: BSD-3-Clause
"""QUIC packets: of connections whose servers made their IDs, of new ones, and of none."""

from balancer import quic


def payload(rng, service):
    kind = rng.randrange(10)
    if kind == 0:
        return rng.randbytes(rng.randrange(60))
    cid = server_made(rng, service) if kind < 8 else rng.randbytes(rng.randrange(21))
    if rng.random() < 0.05:
        cid = cid[:rng.randrange(len(cid) + 1)]
    rest = rng.randbytes(rng.choice((0, 1, 20, 100)))
    if rng.random() < 0.5:
        return bytes([rng.randrange(0x80)]) + cid + rest
    said = len(cid) if rng.random() < 0.95 else rng.randrange(256)
    return bytes([rng.randrange(0x80, 0x100)]) + rng.randbytes(4) + bytes([said]) + cid + rest


def server_made(rng, service):
    """As a server of the service makes it, of a configuration that it may not have."""
    config = rng.choice(service.options["quic"]["configs"])
    ids = [backend.quic_server_id for backend in service.backends.values() if backend.quic_server_id]
    unknown = rng.randbytes(config["server_id_length"])
    block = rng.choice([*ids, unknown]) + rng.randbytes(config["nonce_length"])
    if "key" in config:
        key = bytes.fromhex(config["key"])
        block = quic.encrypted(key, block) if len(block) == 16 else quic.passes(key, block, (1, 2, 3, 4))
    number = config["id"] if rng.random() < 0.9 else rng.randrange(8)
    return bytes([number << 5 | rng.randrange(32)]) + block + rng.randbytes(rng.choice((0, 0, 1)))

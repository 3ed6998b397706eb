# SPDX-License-Identifier: BSD-3-Clause
"""QUIC connection IDs that name their server: draft-ietf-quic-load-balancers-21, in integers where the
draft has bytes: each half of server ID and nonce is a number of as many bits."""

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from .packet import UDP

LONGEST_SHORT_ID = 20


def destination(payload):
    """RFC 8999 5: the destination connection ID; behind a short header the bytes that it begins with."""
    if not payload:
        return b""
    if payload[0] < 0x80:
        return payload[1:1 + LONGEST_SHORT_ID]
    if len(payload) < 6 or len(payload) < 6 + payload[5]:
        return b""
    return payload[6:6 + payload[5]]


def cipher(key):
    return Cipher(algorithms.AES(key), modes.ECB())


def encrypted(key, block):
    return cipher(key).encryptor().update(block)


def decrypted(key, block):
    return cipher(key).decryptor().update(block)


def passes(key, block, numbers):
    """Section 5.4.2: rounds of the Feistel network over `block`, each its own inverse."""
    bits, size, odd = 4 * len(block), (len(block) + 1) // 2, 4 * (len(block) % 2)
    whole = int.from_bytes(block, "big")
    left, right = whole >> bits, whole & ((1 << bits) - 1)
    for number in numbers:
        half = (left << odd if number % 2 else right).to_bytes(size, "big")
        mask = encrypted(key, half.ljust(14, b"\0") + bytes([len(block), number]))
        value = int.from_bytes(mask[:size], "big")
        if number % 2:
            right ^= value & ((1 << bits) - 1)
        else:
            left ^= value >> odd
    return (left << bits | right).to_bytes(len(block), "big")


def server_id(config, cid):
    """None: too short."""
    length = config["server_id_length"] + config["nonce_length"]
    block = cid[1:1 + length]
    if len(block) < length:
        return None
    if "key" in config:
        key = bytes.fromhex(config["key"])
        block = decrypted(key, block) if length == 16 else passes(key, block, (4, 3, 2, 1))
    return block[:config["server_id_length"]]


def server(service, packet):
    """The backend that a packet names and that takes packets of its old flows, or None."""
    configs = service.options.get("quic", {}).get("configs", ())
    if not configs or packet.protocol != UDP:
        return None
    length = int.from_bytes(packet.payload[4:6], "big")
    cid = destination(packet.payload[8:length])
    for config in configs:
        if cid and cid[0] >> 5 == config["id"]:
            wanted = server_id(config, cid)
            return next((backend for backend in service.backends.values()
                         if wanted and backend.quic_server_id == wanted and backend.keeps_flows), None)
    return None

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Packets of any IPv4 protocol by raw sockets, which need no support for it in the kernel.

raw_flows serve NAME VIP PROTOCOL...: answers each packet from VIP with its first bytes and NAME; SCTP's
ports (protocol 132) change places. Prints "ready".

raw_flows ask VIP PROTOCOL SOURCE[,SOURCE...] [FIRST_PORT COUNT]: one packet of each flow: of SCTP from
COUNT ports of each source, of other protocols from each source. Prints a line a flow: source, port, tab,
NAME of who answered. A flow without an answer gets two more tries, then it is "-".
"""

import select
import socket
import struct
import sys
import time

SCTP = 132
HEADER = 12  # SCTP's common header; so many bytes of others, too


def raw(protocol, address):
    made = socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol)
    made.bind((address, 0))
    return made


def received(from_socket):
    """(payload, address of the sender)"""
    packet, (sender, _) = from_socket.recvfrom(2048)
    return packet[(packet[0] & 15) * 4:], sender


def serve(name, vip, *protocols):
    sockets = {raw(int(protocol), vip): int(protocol) for protocol in protocols}
    print("ready", flush=True)
    while True:
        for ready in select.select(list(sockets), [], [])[0]:
            payload, sender = received(ready)
            head = payload[:HEADER]
            if sockets[ready] == SCTP:
                head = head[2:4] + head[:2] + head[4:]
            ready.sendto(head + name.encode(), (sender, 0))


def ask(vip, protocol, sources, first=0, count=1):
    protocol, first = int(protocol), int(first)
    sockets = {raw(protocol, source): source for source in sources.split(",")}
    waiting = {(source, first + i): asker for asker, source in sockets.items() for i in range(int(count))}
    flows, answers = sorted(waiting), {}
    for _attempt in range(3):
        for number, ((_, port), asker) in enumerate(waiting.items()):
            asker.sendto(struct.pack(">HHII", port, 5000, 1, 0) + b"who?", (vip, 0))
            if number % 64 == 63:
                time.sleep(0.002)  # a pause, so that no queue on the way overflows
        deadline = time.monotonic() + 1
        while waiting and time.monotonic() < deadline:
            for ready in select.select(list(sockets), [], [], 0.1)[0]:
                payload, sender = received(ready)
                if sender != vip or len(payload) <= HEADER:
                    continue
                ports = struct.unpack_from(">HH", payload)
                flow = sockets[ready], ports[1] if protocol == SCTP else ports[0]
                if waiting.pop(flow, None):
                    answers[flow] = payload[HEADER:].decode()
    for flow in flows:
        print(f"{flow[0]} {flow[1]}\t{answers.get(flow, '-')}")


if __name__ == "__main__":
    {"serve": serve, "ask": ask}[sys.argv[1]](*sys.argv[2:])

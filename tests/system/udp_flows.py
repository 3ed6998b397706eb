#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""udp_flows TARGET PORT SOURCE FIRST_PORT COUNT [SIZE]: one datagram, of SIZE bytes (default 4), from
each of COUNT source ports.

Prints a line a flow: source port, tab, answer. A flow without an answer from the address that it
asked gets two more tries within three seconds (UDP may be lost), then the answer is "-".
"""

import select
import socket
import sys
import time


def main():
    target, source = sys.argv[1], sys.argv[3]
    port, first, count = (int(sys.argv[i]) for i in (2, 4, 5))
    question = b"who?".ljust(int(sys.argv[6]) if len(sys.argv) > 6 else 0)
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    flows = {}
    for source_port in range(first, first + count):
        flow = socket.socket(family, socket.SOCK_DGRAM)
        flow.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        flow.bind((source, source_port))
        flow.connect((target, port))  # the kernel drops what another address answers
        flow.setblocking(False)
        flows[flow] = source_port
    answers, waiting = {}, dict(flows)
    for _attempt in range(3):
        for number, flow in enumerate(list(waiting)):
            flow.send(question)
            if number % 64 == 63:
                time.sleep(0.002)  # a pause, so that no queue on the way overflows
        deadline = time.monotonic() + 1
        while waiting and time.monotonic() < deadline:
            for flow in select.select(list(waiting), [], [], 0.1)[0]:
                try:
                    answers[waiting[flow]] = flow.recv(64).decode()
                except ConnectionError:
                    continue  # an ICMP error: try again
                del waiting[flow]
    for source_port in sorted(flows.values()):
        print(f"{source_port}\t{answers.get(source_port, '-')}")


if __name__ == "__main__":
    main()

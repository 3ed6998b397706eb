#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""tcp_capture INTERFACE PORT: the TCP segments to PORT that come by an interface, without VLAN tag and
IP options.

Prints "ready", then, until SIGTERM, a line of JSON a segment: source address, flags, sequence, the option bytes in hex, bytes
of payload, and whether the checksum is right.
"""

import json
import signal
import socket
import struct
import sys

ALL = 0x0003  # ETH_P_ALL


def words(data):
    data += b"\0" * (len(data) % 2)
    return sum(struct.unpack(f">{len(data) // 2}H", data))


def sum_is_right(addresses, segment):
    total = words(addresses) + words(segment) + 6 + len(segment)
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total == 0xffff


def segment_of(frame):
    kind = frame[12:14]
    if kind == b"\x08\x00" and frame[23] == 6:
        end = 14 + struct.unpack(">H", frame[16:18])[0]
        return frame[26:34], frame[34:end]
    if kind == b"\x86\xdd" and frame[20] == 6:
        end = 54 + struct.unpack(">H", frame[18:20])[0]
        return frame[22:54], frame[54:end]
    return None, b""


def main():
    interface, port = sys.argv[1], int(sys.argv[2])
    capture = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL))
    capture.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
    capture.bind((interface, 0))
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    capture.settimeout(0.1)
    print("ready", flush=True)
    while True:
        try:
            frame, (_, _, direction, *_) = capture.recvfrom(65536)
        except TimeoutError:
            if ended:
                return
            continue
        if direction == socket.PACKET_OUTGOING:
            continue
        addresses, segment = segment_of(frame)
        if addresses is None or struct.unpack(">H", segment[2:4])[0] != port:
            continue
        header = (segment[12] >> 4) * 4
        family = socket.AF_INET if len(addresses) == 8 else socket.AF_INET6
        print(json.dumps({"source": socket.inet_ntop(family, addresses[:len(addresses) // 2]),
                          "flags": segment[13], "sequence": struct.unpack(">I", segment[4:8])[0],
                          "options": segment[20:header].hex(), "payload": len(segment) - header,
                          "sum": sum_is_right(addresses, segment)}))


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: BSD-3-Clause
"""The files of net_pcap ports (the classic format of libpcap, Ethernet)."""

import struct

HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)


def write(path, frames):
    with open(path, "wb") as file:
        file.write(HEADER)
        for frame in frames:
            file.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)


def read(path):
    data = path.read_bytes()
    frames, at = [], len(HEADER)
    while at < len(data):
        length, = struct.unpack_from("<I", data, at + 8)
        frames.append(data[at + 16:at + 16 + length])
        at += 16 + length
    return frames

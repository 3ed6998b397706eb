# SPDX-License-Identifier: BSD-3-Clause
"""The Ethernet frame (IEEE 802.3, 802.1Q): is it for us, and what does it carry?"""

import struct

from .outcome import Dropped

IPV4, ARP, IPV6 = 0x0800, 0x0806, 0x86DD
TAG = 0x8100
SERVICE_TAGS = (0x88A8, 0x9100)  # IEEE 802.1ad, and what switches used before it
HEADER, TAG_LENGTH = 14, 4


def is_group(mac):
    return mac[0] & 1 == 1


def check_station(frame, mac):
    """A port takes what is for its own address or for a group. What it sent itself is a loop."""
    if len(frame) < HEADER:
        raise Dropped("l2_truncated")
    destination, source = frame[:6], frame[6:12]
    if destination != mac and not is_group(destination):
        raise Dropped("not_our_mac")
    if source == mac:
        raise Dropped("tunnel_loop")


def payload(frame, vlan):
    """(EtherType, offset of what it names). `vlan`: the port's VLAN id, 0 for untagged. A port takes
    its own tag, or a priority tag (VID 0) in its place; one tag at most."""
    kind = ether_type(frame, 12)
    if kind in SERVICE_TAGS:
        raise Dropped("vlan_unexpected")
    if kind != TAG:
        if vlan:
            raise Dropped("vlan_unexpected")
        return kind, HEADER
    if len(frame) < HEADER + TAG_LENGTH:
        raise Dropped("l2_truncated")
    vid = ether_type(frame, 14) & 0x0FFF
    if vid not in (0, vlan):
        raise Dropped("vlan_unexpected")
    kind = ether_type(frame, 16)
    if kind == TAG or kind in SERVICE_TAGS:
        raise Dropped("vlan_unexpected")
    return kind, HEADER + TAG_LENGTH


def ether_type(frame, at):
    return struct.unpack_from(">H", frame, at)[0]


def kind_of(packet):
    return IPV4 if packet.family == 4 else IPV6


def header(destination, source, vlan, kind):
    """The Ethernet header of a frame that leaves."""
    tag = struct.pack(">HH", TAG, vlan) if vlan else b""
    return destination + source + tag + struct.pack(">H", kind)

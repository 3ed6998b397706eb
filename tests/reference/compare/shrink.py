# SPDX-License-Identifier: BSD-3-Clause
"""Makes a failing sequence of packets small: delta debugging (Zeller and Hildebrandt, "Simplifying
and Isolating Failure-Inducing Input", IEEE TSE 2002), over the packets and then over their bytes."""

import time


def ddmin(items, fails, seconds=300):
    """A sequence of which no single item may be left out, as far as the time goes. Precondition:
    fails(items)."""
    items, parts, end = list(items), 2, time.monotonic() + seconds
    while len(items) > 1 and time.monotonic() < end:
        size = -(-len(items) // parts)
        for start in range(0, len(items), size):
            if time.monotonic() > end:
                return items
            rest = items[:start] + items[start + size:]
            if rest and fails(rest):
                items, parts = rest, max(parts - 1, 2)
                break
        else:
            if size == 1:
                break
            parts = min(parts * 2, len(items))
    return items


def shrink(packets, fails):
    """[(port, frame)] -> a smaller one that fails, too."""
    packets = ddmin(packets, fails)
    for i, (port, frame) in enumerate(packets):
        def fails_with(changed, i=i, port=port):
            return fails(packets[:i] + [(port, changed)] + packets[i + 1:])
        packets[i] = port, plain_bytes(short(frame, fails_with), fails_with)
    return packets


def short(frame, fails_with):
    """Cuts the end off, as far as it goes, in ever smaller steps."""
    step = len(frame) // 2
    while step:
        while len(frame) > step and fails_with(frame[:-step]):
            frame = frame[:-step]
        step //= 2
    return frame


def plain_bytes(frame, fails_with):
    """Makes bytes zero, in ever smaller groups."""
    size = max(len(frame) // 2, 1)
    while size:
        for start in range(0, len(frame), size):
            zeros = bytes(min(size, len(frame) - start))
            changed = frame[:start] + zeros + frame[start + size:]
            if changed != frame and fails_with(changed):
                frame = changed
        size //= 2
    return frame

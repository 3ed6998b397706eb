# SPDX-License-Identifier: BSD-3-Clause
"""The configuration to play against, put together from configuration/, and the programs."""

import os
import pathlib
import re
import subprocess
import tempfile
from functools import lru_cache

HERE = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("WEIR_BUILD", HERE.parent.parent / "build"))
WEIR, WEIRCTL, PLAY = BUILD / "app/weir", BUILD / "app/weirctl", BUILD / "tests/reference/play"
# Features that a version of Weir may not have yet; what it refuses is not compared.
FEATURES = ("gre", "gue", "l3dsr", "icmp", "mss", "nat", "full-nat", "families", "protocols", "quic")
NOT_YET = re.compile(r"not built yet|unknown key|must be \"(dsr-l2|tcp)\"")
PORTS = 3


def filled(names, devices=("net_null0", "net_null1", "net_null2"), taps=(), rx="[]", workers="[1]"):
    """`names`: files of configuration/. `taps`: numbers of ports with a TAP."""
    text = "".join((HERE / f"configuration/{name}.toml").read_text() for name in names)
    for number in range(PORTS):
        tap = f'exception_tap = "reftap{number}"' if number in taps else ""
        text = text.replace(f"@DEVICE{number}@", devices[number]).replace(f"@TAP{number}@", tap)
    return text.replace("@RX@", rx).replace("@WORKERS@", workers)


def refusals(text):
    """Lines of `weir --check` about `text`; none: it is taken."""
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(text)
        file.flush()
        result = subprocess.run([WEIR, "--config", file.name, "--check"], capture_output=True,
                                text=True, timeout=30)
    return [] if result.returncode == 0 else (result.stdout + result.stderr).splitlines()


@lru_cache
def known_features():
    """Those that this build has. A refusal for another reason is a fault of the file."""
    assert WEIR.exists(), f"{WEIR} is not built: run scripts/build"
    assert not refusals(filled(["base"])), refusals(filled(["base"]))
    known = []
    for feature in FEATURES:
        lines = refusals(filled(["base", feature]))
        strange = [line for line in lines if not NOT_YET.search(line)]
        assert not strange, f"{feature}.toml: {strange}"
        if not lines:
            known.append(feature)
    return tuple(known)


def for_pipeline():
    """Two ports with a TAP, one without."""
    return filled(["base", "unresolved", *known_features()], taps=(0, 1))


def for_binary(**fill):
    """No port with a TAP: net_pcap ports have no kernel beside them. Without quic: which packet of a
    flow comes first, from another port, decides there, and ports know no order among them."""
    features = [feature for feature in known_features() if feature != "quic"]
    return filled(["base", *features], **fill)

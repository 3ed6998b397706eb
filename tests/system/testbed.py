# SPDX-License-Identifier: BSD-3-Clause
"""The test network and the balancer in it, as Python sees them. scripts/testbed does the work."""

import collections
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import time

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("WEIR_BUILD", TOP / "build"))
WEIR, WEIRCTL = BUILD / "app/weir", BUILD / "app/weirctl"
HTTP_FLOWS = BUILD / "tests/system/http_flows"

VIP4, VIP6, VIP_UDP = "192.0.2.10", "2001:db8:10::10", "192.0.2.53"
TUNNEL_VIPS = {"tun44": ("c4", "192.0.2.20"), "tun46": ("c4", "192.0.2.21"),
               "tun64": ("c6", "2001:db8:10::20"), "tun66": ("c6", "2001:db8:10::21")}
SOURCES = {"c4": [f"198.51.100.{i}" for i in range(2, 18)],
           "c6": [f"2001:db8:6::{i}" for i in range(2, 6)]}
BACKENDS = ("b1", "b2", "b3")

# One connection of http_flows: key = (source address, source port), times = time.monotonic().
Flow = collections.namedtuple("Flow", "key start end result answer")


def read_flows(text):
    flows = []
    for line in text.splitlines():
        address, port, start, end, result, answer = line.split("\t")
        flows.append(Flow((address, int(port)), float(start), float(end), result, answer))
    return flows


def failures(flows):
    return [flow for flow in flows if flow.result != "ok"]


def answers(flows):
    """{backend: connections}; failed ones stand under their result."""
    return collections.Counter(flow.answer or flow.result for flow in flows)


def placement(flows):
    """{(address, port): backend}"""
    return {flow.key: flow.answer for flow in flows}


def wait_until(condition, seconds, what):
    """Polls `condition` until it is true; returns the seconds that this took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() < began + seconds, f"not within {seconds} s: {what}"
        time.sleep(0.02)
    return time.monotonic() - began


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("weir", timeout=10)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Testbed:
    """One network PREFIX*, made by up() and removed by down()."""

    __test__ = False

    def __init__(self, prefix):
        self.prefix = prefix
        self.state = pathlib.Path("/run/weir-testbed") / prefix.rstrip("-")
        self.socket = self.state / "ctl.sock"
        self.file = self.state / "weir.toml"
        self.log = self.state / "weir.log"
        self.file_prefix = prefix.rstrip("-")

    # --- the network ---

    def command(self, *words, check=True):
        done = subprocess.run([TOP / "scripts/testbed", "-p", self.prefix, *map(str, words)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        assert not check or done.returncode == 0, f"testbed {' '.join(map(str, words))}: {done.stderr}"
        return done.stdout

    def up(self, *options):
        self.command("down")
        self.command("up", *options)

    def down(self):
        self.command("down")

    def netns(self, host, *words):
        return ["ip", "netns", "exec", self.prefix + host, *map(str, words)]

    def inside(self, host, *words, check=True, timeout=60):
        done = subprocess.run(self.netns(host, *words), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=timeout)
        assert not check or done.returncode == 0, f"{host}: {' '.join(map(str, words))}: {done.stderr}"
        return done.stdout

    # --- traffic ---

    def start_flows(self, client, vip, first_port, count, **options):
        words = [HTTP_FLOWS, "--target", vip, "--from", ",".join(SOURCES[client]),
                 "--first-port", first_port, "--count", count]
        for name, value in options.items():
            words += ["--" + name.replace("_", "-"), value]
        return subprocess.Popen(self.netns(client, *words), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    @staticmethod
    def end_flows(process, timeout=120):
        output, errors = process.communicate(timeout=timeout)
        assert process.returncode == 0, errors
        return read_flows(output)

    def flows(self, client, vip, first_port, count, **options):
        return self.end_flows(self.start_flows(client, vip, first_port, count, **options))

    def udp_flows(self, vip, port, first_port, count, size=4):
        output = self.inside("c4", TOP / "tests/system/udp_flows.py", vip, port, SOURCES["c4"][0],
                             first_port, count, size)
        return dict(line.split("\t") for line in output.splitlines())

    def start_download(self, client, vip, path, rate=0, key=None):
        """curl of 4 MiB, `rate` bytes a second (0: no limit), from source (address, port) `key`."""
        host = f"[{vip}]" if ":" in vip else vip
        source = ["--interface", key[0], "--local-port", key[1]] if key else []
        return subprocess.Popen(
            self.netns(client, "curl", "-sS", "--max-time", 60, *source, "-o", path,
                       f"http://{host}/file?rate={rate}"),
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def upload(self, client, vip, path):
        """Sends a file in full-size segments through Weir; answers the HTTP status, 204 when whole."""
        host = f"[{vip}]" if ":" in vip else vip
        return self.inside(client, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time",
                           20, "--data-binary", f"@{path}", f"http://{host}/upload")

    def is_whole(self, path):
        digest = subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout
        return digest.split()[0] == (self.state / "file.sha256").read_text().strip()

    def occupy_xdp(self, host, interface, folder):
        """Puts an XDP program of the tests on an interface."""
        folder.mkdir()
        subprocess.run(["mount", "-t", "bpf", "bpf", folder], check=True)
        try:
            subprocess.run(["bpftool", "prog", "load", BUILD / "tests/system/decap.bpf.o", folder / "p",
                            "type", "xdp"], check=True, capture_output=True)
            self.inside(host, "bpftool", "net", "attach", "xdpdrv", "pinned", folder / "p", "dev", interface)
        finally:
            subprocess.run(["umount", folder], check=True)
            folder.rmdir()

    def checksum_errors(self):
        """{host: line} of every host that counted a bad checksum."""
        found = {}
        for host in ("c4", "c6", *BACKENDS):
            for line in self.inside(host, "nstat", "-asz").splitlines():
                name, *values = line.split()
                if name.endswith("InCsumErrors") and values[0] != "0":
                    found[host] = line
        return found

    # --- the balancer ---

    def config(self, *options):
        return self.command("config", *options)

    def start(self, *options):
        return self.command("balancer", "start", "--file-prefix", self.file_prefix, *options)

    def run_weir(self, path, seconds=30):
        """Runs a second weir that is expected to end by itself; answers the finished process."""
        return subprocess.run(
            self.netns("lb", WEIR, "--config", path, "--", f"--file-prefix={self.file_prefix}x"),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds)

    def stop(self):
        self.command("balancer", "stop")

    def pid(self):
        return int(self.command("balancer", "pid"))

    def signal(self, number):
        os.kill(self.pid(), number)

    def running(self):
        return bool(self.command("balancer", "pid", check=False))

    def request(self, path, method="GET"):
        connection = UnixConnection(self.socket)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def get(self, path):
        status, body = self.request(path)
        assert status == 200, f"{path}: {status} {body}"
        return body

    def metrics(self):
        """{'name{labels}': value}"""
        values = {}
        for line in self.get("/metrics").splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                values[name] = float(value)
        return values

    def backend_up(self, service, backend):
        return self.metrics()[f'weir_backend_up{{service="{service}",backend="{backend}"}}']

    def transitions(self):
        return sum(value for name, value in self.metrics().items()
                   if name.startswith("weir_health_transitions_total"))

    def ctl(self, *words, check=True, timeout=30):
        done = subprocess.run([WEIRCTL, "-s", self.socket, *map(str, words)], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=timeout)
        assert not check or done.returncode == 0, f"weirctl {words}: {done.stdout}{done.stderr}"
        return done

    def ctl_json(self, *words):
        return json.loads(self.ctl("-j", *words).stdout)

    def reload(self, *options):
        """Rewrites the running file with these options of `testbed config` and reloads it."""
        self.reload_text(self.config(*options))

    def reload_text(self, text):
        self.file.write_text(text)
        self.ctl("reload", self.file)

    def wait_quiet(self):
        """Waits until the packet counters stand still, and answers them."""
        def totals():
            info = self.telemetry("/weir/info")["/weir/info"]
            return [info[name] for name in ("received", "sent", "punted", "dropped", "injected")]
        last = totals()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            time.sleep(1.1)
            if (now := totals()) == last:
                return now
            last = now
        raise AssertionError("the counters never stood still")

    def telemetry(self, *commands):
        """{command: answer}, by DPDK's own client."""
        done = subprocess.run(["dpdk-telemetry.py", "-f", self.file_prefix],
                              input="\n".join([*commands, "quit"]) + "\n", capture_output=True, text=True,
                              timeout=20)
        replies = {}
        for line in done.stdout.splitlines():  # one JSON object a command
            if line.startswith('{"/'):
                replies.update(json.loads(line))
        missing = [command for command in commands if command.split(",")[0] not in replies]
        assert not missing, f"no reply to {missing}: {done.stdout} {done.stderr}"
        return replies

    def command_options(self):
        """Options of start() that repeat the choices of the last one."""
        mode, device, memory = (self.state / "choice").read_text().split()
        return ["--mode", mode, "--device", device, "--memory", memory]

    def ctl_path(self):
        return WEIRCTL

    def kill_dead(self):
        """kill -9 the balancer."""
        os.kill(self.pid(), signal.SIGKILL)
        wait_until(lambda: not self.running(), 5, "the killed balancer is gone")

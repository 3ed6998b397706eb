#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A server that is told clients by the PROXY protocol and speaks first, and its client.

proxied serve PORT: prints "ready". A connection gets the line "ADDRESS PORT" of its header as soon as
    the header is there, and the SHA-256 of all that follows once the client ended its side.
proxied ask SOURCE SOURCE_PORT TARGET PORT BYTES [fast|abort]: prints what it was greeted with, then "same"
    when the digest is that of the BYTES that it sent after the greeting. fast: it sends them first,
    in the SYN where TCP fast open lets it. abort: it resets the connection after the greeting.
"""

import hashlib
import socket
import struct
import sys
import threading

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def receive(connection, count):
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise ConnectionError(f"the end after {data!r}")
        data += part
    return data


def client_of(connection):
    signature, command, family, length = struct.unpack(">12sBBH", receive(connection, 16))
    rest = receive(connection, length)
    if signature != SIGNATURE or command != 0x21 or (family, length) not in ((0x11, 12), (0x21, 36)):
        raise ConnectionError("not a PROXY header of TCP")
    size = 4 if family == 0x11 else 16
    address = socket.inet_ntop(socket.AF_INET if size == 4 else socket.AF_INET6, rest[:size])
    return f"{address} {struct.unpack('>H', rest[2 * size:2 * size + 2])[0]}\n"


def serve_one(connection):
    with connection:
        try:
            connection.sendall(client_of(connection).encode())
            digest = hashlib.sha256()
            while data := connection.recv(1 << 16):
                digest.update(data)
            connection.sendall(digest.hexdigest().encode())
        except OSError as error:
            print(error, file=sys.stderr)


def serve(port):
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=128)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 16)
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve_one, args=(connection,), daemon=True).start()


def rest_of(connection):
    data = b""
    while part := connection.recv(1 << 16):
        data += part
    return data


def ask(source, source_port, target, port, count, fast, abort):
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    with socket.socket(family) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        connection.bind((source, source_port))
        data = bytes(i * 7 % 251 for i in range(min(count, 1 << 16))) * max(1, count >> 16)
        if fast:
            sent = connection.sendto(data, socket.MSG_FASTOPEN, (target, port))
            connection.sendall(data[sent:])
        else:
            connection.connect((target, port))
        connection.settimeout(20)
        greeting = b""
        while not greeting.endswith(b"\n"):
            greeting += receive(connection, 1)
        print(greeting.decode(), end="", flush=True)
        if abort:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        if not fast:
            connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        print("same" if rest_of(connection).decode() == hashlib.sha256(data).hexdigest() else "other")


def main():
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    source, source_port, target, port, count = sys.argv[2:7]
    ask(source, int(source_port), target, int(port), int(count), "fast" in sys.argv[7:],
        "abort" in sys.argv[7:])


if __name__ == "__main__":
    main()

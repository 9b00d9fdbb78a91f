#!/usr/bin/env python3
"""Resident memory of the server per idle, authenticated connection.

    cargo build --release && python3 benches/idle_memory.py [CONNECTIONS] [SECONDS]

Starts `goldenpath serve` in its own process, warms it, opens CONNECTIONS (5000) sockets that log in and then say
nothing, waits SECONDS (30), and prints (resident with them - resident warmed with none) / CONNECTIONS. Exit 0 when
that is at most 12 KiB, 1 when it is more, 2 when the machine does not allow the run. No package is needed.
"""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import re
import resource
import select
import socket
import subprocess
import sys
import time

GOAL_KIB = 12.0
KEY = b"idle-memory-key-of-at-least-32-bytes"
ROOT = pathlib.Path(__file__).resolve().parent.parent


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(user):
    head = b64(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    body = b64(json.dumps({"sub": user, "exp": int(time.time()) + 3600}).encode())
    signature = hmac.new(KEY, f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{b64(signature)}"


def login(port, user):
    """A socket that was upgraded and welcomed."""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.sendall(
        (
            "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n"
            f"Authorization: Bearer {token(user)}\r\n\r\n"
        ).encode()
    )
    seen = b""
    while b"connection_established" not in seen:
        chunk = sock.recv(4096)
        if not chunk:
            sys.exit(f"{user} was not let in: {seen[:200]!r}")
        seen += chunk
    return sock


def resident_kib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1))


def allow_files(wanted):
    """Both ends need one descriptor per connection; the soft limit can be raised to the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            print(f"the open-file limit is {soft} (hard {hard}), {wanted} are needed: raise it, e.g. ulimit -Hn {wanted}")
            sys.exit(2)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    print(f"open files: {max(soft, wanted)} allowed, {wanted} needed")


def drain(socks):
    """Reads what came: an idle client still takes its heartbeats in."""
    poll = select.poll()
    by_fd = {sock.fileno(): sock for sock in socks}
    for fd in by_fd:
        poll.register(fd, select.POLLIN)
    for fd, _ in poll.poll(0):
        by_fd[fd].recv(65536)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 30.0
    binary = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release" / "goldenpath"
    if not binary.exists():
        print(f"{binary} is not there: cargo build --release")
        sys.exit(2)
    allow_files(count + 200)
    key_file = binary.parent / "idle-memory.key"
    key_file.write_bytes(KEY)
    server = subprocess.Popen(
        [binary, "serve", "--listen", "127.0.0.1:0", "--jwt-key-file", key_file],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        port = int(re.search(r":(\d+)/ws", server.stdout.readline()).group(1))
        for sock in [login(port, f"warm-{n}") for n in range(100)]:
            sock.close()
        time.sleep(1)
        empty = resident_kib(server.pid)
        socks = [login(port, f"user-{n}") for n in range(count)]
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(1)
            drain(socks)
        full = resident_kib(server.pid)
    finally:
        server.terminate()
        server.wait()
    each = (full - empty) / count
    print(f"resident: {empty} KiB with none, {full} KiB with {count}: {each:.2f} KiB each, goal at most {GOAL_KIB:.0f}")
    sys.exit(0 if each <= GOAL_KIB else 1)


main()

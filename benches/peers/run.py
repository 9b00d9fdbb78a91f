#!/usr/bin/env python3
"""Processor time of one round trip, in this simulator and in others.

    python3 benches/peers/run.py [--runs 3] [--no-build]

Builds the programs of benches/peers/, each in its own workspace, runs each as a child process, and
prints a table of user and system time per round trip: the median of the runs, start-up included. Exit 0 when this
simulator makes at least 20 times the round trips of turmoil with a host per client, 1 when it does not. No package is
needed.
"""

import argparse
import os
import pathlib
import platform
import statistics
import subprocess
import sys

GOAL = 20.0
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PEERS = ROOT / "benches" / "peers"
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
CLIENTS = 100
MODEL = "turmoil, a host per client"


def peer(name, *arguments):
    return [TARGET / "peers" / name / "release" / f"peer-{name}", *map(str, arguments)]


CONTESTS = [
    ("goldenpath, all checkers", peer("goldenpath", PEERS / "pings.toml")),
    (MODEL, peer("turmoil", "each", CLIENTS, 10_000)),
    ("turmoil, all clients in one host", peer("turmoil", "one", CLIENTS, 100_000)),
    ("madsim, a node per client", peer("madsim", CLIENTS, 50_000)),
]


def build():
    for name, flags in [("goldenpath", ""), ("turmoil", ""), ("madsim", "--cfg madsim")]:
        environment = {**os.environ, "CARGO_TARGET_DIR": str(TARGET / "peers" / name), "RUSTFLAGS": flags}
        subprocess.run(["cargo", "build", "--release", "--locked"], cwd=PEERS / name, check=True, env=environment)


def measure(command):
    """The round trips that a child printed first, and its user and system time, seconds."""
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    out = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"{command[0]} failed: {out}")
    return int(out.split()[0]), usage.ru_utime + usage.ru_stime


def machine():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor() or platform.machine()
    return f"{os.cpu_count()} x {model}, {platform.system()}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--no-build", action="store_true")
    options = parser.parse_args()
    if not options.no_build:
        build()
    spent = {name: [] for name, _ in CONTESTS}
    trips = {}
    # In turns, so that a busy minute of the machine is everybody's.
    for _ in range(options.runs):
        for name, command in CONTESTS:
            trips[name], seconds = measure(command)
            spent[name].append(seconds)
    each = {name: statistics.median(spent[name]) / trips[name] * 1e6 for name in spent}
    print(f"{machine()}; median of {options.runs} runs\n")
    print("| simulator | round trips | µs of processor time each | smallest | largest | rate, of the first |")
    print("|---|---:|---:|---:|---:|---:|")
    ours = CONTESTS[0][0]
    for name, took in each.items():
        low, high = (edge(spent[name]) / trips[name] * 1e6 for edge in (min, max))
        share = each[ours] / took
        print(f"| {name} | {trips[name]:,} | {took:.2f} | {low:.2f} | {high:.2f} | {share:.3f} |")
    ratio = each[MODEL] / each[ours]
    print(f"\n{ours}: {ratio:.1f} times the rate of {MODEL}; goal {GOAL:.0f}")
    sys.exit(0 if ratio >= GOAL else 1)


if __name__ == "__main__":
    main()

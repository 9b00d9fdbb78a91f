#!/usr/bin/env python3
"""What a frame costs in a world of a million users, and in the same one with a thousand.

    python3 benches/scale/run.py [--users 1000000] [--program target/release/goldenpath] [WORKLOAD ...]

Plays each workload with both numbers of users, in turns, and prints processor time per frame that arrived over the simulated
network, without that of starting up, and the most memory. Exit 0 when the round trips cost at most 1 µs more and fit into
16 GiB, 1 when not. Needs about 6 GiB of memory and ten minutes. No package is needed.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
WORKLOADS = {
    "round-trips": ROOT / "benches" / "scale" / "round-trips.toml",
    "golden-path": ROOT / "scenarios" / "million-users.toml",
}
JUDGED = "round-trips"
FEW = 1_000
# A run of few users takes hundredths of a second.
RUNS_OF_FEW = 21
MORE_US_MAX = 1.0
PEAK_GIB_MAX = 16.0


def with_users(workload, users, folder):
    text, count = re.subn(r"(?m)^count = \d+$", f"count = {users}", WORKLOADS[workload].read_text())
    if count != 1:
        sys.exit(f"{WORKLOADS[workload]}: expected one line `count = …`, found {count}")
    scenario = pathlib.Path(folder) / f"{workload}-{users}.toml"
    scenario.write_text(text)
    return scenario


def play(program, scenario):
    """Frames, processor time in microseconds and the peak of memory in GiB of one run."""
    command = [str(program), "sim", "--scenario", str(scenario), "--json"]
    with tempfile.TemporaryFile("w+") as out:
        child = subprocess.Popen(command, stdout=out)
        _, status, usage = os.wait4(child.pid, 0)
        out.seek(0)
        report = out.read()
    if status != 0:
        sys.exit(f"{' '.join(command)}: ended with {os.waitstatus_to_exitcode(status)}, expected 0")
    facts = {fact["key"]: fact["value"]["value"] for fact in json.loads(report)["facts"]}
    return facts["frames_delivered"], (usage.ru_utime + usage.ru_stime) * 1e6, usage.ru_maxrss / 2**20


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=f"of {', '.join(WORKLOADS)}; all by default")
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--program", type=pathlib.Path, default=TARGET / "release" / "goldenpath")
    options = parser.parse_args()
    unknown = [name for name in options.workloads if name not in WORKLOADS]
    if unknown:
        parser.error(f"no workload is named {unknown[0]}: expected one of {', '.join(WORKLOADS)}")
    if not options.program.is_file():
        parser.error(f"{options.program} is no program: build it first, cargo build --release")
    met = True
    print("| workload | users | frames | µs of processor time a frame | more than with few | peak, GiB |")
    print("|---|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for workload in options.workloads or WORKLOADS:
            one, few, many = (with_users(workload, users, folder) for users in (1, FEW, options.users))
            start = statistics.median(play(options.program, one)[1] for _ in range(RUNS_OF_FEW))
            before = [play(options.program, few) for _ in range(RUNS_OF_FEW // 2)]
            frames, took_us, peak = play(options.program, many)
            before += [play(options.program, few) for _ in range(RUNS_OF_FEW // 2)]
            each_few = (statistics.median(took_us for _, took_us, _ in before) - start) / before[0][0]
            each = (took_us - start) / frames
            print(f"| {workload} | {FEW:,} | {before[0][0]:,} | {each_few:.2f} | | {before[0][2]:.2f} |")
            print(f"| {workload} | {options.users:,} | {frames:,} | {each:.2f} | {each - each_few:.2f} | {peak:.2f} |", flush=True)
            met &= workload != JUDGED or (each - each_few <= MORE_US_MAX and peak <= PEAK_GIB_MAX)
    print(f"\ngoal for {JUDGED}: at most {MORE_US_MAX} µs more, {PEAK_GIB_MAX:.0f} GiB: {'met' if met else 'missed'}")
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()

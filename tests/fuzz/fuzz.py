"""Mutation fuzzing under AddressSanitizer, for a given time (see run.sh).

    python -m tests.fuzz.fuzz --seconds 120 [--parser pcap] [--seed 1]
    python -m tests.fuzz.fuzz --replay fuzz-build/crashes/pcap-0123456789ab

A worker process does the reading, so a crash, a hang or a run-away allocation ends the worker
and not the search: the input it was at is saved, and another worker goes on.
"""

import argparse
import hashlib
import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.fuzz.containers import Opened, container_seeds, examine_container
from tests.fuzz.corpus import ROOT, corpus
from tests.fuzz.examine import Outcome, examine
from tests.fuzz.functions import Called, examine_functions, function_seeds
from tests.fuzz.mutate import mutated
from tracelake.parsers import BY_NAME

BUILD = ROOT / "fuzz-build"
CURRENT = BUILD / "current"
CRASHES = BUILD / "crashes"
# AddressSanitizer makes everything several times slower; no input is larger than 256 KiB.
HANG_S = 20
# An input of 256 KiB has no business with more than this.
MEMORY_GROWTH_KIB = 512 << 10
KEEP = 400

Target = Callable[[bytes], Outcome | Opened | Called]
TARGETS: dict[str, Target] = {name: partial(examine, p) for name, p in BY_NAME.items()}
TARGETS["containers"] = examine_container
TARGETS["functions"] = examine_functions


def work(seconds: float, seed: int, only: str | None) -> None:
    """The worker: reads mutated inputs until the time is over."""
    rng = random.Random(seed)
    names = [name for name in TARGETS if only in (None, name)]
    seeds = corpus() | {"containers": container_seeds(), "functions": function_seeds()}
    kept = {name: list(each) for name, each in seeds.items()}
    known: dict[str, set[object]] = {name: set() for name in names}
    done = dict.fromkeys(names, 0)
    until = time.monotonic() + seconds
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # also ends a loop that never comes back
    while time.monotonic() < until:
        name = rng.choice(names)
        own = rng.random() < 0.95
        source = kept[name] if own else kept[rng.choice(list(kept))]
        if not source:
            source = [b"\0"]
        data = mutated(rng, source)
        CURRENT.write_bytes(name.encode() + b"\n" + data)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        signal.alarm(HANG_S)
        outcome = TARGETS[name](data)
        signal.alarm(0)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        if grown > MEMORY_GROWTH_KIB:
            raise MemoryError(f"{grown >> 10} MiB more for an input of {len(data)} bytes")
        done[name] += 1
        # What leads to something new is worth damaging further.
        if outcome.signature not in known[name]:
            known[name].add(outcome.signature)
            if len(kept[name]) < len(seeds[name]) + KEEP:
                kept[name].append(data)
    for name, count in done.items():
        print(
            f"{name}: {count} inputs, {len(known[name])} kinds of outcome, no finding", flush=True
        )


def search(seconds: float, seed: int, only: str | None) -> int:
    """Runs workers one after the other until the time is over; returns the number of findings."""
    CRASHES.mkdir(parents=True, exist_ok=True)
    found: dict[str, Path] = {}
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 1:
        # faulthandler: where Python stood when native code went down.
        command = [sys.executable, "-X", "faulthandler", "-m", "tests.fuzz.fuzz"]
        command += ["--work", str(left)]
        command += ["--seed", str(seed), *(["--parser", only] if only else [])]
        CURRENT.unlink(missing_ok=True)
        ran = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, check=False)
        if ran.returncode == 0:
            break
        told = ran.stderr.decode("utf-8", "replace")
        if not CURRENT.is_file():
            print(told, file=sys.stderr)
            raise SystemExit("the worker failed before it read anything")
        name, _, data = CURRENT.read_bytes().partition(b"\n")
        path = CRASHES / f"{name.decode()}-{hashlib.sha256(data).hexdigest()[:12]}"
        path.write_bytes(data)
        if ran.returncode == -signal.SIGALRM:
            told = f"no end after {HANG_S} s\n"
        path.with_suffix(".txt").write_text(told)
        where = summary(told, ran.returncode)
        if where not in found:
            print(f"FINDING {path.relative_to(ROOT)}: {where}", flush=True)
        found.setdefault(where, path)
        seed += 1
    for where, path in found.items():
        print(f"{path.name}: {where}")
    print(f"{len(found)} different findings, inputs in {CRASHES.relative_to(ROOT)}")
    return len(found)


def summary(told: str, code: int) -> str:
    """The line of a report that tells findings apart."""
    for line in told.splitlines():
        if "SUMMARY:" in line or "runtime error:" in line:
            return line.strip()
    if code < 0 and code != -signal.SIGALRM:
        return f"ended by {signal.Signals(-code).name}"
    lines = [line for line in told.splitlines() if line.strip()]
    return re.sub(r"-?\d+", "N", lines[-1].strip()) if lines else "no word"


def replay(path: Path) -> int:
    """Reads a saved input once, as what its name begins with."""
    print(TARGETS[path.name.rsplit("-", 1)[0]](path.read_bytes()))
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description="mutation fuzzing of the parsers")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--parser", choices=list(TARGETS))
    parser.add_argument("--work", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--replay", type=Path)
    given = parser.parse_args()
    if given.replay:
        return replay(given.replay)
    if given.work is not None:
        work(given.work, given.seed, given.parser)
        return 0
    print(f"seed {given.seed}, {given.seconds:g} s, pid {os.getpid()}", flush=True)
    return 1 if search(given.seconds, given.seed, given.parser) else 0


if __name__ == "__main__":
    sys.exit(main())

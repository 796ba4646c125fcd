"""What a command costs: CPU seconds of it and of all its descendants, and their private memory."""

import ctypes
import os
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
SAMPLE_EVERY_S = 0.02


@dataclass(frozen=True, slots=True)
class Cost:
    """Attributes:
    cpu: seconds, user and system, of the command and all processes it started.
    wall: seconds.
    anonymous: bytes, the high water of the sum of RssAnon over those processes (mapped
        files are left out: the page cache's, not ours).
    output: what it printed.
    """

    cpu: float
    wall: float
    anonymous: int
    output: str


def descendants(pid: int) -> list[int]:
    found, todo = [], [pid]
    while todo:
        parent = todo.pop()
        try:
            for task in os.listdir(f"/proc/{parent}/task"):
                children = Path(f"/proc/{parent}/task/{task}/children").read_text()
                todo += [int(child) for child in children.split()]
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended between two looks
        found.append(parent)
    return found


def anonymous_bytes(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    for line in status.splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0  # a zombie has none


class Sampler(threading.Thread):
    """Looks at the memory of this process's descendants until it is stopped."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.high = 0
        self.over = threading.Event()

    def run(self) -> None:
        me = os.getpid()
        while not self.over.wait(SAMPLE_EVERY_S):
            self.high = max(self.high, sum(anonymous_bytes(p) for p in descendants(me) if p != me))


def cost(command: list[str], environment: dict[str, str] | None = None) -> Cost:
    """Runs `command` to its end, and what it leaves behind (a fork server outlives its client).

    Raises:
        RuntimeError: the command failed; its standard error is the message.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    sampler = Sampler()
    sampler.start()
    started = time.monotonic()
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    assert child.stdout is not None
    assert child.stderr is not None
    complaint: list[bytes] = []
    reader = threading.Thread(target=lambda: complaint.append(child.stderr.read()))
    reader.start()
    output = child.stdout.read()
    reader.join()
    cpu, status = 0.0, 0
    while True:
        try:
            pid, ended, used = os.wait4(-1, 0)
        except ChildProcessError:
            break
        cpu += used.ru_utime + used.ru_stime
        if pid == child.pid:
            status = os.waitstatus_to_exitcode(ended)
            child.returncode = status
    wall = time.monotonic() - started
    sampler.over.set()
    sampler.join()
    child.stdout.close()
    child.stderr.close()
    if status != 0:
        told = (b"".join(complaint) + output).decode("utf-8", "replace").strip()
        raise RuntimeError(f"{' '.join(command)}: exit code {status}: {told[-2000:]}")
    return Cost(cpu, wall, sampler.high, output.decode("utf-8", "replace"))

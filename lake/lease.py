"""Who is writing: a file for each running process, so that a sweep leaves its files alone.

Files of a run that no log mentions yet look like those of one that was killed. A run of days has
some that are older than any grace period, so it says that it is there: its lease is touched every
half minute, and what was written since the lease began is nobody's orphan while it is fresh.
"""

import contextlib
import os
import secrets
import socket
import threading
import time
from types import TracebackType
from typing import Self

import orjson

from tracelake.lake.disk import Place

FOLDER = "running"
TOUCH = 30.0
"""Seconds between two signs of life."""

ALIVE = 900.0
"""Seconds after its last sign of life in which a run still counts as running."""


class Lease:
    """One run's sign of life, while it is entered.

    Args:
        root: the engagement's folder. what: what runs, for whoever looks.
    """

    def __init__(self, root: Place, what: str) -> None:
        name = f"{what}-{os.getpid()}-{secrets.token_hex(6)}.json"
        self._path = root / FOLDER / name
        self._said = {"what": what, "host": socket.gethostname(), "pid": os.getpid(),
                      "began": time.time()}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._touch, daemon=True, name="lease")

    def begin(self) -> None:
        """Says it for the first time.

        Raises:
            OSError: it cannot be written.
        """
        self._path.parent.mkdir(exist_ok=True)
        self._put()
        self._thread.start()

    def end(self) -> None:
        """Says it no more."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        self.begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def _put(self) -> None:
        self._path.write_bytes(orjson.dumps(self._said))

    def _touch(self) -> None:
        while not self._over.wait(TOUCH):
            # A full disk must not end the run: it only looks dead for a while.
            with contextlib.suppress(OSError):
                self._put()


def earliest(root: Place, now: float) -> float | None:
    """When the first of the runs that are alive began, seconds since 1970; None: none is."""
    began = []
    for path in (root / FOLDER).glob("*.json"):
        try:
            if now - path.stat().st_mtime < ALIVE:
                began.append(float(orjson.loads(path.read_bytes())["began"]))
        except FileNotFoundError:
            continue
        except (ValueError, KeyError, TypeError):
            # Half written: it has just begun, or is being touched.
            return 0.0
    return min(began, default=None)


def stale(root: Place, now: float, grace: float) -> list[Place]:
    """Leases of runs that were killed, older than `grace` seconds."""
    found = []
    for path in (root / FOLDER).glob("*.json"):
        with contextlib.suppress(FileNotFoundError):
            if now - path.stat().st_mtime > max(grace, ALIVE):
                found.append(path)
    return found

"""The commands that keep a lake in shape: `compact` and `sweep`."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tracelake.lake.lease import Lease
from tracelake.output import shown

if TYPE_CHECKING:
    from tracelake.lake.lake import Lake


def compact(lake: Lake, every: float | None, retain: float, as_json: bool) -> int:
    """Merges what is small, once or again and again, and lets go of what was replaced.

    Args:
        every: seconds between two runs, until the process is told to end; None: once, and then
            whatever is not full is merged.
        retain: seconds that replaced files stay.
    """
    over = _until_told() if every is not None else threading.Event()
    code = 0
    with Lease(lake.root, "compact"):
        while True:
            begun = time.monotonic()
            try:
                _say(_once(lake, every is None, retain), as_json)
                code = 0
            except OSError as error:
                if every is None:
                    raise
                # The next run may find more room.
                print(f"tracelake: {shown(str(error))}", file=sys.stderr, flush=True)
                code = 1
            rest = (every or 0.0) - (time.monotonic() - begun)
            if every is None or over.wait(max(rest, 0.0)):
                return code


def _once(lake: Lake, everything: bool, retain: float) -> dict[str, Any]:
    from tracelake.lake.compact import compact as merge_small
    from tracelake.lake.expire import expire

    begun = time.monotonic()
    merges = list(merge_small(lake, everything=everything))
    expired = expire(lake, retain)
    landed = [one for one in merges if not one.lost]
    return {
        "merges": len(landed),
        "lost": len(merges) - len(landed),
        "files": sum(one.files for one in landed),
        "rows": sum(one.rows for one in landed),
        "bytes": sum(one.size for one in landed),
        "new_files": sum(one.new_files for one in landed),
        "new_bytes": sum(one.new_size for one in landed),
        "removed_files": expired.files,
        "removed_bytes": expired.size,
        "removed_log_files": expired.log_files,
        "seconds": round(time.monotonic() - begun, 3),
    }


def _say(done: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(done), flush=True)
        return
    print(
        f"{done['files']:,} files with {done['rows']:,} rows merged into {done['new_files']:,} "
        f"({done['bytes']:,} bytes, now {done['new_bytes']:,}); "
        f"{done['removed_files']:,} files removed that were replaced before the retention "
        f"({done['removed_bytes']:,} bytes) and {done['removed_log_files']:,} of the logs; "
        f"{done['seconds']:.1f} s",
        flush=True,
    )
    if done["lost"]:
        print(f"{done['lost']:,} merges given up: another process replaced their files", flush=True)


def _until_told() -> threading.Event:
    """Set by Ctrl-C or SIGTERM: the run at hand is ended, and no other begun. A second one ends the
    process at once, which does no harm."""
    told = threading.Event()

    def tell(number: int, _: object) -> None:
        if told.is_set():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        told.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, tell)
    return told


def sweep(lake: Lake, grace: float, dry_run: bool, as_json: bool) -> int:
    """Removes what killed writers left, and says each file."""
    from tracelake.lake.sweep import sweep as remove

    count = size = 0
    for one in remove(lake, grace, dry_run):
        count += 1
        size += one.size
        if as_json:
            print(json.dumps({**asdict(one), "removed": not dry_run}))
        else:
            print(shown(f"{one.path}  {one.size:,} bytes, {one.age / 3600:.1f} hours old"))
    if not as_json:
        would = "would be removed" if dry_run else "removed"
        print(f"{count:,} files {would}, {size:,} bytes")
    return 0

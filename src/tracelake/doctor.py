"""Is this installation fit for work: versions, extensions, permissions, disk."""

import importlib
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from tracelake.lake.store import Place
from tracelake.parsers import PARSERS
from tracelake.version import VERSION

# Below this much free space an ingest of any size is likely to fail half way.
LOW_DISK = 1 << 30


def examine(lake: Place) -> Iterator[tuple[str, bool, str]]:
    """(what was looked at, whether it is well, what was found), one by one.

    Args:
        lake: the folder of the lake that would be used, or its prefix on S3.
    """
    yield "tracelake", True, f"{VERSION} at {Path(__file__).parent}"
    yield "python", sys.version_info >= (3, 11), f"{platform.python_version()} ({sys.platform})"
    yield from _dependencies()
    yield "images", True, _optional("images")
    yield from _extensions()
    yield "parsers", bool(PARSERS), ", ".join(f"{p.name} {p.version}" for p in PARSERS)
    yield "workers", True, f"{os.cpu_count()} cores"
    if isinstance(lake, Path):
        yield from _lake(lake)
    else:
        from tracelake.doctor_s3 import look_at

        yield from look_at(lake)


def _dependencies() -> Iterator[tuple[str, bool, str]]:
    from packaging.requirements import Requirement

    try:
        needs = requires("tracelake") or []
    except PackageNotFoundError:
        yield "dependencies", False, "tracelake is run without being installed: make venv"
        return
    for line in needs:
        need = Requirement(line)
        if need.marker is not None and not need.marker.evaluate({"extra": ""}):
            continue
        try:
            have = version(need.name)
        except PackageNotFoundError:
            yield need.name, False, f"missing; pip install '{line}'"
            continue
        fits = need.specifier.contains(have, prereleases=True)
        yield need.name, fits, have if fits else f"{have}, but {need.specifier} is needed"


def _optional(extra: str) -> str:
    """What of an optional extra is there; none of it has to be."""
    from packaging.requirements import Requirement

    try:
        needs = [Requirement(line) for line in requires("tracelake") or []]
    except PackageNotFoundError:
        needs = []
    missing = []
    for need in needs:
        mark = need.marker
        if mark is None or mark.evaluate({"extra": ""}) or not mark.evaluate({"extra": extra}):
            continue
        try:
            version(need.name)
        except PackageNotFoundError:
            missing.append(need.name)
    if missing:
        return f"not read without {', '.join(missing)}: pip install 'tracelake[{extra}]'"
    return "disk images and 7-Zip archives are read"


def _extensions() -> Iterator[tuple[str, bool, str]]:
    for room in ("native", "parsers"):
        folder = Path(str(importlib.import_module(f"tracelake.{room}").__file__)).parent
        names = sorted(path.stem for path in folder.glob("*.pyx"))
        broken = []
        for name in names:
            try:
                importlib.import_module(f"tracelake.{room}.{name}")
            except ImportError as error:
                broken.append(f"{name} ({error})")
        detail = ", ".join(broken) + " not built: make build" if broken else ", ".join(names)
        yield f"extensions of {room}", not broken, detail


def _lake(root: Path) -> Iterator[tuple[str, bool, str]]:
    where = root
    while not where.exists():
        where = where.parent
    what = f"{root}" if where == root else f"{root} (not made yet)"
    try:
        with tempfile.NamedTemporaryFile(dir=where) as probe:
            probe.write(b"x" * 4096)
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        yield "lake", False, f"{what}: cannot be written: {error.strerror}"
        return
    yield "lake", True, what
    free = shutil.disk_usage(where).free
    yield "disk", free >= LOW_DISK, f"{free / (1 << 30):,.1f} GiB free at {where}"

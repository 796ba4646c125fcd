"""What decoders of registry keys are given: where their rows go, and whose hive it is."""

import struct
from collections.abc import Mapping
from typing import Any

from tracelake.parsers.artifact import Artifact
from tracelake.parsers.hive_keys import Key, Value, filetime
from tracelake.parsers.hive_roots import Root
from tracelake.parsers.pyrows import ZONE_ASSUMED, PyRows

EXECUTION = 205019
"""Class of traces of use that have none of their own (prefetch_query)."""
MODULE, SOFTWARE, STARTUP, SERVICE = 5011, 5020, 5022, 5016
DEVICE, USER, JOB = 5001, 5003, 5010

When = tuple[int, int] | None
"""(microseconds since 1970 UTC, nanoseconds below), or none."""


class Context:
    """Collects what a hive's keys mean.

    Attributes:
        root: which hive it is, and whose.
        current: lower-case name of the control set that Windows ran with, "" where unknown.
        account: of the artifact, for damage.
    """

    def __init__(self, artifact: Artifact, root: Root, current: str) -> None:
        self.root = root
        self.current = current
        self.account = artifact.account
        # What is read here are keys and values that have their rows of registry_activity.
        self.rows = PyRows(artifact, first=1)

    def is_current(self, key: Key) -> bool:
        """Whether a key of the SYSTEM hive is below the control set that Windows ran with."""
        return not self.current or f"\\{self.current}\\" in key.path.lower()

    def trace(
        self,
        artifact: str,
        key: Key,
        at: Key | Value | None = None,
        *,
        class_uid: int = EXECUTION,
        time: When = None,
        time_desc: str = "",
        unmapped: Mapping[str, str] | None = None,
        flags: int = 0,
        **values: Any,
    ) -> None:
        """Adds a row of `artifact_query`.

        Args:
            artifact: its kind.
            key: the key that says it.
            at: the value or key where its bytes stand, where it is another.
            time, time_desc: what it says, and of which clock. Without a time of its own the row
                has none; the key's is in `key_modified_time`.
            unmapped: what no column holds; empty values are left out.
            values: columns of the table. Empty text is left out.
        """
        place = key if at is None else at
        record = f"{artifact}\n{key.path}\n{_name(place)}\n{values}".encode("utf-8", "replace")
        if isinstance(place, Value):
            record += place.data
        values = {k: v for k, v in values.items() if v not in ("", None)}
        if key.modified is not None:
            values.setdefault("key_modified_time", key.modified[0])
        if self.root.user_uid:
            values.setdefault("user_uid", self.root.user_uid)
        if self.root.user_name:
            values.setdefault("user_name", self.root.user_name)
        self._add("artifact_query", place, record, class_uid, time, time_desc, unmapped, flags,
                  artifact=artifact, key_path=key.path, **values)

    def fact(
        self,
        fact: str,
        key: Key,
        at: Value | None = None,
        *,
        class_uid: int = DEVICE,
        unmapped: Mapping[str, str] | None = None,
        flags: int = 0,
        **values: Any,
    ) -> None:
        """Adds a row of `inventory`: what the hive says of the host or one of its users."""
        place: Key | Value = key if at is None else at
        values = {k: v for k, v in values.items() if v not in ("", None, [])}
        record = f"{fact}\n{key.path}\n{values}".encode("utf-8", "replace")
        notes = {"key_path": key.path} | dict(unmapped or {})
        self._add("inventory", place, record, class_uid, key.modified, "key_modified", notes,
                  flags, fact=fact, **values)

    def job(
        self, key: Key, *, time: When, time_desc: str,
        unmapped: Mapping[str, str] | None = None, **values: Any,
    ) -> None:
        """Adds a row of `job_activity`: a scheduled task as the registry holds it."""
        values = {k: v for k, v in values.items() if v not in ("", None)}
        record = f"job\n{key.path}\n{values}".encode("utf-8", "replace")
        notes = {"key_path": key.path} | dict(unmapped or {})
        self._add("job_activity", key, record, JOB, time, time_desc, notes, 0, **values)

    def _add(
        self, table: str, place: Key | Value, record: bytes, class_uid: int, time: When,
        time_desc: str, unmapped: Mapping[str, str] | None, flags: int, **values: Any,
    ) -> None:
        if time is not None:
            values |= {"time": time[0], "time_ns": time[1], "time_desc": time_desc}
        notes = {k: v for k, v in (unmapped or {}).items() if v}
        if notes:
            values["unmapped"] = notes
        self.rows.add(table, place.offset, place.length, record, flags=flags,
                      class_uid=class_uid, activity_id=1, **values)


def _name(place: Key | Value) -> str:
    return str(place.name)


def filetime_at(data: bytes, at: int) -> When:
    """The FILETIME at an offset; None where there is none."""
    if at < 0 or at + 8 > len(data):
        return None
    return filetime(struct.unpack_from("<Q", data, at)[0])


def us(when: When) -> int | None:
    """Microseconds alone."""
    return None if when is None else when[0]


def unix_time(seconds: int | None) -> When:
    """Seconds since 1970 UTC; None for none."""
    return None if not seconds else (seconds * 1_000_000, 0)


def system_time(data: bytes) -> tuple[When, str]:
    """A SYSTEMTIME ([MS-DTYP] 2.3.13) taken as UTC, and its text."""
    import datetime

    if len(data) < 16:
        return None, ""
    year, month, _, day, hour, minute, second, milli = struct.unpack_from("<8H", data, 0)
    try:
        when = datetime.datetime(year, month, day, hour, minute, second, tzinfo=datetime.UTC)
    except ValueError:
        return None, ""
    micros = int(when.timestamp()) * 1_000_000 + min(milli, 999) * 1000
    return (micros, 0), f"{when:%Y-%m-%dT%H:%M:%S}.{min(milli, 999):03}"


def wide(data: bytes) -> str:
    """UTF-16 text to its first zero."""
    return data[: len(data) & ~1].decode("utf-16-le", "replace").split("\0", 1)[0]


def program_of(command: str) -> str:
    """The program that a command line begins with, as well as it can be told."""
    text = command.strip()
    if text.startswith('"'):
        return text[1:].split('"', 1)[0]
    lower = text.lower()
    for ending in (".exe", ".com", ".bat", ".cmd", ".dll", ".sys", ".scr", ".vbs", ".ps1", ".js"):
        at = lower.find(ending)
        if at >= 0 and lower[at + len(ending) : at + len(ending) + 1] in ("", " ", ",", "\t"):
            return text[: at + len(ending)]
    return text if "\\" in text else text.split(" ", 1)[0]


def mru_order(key: Key) -> dict[str, int]:
    """Place of each value's name in the key's MRU list, the last used 0."""
    data = key.data("MRUListEx")
    if data:
        numbers = struct.unpack_from(f"<{len(data) // 4}I", data)
        names = [str(n) for n in numbers[: numbers.index(0xFFFFFFFF)]] if (
            0xFFFFFFFF in numbers) else [str(n) for n in numbers]
        return {name: at for at, name in reversed(list(enumerate(names)))}
    return {name: at for at, name in reversed(list(enumerate(key.text("MRUList"))))}


def used_last(key: Key, order: Mapping[str, int], name: str) -> When:
    """The key was written when its first entry was used; nothing is known of the others."""
    return key.modified if order.get(name) == 0 else None


__all__ = [
    "DEVICE", "EXECUTION", "JOB", "MODULE", "SERVICE", "SOFTWARE", "STARTUP", "USER",
    "ZONE_ASSUMED", "Context", "When", "filetime_at", "mru_order", "program_of", "system_time",
    "unix_time", "us", "used_last", "wide",
]

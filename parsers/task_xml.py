r"""Scheduled tasks of Windows Vista and later: `System32\Tasks\...`, XML.

Specification: [MS-TSCH] 2.5 (the task's schema).

A task is one row of `job_activity` (class 5010). A document type or an entity is never a part of
a task: the reader stops there, so nothing is expanded. What the XML declaration says of the
encoding is often wrong in collected copies; the bytes decide.
"""

import re
from collections.abc import Iterator
from typing import Any
from xml.parsers import expat

import pyarrow as pa

from tracelake.parsers.artifact import Artifact, Match, Parser, Rank
from tracelake.parsers.clock import iso
from tracelake.parsers.pyrows import TRUNCATED, ZONE_ASSUMED, PyRows
from tracelake.parsers.whole import notes, whole
from tracelake.parsers.wide_text import decode, encoding

VERSION = "1"

JOB_QUERY = 5010
QUERY = 1
MOST = 8 << 20
DEPTH_MOST = 64
ELEMENTS_MOST = 20_000
NAMESPACE = "schemas.microsoft.com/windows/2004/02/mit/task"
# The real name of a task is its place, whatever it says of itself.
_PLACE = re.compile(r"(?:^|[/\\])(?:system32|syswow64)[/\\]tasks(?:_migrated)?[/\\](.+)$",
                    re.IGNORECASE)
_LOOSE = re.compile(r"(?:^|[/\\])(?:scheduled[ _]?tasks|tasks)[/\\](.+)$", re.IGNORECASE)


_MARKS = tuple("<Task".encode(codec) for codec in ("ascii", "utf-16-le", "utf-16-be"))


def match(head: bytes, path: str) -> tuple[Match, str]:
    """Whether an artifact is a task, and why not."""
    # To decode what is no text at all takes longer than all other parsers' looks together.
    if b"<" not in head[:32] or not any(mark in head[:4100] for mark in _MARKS):
        return Match.NO, "no element Task"
    codec, mark = encoding(head)
    text = head[mark : mark + 4096].decode(codec, "replace")
    if "<Task" not in text or not text.lstrip().startswith("<"):
        return Match.NO, "no element Task"
    if NAMESPACE in text:
        return Match.CONTENT, ""
    if _PLACE.search(path):
        return Match.NAME, ""
    return Match.NO, "an element Task that is not of the task scheduler"


class _Stop(Exception):
    """The text is not that of a task, in one sentence."""


class Task:
    """A task's elements, in order.

    Attributes:
        values: (path without namespaces, text) of every element with a text or attributes.
        trouble: why the reading stopped, "" where it did not.
    """

    def __init__(self, text: str) -> None:
        self.values: list[tuple[str, str]] = []
        self.trouble = ""
        self.is_task = False
        self._path: list[str] = []
        self._text: list[str] = []
        self._count = 0
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse
        try:
            parser.Parse(text.encode("utf-8", "replace"), True)
        except expat.ExpatError as error:
            self.trouble = f"{expat.ErrorString(error.code)}, line {error.lineno}"
        except _Stop as error:
            self.trouble = str(error)

    def one(self, path: str) -> str:
        """The first text at a path, "" where there is none."""
        return next((text for place, text in self.values if place == path and text), "")

    def below(self, path: str) -> list[tuple[str, str]]:
        """What stands below a path."""
        start = path + "/"
        return [(place[len(start) :], text) for place, text in self.values
                if place.startswith(start)]

    def _refuse(self, *_: Any) -> None:
        raise _Stop("it declares a document type or an entity")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        name = name.rsplit(":", 1)[-1]
        if not self._path:
            if name != "Task":
                raise _Stop(f"its root is {name[:64]}")
            self.is_task = True
        elif len(self._path) >= DEPTH_MOST or self._count > ELEMENTS_MOST:
            raise _Stop("more elements than a task has")
        self._text.clear()
        if len(self._path) in (1, 2) or name in ("Exec", "ComHandler"):
            # Where a trigger, an action or a principal begins.
            self.values.append(("/".join([*self._path[1:], name]), ""))
        self._path.append(name)
        for key, value in attributes.items():
            if not key.startswith("xmlns"):
                self.values.append(("/".join(self._path[1:]) + "@" + key, value))

    def _end(self, _: str) -> None:
        text = "".join(self._text).strip()
        self._text.clear()
        if text:
            self.values.append(("/".join(self._path[1:]), text))
        self._path.pop()


def groups(task: Task, path: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """The children of an element: (name, what stands in each)."""
    found: list[tuple[str, list[tuple[str, str]]]] = []
    for place, text in task.below(path):
        name, _, rest = place.partition("/")
        if not text and not rest:
            found.append((name, []))
        elif found and (rest or "@" in name):
            found[-1][1].append((rest or name.partition("@")[2], text))
        elif found and name == found[-1][0]:
            found[-1][1].append(("", text))
    return found


def action(name: str, parts: list[tuple[str, str]]) -> str:
    """What an action runs, in one line."""
    said = dict(parts)
    if name == "Exec":
        return f"{said.get('Command', '')} {said.get('Arguments', '')}".strip()
    if name == "ComHandler":
        return f"COM {said.get('ClassId', '')} {said.get('Data', '')}".strip()
    return name + " " + " | ".join(text for _, text in parts)


def task_name(path: str, uri: str) -> str:
    r"""`\folder\name`, by its place in the folder of tasks, else as it calls itself."""
    found = _PLACE.search(path)
    if found is None and uri:
        name = uri
    else:
        found = found or _LOOSE.search(path)
        name = found.group(1) if found else re.split(r"[/\\]", path)[-1]
    return "\\" + name.replace("/", "\\").lstrip("\\")


def read(artifact: Artifact) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields one row of `job_activity`.

    Args:
        artifact: its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on; what could be is yielded before.
    """
    data, stopped = whole(artifact, MOST, "scheduled task")
    rows = PyRows(artifact)
    codec, mark = encoding(data)
    text, flags = decode(data[mark:], codec)
    # Copies are filled up with zeros now and then.
    text = text.rstrip("\0")
    task = Task(text)
    if task.is_task:
        rows.seen(len(data))
        _row(artifact, rows, data, text, task, flags)
    elif data:
        rows.damaged(0, len(data), "scheduled task", task.trouble or "there is no Task", data[:256])
    yield from rows.rest()
    if stopped is not None:
        raise stopped


def _row(
    artifact: Artifact, rows: PyRows, data: bytes, text: str, task: Task, flags: int
) -> None:
    date = task.one("RegistrationInfo/Date")
    us, ns, zoned = iso(date)
    if us is not None and not zoned:
        flags |= ZONE_ASSUMED
    if task.trouble:
        flags |= TRUNCATED
    uri = task.one("RegistrationInfo/URI")
    actions = [action(name, parts) for name, parts in groups(task, "Actions")]
    triggers = [
        name + "".join(f" {key}={value}" if key else f" {value}" for key, value in parts)
        for name, parts in groups(task, "Triggers")
    ]
    principals = [dict(parts) for _, parts in groups(task, "Principals")]
    user = next((p[key] for p in principals for key in ("UserId", "GroupId") if p.get(key)), "")
    other = notes(
        date=date, uri=uri, triggers="\n".join(triggers), trouble=task.trouble,
        actions="\n".join(actions) if len(actions) > 1 else "", version=task.one("@version"),
    )  # fmt: skip
    for name in ("Author", "Source", "SecurityDescriptor", "Version", "Documentation"):
        other |= notes(**{name.lower(): task.one(f"RegistrationInfo/{name}")})
    for name in ("RunLevel", "LogonType", "DisplayName"):
        other |= notes(**{name.lower(): next((p[name] for p in principals if p.get(name)), "")})
    directory = task.one("Actions/Exec/WorkingDirectory")
    other |= notes(working_directory=directory)
    for place, value in task.below("Settings"):
        if value:
            other["settings_" + place.replace("/", "_")] = value
    rows.add(
        "job_activity", 0, len(data), data, flags=flags,
        class_uid=JOB_QUERY, activity_id=QUERY,
        time=us, time_ns=ns if us is not None else None,
        time_desc="registered" if us is not None else None,
        job_name=task_name(artifact.path, uri),
        job_cmd_line="; ".join(filter(None, actions)) or None,
        job_xml=text, job_user=user or None,
        job_desc=task.one("RegistrationInfo/Description") or None, job_created_time=us,
        unmapped=other,
    )  # fmt: skip


PARSER = Parser(
    "task_xml",
    VERSION,
    match,
    ("job_activity",),
    read,
    files=("*/system32/tasks/*", "*/syswow64/tasks/*", "*/system32/tasks_migrated/*"),
    rank=Rank.USE,
    text=True,
)

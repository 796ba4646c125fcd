"""Software of a Linux host: what is installed, and the logs of package managers.

- dpkg's `status` (deb-control(5)) and Alpine's `installed`, and the printed list of `dpkg -l`:
  `artifact_query`, class 5020.
- `dpkg.log`, apt's `history.log`, `yum.log`, `dnf.rpm.log`, `pacman.log`: `application_activity`,
  class 6002, a row for each package (in apt's log an entry lists several).

Times of dpkg, apt, yum and old pacman logs are local, of a zone that they do not say: UTC is
assumed (parse_flags 32); yum.log says no year (64).
"""

import calendar
import datetime
import itertools
import re
import time
from collections.abc import Iterator
from typing import Any

from tracelake.parsers.artifact import Artifact, Rank
from tracelake.parsers.pyrows import YEAR_INFERRED, ZONE_ASSUMED, PyRows
from tracelake.parsers.syslog import last_possible
from tracelake.parsers.textfile import TextLine
from tracelake.parsers.textkinds import Kind, each_line, is_empty, parser_of, passed, refused

VERSION = "1"

SOFTWARE, LIFECYCLE = 5020, 6002
QUERY = 1
INSTALL, REMOVE, UPDATE, OTHER = 1, 2, 8, 99
DPKG_LOG = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (\S+) ?(.*)$")
APT_PACKAGE = re.compile(r"([\w.+:-]+) \(([^)]*)\)")
PACMAN = re.compile(
    r"\[(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:[+-]\d{4})?)\] (?:\[(\w[\w-]*)\] )?(.*)$"
)
PACMAN_DID = re.compile(r"(installed|removed|upgraded|downgraded|reinstalled) (\S+) \((.*)\)$")
RPM = re.compile(r"(Installed|Erased|Updated|Upgrade|Upgraded|Reinstall\w*|Removed|Cleanup"
                 r"|Obsoleted|Downgrade\w*|Install|Remove|Erase)(?:ing)?: (.+)$")  # fmt: skip
YUM = re.compile(r"(\w{3}) ([ \d]\d) (\d\d):(\d\d):(\d\d) (.*)$")
DNF = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(Z|[+-]\d{4}) (\w+) (.*)$")
LISTED = re.compile(r"([a-z][a-zA-Z])(?: |R )\s*(\S+)\s+(\S+)\s+(?:(\S+)\s+)?(.*)$")
MONTHS = {name: number for number, name in enumerate(calendar.month_abbr) if number}
DID = {
    "install": INSTALL, "installed": INSTALL, "reinstall": INSTALL, "reinstalled": INSTALL,
    "remove": REMOVE, "removed": REMOVE, "purge": REMOVE, "erase": REMOVE, "erased": REMOVE,
    "upgrade": UPDATE, "upgraded": UPDATE, "updated": UPDATE, "downgrade": UPDATE,
    "downgraded": UPDATE,
}  # fmt: skip


def moment(text: str) -> tuple[int | None, int]:
    """(microseconds, parse_flags) of an ISO time; without a zone, UTC is assumed."""
    try:
        when = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None, 0
    flags = 0
    if when.tzinfo is None:
        when, flags = when.replace(tzinfo=datetime.UTC), ZONE_ASSUMED
    try:
        return int(when.timestamp()) * 1_000_000, flags
    except (OverflowError, ValueError):
        return None, 0


def _installed(
    rows: PyRows, line: TextLine, kind: str, name: str | None, version: str | None, **values: Any
) -> None:
    rows.seen(line.length)
    rows.add(
        "artifact_query", line.offset, line.length, line.raw, class_uid=SOFTWARE,
        activity_id=QUERY, artifact=kind, subject_name=name, subject_version=version, **values,
    )  # fmt: skip


def _changed(
    rows: PyRows, line: TextLine, source: str, did: str, when: tuple[int | None, int],
    seen: bool = True, **values: Any,
) -> None:
    if seen:
        rows.seen(line.length)
    rows.add(
        "application_activity", line.offset, line.length, line.raw, flags=when[1],
        class_uid=LIFECYCLE, activity_id=DID.get(did.lower(), OTHER), time=when[0],
        log_provider=source, event_code=did, **values,
    )  # fmt: skip


def _stanzas(lines: Iterator[TextLine]) -> Iterator[list[TextLine]]:
    """Lines between empty ones; the empty line is of the stanza before it."""
    held: list[TextLine] = []
    for line in lines:
        held.append(line)
        if not line.raw.strip() or len(held) >= 100_000:
            yield held
            held = []
    if held:
        yield held


def _fields(held: list[TextLine]) -> dict[str, str]:
    """`Name: value`, going on in lines that begin with a blank."""
    found: dict[str, str] = {}
    name = ""
    for line in held:
        if line.raw[:1] in (b" ", b"\t") and name:
            found[name] += "\n" + line.text.strip()
        elif ":" in line.text:
            name, _, value = line.text.partition(":")
            found[name] = value.strip()
    return found


def _whole(held: list[TextLine]) -> TextLine:
    end = held[-1].offset + held[-1].length
    return TextLine(
        b"\n".join(line.raw for line in held), "", held[0].offset, end - held[0].offset
    )


def read_status(lines: Iterator[TextLine], rows: PyRows, artifact: Artifact) -> Iterator[None]:
    """dpkg's status: a package a stanza."""
    for held in _stanzas(lines):
        said = _fields(held)
        if not said:
            for line in held:
                passed(artifact, line)
        else:
            size = said.get("Installed-Size", "")
            said.pop("Conffiles", None)
            _installed(
                rows, _whole(held), "dpkg", said.get("Package"), said.get("Version"),
                subject_publisher=said.get("Maintainer"), detail=said.get("Status"),
                subject_size=int(size) * 1024 if size.isdigit() and len(size) < 12 else None,
                unmapped=said,
            )  # fmt: skip
        yield


def read_apk(lines: Iterator[TextLine], rows: PyRows, artifact: Artifact) -> Iterator[None]:
    """Alpine's list: P: name, V: version, t: built."""
    for held in _stanzas(lines):
        said = _fields(held)
        if not said:
            for line in held:
                passed(artifact, line)
        else:
            kept = {key: said[key] for key in ("A", "T", "U", "L", "o", "m", "t") if key in said}
            _installed(
                rows, _whole(held), "apk", said.get("P"), said.get("V"),
                subject_publisher=said.get("m"), unmapped=kept,
            )  # fmt: skip
        yield


def read_listed(lines: Iterator[TextLine], rows: PyRows, artifact: Artifact) -> Iterator[None]:
    """What `dpkg -l` printed."""
    for line in lines:
        found = LISTED.match(line.text)
        if found is None or line.raw[:1] in b"|+":
            passed(artifact, line)
        else:
            _installed(
                rows, line, "dpkg", found.group(2), found.group(3),
                detail=" ".join(part for part in found.groups()[3:] if part) or None,
                unmapped={"status": found.group(1)},
            )  # fmt: skip
        yield


def read_dpkg(lines: Iterator[TextLine], rows: PyRows, artifact: Artifact) -> Iterator[None]:
    """`time verb package old new`, `time status state package version`."""

    def add(line: TextLine) -> str | None:
        found = DPKG_LOG.match(line.text)
        if found is None:
            return "no time of dpkg at its start"
        verb, rest = found.group(2), found.group(3)
        words = rest.split(" ")
        values: dict[str, Any] = {"message": f"{verb} {rest}".strip()}
        if verb in ("install", "upgrade", "remove", "purge", "configure", "trigproc"):
            values["app_name"] = words[0] or None
            old, new = [*words, "", ""][1:3]
            values["app_prev_version"] = old if old not in ("", "<none>") else None
            values["app_version"] = new if new not in ("", "<none>") else None
        elif verb == "status" and len(words) > 1:
            values["status_detail"] = words[0]
            values["app_name"] = words[1]
            values["app_version"] = words[2] if len(words) > 2 else None
        _changed(rows, line, "dpkg", verb, moment(found.group(1)), **values)
        return None

    yield from each_line(lines, rows, artifact, add, is_empty)


def read_apt(lines: Iterator[TextLine], rows: PyRows, artifact: Artifact) -> Iterator[None]:
    """Start-Date, Commandline, Requested-By, Install: name:arch (version), ..."""
    for held in _stanzas(lines):
        said = _fields(held)
        if not said:
            for line in held:
                passed(artifact, line)
            continue
        whole = _whole(held)
        when = moment(said.get("Start-Date", "").replace("  ", " "))
        rows.seen(whole.length)
        user = re.match(r"(\S+)(?: \((\d+)\))?", said.get("Requested-By", ""))
        common: dict[str, Any] = {
            "actor_cmd_line": said.get("Commandline"),
            "user_name": user.group(1) if user else None,
            "user_uid": user.group(2) if user else None,
            "unmapped": {
                key: said[key] for key in ("Start-Date", "End-Date", "Error") if key in said
            },
        }
        count = 0
        for verb in ("Install", "Upgrade", "Remove", "Purge", "Reinstall", "Downgrade"):
            for name, versions in APT_PACKAGE.findall(said.get(verb, "")):
                parts = versions.split(", ")
                changed = verb in ("Upgrade", "Downgrade") and len(parts) > 1
                _changed(
                    rows, whole, "apt", verb.lower(), when, seen=False, app_name=name,
                    app_prev_version=parts[0] if changed else None,
                    app_version=parts[1] if changed else parts[0],
                    status_detail="automatic" if "automatic" in parts else None, **common,
                )  # fmt: skip
                count += 1
        if not count:
            _changed(rows, whole, "apt", "other", when, seen=False, **common)
        yield


def _rpm(text: str) -> tuple[str, str | None]:
    """Name and version of `name-version-release.arch` (an epoch in front or behind)."""
    text = text.strip().split(" ", 1)[0]
    found = re.match(r"(?:\d+:)?(.+?)-((?:\d+:)?[^-]+-[^-]+?)(?:\.\w+)?$", text)
    return (found.group(1), found.group(2)) if found else (text, None)


def read_yum(lines: Iterator[TextLine], rows: PyRows, artifact: Artifact) -> Iterator[None]:
    """`Mmm dd hh:mm:ss Installed: package`."""
    held = list(lines)
    found = [YUM.match(line.text) for line in held]
    # The last line's year is the file's; going back over a new year is a year less.
    dated = [match for match in found if match and match.group(1) in MONTHS]
    year = 1970
    if dated:
        last = dated[-1]
        before = artifact.modified if artifact.modified is not None else time.time()
        year = last_possible(MONTHS[last.group(1)], max(1, int(last.group(2))), 0, before)
        months = [MONTHS[match.group(1)] for match in dated]
        year -= sum(after < earlier for earlier, after in itertools.pairwise(months))
    month = 0
    for line, match in zip(held, found, strict=True):
        if not line.raw.strip():
            passed(artifact, line)
        elif match is None or match.group(1) not in MONTHS:
            refused(artifact, rows, line, "no time of yum at its start")
        else:
            if MONTHS[match.group(1)] < month:
                year += 1
            month = MONTHS[match.group(1)]
            day, hour, minute, second = (int(part) for part in match.group(2, 3, 4, 5))
            us, flags = moment(f"{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
            did = RPM.match(match.group(6))
            name, version = _rpm(did.group(2)) if did else (None, None)
            _changed(
                rows, line, "yum", did.group(1) if did else "other",
                (us, flags | YEAR_INFERRED), app_name=name, app_version=version,
                message=match.group(6),
            )  # fmt: skip
        yield


def read_dnf(lines: Iterator[TextLine], rows: PyRows, artifact: Artifact) -> Iterator[None]:
    """`time LEVEL message`; Installed: package and the like are what rpm did."""

    def add(line: TextLine) -> str | None:
        found = DNF.match(line.text)
        if found is None:
            return "no time and level of dnf at its start"
        did = RPM.match(found.group(4))
        name, version = _rpm(did.group(2)) if did else (None, None)
        zone = "+00:00" if found.group(2) == "Z" else found.group(2)
        _changed(
            rows, line, "dnf", did.group(1) if did else "other",
            moment(found.group(1) + zone), app_name=name, app_version=version,
            message=found.group(4), unmapped={"level": found.group(3)},
        )  # fmt: skip
        return None

    yield from each_line(lines, rows, artifact, add, is_empty)


def read_pacman(lines: Iterator[TextLine], rows: PyRows, artifact: Artifact) -> Iterator[None]:
    """`[time] [ALPM] installed name (version)`."""

    def add(line: TextLine) -> str | None:
        found = PACMAN.match(line.text)
        if found is None:
            return "no time of pacman at its start"
        did = PACMAN_DID.match(found.group(3))
        old, _, new = did.group(3).rpartition(" -> ") if did else ("", "", "")
        _changed(
            rows, line, "pacman", did.group(1) if did else (found.group(2) or "other"),
            moment(found.group(1)), app_name=did.group(2) if did else None,
            app_version=new or None, app_prev_version=old or None, message=found.group(3),
        )  # fmt: skip
        return None

    yield from each_line(lines, rows, artifact, add, is_empty)


TIME = rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d "
KINDS = (
    Kind("dpkg status", re.compile(r"/dpkg/status(?:-old)?$|/dpkg/status\.d/[^/]+$"),
         re.compile(rb"^Package: .+\n(?:.+\n)*?Version: ", re.M), False, read_status),
    Kind("dpkg status by content", None,
         re.compile(rb"\APackage: .+\nStatus: (?:install|hold|deinstall|purge) \w+ "), True,
         read_status),
    Kind("apk installed", re.compile(r"/apk/db/installed$"), re.compile(rb"^P:.+\nV:", re.M), False,
         read_apk),
    Kind("dpkg -l", None, re.compile(rb"\ADesired=Unknown/Install/Remove/Purge"), True,
         read_listed),
    Kind("dpkg.log", None,
         re.compile(rb"\A" + TIME + rb"(?:startup (?:archives|packages)|status \S+ \S+|install \S+ "
                    rb"|upgrade \S+ |configure \S+ |trigproc \S+ |remove \S+ |purge \S+ "
                    rb"|conffile \S+ |update-alternatives: )"), True, read_dpkg),
    Kind("apt history", None,
         re.compile(rb"\A\s*Start-Date: \d{4}-\d\d-\d\d  \d\d:\d\d:\d\d\r?\n"), True, read_apt),
    Kind("yum.log", None,
         re.compile(rb"\A\w{3} [ \d]\d \d\d:\d\d:\d\d (?:Installed|Erased|Updated): "),
         True, read_yum),
    Kind("dnf.log", re.compile(r"/dnf[^/]*\.log[^/]*$|/hawkey\.log[^/]*$"),
         re.compile(rb"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d{4}) [A-Z]+ "), False, read_dnf),
    Kind("dnf by content", None,
         re.compile(rb"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d{4}) "
                    rb"(?:SUBDEBUG|DDEBUG|DEBUG|INFO) "),
         True, read_dnf),
    Kind("pacman.log", None,
         re.compile(rb"\A\[\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d[+-]\d{4})?\] "
                    rb"(?:\[(?:ALPM|PACMAN|ALPM-SCRIPTLET)\] |installed |Running )"),
         True, read_pacman),
)  # fmt: skip

PARSER = parser_of(
    "linux_packages", VERSION, "a list or a log of packages", KINDS,
    ("artifact_query", "application_activity"),
    ("*/dpkg/status*", "*/apk/db/installed", "*/dpkg.log*", "*/apt/history.log*", "*/yum.log*",
     "*/dnf*.log*", "*/pacman.log*"),
    Rank.USE,
)  # fmt: skip


r"""Logs of Microsoft Defender Antivirus: `MPLog-*.log`, `MPDetection-*.log` (Support folder).

No specification; the forms of lines below are those of Windows 8.1 to Server 2022. UTF-16.

A record is a line that begins with a time, a block between its first and its last line ("Begin
Resource Scan", "BEGIN BM telemetry", "Beginning threat actions", ...), or a run of other lines.
What is understood is a row of `detection_finding`, `application_activity` (scans) or
`artifact_query` (files and processes that the engine looked at: proof that they were there); all
else is a row of `raw_event`, complete.

Lines have UTC. Blocks have the host's local time: its zone is taken from the line before, where the
two are a whole number of quarter hours apart, else UTC is assumed (parse_flags 32 in both cases).
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tracelake.parsers.artifact import NO_ROWS_YET, Artifact, Match, Parser, Rank
from tracelake.parsers.clock import iso, micros_of
from tracelake.parsers.pyrows import TRUNCATED, ZONE_ASSUMED, PyRows
from tracelake.parsers.text_lines import Line, Lines
from tracelake.parsers.whole import micros, notes
from tracelake.parsers.wide_text import encoding

VERSION = "1"

PRODUCT = "77BDAF73-B396-481F-9042-AD358843EC24"
PROVIDER = "Microsoft Defender Antivirus"
FILE_QUERY, PROCESS_QUERY, SCAN = 5007, 5015, 6007
LINES_MOST = 2048  # of one record
ROWS_AT_ONCE = 2048
QUARTER = 900_000_000
NEAR = 120_000_000  # a block is written within two minutes of what it tells of
RESOURCES_MOST = 256
PARENTHESES_MOST = 32

Values = dict[str, Any]

_TIMED = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,7}Z) (.*)$")
_LOCAL = re.compile(r"(\d\d)-(\d\d)-(\d{4}) (\d\d):(\d\d):(\d\d)$")
_BLOCKS = (
    ("Begin Resource Scan", "End Scan"),
    ("BEGIN BM telemetry", "END BM telemetry"),
    ("Beginning threat actions", "Finished threat actions"),
    ("**RTP Perf Log**", "**END RTP Perf Log**"),
)


@dataclass(slots=True)
class Row:
    """A row that a record gives: its table and columns; `unmapped` in `said`."""

    table: str
    values: Values
    said: dict[str, str]


_MARKS = tuple("Service Log".encode(codec) for codec in ("ascii", "utf-16-le", "utf-16-be"))


def match(head: bytes, path: str) -> tuple[Match, str]:
    """Whether an artifact is a log of Defender, and why not."""
    name = re.split(r"[/\\]", path)[-1].lower()
    named = "mpdetection-" in name or "mplog-" in name
    # To decode what is no text at all takes longer than all other parsers' looks together.
    if not named and not (any(head[:2]) and any(mark in head[:8196] for mark in _MARKS)):
        return Match.NO, "no head of Defender's log"
    codec, mark = encoding(head)
    text = head[mark : mark + 8192].decode(codec, "replace")
    if PRODUCT in text.upper() and "Service Log" in text:
        return Match.CONTENT, ""
    if named:
        if _TIMED.search(text) or re.search(r"^\d{4}-\d\d-\d\dT", text.lstrip(), re.MULTILINE):
            return Match.CONTENT, ""
        return Match.NAME, ""
    return Match.NO, "no head of Defender's log"


def resources(text: str) -> list[tuple[str, str]]:
    """(kind, path) of each resource in `file:C:\\x;process:pid:12;...`."""
    found: list[tuple[str, str]] = []
    for part in re.split(r";(?=[A-Za-z]{2,20}:)", text.strip().rstrip(";")):
        kind, _, rest = part.partition(":")
        if rest and len(found) < RESOURCES_MOST:
            found.append((kind.strip(), rest))
    return found


def _finding(threat: str, source: str, what: str, text: str, **more: Any) -> Row:
    found = resources(text)
    files = [path for kind, path in found if "file" in kind]
    path = files[0] if files else (found[0][1] if found else text)
    said = notes(resources="\n".join(f"{kind}:{p}" for kind, p in found) or text, event=what)
    values: Values = {
        "activity_id": 1, "threat_name": threat, "title": threat,
        "detection_source": source or None, "file_path": path or None,
        "analytic_type": "antivirus",
    }  # fmt: skip
    return Row("detection_finding", values | more, said)


def _event(found: re.Match[str]) -> Row:
    return _finding(found["threat"], found["source"], "DETECTIONEVENT", found["rest"])


def _added(found: re.Match[str]) -> Row:
    return _finding(found["threat"], "", "DETECTION_ADD", found["rest"])


def _cleaned(found: re.Match[str]) -> Row:
    row = _finding(found["threat"], found["source"], "DETECTION_CLEANEVENT", found["rest"],
                   disposition=found["action"], status_code=found["code"], action_id=4)
    row.values["activity_id"] = 2
    return row


def _impact(found: re.Match[str]) -> Row:
    said = notes(total_time_ms=found["total"], max_time_ms=found["max"],
                 estimated_impact_percent=found["impact"])
    # How many files of it were scanned, not how often it was run.
    said |= notes(scans=found["count"])
    return Row("artifact_query", {
        "class_uid": PROCESS_QUERY, "artifact": "defender_impact", "activity_id": 1,
        "subject_name": found["name"], "pid": int(found["pid"][:15]), "is_executed": True,
        "detail": found["file"] or None,
    }, said)  # fmt: skip


def _hex(text: str | None, length: int) -> str | None:
    return text.lower() if text and re.fullmatch(rf"[0-9A-Fa-f]{{{length}}}", text) else None


def _filter(text: str) -> Row | None:
    r"""`Blocked file: <path>. Process: <path>, Status: ..., State: ..., ...`."""
    what, _, rest = text.partition(": ")
    status = rest.rfind(", Status: ")
    place = rest.rfind("Process: ", 0, max(status, 0))
    if place < 0:
        return None
    path, process, rest = rest[:place].rstrip(". "), rest[place + 9 : status], rest[status + 2 :]
    said = notes(rest=rest, event=what.removeprefix("[Mini-filter] "))
    if "Blocked" in what:
        return Row("detection_finding", {
            "activity_id": 1, "title": "Blocked file", "file_path": path,
            "disposition": "blocked", "action_id": 2, "detection_source": "Mini-filter",
            "analytic_type": "antivirus",
            "actor_path": process, "actor_name": process.rsplit("\\", 1)[-1],
        }, said)  # fmt: skip
    return _looked_at("defender_scan_failed", path, notes(process=process) | said)


def _sdn(text: str) -> Row | None:
    r"""`Issuing SDN query for <path> (<path>) (sha1=..., sha2=...)`; paths have parentheses, too,
    so the two are divided where both have the same last part."""
    rest = text.partition("query for ")[2].rstrip()
    hashes = rest.rfind(" (sha1=")
    sums = ""
    if hashes > 0:
        rest, sums = rest[:hashes], rest[hashes:]
    at = rest.find(" (")
    for _ in range(PARENTHESES_MOST):
        if at < 0:
            break
        first, second = rest[:at], rest[at + 2 : -1]
        if first.rsplit("\\", 1)[-1] == second.rsplit("\\", 1)[-1]:
            break
        at = rest.find(" (", at + 1)
    else:
        at = -1
    if at < 0 and " (" in rest:
        at = rest.find(" (")
    first, second = (rest[:at], rest[at + 2 : -1]) if at >= 0 else (rest, rest)
    row = _looked_at("defender_sdn", second or first, notes(device_path=first))
    row.values["subject_sha1"] = _hex(_after(sums, "sha1="), 40)
    row.values["subject_sha256"] = _hex(_after(sums, "sha2=") or _after(sums, "sha256="), 64)
    return row


def _after(text: str, name: str) -> str:
    found = re.match(r"\w*", text.partition(name)[2])
    return found.group() if found else ""


def _looked_at(kind: str, path: str, said: dict[str, str], name: str = "") -> Row:
    path = path.removeprefix("\\\\?\\")
    return Row("artifact_query", {
        "class_uid": FILE_QUERY, "artifact": kind, "activity_id": 1, "subject_path": path or None,
        "subject_name": name or path.rsplit("\\", 1)[-1] or None,
    }, said)  # fmt: skip


def _quoted(text: str) -> Row | None:
    """`original file name "<name>" for "<path>", hr=...`."""
    parts = text.split('"', 4)
    if len(parts) < 5:
        return None
    return _looked_at("defender_original_name", parts[3], notes(rest=parts[4].lstrip(", ")),
                      parts[1])


def _excluded(text: str) -> Row | None:
    path, arrow, device = text.removeprefix("[Exclusion] ").partition(" -> ")
    return _looked_at("defender_exclusion", path, notes(device_path=device)) if arrow else None


def _lowfi(text: str) -> Row | None:
    path = text.removeprefix("lowfi: ")
    return _looked_at("defender_file", path, {"verdict": "lowfi"}) if "\\" in path else None


def _signature(text: str) -> Row | None:
    r"""`Internal signature match:subtype=Lowfi, sigseq=..., sigsha=..., resource="<path>"`."""
    head, _, path = text.partition(', resource="')
    if not path:
        return None
    said = dict(part.partition("=")[::2] for part in head.partition(":")[2].split(", "))
    return _looked_at("defender_file", path.rstrip().removesuffix('"'), notes(**said))


def _engine(text: str) -> Row | None:
    """`[MpRtp] Engine VFZ <verdict>: <path>. status=..., statusex=..., threatid=..., ...`."""
    what, _, rest = text.partition(": ")
    at = rest.rfind(" status=")
    if at < 0:
        return None
    said = dict(part.partition("=")[::2] for part in rest[at + 1 :].split(", "))
    return _looked_at("defender_file", rest[:at].rstrip("."),
                      {"verdict": what.partition("VFZ ")[2]} | notes(**said))


def _by(pattern: str, make: Callable[[re.Match[str]], Row]) -> Callable[[str], Row | None]:
    compiled = re.compile(pattern)

    def reader(text: str) -> Row | None:
        found = compiled.match(text)
        return make(found) if found is not None else None

    return reader


# What a line has in it, and what reads it from there on. None looks at a text more than once:
# lines are as long as whoever wrote them likes.
_RULES: tuple[tuple[str, Callable[[str], Row | None]], ...] = (
    ("DETECTIONEVENT ",
     _by(r"DETECTIONEVENT (?P<source>MPSOURCE_\S+) (?P<threat>\S+) (?P<rest>.*)$", _event)),
    ("DETECTION_ADD", _by(r"DETECTION_ADD(?:#\d+)? (?P<threat>\S+) (?P<rest>.*)$", _added)),
    ("DETECTION_CLEANEVENT ", _by(
        r"DETECTION_CLEANEVENT (?P<source>\S+) (?P<action>\S+) (?P<code>\S+) (?P<threat>\S+) "
        r"(?P<rest>.*)$", _cleaned)),
    ("DETECTION ", _by(r"DETECTION (?P<threat>[^\s:]+:\S+) (?P<rest>.*)$", _added)),
    ("ProcessImageName: ", _by(
        r"ProcessImageName: (?P<name>[^,]*), Pid: (?P<pid>\d+), TotalTime: (?P<total>\d+), "
        r"Count: (?P<count>\d+), MaxTime: (?P<max>\d+), MaxTimeFile: (?P<file>.*), "
        r"EstimatedImpact: (?P<impact>\d+)", _impact)),
    ("[Mini-filter] Blocked file", _filter),
    ("[Mini-filter] Unsuccessful scan", _filter),
    ("Issuing SDN query for ", _sdn),
    ("[MpRtp] Engine VFZ ", _engine),
    ("original file name ", _quoted),
    ("[Exclusion] ", _excluded),
    ("Internal signature match:", _signature),
    ("lowfi: ", _lowfi),
)


def understood(text: str) -> Row | None:
    """The row that a line gives, None where its form is not known."""
    for literal, reader in _RULES:
        at = text.find(literal)
        if at >= 0:
            return reader(text[at:])
    return None


def local(text: str) -> int | None:
    """Microseconds since 1970 of `MM-DD-YYYY hh:mm:ss`, taken as UTC."""
    found = _LOCAL.match(text.strip())
    if found is None:
        return None
    month, day, year, hour, minute, second = (int(part) for part in found.groups())
    return micros_of(year, month, day, hour, minute, second)


def zone(clock: int, utc: int | None) -> int:
    """What a local time is ahead of UTC, in microseconds, by a line that was written at once."""
    if utc is None:
        return 0
    ahead = clock - utc
    quarters = round(ahead / QUARTER)
    near = abs(ahead - quarters * QUARTER) <= NEAR and abs(quarters) <= 56
    return quarters * QUARTER if near else 0


def pairs(texts: list[str]) -> list[tuple[str, str]]:
    """`name:value` of each line."""
    found = [text.partition(":") for text in texts]
    return [(name.strip(), value.strip()) for name, colon, value in found if colon]


def block_rows(texts: list[str], utc: int | None) -> tuple[list[Row], int | None, str]:
    """(rows, their time, its name) of a block; no rows where its kind is not known."""
    said = pairs(texts)
    first = dict(reversed(said))
    if texts[0].startswith("Begin Resource Scan"):
        return _scan(said, first), _when(first, "Start Time", "End Time", utc), "scan_start"
    if texts[0].startswith("BEGIN BM"):
        pid, made = first.get("ProcessID", ""), first.get("ProcessCreationTime", "")
        path = first.get("ImagePath", "")
        row = Row("artifact_query", {
            "class_uid": PROCESS_QUERY, "artifact": "defender_behavior", "activity_id": 1,
            "subject_path": path or None, "subject_name": path.rsplit("\\", 1)[-1] or None,
            "is_executed": True,
            "pid": int(pid) if pid.isdigit() and len(pid) < 12 else None,
            "run_times": [us] if made.isdigit() and len(made) < 20
            and (us := micros(int(made))) is not None else None,
        }, dict(said))  # fmt: skip
        return [row], _when(first, "CreationTime", "CreationTime", utc), "behavior"
    if texts[0].startswith("Beginning threat actions"):
        return _actions(said), _when(first, "Start time", "Start time", utc), "action"
    return [], None, ""


def _when(first: dict[str, str], name: str, near: str, utc: int | None) -> int | None:
    clock, last = local(first.get(name, "")), local(first.get(near, ""))
    if clock is None:
        return None
    return clock - zone(last if last is not None else clock, utc)


def _scan(said: list[tuple[str, str]], first: dict[str, str]) -> list[Row]:
    rows = [Row("application_activity", {
        "class_uid": SCAN, "activity_id": 1, "app_name": PROVIDER,
        "scan_uid": first.get("Scan ID"), "scan_type": first.get("Scan Source"),
        "scan_target": first.get("Resource Path"),
    }, notes(result_count=first.get("Result Count"), end_time=first.get("End Time")))]  # fmt: skip
    threat: Row | None = None
    for name, value in said:
        if name == "Threat Name" and len(rows) < RESOURCES_MOST:
            threat = _finding(value, "scan", "scan", "")
            threat.said = notes(scan_id=first.get("Scan ID"))
            rows.append(threat)
        elif threat is not None:
            if name == "ID":
                threat.values["threat_uid"] = value
            elif name == "Resource Path":
                if not threat.values["file_path"]:
                    threat.values["file_path"] = value
                before = threat.said.get("resources")
                threat.said["resources"] = f"{before}\n{value}" if before else value
            else:
                threat.said[name] = value
    return rows


def _actions(said: list[tuple[str, str]]) -> list[Row]:
    rows: list[Row] = []
    row: Row | None = None
    for name, value in said:
        if name == "Threat Name" and len(rows) < RESOURCES_MOST:
            row = _finding(value, "", "threat action", "")
            row.values |= {"activity_id": 2, "file_path": None, "action_id": 4}
            row.said = {}
            rows.append(row)
        elif row is None:
            continue
        elif name == "Threat ID":
            row.values["threat_uid"] = value
        elif name == "Action":
            row.values["disposition"] = value
        elif name == "Result":
            row.values["status_code"] = value
        elif name in ("Path", "File Name") and not row.values["file_path"]:
            row.values["file_path"] = value.removeprefix("\\\\?\\")
        elif name == "File owner" and "\\" in value:
            row.values["user_domain"], row.values["user_name"] = value.split("\\", 1)
        else:
            row.said[name.replace("File to act on ", "")] = value
    return rows


def records(lines: Lines) -> Iterator[list[Line]]:
    """The lines of each record."""
    held: list[Line] = []
    end = ""
    for line in lines:
        text = line.text
        start = next((last for first, last in _BLOCKS if text.startswith(first)), "")
        timed = _TIMED.match(text) is not None
        rule = text.startswith(("*****", "-----")) or not text.strip()
        if end:
            # A block that lost its end goes no further than the next one, or a line with a time.
            if start or (timed and end != "Finished threat actions"):
                yield held
                held, end = [], ""
            else:
                held.append(line)
                if text.startswith(end) or len(held) == LINES_MOST:
                    yield held
                    held, end = [], ""
                continue
        alone = timed or rule or text.startswith("Internal sig")
        if held and (start or alone or len(held) == LINES_MOST):
            yield held
            held = []
        if start:
            held, end = [line], start
        elif alone:
            yield [line]
        else:
            held.append(line)
    if held:
        if end:
            last = held[-1]
            held[-1] = Line(last.at, last.raw, last.text, last.flags | TRUNCATED)
        yield held


def read(artifact: Artifact) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields rows.

    Args:
        artifact: its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on; the rows before that were yielded.
    """
    rows = PyRows(artifact)
    lines = Lines(artifact)
    artifact.account.bytes_structure += lines.mark
    name = re.split(r"[/\\]", artifact.path)[-1]
    log = "MPDetection" if "mpdetection" in name.lower() else "MPLog"
    utc: int | None = None
    for number, record in enumerate(records(lines)):
        raw = b"".join(line.raw for line in record)
        text = record[0].text
        if len(record) == 1 and (not text.strip() or text.startswith(("*****", "-----"))):
            artifact.account.bytes_structure += len(raw)
            continue
        utc = _record(rows, record, raw, utc, log)
        if number % ROWS_AT_ONCE == 0:
            yield from rows.full()
            yield NO_ROWS_YET
    yield from rows.rest()
    if lines.stopped is not None:
        raise lines.stopped


def _record(
    rows: PyRows, record: list[Line], raw: bytes, utc: int | None, log: str
) -> int | None:
    """Adds the rows of a record; gives the time of the last line that had one."""
    flags = 0
    for line in record:
        flags |= line.flags
    text = record[0].text
    timed = _TIMED.match(text)
    us: int | None = None
    ns = 0
    desc = "logged"
    if timed is not None:
        us, ns, _ = iso(timed[1])
        utc = us if us is not None else utc
        one = understood(timed[2])
        made = [one] if one is not None else []
    elif len(record) > 1:
        made, us, desc = block_rows([line.text for line in record], utc)
        flags |= ZONE_ASSUMED if us is not None else 0
    else:
        one = understood(text)
        made = [one] if one is not None else []
    rows.seen(len(raw))
    if not made:
        whole = "\n".join(line.text for line in record)
        first = timed[2] if timed is not None else whole
        made = [Row("raw_event", {"message": first}, {"text": whole} if len(record) > 1 else {})]
    for number, row in enumerate(made):
        if timed is None and len(record) > 1 and row.table != "raw_event":
            row.said.setdefault("text", "\n".join(line.text for line in record))
        elif row.table != "raw_event":
            row.values.setdefault("message", timed[2] if timed is not None else text)
        rows.add(
            row.table, record[0].at, len(raw), raw, flags=flags, more=number > 0, time=us,
            time_ns=ns if us is not None else None,
            time_desc=desc if us is not None else None,
            log_provider=PROVIDER, log_name=log, unmapped=row.said, **row.values,
        )  # fmt: skip
    return utc


PARSER = Parser(
    "defender_log",
    VERSION,
    match,
    ("artifact_query", "application_activity", "detection_finding", "raw_event"),
    read,
    files=("*/windows defender/support/mplog-*.log", "*/windows defender/support/mpdetection-*.log",
           "*/microsoft antimalware/support/mp*.log"),
    rank=Rank.LOGS,
    text=True,
)

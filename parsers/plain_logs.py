"""Logs of single programs with a time at the start of each line.

- Snort's and Suricata's `fast.log`: `MM/DD[/YY]-hh:mm:ss.ffffff [**] [1:2009187:4] text [**]
  [Classification: ..] [Priority: 3] {TCP} 1.2.3.4:80 -> 5.6.7.8:90`: rows of `detection_finding`.
- iOS' `lockdownd.log`: `MM/DD/YY hh:mm:ss.ffffff pid=69 function: text`: rows of `raw_event`.

Neither says the zone: UTC is assumed (parse_flags 32). Snort leaves the year out unless it is told
otherwise; then the latest is taken in which the time is not after the file's own (64). With a year,
Suricata writes month first and Snort the year first: 13 to 31 in the first place, or years from
10 in the third, tell them apart.
"""

import datetime
import re
import time
from collections.abc import Iterator

from tracelake.parsers.artifact import Artifact, Rank
from tracelake.parsers.pyrows import YEAR_INFERRED, ZONE_ASSUMED, PyRows
from tracelake.parsers.syslog import last_possible
from tracelake.parsers.textfile import TextLine
from tracelake.parsers.textkinds import Kind, parser_of, passed, refused

VERSION = "1"

FAST = re.compile(
    r"(\d\d)/(\d\d)(?:/(\d\d(?:\d\d)?))?-(\d\d:\d\d:\d\d)\.(\d{6})\s+(?:\[(\w+)\] )?\[\*\*\] "
    r"\[(\d+):(\d+):(\d+)\] (.*?) \[\*\*\](?: \[Classification: (.*?)\])?"
    r"(?: \[Priority: (\d+)\])?(?: \{(.*?)\} (\S+) -> (\S+))?\s*$"
)
LOCKDOWN = re.compile(
    r"(\d\d)/(\d\d)/(\d\d) (\d\d:\d\d:\d\d)\.(\d{6}) pid=(\d{1,18}) (?:([^:\s]+): )?(.*)$",
    re.DOTALL,
)
# OCSF: 5 critical, 4 high, 3 medium, 2 low, by the priority of the rule.
SEVERITY = {"1": 4, "2": 3, "3": 2, "4": 1}
MOST_LINES = 1000


def moment(year: int, month: int, day: int, clock: str, fraction: str) -> int | None:
    """Microseconds since 1970 of a date that may be none."""
    hour, minute, second = (int(part) for part in clock.split(":"))
    try:
        when = datetime.datetime(year, month, day, hour, minute, second, tzinfo=datetime.UTC)
    except ValueError:
        return None
    return int(when.timestamp()) * 1_000_000 + int(fraction)


def _end(text: str | None) -> tuple[str | None, int | None]:
    """Address and port; of IPv6 the port stands behind the eighth group's colon."""
    if text is None:
        return None, None
    address, _, port = text.rpartition(":")
    plain = text.count(":") == 1
    if (plain or text.count(":") == 8) and port.isdigit() and int(port) < 65536:
        return address, int(port)
    return text, None


def read_fast(lines: Iterator[TextLine], rows: PyRows, artifact: Artifact) -> Iterator[None]:
    """A line an alert."""
    before = artifact.modified if artifact.modified is not None else time.time()
    for line in lines:
        found = FAST.match(line.text)
        if not line.raw.strip():
            passed(artifact, line)
            yield
            continue
        when = None
        if found is not None:
            first, second, third = found.group(1, 2, 3)
            flags = ZONE_ASSUMED
            if third is None:
                month, day = int(first), int(second)
                year = last_possible(month, day, 0, before) if 1 <= month <= 12 else 0
                flags |= YEAR_INFERRED
            elif len(third) == 4:
                year, month, day = int(third), int(first), int(second)
            elif int(first) > 12:
                year, month, day = 2000 + int(first), int(second), int(third)
            else:
                year, month, day = 2000 + int(third), int(first), int(second)
            when = moment(year, month, day, found.group(4), found.group(5))
        if found is None or when is None:
            refused(artifact, rows, line, "no alert of Snort or Suricata")
            yield
            continue
        source, source_port = _end(found.group(14))
        target, target_port = _end(found.group(15))
        said = {
            "protocol": found.group(13), "src_port": source_port, "dst_port": target_port,
            "action": found.group(6), "priority": found.group(12),
        }  # fmt: skip
        rows.seen(line.length)
        rows.add(
            "detection_finding", line.offset, line.length, line.raw, flags=flags, activity_id=1,
            time=when, title=found.group(10), message=found.group(10),
            analytic_uid=f"{found.group(7)}:{found.group(8)}",
            analytic_version=found.group(9), threat_category=found.group(11),
            severity_id=SEVERITY.get(found.group(12) or ""), src_ip=source, dst_ip=target,
            log_provider="snort_fast",
            unmapped={name: str(value) for name, value in said.items() if value is not None},
        )  # fmt: skip
        yield


def read_lockdown(lines: Iterator[TextLine], rows: PyRows, artifact: Artifact) -> Iterator[None]:
    """A message, in one line or more."""
    held: list[TextLine] = []

    def flush() -> None:
        if not held:
            return
        text = "\n".join(line.text for line in held)
        found = LOCKDOWN.match(text)
        when = None
        if found is not None:
            month, day, year = (int(part) for part in found.group(1, 2, 3))
            when = moment(2000 + year, month, day, found.group(4), found.group(5))
        if found is None or when is None:
            for line in held:
                refused(artifact, rows, line, "no time of lockdownd at its start")
        else:
            end = held[-1].offset + held[-1].length
            rows.seen(end - held[0].offset)
            rows.add(
                "raw_event", held[0].offset, end - held[0].offset,
                b"\n".join(line.raw for line in held), flags=ZONE_ASSUMED, time=when,
                log_provider="lockdownd", event_pid=int(found.group(6)), message=found.group(8),
                unmapped={"function": found.group(7)} if found.group(7) else None,
            )  # fmt: skip
        held.clear()

    for line in lines:
        if LOCKDOWN.match(line.text) or not held or len(held) >= MOST_LINES:
            flush()
        held.append(line)
        yield
    flush()


KINDS = (
    Kind("fast.log", None, re.compile(
        rb"\A\d\d/\d\d(?:/\d\d(?:\d\d)?)?-\d\d:\d\d:\d\d\.\d{6}\s+(?:\[\w+\] )?\[\*\*\] \["),
        True, read_fast),
    Kind("lockdownd", None, re.compile(
        rb"\A\d\d/\d\d/\d\d \d\d:\d\d:\d\d\.\d{6} pid=\d+ "), True, read_lockdown),
)  # fmt: skip
PARSER = parser_of(
    "plain_logs", VERSION, "an alert log of Snort or Suricata, or lockdownd's", KINDS,
    ("detection_finding", "raw_event"), ("*fast.log*", "*lockdownd.log*"), Rank.LOGS,
)  # fmt: skip

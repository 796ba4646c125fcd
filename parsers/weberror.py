"""Error logs of Apache and nginx.

    [Fri Sep 09 10:42:29.902022 2011] [core:error] [pid 35708:tid 4328] [client 1.2.3.4:80] message
    2011/06/10 13:30:10 [error] 12345#0: *1 message, client: 1.2.3.4, server: x, request: "GET / .."

Specifications: mod_log_config's ErrorLogFormat; ngx_log.c. Times are local and say no zone: UTC is
assumed (parse_flags 32). Each line is a row of `raw_event`, with client, server and request in
`unmapped`; a line without a head goes on with the one before it.
"""

import datetime
import re
from collections.abc import Iterator

from tracelake.parsers.artifact import Artifact, Rank
from tracelake.parsers.pyrows import ZONE_ASSUMED, PyRows
from tracelake.parsers.textfile import TextLine
from tracelake.parsers.textkinds import Kind, parser_of, passed, refused

VERSION = "1"

APACHE = re.compile(
    r"\[\w{3} (\w{3} [ \d]\d \d\d:\d\d:\d\d)(?:\.(\d{1,6}))? (\d{4})\] (?:\[([\w:-]*)\] )?"
    r"(?:\[pid (\d+)(?::tid (\d+))?\] )?(?:\[client ([^\]]+)\] )?(.*)$", re.DOTALL
)  # fmt: skip
NGINX = re.compile(
    r"(\d{4})/(\d\d)/(\d\d) (\d\d:\d\d:\d\d) \[(\w+)\] (\d+)#(\d+): (?:\*(\d+) )?(.*)$", re.DOTALL
)
DETAIL = re.compile(r", (client|server|request|upstream|host|referrer): (\"[^\"]*\"|[^,\"]+)")
# OCSF: 6 fatal, 5 critical, 4 high, 3 medium, 1 informational.
SEVERITY = {"emerg": 6, "alert": 5, "crit": 5, "error": 4, "warn": 3, "notice": 1, "info": 1,
            "debug": 1}  # fmt: skip
MOST_LINES = 1000


def _us(text: str, pattern: str) -> int | None:
    try:
        when = datetime.datetime.strptime(text, pattern).replace(tzinfo=datetime.UTC)
        return int(when.timestamp()) * 1_000_000
    except (ValueError, OverflowError):
        return None


def _put(rows: PyRows, held: list[TextLine]) -> None:
    """A message and the lines that it goes on with."""
    text = "\n".join(line.text for line in held)
    raw = b"\n".join(line.raw for line in held)
    offset, length = held[0].offset, held[-1].offset + held[-1].length - held[0].offset
    rows.seen(length)
    unmapped: dict[str, str] = {}
    if found := APACHE.match(text):
        date, fraction, year, level, pid, thread, client, message = found.groups()
        us = _us(f"{date} {year}", "%b %d %H:%M:%S %Y")
        us = None if us is None else us + int((fraction or "").ljust(6, "0"))
        module, _, name = (level or "").rpartition(":")
        provider = "apache"
        if module:
            unmapped["module"] = module
        if client:
            unmapped["client"] = client
    else:
        found = NGINX.match(text)
        assert found is not None
        year, month, day, clock, name, pid, thread, connection, message = found.groups()
        us = _us(f"{year}-{month}-{day} {clock}", "%Y-%m-%d %H:%M:%S")
        provider = "nginx"
        unmapped = {key: value.strip('"') for key, value in DETAIL.findall(message)}
        if connection:
            unmapped["connection"] = connection
    if name:
        unmapped["level"] = name
    rows.add(
        "raw_event", offset, length, raw, flags=ZONE_ASSUMED if us is not None else 0, time=us,
        log_provider=provider, severity_id=SEVERITY.get(name), message=message,
        event_pid=int(pid) if pid and len(pid) < 19 else None,
        event_tid=int(thread) if thread and len(thread) < 19 else None, unmapped=unmapped or None,
    )  # fmt: skip


def read_log(lines: Iterator[TextLine], rows: PyRows, artifact: Artifact) -> Iterator[None]:
    """Messages, each of one line or more."""
    held: list[TextLine] = []
    for line in lines:
        if APACHE.match(line.text) or NGINX.match(line.text):
            if held:
                _put(rows, held)
            held = [line]
        elif held and line.raw.strip() and len(held) < MOST_LINES:
            held.append(line)
        elif not line.raw.strip():
            if held:
                _put(rows, held)
                held = []
            passed(artifact, line)
        else:
            refused(artifact, rows, line, "no time of an error log at its start")
        yield
    if held:
        _put(rows, held)


KINDS = (
    Kind("apache", None, re.compile(
        rb"\A\[\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,6})? \d{4}\] \[[\w:-]*\] "), True,
         read_log),
    Kind("nginx", None, re.compile(
        rb"\A\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[\w+\] \d+#\d+: "), True, read_log),
)  # fmt: skip
PARSER = parser_of(
    "weberror", VERSION, "an error log of a web server", KINDS, ("raw_event",),
    ("*error*log*",), Rank.LOGS,
)

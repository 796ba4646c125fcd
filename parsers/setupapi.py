r"""What was plugged in first, and when: SetupAPI's logs of device installs.

Form: "SetupAPI Text Logs" (Windows driver documentation), since Windows Vista; `setupapi.log`
of Windows 2000 to XP.

    [Device Install Log]  ...  [BeginLog]
    [Boot Session: 2013/05/13 19:20:39.375]
    >>>  [Device Install (Hardware initiated) - USBSTOR\Disk&Ven_X&Prod_Y\0123&0]
    >>>  Section start 2013/05/13 19:20:40.000
         ...
    <<<  Section end 2013/05/13 19:20:41.000
    <<<  [Exit status: SUCCESS]

    [SetupAPI Log]  ...
    [2004/08/17 18:49:50 844.7 Driver Install]
    #-019 Searching for hardware ID(s): usb\vid_0781&pid_5406
    #I121 Device install of "USB\VID_0781&PID_5406\0123" finished successfully.

A section is a row: of `peripheral_activity` where it is about a device, of `raw_event` otherwise,
with all of its text. Times are the host's local time (parse_flags 32).
"""

import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from tracelake.parsers.artifact import NO_ROWS_YET, Artifact, Match, Parser, Rank
from tracelake.parsers.clock import micros_of
from tracelake.parsers.pyrows import TRUNCATED, ZONE_ASSUMED, PyRows
from tracelake.parsers.text_lines import Line, Lines
from tracelake.parsers.whole import notes
from tracelake.parsers.wide_text import encoding

VERSION = "1"

SECTION_MOST = 4 << 20  # bytes of one row
ROWS_AT_ONCE = 1024
CONNECT, OTHER = 1, 99
_HEAD = re.compile(r"\[(?:Device Install Log|SetupAPI Log|Setup(?:API)? [\w ]*Log)\]")
_TIME = re.compile(r"(\d{4})/(\d\d)/(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,3}))?")
_OLD = re.compile(r"\[(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) (\d+\.\d+)(?: ([^\]]*))?\]")
_TITLE = re.compile(r">>>\s+\[(.*)\]\s*$")
_DEVICE = re.compile(r"(?:SWD|[A-Z]{2,16}[\w.]*)\\[^\s\\/:*?\"<>|]+(?:\\[^\s\"]*)?", re.IGNORECASE)
_QUOTED = re.compile(r"Device install of \"([^\"]+)\"")
_STORE = re.compile(r"\w+\\\w+?&Ven_([^&\\]*)&Prod_([^&\\]*)(?:&Rev_[^\\]*)?(?:\\([^\\]+))?$",
                    re.IGNORECASE)
_USB = re.compile(r"\w+\\(VID_\w{4})&(PID_\w{4})[^\\]*(?:\\([^\\]+))?$", re.IGNORECASE)
_WORD = re.compile(r"[\w-]{1,64}$")


def match(head: bytes, path: str) -> tuple[Match, str]:
    """Whether an artifact is such a log, and why not."""
    if b"[" in head[:16]:
        codec, mark = encoding(head)
        text = head[mark : mark + 512].decode(codec, "replace").lstrip()
        if _HEAD.match(text):
            return Match.CONTENT, ""
    name = re.split(r"[/\\]", path)[-1].lower()
    if name.startswith("setupapi") and name.endswith(".log"):
        return Match.NAME, ""
    return Match.NO, "no head of a SetupAPI log"


def when(text: str) -> int | None:
    """Microseconds since 1970 of the first time in a text, taken as UTC."""
    found = _TIME.search(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    us = int((found.group(7) or "").ljust(6, "0"))
    return micros_of(year, month, day, hour, minute, second, us)


def inf_of(text: str) -> str | None:
    """The first name of an .inf in a text."""
    at = text.find(".inf")
    found = _WORD.search(text[max(0, at - 64) : at]) if at > 0 else None
    return found.group() + ".inf" if found else None


def device(uid: str) -> dict[str, Any]:
    r"""Columns that an instance id tells: `USBSTOR\Disk&Ven_X&Prod_Y&Rev_1\serial&0`."""
    values: dict[str, Any] = {"periph_uid": uid, "periph_class": uid.split("\\", 1)[0].upper()}
    found = _STORE.match(uid) or _USB.match(uid)
    if found is not None:
        vendor, model, serial = found.groups()
        values |= {"periph_vendor": vendor or None, "periph_model": model or None,
                   # `&` as the second character: Windows made it up, the device has none.
                   "periph_serial": None if not serial or serial[1:2] == "&" else serial}
    return values


def sections(lines: Lines) -> Iterator[list[Line]]:
    """The lines of each section, and of what stands between them."""
    held: list[Line] = []
    size = 0
    inside = False
    for line in lines:
        begins = _TITLE.match(line.text) is not None or _OLD.match(line.text) is not None
        boot = line.text.startswith("[Boot Session")
        if held and (begins or boot or size > SECTION_MOST or (not inside and not line.text)):
            if inside and size > SECTION_MOST:
                held[-1] = Line(held[-1].at, held[-1].raw, held[-1].text,
                                held[-1].flags | TRUNCATED)
            yield held
            held, size, inside = [], 0, False
        held.append(line)
        size += len(line.raw)
        inside = inside or begins
        if line.text.startswith("<<<  [Exit status"):
            yield held
            held, size, inside = [], 0, False
    if held:
        yield held


def read(artifact: Artifact) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields rows of `peripheral_activity` and `raw_event`.

    Args:
        artifact: its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on; the rows before that were yielded.
    """
    rows = PyRows(artifact)
    lines = Lines(artifact)
    account = artifact.account
    account.bytes_structure += lines.mark
    for number, section in enumerate(sections(lines)):
        raw = b"".join(line.raw for line in section)
        if not any(line.text.strip() for line in section):
            account.bytes_structure += len(raw)
            continue
        _row(rows, section, raw)
        if number % ROWS_AT_ONCE == 0:
            yield from rows.full()
            yield NO_ROWS_YET
    yield from rows.rest()
    if lines.stopped is not None:
        raise lines.stopped


def _row(rows: PyRows, section: list[Line], raw: bytes) -> None:
    texts = [line.text for line in section]
    flags = 0
    for line in section:
        flags |= line.flags
    text = "\n".join(texts)
    title, us, uid = _about(texts, text)
    end = next((each for each in reversed(texts[-4:]) if "Section end" in each), "")
    status = next((each.split(":", 1)[1].strip(" ]") for each in reversed(texts)
                   if each.startswith("<<<  [Exit status") and ":" in each), "")
    ended = when(end)
    other = notes(text=text, ended_us=ended, exit_status=status)
    if us is not None:
        flags |= ZONE_ASSUMED
    values: dict[str, Any] = {"message": title or texts[0].strip()}
    table = "raw_event"
    if uid:
        table = "peripheral_activity"
        good = status == "SUCCESS" or "finished successfully" in text
        values |= device(uid) | {
            "activity_id": CONNECT if "Hardware initiated" in title else OTHER,
            "status_id": 1 if good else 2 if status else None,
            "status_code": status or None, "driver_name": inf_of(text),
        }
    rows.seen(len(raw))
    rows.add(
        table, section[0].at, len(raw), raw, flags=flags, time=us,
        time_desc="section_start" if us is not None else None, log_name="SetupAPI",
        unmapped=other, **values,
    )  # fmt: skip


def _about(texts: list[str], text: str) -> tuple[str, int | None, str]:
    """(title, time, device) of a section; "" where there is none."""
    new = _TITLE.match(texts[0])
    if new is not None:
        us = next((when(each) for each in texts[1:4] if "Section start" in each), None)
        kind, dash, target = new.group(1).partition(" - ")
        found = _DEVICE.fullmatch(target.strip()) if dash else None
        about = found is not None and "driver package" not in kind.lower()
        return new.group(1), us, target.strip() if about else ""
    old = _OLD.match(texts[0])
    if old is not None:
        installed = _QUOTED.search(text)
        title = old.group(3) or next((each for each in texts[1:] if each.strip()), "")
        return title, when(old.group(1)), installed.group(1) if installed else ""
    if texts[0].startswith("[Boot Session"):
        return texts[0].strip("[] "), when(texts[0]), ""
    return "", None, ""


PARSER = Parser(
    "setupapi",
    VERSION,
    match,
    ("peripheral_activity", "raw_event"),
    read,
    files=("*/inf/setupapi*.log", "*/windows/setupapi*.log", "windows/setupapi*.log",
           "winnt/setupapi*.log"),
    rank=Rank.USE,
    text=True,
)

"""What codes of Windows stand for: the tables in `mappings/codes/`, one file each.

    ntstatus, win32, kerberos   status codes, by the names of their specifications
    kerberos_etype              encryption types of tickets
    logon_type                  logon types, as OCSF calls them
    sid                         principals that have the same SID everywhere
    parameter                   `%%1833` of the Security log

Names, not sentences: what Windows shows is Microsoft's text, and differs by language. The native
half is parsers/codes.pyx; it is tested to agree with this one.
"""

import re
from collections.abc import Mapping
from functools import cache

from tracelake.normalize import parsed

FOLDER = parsed.FOLDER / "codes"

TABLES = tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))
"""Names of all tables."""

DOMAIN_SID = re.compile(r"S-1-5-21(?:-[0-9]{1,10}){3}-([0-9]{1,10})")


@cache
def load(table: str) -> Mapping[str, str]:
    """Code -> name, in the order of the file. Raises OSError, tomllib.TOMLDecodeError."""
    found = parsed.parse((FOLDER / f"{table}.toml").read_text("utf-8"))
    return {str(code): str(name) for code, name in found.items()}


@cache
def form(table: str) -> str:
    """How a table's codes are written: "0x", "0" (decimal), or "" where they are no numbers."""
    code = next(iter(load(table)))
    return "0x" if code.startswith("0x") else "0" if code.isdigit() else ""


def _number(text: str) -> int | None:
    if not re.fullmatch("[+-]?[0-9]+|0[xX][0-9A-Fa-f]{1,16}", text):
        return None
    return int(text, 16 if text[1:2] in ("x", "X") else 10)


def name(table: str, text: str) -> str | None:
    """What a code stands for; None where the table does not have it.

    Numbers may be written either way, as negative numbers of 32 bits, and as the parameter of a
    message (%%1053). An HRESULT that wraps a Win32 error (0x80070005) is that error.
    """
    codes = load(table)
    found = codes.get(text)
    number = _number(text.removeprefix("%%"))
    if found is not None or number is None or not form(table):
        return found
    if -(1 << 31) <= number < 0:
        number += 1 << 32
    if form(table) == "0x":
        return codes.get(f"{number:#x}")
    return codes.get(str(number & 0xFFFF if number >> 16 == 0x8007 else number))


def principal(sid: str) -> str | None:
    """Who a SID is, where that is the same everywhere: `NT AUTHORITY\\SYSTEM`, `Domain Admins`."""
    found = load("sid").get(sid)
    if found is None and (domain := DOMAIN_SID.fullmatch(sid)):
        found = load("sid").get(f"S-1-5-21-*-{domain[1]}")
    return found


def parameter(text: str) -> str:
    """The word for a message parameter; other texts as they are."""
    return load("parameter").get(text, text)


@cache
def _parameters() -> Mapping[str, str]:
    found: dict[str, str] = {}
    for code, word in load("parameter").items():
        found.setdefault(word, code)
    return found


def parameter_code(word: str) -> str:
    """The way back: the first message parameter with this word; other texts as they are."""
    return _parameters().get(word, word)

"""Property lists of Apple, binary and XML, as values; and flat, as text.

Specification: plist(5), "CFBinaryPList.c" (Apple). The standard library reads them; what a hostile
one can do is bounded here: size, depth, objects that hold themselves, and objects that are
referred to so often that they are more than the file could hold.
"""

import codecs
import plistlib
import struct
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from xml.parsers.expat import ExpatError

from tracelake.native.errors import Corrupt
from tracelake.parsers.epochs import of_datetime, written

BINARY = b"bplist0"
STARTS = (b"<?xml", b"<!DOCTYPE", b"<plist", b"<!--")
LOOK = 2048
MOST = 32 << 20
MOST_LEAVES = 20_000
MOST_TEXT = 8 << 20
MOST_DEPTH = 64
WRONG = (
    plistlib.InvalidFileException, ExpatError, ValueError, OverflowError, struct.error, TypeError,
    LookupError, AttributeError, RecursionError, MemoryError, OSError,
)  # fmt: skip


def looks_like(head: bytes) -> bool:
    """Whether it begins as a property list does."""
    if head.startswith(BINARY):
        return True
    head = head[:LOOK]
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        head = head.decode("utf-16", "ignore").encode()
    head = head.removeprefix(codecs.BOM_UTF8).lstrip()
    return head.startswith(STARTS) and (b"<plist" in head or b"<!DOCTYPE plist" in head)


def loaded(data: bytes) -> Any:
    """The values of a property list.

    Raises:
        Corrupt: it is none, or a damaged one.
    """
    try:
        return plistlib.loads(data)
    except WRONG as error:
        why = " ".join(str(error).split())[:200]
        raise Corrupt("property list", 0, why or type(error).__name__) from None


def text_of(value: Any) -> str:
    """A value that holds no others; data as hexadecimal digits, unless they are plain text."""
    if isinstance(value, datetime):
        moment = of_datetime(value)
        return written(moment) if moment is not None else str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, plistlib.UID):
        return f"UID {value.data}"
    return str(value)


def leaves(value: Any) -> Iterator[tuple[str, Any]]:
    """(path, value) of everything that holds no others: `a.b[2].c`. Does not come back to a value
    that it is inside of, nor deeper than `MOST_DEPTH`."""
    waiting: list[tuple[str, Any, tuple[int, ...]]] = [("", value, ())]
    while waiting:
        path, here, inside = waiting.pop()
        if not isinstance(here, dict | list):
            yield path, here
            continue
        if id(here) in inside or len(inside) >= MOST_DEPTH:
            yield path, "(not followed)"
            continue
        inside = (*inside, id(here))
        if isinstance(here, dict):
            items = [(f"{path}.{key}" if path else str(key), v) for key, v in here.items()]
        else:
            items = [(f"{path}[{n}]", v) for n, v in enumerate(here[:MOST_LEAVES])]
        if not items:
            yield path, ""
        # Waiting is bounded, too: lists in lists multiply.
        waiting.extend((p, v, inside) for p, v in reversed(items[:MOST_LEAVES]))
        if len(waiting) > 4 * MOST_LEAVES:
            del waiting[: len(waiting) - 4 * MOST_LEAVES]


def flat(value: Any) -> dict[str, str]:
    """Everything that a value holds, as text by path. What is beyond the bounds is said."""
    out: dict[str, str] = {}
    size = 0
    for path, leaf in leaves(value):
        text = text_of(leaf)
        if len(out) >= MOST_LEAVES or size + len(text) + len(path) > MOST_TEXT:
            out["(more)"] = f"left out behind {len(out)} values"
            break
        size += len(text) + len(path)
        out[path or "(value)"] = text
    return out


class Budget:
    """Ends a list whose objects are referred to more often than a list of its size can mean: each
    reference takes a byte, and few texts are shared by many."""

    def __init__(self, size: int) -> None:
        self._leaves = size
        self._text = 8 * size + (16 << 20)

    def spend(self, values: dict[str, str]) -> None:
        """Raises:
        Corrupt: there is no more.
        """
        self._leaves -= len(values)
        self._text -= sum(map(len, values.values()))
        if self._leaves < 0 or self._text < 0:
            raise Corrupt("property list", 0, "its objects are referred to without end")

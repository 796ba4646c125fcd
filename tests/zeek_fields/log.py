"""One of Zeek's logs beside a table."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
Key = tuple[Any, ...]


def ends_of_zeek(row: Row) -> Key:
    return row["id.orig_h"], row["id.orig_p"], row["id.resp_h"], row["id.resp_p"]


def ends_of_ours(row: Row) -> Key:
    return row["src_ip"], row["src_port"], row["dst_ip"], row["dst_port"]


@dataclass(frozen=True, slots=True)
class Log:
    """How a log's lines are found and compared.

    Attributes:
        name: of the log: `http` for http.log.
        table: where its rows are here.
        fields: Zeek's field, and the column that says the same or a function of our row. A field
            that Zeek leaves out of a line must be null (or absent) here too, but for `loose`.
        where: which rows of the table are of this log.
        theirs: which lines of the log are compared (default: all).
        zeek_key, own_key: what a line and its row have in common; lines of one key are paired by
            fewest differences, then by time.
        loose: fields that may be here though Zeek's line has not got them, with the reason.
        tolerance: of numbers that are no integers.
        intended: (field, Zeek's line, our row) -> the reason why a difference is intended, or None;
            the field is "" for a line that is missing (our row is None) or extra (Zeek's is None).
    """

    name: str
    table: str
    fields: dict[str, str | Callable[[Row], Any]]
    where: Callable[[Row], bool] = lambda row: True
    theirs: Callable[[Row], bool] = lambda row: True
    zeek_key: Callable[[Row], Key] = ends_of_zeek
    own_key: Callable[[Row], Key] = ends_of_ours
    loose: dict[str, str] = field(default_factory=dict)
    tolerance: float = 2e-6
    intended: Callable[[str, Row | None, Row | None], str | None] = lambda name, a, b: None

"""Times as databases and property lists keep them: a number since some year.

Each function takes a number and returns (microseconds since 1970 UTC, nanoseconds below), or None
where the number stands for no time: zero, a placeholder, or beyond the years 1601 to 9999.
"""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

Moment: TypeAlias = tuple[int, int]
Epoch: TypeAlias = Callable[[Any], Moment | None]

TO_1601 = 11_644_473_600  # seconds from 1601 to 1970
TO_2001 = 978_307_200  # seconds from 1970 to 2001
LEAST, MOST = -TO_1601 * 10**6, 253_402_300_799 * 10**6
START = datetime(1970, 1, 1, tzinfo=UTC)
# Number of days of an OLE date that is 1970-01-01.
OLE_1970 = 25_569
# What is smaller is no count of microseconds since 1601 or 1970, but of seconds (until 5138).
SECONDS_BELOW = 10**11
# The same of milliseconds: microseconds since 1970 of less are before 1973-03.
MILLISECONDS_BELOW = 10**14


def number(value: Any) -> int | float | None:
    """A number that is not zero and can be reckoned with; databases keep some as text."""
    if isinstance(value, str):
        try:
            value = int(value) if value.lstrip("-").isdigit() else float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not value:
        return None
    return value if math.isfinite(value) and abs(value) < 2**63 else None


def within(us: int, ns: int = 0) -> Moment | None:
    return (us, ns) if LEAST < us <= MOST else None


def scaled(value: Any, per_second: int, shift: int) -> Moment | None:
    """`value` units, `per_second` of them a second, since `shift` seconds after 1970."""
    found = number(value)
    if found is None:
        return None
    if isinstance(found, float):
        return within(round(found * 10**6 / per_second) + shift * 10**6)
    nanoseconds = found * (10**9 // per_second)
    return within(nanoseconds // 1000 + shift * 10**6, nanoseconds % 1000)


def unix(value: Any) -> Moment | None:
    """Seconds since 1970."""
    return scaled(value, 1, 0)


def unix_ms(value: Any) -> Moment | None:
    """Milliseconds since 1970."""
    return scaled(value, 1000, 0)


def unix_us(value: Any) -> Moment | None:
    """Microseconds since 1970."""
    return scaled(value, 10**6, 0)


def unix_any(value: Any) -> Moment | None:
    """Seconds, milliseconds or microseconds since 1970, by their size: versions of one program
    differ."""
    found = number(value)
    if found is None or abs(found) < SECONDS_BELOW:
        return unix(found)
    return unix_ms(found) if abs(found) < MILLISECONDS_BELOW else unix_us(found)


def webkit(value: Any) -> Moment | None:
    """Microseconds since 1601 (Chromium); seconds since 1970 in versions before 2013."""
    found = number(value)
    if found is None or found < 0:
        return None
    return unix(found) if found < SECONDS_BELOW else scaled(found, 10**6, -TO_1601)


def filetime(value: Any) -> Moment | None:
    """100 ns since 1601 (Windows)."""
    found = number(value)
    return None if found is None or found < 0 else scaled(int(found), 10**7, -TO_1601)


def cocoa(value: Any) -> Moment | None:
    """Seconds since 2001 (Apple); nanoseconds where the number is too large for that."""
    found = number(value)
    if found is not None and abs(found) > SECONDS_BELOW:
        return scaled(int(found), 10**9, TO_2001)
    return scaled(found, 1, TO_2001)


def ole(value: Any) -> Moment | None:
    """Days since 1899-12-30, with fractions (a DateTime column of ESE)."""
    found = number(value)
    if found is None:
        return None
    return within(round((found - OLE_1970) * 86400 * 1000) * 1000)


def text_utc(value: Any) -> Moment | None:
    """A date and time as SQLite writes it, in UTC: 2020-01-31 12:00:00."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return None
    return of_datetime(found)


def of_datetime(value: Any) -> Moment | None:
    """A `datetime`; UTC where it has no zone (property lists have none)."""
    if not isinstance(value, datetime):
        return None
    if value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    return within((value - START) // timedelta(microseconds=1))


def written(moment: Moment) -> str:
    """ISO 8601, as text for `unmapped`."""
    us, ns = moment
    text = (START + timedelta(microseconds=us)).isoformat().replace("+00:00", "")
    return text + (f"{ns:03d}" if ns and "." in text else "") + "Z"

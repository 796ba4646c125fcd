"""Times written as text or as fields, in logs and files of Windows."""

import re
from datetime import UTC, datetime, timedelta

_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d))?(?:[.,](\d{1,9})\d*)?"
    r"\s*(Z|UTC|[+-]\d\d:?\d\d)?\s*$"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros_of(
    year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0, us: int = 0
) -> int | None:
    """Microseconds since 1970 of a date taken as UTC; None where it is no date."""
    try:
        when = datetime(year, month, day, hour, minute, second, us, UTC)
    except ValueError:
        return None
    return (when - _EPOCH) // timedelta(microseconds=1)


def iso(text: str) -> tuple[int | None, int, bool]:
    """(microseconds since 1970, nanoseconds below, whether its zone was said) of a date in the
    form of ISO 8601; without a zone it is taken as UTC. None where it is none."""
    found = _ISO.match(text.strip())
    if found is None:
        return None, 0, False
    year, month, day, hour, minute = (int(found.group(n)) for n in range(1, 6))
    fraction = (found.group(7) or "").ljust(9, "0")
    us = micros_of(year, month, day, hour, minute, int(found.group(6) or 0), int(fraction[:6]))
    if us is None:
        return None, 0, False
    zone = found.group(8)
    if zone and zone[0] in "+-":
        offset = int(zone[1:3]) * 60 + int(zone[-2:])
        us -= (offset if zone[0] == "+" else -offset) * 60_000_000
    return us, int(fraction[6:]), zone is not None

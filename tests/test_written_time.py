"""Times as programs write them for people."""

from datetime import UTC, datetime

import pytest

from tracelake.parsers.written_time import written_time


@pytest.mark.parametrize(
    ("text", "time", "zoned"),
    [
        ("2019-05-10T11:37:47.123+02:00", "2019-05-10T09:37:47.123", True),
        ("2019-05-10 11:37:47 UTC", "2019-05-10T11:37:47", True),
        ("2019-05-10 11:37:47 -0700", "2019-05-10T18:37:47", True),
        ("2019/05/10 11:37:47", "2019-05-10T11:37:47", False),
        ("20190510113747", "2019-05-10T11:37:47", False),
        ("10/May/2019:11:37:47 +0200", "2019-05-10T09:37:47", True),
        ("10 May 2019 11:37:47", "2019-05-10T11:37:47", False),
        ("Fri, 10 May 2019 11:37:47 GMT", "2019-05-10T11:37:47", True),
        ("May 10 2019 11:37:47.123 PDT", "2019-05-10T18:37:47.123", True),
        ("May 10, 2019, 11:37:47 PM", "2019-05-10T23:37:47", False),
        ("May 10, 2019 @ 11:37:47.123", "2019-05-10T11:37:47.123", False),
        ("Fri May 10 11:37:47 2019", "2019-05-10T11:37:47", False),
        ("Fri May 10 11:37:47 CEST 2019", "2019-05-10T09:37:47", True),
        ("1/2/2024, 12:11:12.123 AM", "2024-01-02T00:11:12.123", False),
        ("13/05/2019 11:37", "2019-05-13T11:37:00", False),
        ("10.05.2019 11:37", "2019-05-10T11:37:00", False),
        ("May  3 2019 01:02:03 IST", "2019-05-03T01:02:03", False),
        ("1557488267.123", "2019-05-10T11:37:47.123", True),
        ("1557488267123", "2019-05-10T11:37:47.123", True),
        ("1557513467369913239", "2019-05-10T18:37:47.369913", True),
    ],
)
def test_times(text: str, time: str, zoned: bool) -> None:
    found = written_time(text)
    assert found is not None
    us, _, said = found
    expected = datetime.fromisoformat(time).replace(tzinfo=UTC)
    assert us == int(expected.timestamp() * 1e6 + 0.5)
    assert said is zoned


@pytest.mark.parametrize(
    "text",
    ["", "05/10/2019 11:37", "31 Feb 2019 11:37:47", "May 10", "11:37:47", "words of no time",
     "2019-13-10 11:37:47", "May 10 2019 25:00:00", "1" * 70],
)  # fmt: skip
def test_no_times(text: str) -> None:
    assert written_time(text) is None


def test_the_order_of_a_date_is_asked_for() -> None:
    first, second = written_time("05/10/2019 11:37", "mdy"), written_time("05/10/2019 11:37", "dmy")
    assert first is not None
    assert second is not None
    assert (second[0] - first[0]) // 86_400_000_000 == 148

"""Every mapped event has a golden row, made from a real record where there is one.

`python -m tests.golden_events --make` writes them; a person reads each against its record
(`--show`) before it is committed.
"""

import hashlib
import os
from functools import cache
from typing import Any

import pytest

from tests import golden_events
from tests.golden_events import Origin
from tests.golden_samples import PERMISSIVE, in_file, path_of

NAMES = sorted(path.stem for path in golden_events.FOLDER.glob("*.json"))
GOLDEN = {name: golden_events.read(name) for name in NAMES}
EACH = [(name, key) for name, rows in GOLDEN.items() for key in rows]
each = pytest.mark.parametrize(("name", "key"), EACH, ids=[f"{n} {k}" for n, k in EACH])


def _there(origin: Origin) -> bool:
    return origin.is_committed or (not os.environ.get("CI") and path_of(origin.file).is_file())


@cache
def _made() -> dict[tuple[str, int, int], tuple[str, dict[str, Any]]]:
    """The rows of all records at hand, taken in together."""
    return golden_events.rows(
        origin for rows in GOLDEN.values() for origin, _ in rows.values() if _there(origin)
    )


@each
def test_the_record_becomes_its_golden_row(name: str, key: str) -> None:
    origin, wanted = GOLDEN[name][key]
    if not _there(origin):
        pytest.skip(f"its record is in {origin.file} ({origin.licence}), which is not here")
    made = _made().get((origin.file, origin.artifact, origin.offset))
    assert made is not None, "no row was made of this record"
    assert golden_events.golden(*made) == wanted


def test_the_records_are_those_that_the_rows_were_made_from() -> None:
    origins = [one for rows in GOLDEN.values() for one, _ in rows.values() if _there(one)]
    logs: dict[tuple[str, int], bytes] = {}
    for file, licence in {(one.file, one.licence) for one in origins}:
        logs |= {(file, log.number): log.data for log in in_file(file, licence)}
    for one in origins:
        record = logs[one.file, one.artifact][one.offset :][: one.length]
        assert hashlib.sha256(record).hexdigest() == one.sha256, one


def test_no_copy_is_made_of_a_sample_without_a_permissive_licence() -> None:
    for rows in GOLDEN.values():
        for origin, _ in rows.values():
            if origin.copied_from:
                assert origin.is_committed, origin
                assert origin.licence in PERMISSIVE, origin


@pytest.mark.parametrize("name", golden_events.shipped())
def test_mapped_events_without_a_golden_row_are_told(name: str) -> None:
    """Whoever maps an event runs `--make`: it gets a row, or stands in the list."""
    assert golden_events.missing(name) == golden_events.told_missing(name)


def test_golden_rows_are_of_mapped_events() -> None:
    mapped = golden_events.shipped()
    for name, rows in GOLDEN.items():
        known = {golden_events.named(event) for event in mapped.get(name, [])}
        for key in rows:
            assert golden_events.mapped_by(key) in known, f"{name} {key}"

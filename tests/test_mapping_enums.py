"""What the mappings say in OCSF's numbers is what OCSF 1.8.0 knows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ocsf_schema import Ocsf

from tracelake.normalize import TABLES, mapping
from tracelake.normalize.column import note
from tracelake.normalize.section import Event

OTHER = 99
# The number that OCSF's attribute `*_id` has in any class for "none of these".
IDS = ("activity_id", "status_id", "severity_id", "action_id", "direction_id")


@pytest.fixture(scope="module")
def ocsf(shared: Path) -> Ocsf:
    return Ocsf(shared / "ocsf" / "schema-1.8.0")


def numbers(event: Event, column: str) -> set[int]:
    """Every number that the section may put into a column, as constant or by a value map."""
    found = {event.constants[column]} if column in event.constants else set()
    for source in event.columns.get(column, ()):
        found |= {value for _, value in source.values}
    return {int(number) for number in found}


def classes(event: Event) -> set[int]:
    """The OCSF classes of the section's rows."""
    return numbers(event, "class_uid") or {TABLES[event.table].class_uid or 0}


def sections() -> Iterator[Event]:
    """Those of tables that have a class of OCSF: `raw_event` and `certificate` have none."""
    return (event for event in mapping.load().sections if TABLES[event.table].class_uid)


def allowed(ocsf: Ocsf, uid: int, path: str) -> set[int]:
    attribute: dict[str, Any] | None = ocsf.find(uid, path)
    return {int(number) for number in (attribute or {}).get("enum", {})} | {0, OTHER}


def test_classes_are_those_of_their_table(ocsf: Ocsf) -> None:
    for event in sections():
        for uid in classes(event):
            assert uid in TABLES[event.table].classes, event.where
            assert uid in ocsf.by_uid, event.where


def test_every_section_of_a_class_says_what_was_done() -> None:
    for event in sections():
        assert "activity_id" in event.constants or "activity_id" in event.columns, event.where


@pytest.mark.parametrize("column", IDS)
def test_numbers_are_in_the_enumeration_of_their_class(ocsf: Ocsf, column: str) -> None:
    seen = 0
    for event in sections():
        for uid in classes(event):
            field = TABLES[event.table].schema
            if field.get_field_index(column) < 0:
                continue
            path = note(field.field(column), f"ocsf.path.{uid}") or note(
                field.field(column), "ocsf.path"
            )
            found = numbers(event, column)
            if path is None or not found:
                continue
            seen += 1
            assert found <= allowed(ocsf, uid, path), f"{event.where} {column} {found}"
    assert seen

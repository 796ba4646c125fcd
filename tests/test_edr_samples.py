"""Events of EDR sensors become the rows that are written down in tests/golden/vendors, and nothing
of them is lost.

    python -m tests.test_edr_samples --make     # writes the golden rows anew: read the diff
"""

import json
import sys

import pytest

from tests.conftest import ROOT
from tests.json_lines import get, named_values, read
from tests.test_vendor_samples import Record, golden
from tracelake.normalize import mapping, shapes
from tracelake.normalize.rebuild import pairs
from tracelake.normalize.section import ANY
from tracelake.normalize.shapes import Shape

SAMPLES = ROOT / "tests" / "data" / "vendors" / "edr.jsonl"
GOLDEN = ROOT / "tests" / "golden" / "vendors" / "edr.json"
# Those that no section names, and say so.
WITHOUT_MAPPING = {"fdr_unmapped"}


def samples() -> dict[str, Record]:
    found: dict[str, Record] = {}
    for line in SAMPLES.read_text("utf-8").splitlines():
        found |= json.loads(line)
    return found


@pytest.mark.parametrize("name", samples())
def test_samples_make_the_rows_that_are_written_down(name: str) -> None:
    assert golden(samples()[name]) == json.loads(GOLDEN.read_text("utf-8"))[name]


def test_every_sample_is_recognised_and_has_a_mapping() -> None:
    for name, record in samples().items():
        (row,) = golden(record)
        assert row.get("log_provider"), name
        assert row.get("time"), name
        assert (row["table"] == "raw_event") == (name in WITHOUT_MAPPING), name


def nested(record: Record) -> Record:
    """A record whose names with dots are the paths that they look like."""
    made: Record = {}
    for key, value in record.items():
        *folders, last = key.split(".")
        at = made
        for folder in folders:
            at = at.setdefault(folder, {})
        at[last] = nested(value) if isinstance(value, dict) else value
    return made


def shape_of(record: Record) -> Shape:
    return next(
        shape for shape in shapes.load()
        if all(
            get(record, member.path) is not None
            and (not member.values or get(record, member.path) in member.values)
            for member in shape.has
        )
    )


@pytest.mark.parametrize("name", samples())
def test_every_value_is_rebuilt_from_the_row(name: str) -> None:
    record = samples()[name]
    flat = nested(record)
    shape = shape_of(flat)
    ((_, row),), _ = read(json.dumps(record).encode())
    code = next((str(c) for path in shape.event if (c := get(flat, path)) is not None), ANY)
    events = mapping.load().events
    event = events.get((shape.vendor, code)) or events.get((shape.vendor, ANY))
    found = pairs(row, event, shape)
    for field, text in named_values(flat, shape):
        assert field in found, f"{field} is lost"
        assert found[field] == text, field


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("g1", ["g1"]), ("g1,g2", ["g1", "g2"]), (" g1 ,, g2 ,", ["g1", "g2"]), (",", None),
        (" , ", None), ("", None),
    ],
)
def test_parts_of_a_list_in_a_text(text: str, groups: list[str] | None) -> None:
    record = samples()["falcon_detection"]
    record["event"]["HostGroups"] = text
    assert golden(record)[0].get("device_group_uids") == groups


@pytest.mark.parametrize(
    ("text", "name", "kind"),
    [
        ("type:  28 www.example.org", "www.example.org", 28), ("www.example.org",) * 2 + (None,),
        ("type: www", "type: www", None), ("type:  28", None, 28), ("type:", "type:", None),
        ("type:  28 ", None, 28), ("type: 99999999999999999999 a", "a", None),
    ],
)
def test_questions_as_sensors_write_them(text: str, name: str | None, kind: int | None) -> None:
    (row,) = golden(samples()["s1_dns"] | {"event.dns.request": text})
    assert (row.get("query_hostname"), row.get("query_type_id")) == (name, kind)
    if name != text:
        assert ["event.dns.request", text] in row["unmapped"]


@pytest.mark.parametrize("none", [0, -11644473600000])
def test_the_first_moment_of_an_epoch_is_no_time(none: int) -> None:
    (row,) = golden(samples()["s1_file"] | {"tgt.file.creationTime": none})
    assert "file_created_time" not in row
    assert ["tgt.file.creationTime", str(none)] in row["unmapped"]


def _make() -> None:
    made = {name: golden(record) for name, record in samples().items()}
    GOLDEN.write_text(json.dumps(made, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] == ["--make"]:
        _make()
    else:
        print(__doc__)

"""Events of agents, sensors and memory tools become rows that were reviewed, and lose nothing."""

import json
import os
from pathlib import Path

import pytest

from tests.json_lines import read
from tests.test_jsonl import lost, plain

DATA = Path(__file__).parent / "data" / "agents"
FILES = sorted(path for path in DATA.iterdir() if path.suffix in (".json", ".jsonl")
               and not path.name.endswith(".rows.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_rows_of_a_vendors_events(path: Path) -> None:
    rows, account = read(path)
    made = [[table, {name: plain(value) for name, value in row.items() if value is not None}]
            for table, row in rows]
    golden = path.with_name(f"{path.stem}.rows.json")
    if os.environ.get("TRACELAKE_GOLDEN") == "write":
        golden.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", "utf-8")
    assert made == json.loads(golden.read_text("utf-8"))
    assert account.damaged == 0
    assert account.records == account.in_rows


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".jsonl"],
                         ids=lambda path: path.stem)
def test_every_pair_of_an_event_is_rebuilt_from_its_row(path: Path) -> None:
    assert not lost(path.read_bytes())

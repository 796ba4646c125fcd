"""The TOML files of this package, parsed when it is built.

The files below `mappings/` are the rules, and all that anybody writes. To parse these ninety takes
0.04 s, which every start would pay. So `setup.py` leaves what tomllib makes of each beside them, in
`mappings/parsed.json`, under the SHA-256 of its text. Only what has that text is taken from there:
a file that was edited since, or that an analyst brings, is parsed as ever. What is read is checked
as ever, wherever it comes from.

`setup.py` runs this file by itself: it imports nothing of ours and nothing that is installed.
"""

import hashlib
import json
import os
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "mappings"
PARSED = FOLDER / "parsed.json"


def parse(text: str) -> dict[str, Any]:
    """What a TOML text says; not to be changed. Raises tomllib.TOMLDecodeError."""
    found = _parsed().get(_key(text))
    return tomllib.loads(text) if found is None else found


def build() -> None:
    """Writes `parsed.json`. Raises OSError, tomllib.TOMLDecodeError, ValueError."""
    texts = [path.read_text("utf-8") for path in sorted(FOLDER.glob("*/*.toml"))]
    parsed = {_key(text): tomllib.loads(text) for text in texts}
    made = json.dumps(parsed, ensure_ascii=False, separators=(",", ":"))
    if json.loads(made) != parsed:
        raise ValueError("a TOML file holds what JSON does not, such as a date")
    # Others may be reading it.
    new = PARSED.with_suffix(f".{os.getpid()}")
    new.write_text(made, "utf-8")
    new.replace(PARSED)


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def _parsed() -> dict[str, dict[str, Any]]:
    try:
        return dict(json.loads(PARSED.read_bytes()))
    except FileNotFoundError:
        return {}

"""The TOML files that were parsed when the package was built."""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tracelake.normalize import codes, mapping, parsed, shapes
from tracelake.normalize.mapping import Files

FILES = sorted(parsed.FOLDER.glob("*/*.toml"))


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Another `parsed.json`, that is not there yet."""
    path = tmp_path / "parsed.json"
    monkeypatch.setattr(parsed, "PARSED", path)
    parsed._parsed.cache_clear()
    yield path
    parsed._parsed.cache_clear()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_was_parsed_is_what_the_files_say(path: Path, shelf: Path) -> None:
    text = path.read_text("utf-8")
    said = tomllib.loads(text)
    assert parsed.parse(text) == said
    parsed._parsed.cache_clear()
    parsed.build()
    assert parsed._key(text) in json.loads(shelf.read_text("utf-8"))
    # `repr` tells true from 1, and the order of what is in it, which conditions depend on.
    assert repr(parsed.parse(text)) == repr(said)


def test_events_shapes_and_codes_are_the_same_without_it(
    shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed.build()

    def everything() -> tuple[object, ...]:
        return (
            list(Files(mapping._shipped()).items()),
            shapes.load(),
            [list(codes.load.__wrapped__(table).items()) for table in codes.TABLES],
        )

    def refuse(text: str) -> dict[str, object]:
        raise AssertionError(f"parsed again: {text[:80]}")

    with monkeypatch.context() as patch:
        patch.setattr(tomllib, "loads", refuse)
        with_it = everything()
    parsed._parsed.cache_clear()
    shelf.unlink()
    assert everything() == with_it


def test_a_text_that_changed_is_parsed_again(shelf: Path) -> None:
    path = parsed.FOLDER / "windows" / "sysmon.toml"
    text = path.read_text("utf-8")
    shelf.write_text(json.dumps({parsed._key(text): {"provider": "built"}}))
    assert parsed.parse(text) == {"provider": "built"}
    assert parsed.parse(text + "\n") == tomllib.loads(text)
    assert parsed.parse('provider = "mine"') == {"provider": "mine"}


def test_what_json_cannot_hold_is_refused(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shelf.parent / "mappings"
    (folder / "windows").mkdir(parents=True)
    (folder / "windows" / "a.toml").write_text("a = nan\n")
    monkeypatch.setattr(parsed, "FOLDER", folder)
    with pytest.raises(ValueError, match="JSON does not"):
        parsed.build()
    assert not shelf.exists()

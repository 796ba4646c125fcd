"""The house: rooms import one way, and every room is linked into the package."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT: dict[str, set[str]] = {
    "native": set(),
    "normalize": set(),
    "parsers": {"native", "normalize"},
    "lake": {"native", "normalize"},
    "ingest": {"native", "parsers", "lake", "normalize"},
    "analysis": {"lake", "normalize"},
}
IMPORT = re.compile(r"^\s*(?:from|cimport|import)\s+tracelake\.(\w+)", re.MULTILINE)


def rooms_imported(path: Path) -> set[str]:
    """The rooms a module names in its imports and cimports."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        found = set()
        for node in ast.walk(ast.parse(text)):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            found |= {n.split(".")[1] for n in names if n.startswith("tracelake.")}
        return found
    return set(IMPORT.findall(text))


def modules() -> list[Path]:
    return [
        path
        for room in MAY_IMPORT
        for path in sorted((ROOT / room).rglob("*"))
        if path.suffix in {".py", ".pyx", ".pxd", ".pyi"}
    ]


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    allowed = MAY_IMPORT[room] | {room}
    strangers = {name for name in rooms_imported(path) if name in MAY_IMPORT} - allowed
    assert not strangers, f"{path.name} in {room}/ may not import {sorted(strangers)}"


def test_every_room_is_linked() -> None:
    for room in MAY_IMPORT:
        link = ROOT / "src" / "tracelake" / room
        assert link.is_symlink(), f"src/tracelake/{room} is no link"
        assert link.resolve() == ROOT / room


def test_no_bare_room_is_imported() -> None:
    bare = re.compile(
        rf"^\s*(?:from|cimport|import)\s+(?:{'|'.join(MAY_IMPORT)})\b", re.MULTILINE
    )
    for path in modules():
        assert not bare.search(path.read_text(encoding="utf-8")), path

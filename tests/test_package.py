"""What is installed is whole: not only in a checkout do parsers find their mappings."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = [link.resolve() for link in (ROOT / "src" / "tracelake").iterdir() if link.is_symlink()]
WANTED = {".py", ".pyx", ".pxd", ".pyi", ".toml"}


def test_every_source_and_mapping_is_packed(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "setup.py", "--quiet", "build_py", "--build-lib", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    there = {
        f"{room.name}/{path.relative_to(room)}"
        for room in ROOMS
        for path in room.rglob("*")
        if path.suffix in WANTED
    }
    packed = {
        str(path.relative_to(tmp_path / "tracelake"))
        for path in (tmp_path / "tracelake").rglob("*")
    }
    assert there - packed == set()
    assert any(name.endswith(".toml") for name in there)
    assert "normalize/mappings/parsed.json" in packed

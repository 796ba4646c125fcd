"""The shipped evidence is what its README says, byte for byte."""

import hashlib
import re
from pathlib import Path

EVIDENCE = Path(__file__).parent.parent / "examples" / "evidence"
ROW = re.compile(r"^\| `([^`]+)` \| ([\d,]+) \| `([0-9a-f]{64})` \|", re.MULTILINE)


def test_every_file_stands_in_the_readme_with_its_hash() -> None:
    told = {
        name: (int(size.replace(",", "")), digest)
        for name, size, digest in ROW.findall((EVIDENCE / "README.md").read_text())
    }
    there = {
        str(path.relative_to(EVIDENCE)): (
            path.stat().st_size,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in EVIDENCE.rglob("*")
        if path.is_file() and path.name != "README.md"
    }
    assert told == there
    assert len(there) >= 20


def test_the_shipped_evidence_stays_small() -> None:
    assert sum(p.stat().st_size for p in EVIDENCE.rglob("*") if p.is_file()) < 6_000_000

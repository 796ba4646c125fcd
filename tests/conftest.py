"""What all tests share: where the large, uncommitted test data lie, if they do."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# In CI a property is tried on the same examples each time: what fails there fails here too.
settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI") == "true":
    settings.load_profile("ci")

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("TRACELAKE_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real captures, logs and oracles that is too large or not free to commit."""
    if os.environ.get("CI"):
        pytest.skip("the large test data are not read in CI")
    if not (SHARED / "MANIFEST.tsv").is_file():
        pytest.skip(f"no test data at {SHARED}; set TRACELAKE_DATA to their folder")
    return SHARED

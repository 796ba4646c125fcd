"""Zeek's logs of all shared captures beside our tables: what share agrees, per log."""

from pathlib import Path

import pytest

from tests.zeek_compare import Tally, run
from tests.zeek_fields import LOGS

# Shares of lines found and of fields equal that are held; 0.99 is what is wanted of every log, and
# in a small log at most one line may be wrong. Where less stands here, docs/protocols.md says why.
WANTED: dict[str, tuple[float, float]] = {
    "files": (0.98, 0.99), "irc": (0.99, 0.94),
    "mqtt_publish": (0.91, 0.99), "radius": (0.97, 0.90),
    # Zeek takes every link type that it does not know for IP, and tells of what is wrong with that.
    "weird": (0.9, 0.99),
}


@pytest.fixture(scope="module")
def tallies(shared: Path) -> dict[str, Tally]:
    return run(shared, set())


@pytest.mark.parametrize("name", [log.name for log in LOGS])
def test_lines_and_fields(tallies: dict[str, Tally], name: str) -> None:
    tally = tallies[name]
    found, equal = WANTED.get(name, (0.99, 0.99))
    missing = tally.lines - tally.found
    assert tally.lines, "the log is in no capture"
    assert tally.share_found >= found or missing <= 1, tally.shown[:20]
    wrong = tally.compared.total() - tally.equal.total()
    assert tally.share_equal >= equal or wrong <= 1, tally.shown[:20]
    assert tally.extra <= max(1, tally.lines * (1 - found)), tally.shown[:20]

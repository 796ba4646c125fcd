"""A short stretch of `make fuzz` in every run: no sanitizer, always the same inputs."""

import random

import pytest

from tests.fuzz.containers import container_seeds, examine_container
from tests.fuzz.corpus import corpus
from tests.fuzz.examine import examine
from tests.fuzz.functions import examine_functions, function_seeds
from tests.fuzz.mutate import mutated
from tracelake.parsers import PARSERS
from tracelake.parsers.artifact import Parser

INPUTS = 150
# Whatever a line of these says, it is a row.
LINES = {
    "defender_log", "linux_host", "ps_history", "ps_transcript", "setupapi", "shell_history",
}  # fmt: skip


@pytest.fixture(scope="module")
def seeds() -> dict[str, list[bytes]]:
    return corpus(shared=False)


@pytest.mark.parametrize("parser", PARSERS, ids=lambda p: p.name)
def test_the_shipped_evidence_has_seeds(parser: Parser, seeds: dict[str, list[bytes]]) -> None:
    assert len(seeds[parser.name]) >= 3
    assert any(examine(parser, seed).in_rows for seed in seeds[parser.name])


@pytest.mark.parametrize("parser", PARSERS, ids=lambda p: p.name)
def test_mutated_evidence(parser: Parser, seeds: dict[str, list[bytes]]) -> None:
    rng = random.Random(f"{parser.name} 1")
    outcomes = [examine(parser, mutated(rng, seeds[parser.name])) for _ in range(INPUTS)]
    # Not all of it was refused at the door, and not all of it went through unnoticed.
    assert sum(1 for o in outcomes if o.in_rows) > INPUTS // 12
    if parser.name not in LINES:
        assert sum(1 for o in outcomes if o.damage or o.stopped or o.truncated) > INPUTS // 12


@pytest.mark.parametrize("parser", PARSERS, ids=lambda p: p.name)
def test_bytes_of_no_format(parser: Parser) -> None:
    rng = random.Random(2)
    for n in (0, 1, 3, 4, 23, 24, 25, 127, 128, 511, 4096, 4097, 70000):
        examine(parser, rng.randbytes(n))
        examine(parser, b"\0" * n)
        examine(parser, b"\xff" * n)


def test_mutated_bytes_for_native_functions() -> None:
    rng = random.Random(4)
    seeds = function_seeds()
    assert any(examine_functions(seed).unpacked for seed in seeds)
    assert any(examine_functions(seed).huffman for seed in seeds)
    called = [examine_functions(mutated(rng, seeds)) for _ in range(4 * INPUTS)]
    assert len({each.signature for each in called}) > INPUTS // 6


def test_mutated_containers() -> None:
    rng = random.Random(3)
    seeds = container_seeds()
    assert all(examine_container(seed).bytes for seed in seeds)
    outcomes = [examine_container(mutated(rng, seeds)) for _ in range(4 * INPUTS)]
    assert sum(1 for o in outcomes if o.bytes) > INPUTS
    assert sum(1 for o in outcomes if o.reasons) > INPUTS

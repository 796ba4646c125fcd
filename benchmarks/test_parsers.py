"""Micro benchmarks: the parsers alone, on a few megabytes (`pytest benchmarks`)."""

import io
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks import build_flows
from benchmarks.build import Built, build_capture, build_lines, build_log
from tracelake.native.account import Account
from tracelake.native.feed import Feed
from tracelake.parsers import PARSERS
from tracelake.parsers.artifact import Artifact, Parser

SIZE = 4_000_000


def exported(folder: Path, size: int) -> Built:
    path = folder / "flows.netflow"
    return Built(path, path, build_flows.netflow(path, size), "random")


def nfdump_file(folder: Path, size: int) -> Built:
    path = folder / "nfcapd"
    return Built(path, path, build_flows.nfcapd(path, size), "random")


BUILDERS = {
    "pcap": build_capture, "evtx": build_log, "jsonl": build_lines, "netflow": exported,
    "nfcapd": nfdump_file,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("inputs")


def parse(parser: Parser, data: bytes) -> tuple[int, int]:
    """(records, rows) of an input in memory."""
    account = Account(lambda batch: None)
    artifact = Artifact("input", Feed(io.BytesIO(data)), account)
    rows = sum(batch.num_rows for _, batch in parser.read(artifact))
    return account.records, rows


@pytest.mark.parametrize("parser", [p for p in PARSERS if p.name in BUILDERS], ids=lambda p: p.name)
def test_parser(parser: Parser, folder: Path, benchmark: BenchmarkFixture) -> None:
    built = BUILDERS[parser.name](folder, SIZE)
    data = built.path.read_bytes()
    records, rows = benchmark(parse, parser, data)
    assert records == built.records
    assert rows > 0
    # A run without measuring (--benchmark-disable) has no figures.
    if benchmark.stats is not None:
        best = benchmark.stats.stats.min
        benchmark.extra_info["MB/s"] = round(len(data) / 1e6 / best)
        benchmark.extra_info["records/s"] = round(records / best)
        benchmark.extra_info["mean packet"] = built.mean_packet

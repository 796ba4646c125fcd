"""Golden rows of mapped events, made from real records.

    python -m tests.golden_events --make [PROVIDER]     # all, or one mapping file (`security`)
    python -m tests.golden_events --show PROVIDER [ID]  # each record beside its row, to review
    python -m tests.golden_events --missing             # mapped events without any sample
    python -m tests.golden_events --inventory [TEXT]    # what there are samples of, mapped or not
    python -m tests.golden_events --sample PROVIDER ID  # a record of each version, mapped or not

`--make` looks for a real record of each mapped event in each version that it was written in,
takes it through the whole line (ingest, commit, view), and writes what became of it to
`tests/golden/windows/<mapping file>.json`. It takes what this repository holds first, then
permissively licensed samples, of which it copies what is needed to `tests/golden/windows/`, and
others last: those are compared only where the shared data are.

A golden row leaves out where the record lies (that stands beside it), and what of the log's own
fields says nothing about the mapping.
"""

import argparse
import hashlib
import io
import json
import lzma
import re
import struct
import sys
import tempfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

import tracelake
from tests.conftest import ROOT, SHARED
from tests.golden_samples import Sample, committed, elsewhere, in_file, path_of, rows_of
from tracelake.native.feed import Feed
from tracelake.normalize import TABLES, mapping
from tracelake.normalize.section import Event
from tracelake.normalize.tables.common import COMMON
from tracelake.parsers import evtx

FOLDER = ROOT / "tests" / "golden" / "windows"
HEADER = 4096
CHUNK = 65536
# Of one event in one log, as many records are looked at for the one that says most.
LOOKED_AT = 60
# A longer text is cut in golden rows: its length and hash stand for the rest.
LONG = 600

# `4624 v2 where ..`: the version that a record was written in.
VERSION = re.compile(r"(\S+) v\d+(.*)")

LEFT_OUT = {field.name for field in COMMON} | {"row_id", "host"}
LEFT_OUT -= {
    "time", "class_uid", "activity_id", "severity_id", "status_id", "device_hostname",
    "log_name", "event_user_uid", "message", "unmapped", "raw", "parse_flags",
}


@dataclass(frozen=True, slots=True)
class Origin:
    """The record that a golden row was made from.

    Attributes:
        file: that holds it, from this repository or else from the shared data.
        artifact: number of the file in it (`artifact_no`).
        offset, length: its place there, bytes.
        sha256: of its bytes.
        copied_from: where the file is a copy: the sample, and the offset there.
        licence: of that sample.
    """

    file: str
    artifact: int
    offset: int
    length: int
    sha256: str
    copied_from: str = ""
    licence: str = ""

    @property
    def is_committed(self) -> bool:
        return (ROOT / self.file).is_file()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record that may become a golden row: the lower `rank`, the better."""

    rank: tuple[int, int, int]
    sample: Sample
    offset: int
    length: int


# --- what there is to be had ----------------------------------------------------------------


def name_of(event: Event) -> str:
    """The mapping file of an event, without folder and ending."""
    return Path(event.where.split(" [")[0]).stem


def section_of(event: Event) -> str:
    """What tells the sections of one kind of event apart, "" where there is only one."""
    return " where " + " and ".join(map(str, event.when)) if event.when else ""


def named(event: Event) -> str:
    """An event and its condition, as the mapping file names them."""
    return f"{event.code}{section_of(event)}"


def mapped_by(key: str) -> str:
    """What `named` says of the event of a golden row."""
    return VERSION.sub(r"\1\2", key.partition(" (")[0])


def shipped() -> dict[str, list[Event]]:
    """The mapped events of Windows by mapping file. (Vendors': tests/test_vendor_samples.py.)"""
    found: dict[str, list[Event]] = defaultdict(list)
    for event in mapping.load().sections:
        if event.where.startswith("windows/"):
            found[name_of(event)].append(event)
    return dict(sorted(found.items()))


def key_of(event: Event, version: int | None, first: str) -> str:
    """How a golden row is called: `4656 v1 where ObjectType = Key`; with the provider, where it
    is not the file's first."""
    key = event.code + (f" v{version}" if version is not None else "") + section_of(event)
    return key if event.provider == first else f"{key} ({event.provider})"


def _own(table: str) -> set[str]:
    return set(TABLES[table].columns) - {field.name for field in COMMON}


def candidates(
    samples: Iterable[Sample], wanted: dict[tuple[str, str], Event]
) -> Iterator[tuple[Event, int | None, Candidate]]:
    """(event, version, record) of what the samples have of the wanted events."""
    for sample in samples:
        seen: dict[tuple[str, str, int | None], int] = defaultdict(int)
        tier = _tier(sample)
        for table, batch in rows_of(sample):
            if table in ("", "evtx_file"):
                continue
            own = _own(table)
            for row in _of_interest(batch, wanted):
                event = wanted[row["log_provider"], row["event_code"]]
                section = event.section(dict(row.get("unmapped") or []))
                if section is None:
                    continue
                version = row.get("event_version")
                seen[section.provider, named(section), version] += 1
                if seen[section.provider, named(section), version] > LOOKED_AT:
                    continue
                filled = sum(1 for name in own if row.get(name) not in (None, []))
                length = row["src_length"]
                yield section, version, Candidate(
                    (tier, -filled, length), sample, row["src_offset"], length
                )


def _of_interest(
    batch: pa.RecordBatch, wanted: dict[tuple[str, str], Event]
) -> list[dict[str, Any]]:
    names = set(batch.schema.names)
    if not {"log_provider", "event_code"} <= names:
        return []
    codes = pa.array(sorted({code for _, code in wanted}), pa.string())
    found = batch.filter(pc.is_in(batch["event_code"].cast(pa.string()), value_set=codes))
    return [
        row for row in found.to_pylist() if (row["log_provider"], row["event_code"]) in wanted
    ]


def _tier(sample: Sample) -> int:
    is_json = sample.parser is not evtx.PARSER
    if sample.is_committed:
        return 0 + is_json
    return (2 if sample.is_free else 4) + is_json


# --- choosing and copying -------------------------------------------------------------------


def choose(found: dict[str, list[Candidate]]) -> dict[str, Candidate]:
    """The best record of each key; where it is to be copied, records of few chunks."""
    best: dict[str, Candidate] = {}
    taken: set[tuple[str, str, int]] = set()

    def chunk(one: Candidate) -> tuple[str, str, int]:
        return (one.sample.file, one.sample.inside, (one.offset - HEADER) // CHUNK)

    for key, some in sorted(found.items(), key=lambda item: (len(item[1]), item[0])):
        first = min(some, key=lambda one: one.rank)
        if first.rank[0] == 2:
            near = [one for one in some if one.rank[0] == 2 and chunk(one) in taken
                    and one.rank[1] <= first.rank[1] + 1]
            first = min(near, key=lambda one: one.rank) if near else first
            taken.add(chunk(first))
        best[key] = first
    return best


def copy(name: str, chosen: dict[str, Candidate]) -> dict[str, Origin]:
    """Where each chosen record is read from; what is to be copied is copied."""
    chunks: dict[tuple[str, int], int] = {}
    log, lines = bytearray(), bytearray()
    origins: dict[str, Origin] = {}
    for key, one in sorted(chosen.items()):
        sample = one.sample
        record = sample.data[one.offset : one.offset + one.length]
        origin = Origin(
            sample.file, sample.number, one.offset, one.length,
            hashlib.sha256(record).hexdigest(),
        )
        label = f"{sample.file}!{sample.inside}" if sample.inside else sample.file
        of = {"copied_from": f"{label} at {one.offset}", "licence": sample.licence}
        if one.rank[0] == 2:
            base = HEADER + (one.offset - HEADER) // CHUNK * CHUNK
            if not log:
                log += sample.data[:HEADER]
            if (label, base) not in chunks:
                chunks[label, base] = len(log)
                log += sample.data[base : base + CHUNK].ljust(CHUNK, b"\0")
            at = chunks[label, base] + one.offset - base
            origin = replace(origin, file=_copy_path(name, "evtx.xz"), artifact=0, offset=at, **of)
        elif one.rank[0] == 3:
            origin = replace(
                origin, file=_copy_path(name, "jsonl"), artifact=0, offset=len(lines), **of
            )
            lines += record + b"\n"
        elif one.rank[0] > 3:
            origin = replace(origin, licence=sample.licence)
        origins[key] = origin
    _write(ROOT / _copy_path(name, "evtx.xz"), lzma.compress(_headed(log), preset=9))
    _write(ROOT / _copy_path(name, "jsonl"), bytes(lines))
    return origins


def _copy_path(name: str, ending: str) -> str:
    return (FOLDER / f"{name}.{ending}").relative_to(ROOT).as_posix()


def _headed(log: bytearray) -> bytes:
    """A log with a file header that fits its chunks."""
    count = (len(log) - HEADER) // CHUNK
    if count <= 0:
        return b""
    struct.pack_into("<QQ", log, 8, 0, count - 1)
    struct.pack_into("<H", log, 42, count)
    struct.pack_into("<I", log, 120, 0)
    struct.pack_into("<I", log, 124, zlib.crc32(log[:120]))
    return bytes(log)


def _write(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)
    # An empty log still has the bytes of its packing.
    if data and data != lzma.compress(b"", preset=9):
        path.write_bytes(data)


# --- rows -----------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """A row's value as JSON can hold it; long texts are cut."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {name: plain(item) for name, item in sorted(value.items())}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, str) and len(value) > LONG:
        digest = hashlib.sha256(value.encode()).hexdigest()
        return f"{value[:LONG]}... ({len(value)} characters, sha256 {digest[:16]})"
    return value


def rows(origins: Iterable[Origin]) -> dict[tuple[str, int, int], tuple[str, dict[str, Any]]]:
    """(table, row) by file, artifact and offset: what the views say after an ingest."""
    wanted = {(one.file, one.artifact, one.offset) for one in origins}
    files = {file: path_of(file) for file, _, _ in wanted}
    ids = {file: hashlib.sha256(path.read_bytes()).hexdigest()[:32]
           for file, path in files.items()}
    found: dict[tuple[str, int, int], tuple[str, dict[str, Any]]] = {}
    places: dict[tuple[str, int, int], tuple[str, dict[str, Any]]] = {}
    if not wanted:
        return found
    with tempfile.TemporaryDirectory() as lake:
        case = tracelake.open(lake, engagement="golden")
        report = case.ingest(sorted(files.values()))
        if report.exit_code:
            raise RuntimeError(f"not ingested: {report.as_dict()}")
        for table in {event.table for event in mapping.load().sections} | {"raw_event"}:
            for row in _asked(case, table, ids, wanted):
                key = (row["source_id"], row["artifact_no"], row["src_offset"])
                places[key] = (table, row)
    for file, artifact, offset in wanted:
        # Two copies may be the same bytes, and are one source then.
        if (ids[file], artifact, offset) in places:
            found[file, artifact, offset] = places[ids[file], artifact, offset]
    return found


def _asked(
    case: "tracelake.Case", table: str, ids: dict[str, str], wanted: set[tuple[str, int, int]]
) -> Iterator[dict[str, Any]]:
    places = ", ".join(
        f"('{ids[file]}', {number}, {offset})" for file, number, offset in sorted(wanted)
    )
    relation = case.sql(
        f"SELECT * FROM {table} WHERE (source_id, artifact_no, src_offset) IN ({places})"
    )
    names = relation.columns
    for values in relation.fetchall():
        yield dict(zip(names, values, strict=True))


def golden(table: str, row: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a row, `table` first."""
    kept = {
        name: plain(value)
        for name, value in row.items()
        if name not in LEFT_OUT and value not in (None, {}, [])
    }
    return {"table": table, **kept}


# --- golden files ---------------------------------------------------------------------------


def read(name: str) -> dict[str, tuple[Origin, dict[str, Any]]]:
    """The golden rows of a mapping file."""
    path = FOLDER / f"{name}.json"
    if not path.is_file():
        return {}
    return {
        key: (Origin(**item["origin"]), item["row"])
        for key, item in json.loads(path.read_text("utf-8")).items()
    }


def write(name: str, made: dict[str, tuple[Origin, dict[str, Any]]]) -> None:
    """Writes the golden file of a mapping file."""
    content = {
        key: {
            "origin": {k: v for k, v in asdict(origin).items() if v != ""},
            "row": row,
        }
        for key, (origin, row) in sorted(made.items(), key=lambda item: _order(item[0]))
    }
    path = FOLDER / f"{name}.json"
    path.unlink(missing_ok=True)
    if content:
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


def inventory(text: str) -> Iterator[str]:
    """`provider id version count table, columns filled, file` of all there are samples of."""
    found: dict[tuple[str, str, Any], list[Any]] = {}
    for sample in _samples():
        for table, batch in rows_of(sample):
            for row in _system(batch):
                key = (row["log_provider"] or "", row["event_code"] or "", row["event_version"])
                if text.lower() in key[0].lower():
                    one = found.setdefault(key, [0, table, _tier(sample), sample.file])
                    one[0] += 1
                    if _tier(sample) < one[2]:
                        one[2:] = [_tier(sample), sample.file]
    for (provider, code, version), (count, table, _, file) in sorted(
        found.items(), key=lambda item: (item[0][0], _order(item[0][1]), str(item[0][2]))
    ):
        yield f"{provider}\t{code}\tv{version}\t{count}\t{table}\t{file}"


def _system(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    names = ("log_provider", "event_code", "event_version")
    there = [name for name in names if name in batch.schema.names]
    return [
        {**dict.fromkeys(names), **row} for row in batch.select(there).to_pylist()
    ] if "event_code" in there else []


def sample_of(provider: str, code: str) -> Iterator[str]:
    """A record of each version of an event, wherever it is found first, as its own tools show
    it."""
    seen = set()
    for sample in _samples():
        for _, batch in rows_of(sample):
            for row in _system(batch) and batch.to_pylist():
                version = row.get("event_version")
                if (row["log_provider"], row["event_code"]) != (provider, code) or version in seen:
                    continue
                seen.add(version)
                yield f"=== v{version}  {sample.file} {sample.inside} at {row['src_offset']}"
                yield _shown(sample, row["src_offset"], row["src_length"])


def _order(key: str) -> tuple[int, str]:
    number = key.split()[0]
    return (int(number) if number.isdigit() else 0, key)


def make(names: list[str]) -> None:
    """Makes the golden files of these mapping files anew, and the lists of events without one."""
    mapped = shipped()
    wanted = {
        key: event for key, event in mapping.load().events.items() if name_of(event) in names
    }
    found: dict[str, dict[str, list[Candidate]]] = {name: defaultdict(list) for name in names}
    for event, version, one in candidates(_samples(), wanted):
        name = name_of(event)
        found[name][key_of(event, version, mapped[name][0].provider)].append(one)
    for name in names:
        origins = copy(name, choose(_versioned(found[name])))
        made = rows(origins.values())
        write(name, {
            key: (origin, golden(*made[origin.file, origin.artifact, origin.offset]))
            for key, origin in origins.items()
        })
        path = missing_path(name)
        path.unlink(missing_ok=True)
        if lines := missing(name):
            path.write_text("".join(f"{line}\n" for line in lines), "utf-8")


def _samples() -> Iterator[Sample]:
    yield from committed()
    yield from elsewhere()


def _versioned(found: dict[str, list[Candidate]]) -> dict[str, list[Candidate]]:
    """Records that do not say their version count only where there are no others."""
    told = {mapped_by(key) for key in found if VERSION.match(key)}
    return {
        key: some for key, some in found.items() if VERSION.match(key) or key not in told
    }


def missing(name: str) -> list[str]:
    """The events of a mapping file that have no golden row."""
    there = {mapped_by(key) for key in read(name)}
    return [one for one in dict.fromkeys(map(named, shipped()[name])) if one not in there]


def missing_path(name: str) -> Path:
    """Where the events of a mapping file are listed of which no sample was seen."""
    return FOLDER / f"{name}.no-sample.txt"


def told_missing(name: str) -> list[str]:
    """What that list says."""
    path = missing_path(name)
    return path.read_text("utf-8").splitlines() if path.is_file() else []


def show(name: str, only: str | None) -> None:
    """Prints each record beside its row."""
    for key, (origin, row) in read(name).items():
        if only not in (None, key.split()[0]):
            continue
        print(f"=== {name} {key}   {origin.copied_from or origin.file} at {origin.offset}")
        if path_of(origin.file).exists():
            print(_record(origin))
        print(json.dumps(row, indent=1, ensure_ascii=False), end="\n\n")


def _record(origin: Origin) -> str:
    for sample in in_file(origin.file, origin.licence):
        if sample.number == origin.artifact:
            return _shown(sample, origin.offset, origin.length)
    return "(not there)"


def _shown(sample: Sample, offset: int, length: int) -> str:
    """A record: XML as Event Viewer shows it, or the JSON that it came as."""
    if sample.parser.render is not None:
        return sample.parser.render(Feed(io.BytesIO(sample.data)), offset)
    return json.dumps(json.loads(sample.data[offset:][:length]), indent=1, ensure_ascii=False)


def main() -> None:
    """The command line: see the module's docstring."""
    ask = argparse.ArgumentParser(description="Golden rows of mapped Windows events.")
    ask.add_argument("--make", nargs="*", metavar="PROVIDER")
    ask.add_argument("--show", nargs="+", metavar=("PROVIDER", "ID"))
    ask.add_argument("--missing", action="store_true")
    ask.add_argument("--inventory", nargs="?", const="", metavar="TEXT")
    ask.add_argument("--sample", nargs=2, metavar=("PROVIDER", "ID"))
    told = ask.parse_args()
    names = list(shipped())
    given = [*(told.make or []), *(told.show or [])[:1]]
    for name in given:
        if name not in names:
            ask.error(f"no mapping file {name!r}; there are {', '.join(names)}")
    if not (SHARED / "MANIFEST.tsv").is_file():
        print(f"no shared data at {SHARED} (TRACELAKE_DATA): only samples of this repository",
              file=sys.stderr)
        if told.make is not None:
            ask.error("golden rows are made from all samples")
    if told.make is not None:
        make(told.make or names)
    if told.show:
        show(told.show[0], told.show[1] if len(told.show) > 1 else None)
    if told.missing:
        print("\n".join(f"{name} {one}" for name in names for one in missing(name)))
    if told.inventory is not None:
        print("\n".join(inventory(told.inventory)))
    if told.sample:
        print("\n".join(sample_of(*told.sample)))


if __name__ == "__main__":
    main()

"""The unit that closes a source: what no parser took, and its row of `source`."""

import os

import pyarrow as pa

from tracelake.ingest.books import artifact_row, batch_of, source_row
from tracelake.ingest.events import Facts, Stamp, Task
from tracelake.lake.lake import Lake
from tracelake.lake.writer import WrittenUnit
from tracelake.normalize import MAPPING_VERSION, TABLES, Provenance, complete
from tracelake.parsers.artifact import Parser
from tracelake.version import VERSION

LeftOver = dict[int, tuple[Facts, pa.RecordBatch | None]]
"""Artifacts without a unit of their own by number (nobody took them, or they cannot be opened),
with their damage."""


def unit_id(source_id: str, number: int, parser: Parser) -> str:
    """What is committed together: one artifact, read by one version of one parser."""
    return f"{source_id[:16]}-{number}-{parser.name}-{parser.version.replace('.', '_')}"


def provenance(lake: Lake, source_id: str, number: int, parser: Parser | None) -> Provenance:
    """What is the same on all rows of an artifact; without a parser, of its damage."""
    return Provenance(
        engagement_id=lake.engagement,
        source_id=source_id,
        artifact_no=number,
        parser=parser.name if parser else "container",
        parser_version=parser.version if parser else VERSION,
        mapping_version=MAPPING_VERSION,
    )


def close_source(
    lake: Lake, task: Task, sha256: str, stamp: Stamp, facts: dict[int, Facts], left: LeftOver
) -> WrittenUnit:
    """Writes the source's last unit: what was left, and the row that closes it.

    Args:
        facts: of the artifacts that have units of their own.
    """
    source_id = sha256[:32]
    unit = f"{source_id[:16]}-source"
    with lake.writer(unit) as writer:
        rows = []
        for number, (found, damage) in left.items():
            if damage is not None:
                constants = provenance(lake, source_id, number, None)
                writer.write("damage", complete(TABLES["damage"], damage, constants))
            rows.append(artifact_row(lake.engagement, source_id, number, unit, VERSION, found))
        if rows:
            writer.write("artifact", batch_of("artifact", rows))
        row = source_row(
            lake.engagement,
            source_id,
            sha256,
            os.path.realpath(task.path),
            stamp[0],
            unit,
            VERSION,
            [*facts.values(), *(found for found, _ in left.values())],
        )
        writer.write("source", batch_of("source", [row]))
        return writer.close()

"""A lake with millions of rows of processes, laid out as an ingest lays it out.

Most rows are of an EDR export: hundreds of hosts in one file, in the order of time, each process
with the sensor's id. The others are event logs of twenty hosts: Sysmon (a GUID each), and Security,
which tells of the same processes, a moment later, by number and time only. A process has its parent
among the 40,000 before it on its host, after which process ids are used again.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import duckdb
import pyarrow as pa

from benchmarks.seeds import ROOT
from tracelake.ingest.books import artifact_row, batch_of
from tracelake.ingest.devices import Gathering
from tracelake.ingest.events import Facts
from tracelake.lake.lake import Lake
from tracelake.normalize import MAPPING_VERSION, TABLES, Provenance, complete
from tracelake.normalize.complete import ROWS

REUSED = 40_000
LOGS = 20
HOSTS = 400
VERSION = "bench/1"
BEGIN = "TIMESTAMPTZ '2026-03-01 00:00:00+00'"

# h: number of the host, s: of the process on it; 30 days, whatever their number.
STARTS = f"""
WITH s AS (
    SELECT h, s, CASE WHEN s > 0 THEN s - 1 - CAST(floor(least(s - 1, {REUSED - 1})
            * (hash(h, s) % 1000003 / 1000003.0)) AS BIGINT) END AS p,
        {BEGIN} + to_microseconds(CAST((s + hash(s, h) % 1000 / 1000.0)
            * (2592000000000 / $each) AS BIGINT)) AS time
    FROM range($first, $last) AS a(h), range($each) AS b(s)
),
named AS (
    SELECT *, 4 * (1 + s % {REUSED}) AS pid, 4 * (1 + p % {REUSED}) AS ppid,
        '\\Windows\\System32\\program' || s % 997 || '.exe' AS path,
        '\\Windows\\System32\\program' || p % 997 || '.exe' AS parent
    FROM s
)
"""
EDR = """
SELECT time, 1::SMALLINT AS activity_id, 'CrowdStrike FDR' AS log_provider,
    'ProcessRollup2' AS event_code, md5('aid' || h) AS device_uid,
    '\\Device\\HarddiskVolume3' || path AS proc_path, 'program' || s % 997 || '.exe' AS proc_name,
    '"C:' || path || '" -k ' || md5(h || ':' || s) AS proc_cmd_line, pid AS proc_pid,
    CAST(1000000000000 + h * 9973 + s * 2654435761 AS VARCHAR) AS proc_uid,
    sha256('f' || s % 997) AS proc_sha256,
    CAST(1000000000000 + h * 9973 + p * 2654435761 AS VARCHAR) AS parent_uid,
    'program' || p % 997 || '.exe' AS parent_name, 'S-1-5-21-' || h || '-' || s % 7 AS user_uid
FROM named ORDER BY time
"""
SYSMON = """
SELECT time, 1::SMALLINT AS activity_id, 'Microsoft-Windows-Sysmon' AS log_provider,
    'Microsoft-Windows-Sysmon/Operational' AS log_name, '1' AS event_code,
    'HOST' || h || '.corp.example' AS device_hostname, 'C:' || path AS proc_path,
    'program' || s % 997 || '.exe' AS proc_name,
    '"C:' || path || '" -k ' || md5(h || ':' || s) AS proc_cmd_line, pid AS proc_pid,
    CAST(CAST(md5('g' || h || ':' || s) AS UUID) AS VARCHAR) AS proc_uid,
    sha256('f' || s % 997) AS proc_sha256, 'C:' || parent AS parent_path,
    'program' || p % 997 || '.exe' AS parent_name, '"C:' || parent || '"' AS parent_cmd_line,
    ppid AS parent_pid, CAST(CAST(md5('g' || h || ':' || p) AS UUID) AS VARCHAR) AS parent_uid,
    'user' || s % 7 AS user_name, 'CORP' AS user_domain
FROM named ORDER BY time
"""
SECURITY = """
SELECT time + INTERVAL 3 MILLISECONDS AS time, 1::SMALLINT AS activity_id,
    'Microsoft-Windows-Security-Auditing' AS log_provider, 'Security' AS log_name,
    '4688' AS event_code, 'HOST' || h || '.corp.example' AS device_hostname,
    'C:' || path AS proc_path, 'program' || s % 997 || '.exe' AS proc_name,
    '"C:' || path || '" -k ' || md5(h || ':' || s) AS proc_cmd_line, pid AS proc_pid,
    lower('HOST' || h || '.corp.example:') || pid || ':' || epoch_us(time) + 3000 AS proc_uid,
    'C:' || parent AS parent_path, 'program' || p % 997 || '.exe' AS parent_name,
    ppid AS parent_pid, 'user' || s % 7 AS user_name, 'CORP' AS user_domain
FROM named ORDER BY time
"""


@dataclass(frozen=True, slots=True)
class Processes:
    """A lake of processes.

    Attributes:
        lake: its folder; the engagement is `bench`.
        edr_each, log_each: processes of each host of the export, and of the event logs.
    """

    lake: str
    rows: int
    edr_each: int
    log_each: int


def edr_uid(host: int, number: int) -> str:
    """Id of a process in the export."""
    return str(1000000000000 + (1000 + host) * 9973 + number * 2654435761)


def build_processes(rows: int) -> Processes:
    """The lake with so many rows; one that is there already is used again."""
    folder = ROOT / "bench-data" / f"processes-{rows}"
    done = folder / "built.json"
    if done.exists():
        return Processes(**json.loads(done.read_text()))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    log_each = rows // 5 // LOGS
    edr_each = (rows - 2 * LOGS * log_each) // HOSTS
    lake = Lake.open(str(folder / "lake"), "bench", create=True)
    written = _unit(lake, 1, "jsonl", EDR, 1000, 1000 + HOSTS, edr_each)
    for host in range(LOGS):
        written += _unit(lake, 100 + host, "evtx", SYSMON, host, host + 1, log_each)
        written += _unit(lake, 200 + host, "evtx", SECURITY, host, host + 1, log_each)
    built = Processes(str(folder / "lake"), written, edr_each, log_each)
    done.write_text(json.dumps(asdict(built)))
    return built


def _unit(
    lake: Lake, number: int, parser: str, query: str, first: int, last: int, each: int
) -> int:
    """Writes and commits one artifact of processes; its rows."""
    source_id = f"{number:016x}" + "0" * 16
    unit = f"{source_id[:16]}-0-{parser}-1"
    constants = Provenance("bench", source_id, 0, parser, "1", MAPPING_VERSION)
    count = 0
    devices = Gathering()
    with lake.writer(unit) as writer:
        for batch in _batches(query, first, last, each):
            places = pa.array(range(count * 600, (count + batch.num_rows) * 600, 600), pa.int64())
            batch = batch.append_column("src_offset", places)
            devices.add("process_activity", batch)
            writer.write(
                "process_activity", complete(TABLES["process_activity"], batch, constants)
            )
            count += batch.num_rows
        facts = Facts(
            f"{number}.{parser}", parser, size=0, records=count, in_rows=count,
            rows={"process_activity": count}, devices=devices.all(),
        )
        row = artifact_row("bench", source_id, 0, unit, VERSION, facts)
        writer.write("artifact", batch_of("artifact", [row]))
        source = {
            "engagement_id": "bench", "source_id": source_id, "uri": f"/{number}", "unit": unit,
            "records": count, "rows": [("process_activity", count)], "size": 0,
        }
        writer.write("source", batch_of("source", [source]))
        lake.commit([writer.close()])
    return count


def _batches(query: str, first: int, last: int, each: int) -> Iterator[pa.RecordBatch]:
    schema = TABLES["process_activity"].schema
    with duckdb.connect() as made:
        made.execute("SET TimeZone = 'UTC'")
        given = {"first": first, "last": last, "each": each}
        for batch in made.execute(STARTS + query, given).to_arrow_reader(ROWS):
            yield pa.RecordBatch.from_arrays(
                [
                    column.dictionary_encode()
                    if pa.types.is_dictionary(schema.field(name).type)
                    else column.cast(schema.field(name).type)
                    for name, column in zip(batch.schema.names, batch.columns, strict=True)
                ],
                names=batch.schema.names,
            )

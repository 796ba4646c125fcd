"""What rows name their hosts by: gathered by the ingest, else by event logs, else from the rows.

`device_fact` has one row for each way in which the rows of an artifact name a host; of rows that
name none, too. `host_said`, which follows from it (identity.py), says whose each of these is.
"""

from collections.abc import Collection, Mapping, Sequence

from tracelake.analysis.views import base
from tracelake.analysis.views.base import Window
from tracelake.analysis.views.host import STATES
from tracelake.normalize import TABLES

KEYS = (
    "device_hostname", "device_uid", "device_ip", "device_mac", "device_domain", "os_name",
    "log_provider",
)
UNGATHERED = (
    "SELECT source_id, artifact_no FROM main.artifact ANTI JOIN main.evtx_file "
    "USING (source_id, artifact_no) WHERE devices IS NULL AND artifact_no >= 0 "
    "AND (rows IS NULL OR cardinality(rows) > 0)"
)
"""SQL: artifacts with rows of which nothing was gathered. (Event logs say whose they are.)"""


def facts(files: Mapping[str, Sequence[str]], scan: Collection[str]) -> str:
    """SQL that makes `device_fact`.

    Args:
        files: table of events -> its files, whatever the session's window.
        scan: tables that are to be read for what was not gathered.
    """
    keys = ", ".join(KEYS)
    parts = [
        f"SELECT source_id, artifact_no, {', '.join(f'd.{key}' for key in KEYS)}, d.first_time, "
        "d.last_time, d.row_count AS rows FROM ("
        "SELECT source_id, artifact_no, unnest(devices) AS d FROM main.artifact)",
        "SELECT e.source_id, e.artifact_no, e.device_hostname, "
        f"{', '.join(f'NULL AS {key}' for key in KEYS[1:])}, e.first_time, e.last_time, "
        "coalesce(e.records_parsed, 0) FROM main.evtx_file AS e ANTI JOIN ("
        "SELECT source_id, artifact_no FROM main.artifact WHERE devices IS NOT NULL) "
        "USING (source_id, artifact_no)",
    ]
    for name in scan:
        time = "NULL::TIMESTAMPTZ"
        if name not in STATES:
            # Not of recovered rows, not times that were repaired or inferred.
            time = "CASE WHEN coalesce(parse_flags, 0) & 74 = 0 THEN time END"
        parts.append(
            f"SELECT source_id, artifact_no, device_hostname, device_uid, device_ip, device_mac, "
            "device_domain, os_name, "
            f"CASE WHEN device_uid IS NOT NULL THEN log_provider END AS log_provider, "
            f"min({time}), max({time}), count(*) FROM ({_plain(name, files[name])}) AS t "
            f"SEMI JOIN ({UNGATHERED}) USING (source_id, artifact_no) "
            + ("WHERE coalesce(fact, '') <> 'domain' " if name == "inventory" else "")
            + "GROUP BY ALL"
        )
    return (
        f"CREATE OR REPLACE TABLE device_fact AS SELECT source_id, artifact_no, {keys}, "
        "min(first_time) AS first_time, max(last_time) AS last_time, sum(rows)::BIGINT AS rows "
        f"FROM ({' UNION ALL '.join(parts)}) AS u(source_id, artifact_no, {keys}, first_time, "
        "last_time, rows) GROUP BY ALL"
    )


def _plain(name: str, files: Sequence[str]) -> str:
    return base.plain(TABLES[name], files, Window())


TOLD = """
SELECT source_id, artifact_no, device_hostname, device_uid, min(log_provider),
    epoch_us(min(first_time) FILTER (isfinite(first_time))),
    epoch_us(max(last_time) FILTER (isfinite(last_time))), sum(rows)::BIGINT
FROM device_fact GROUP BY source_id, artifact_no, device_hostname, device_uid
"""
"""SQL: what identity.py is told."""

OWNERS = (
    "SELECT source_id, artifact_no, host_key, host, host_labels FROM artifact_host "
    "WHERE host_key IS NOT NULL"
)
"""SQL: the hosts of artifacts."""

TABLES_OF = {
    "host_said": "source_id VARCHAR, artifact_no INTEGER, device_hostname VARCHAR, "
                 "device_uid VARCHAR, host_key VARCHAR, host VARCHAR, rows BIGINT",
    "host_of_uid": "device_uid VARCHAR, host VARCHAR",
    "host_of_name": "device_hostname VARCHAR, host VARCHAR",
    "host_remark": "host_key VARCHAR, remark VARCHAR",
}
"""Tables that hold what identity.py says."""

EVIDENCE = """
CREATE OR REPLACE VIEW host_evidence AS
WITH f AS (
    SELECT s.host_key, s.host, d.* FROM device_fact AS d JOIN host_said AS s
    ON s.source_id = d.source_id AND s.artifact_no = d.artifact_no
        AND s.device_hostname IS NOT DISTINCT FROM d.device_hostname
        AND s.device_uid IS NOT DISTINCT FROM d.device_uid
    WHERE s.host_key IS NOT NULL
),
said AS (
    SELECT host_key, host, unnest([
        struct_pack(what := 'name', value := device_hostname),
        struct_pack(what := 'id', value := device_uid),
        struct_pack(what := 'address', value := device_ip),
        struct_pack(what := 'mac', value := device_mac),
        struct_pack(what := 'domain', value := device_domain),
        struct_pack(what := 'os', value := os_name)
    ], recursive := true), log_provider, source_id, artifact_no, first_time, last_time, rows FROM f
)
SELECT host_key, host, what, value, any_value(log_provider) AS said_by, source_id, artifact_no,
    any_value(a.path) AS path, min(first_time) AS first_seen, max(last_time) AS last_seen,
    sum(rows)::BIGINT AS rows, NULL::VARCHAR AS row_id
FROM said LEFT JOIN artifact_path AS a USING (source_id, artifact_no)
WHERE value IS NOT NULL GROUP BY host_key, host, what, value, source_id, artifact_no
UNION ALL
SELECT host_key, host, e.fact, e.said, NULL, NULL, NULL, NULL, NULL, NULL, 1, e.row_id
FROM (SELECT host_key, host, unnest(evidence) AS e FROM host)
UNION ALL
SELECT r.host_key, any_value(s.host), 'remark', r.remark, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL
FROM host_remark AS r LEFT JOIN host_said AS s ON s.host_key = r.host_key GROUP BY ALL
"""
"""SQL of `host_evidence`: what tells of each host's names, ids, addresses, and what was not
joined to it, and why."""

ADDRESS = """
CREATE OR REPLACE VIEW host_address AS
WITH said AS (
    SELECT host_key, host, value AS ip, first_seen, last_seen, rows, source_id, artifact_no, path,
        NULL::VARCHAR AS row_id
    FROM host_evidence WHERE what = 'address'
    UNION ALL
    SELECT h.host_key, h.host, i.ip, i.time, i.time, 1, NULL, NULL, NULL, i.row_id
    FROM host_interface AS i JOIN host AS h ON h.host_key = i.host_key
),
per_host AS (
    SELECT host_key, host, ip, min(first_seen) AS first_seen, max(last_seen) AS last_seen,
        sum(rows)::BIGINT AS rows,
        list(struct_pack(source_id := source_id, artifact_no := artifact_no, path := path,
            row_id := row_id, first_seen := first_seen, last_seen := last_seen, rows := rows)
            ORDER BY first_seen, row_id) AS evidence
    FROM said GROUP BY ALL
)
SELECT a.host, a.host_key, a.ip, a.first_seen, a.last_seen, a.rows,
    (SELECT count(DISTINCT b.host_key) FROM per_host AS b WHERE b.ip = a.ip) AS hosts, a.evidence
FROM per_host AS a
"""
"""SQL of `host_address`: which host had which address, when; `hosts`: how many had it."""

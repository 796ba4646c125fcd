"""`witness`: records that were collected more than once (live, from a shadow copy, in an image).

Both copies stay in their tables. They are the same record where `record_hash` and the time are
equal, they are of the same host, and they stand in different artifacts. A log may hold two equal
lines: the first of one artifact is the first of the other, the second the second.
"""

from collections.abc import Collection

from tracelake.analysis.views import host, place, quote


def _candidates(name: str) -> str:
    """SQL: the rows of a table whose hash is there more than once."""
    table = f"main.{quote.name(name)}"
    return (
        f"SELECT {quote.text(name)} AS table_name, record_hash, time, device_hostname, source_id, "
        f"artifact_no, src_offset, sub, parse_flags, row_id FROM {table} WHERE record_hash IN "
        f"(SELECT record_hash FROM {table} WHERE record_hash IS NOT NULL GROUP BY record_hash "
        "HAVING count(*) > 1)"
    )


NOTHING = (
    "SELECT NULL::VARCHAR AS table_name, NULL::BIGINT AS record_hash, NULL::TIMESTAMPTZ AS time, "
    "NULL::VARCHAR AS device_hostname, NULL::VARCHAR AS source_id, NULL::INTEGER AS artifact_no, "
    "NULL::BIGINT AS src_offset, NULL::INTEGER AS sub, NULL::INTEGER AS parse_flags, "
    "NULL::VARCHAR AS row_id FROM range(0)"
)


def view(tables: Collection[str]) -> str:
    """SQL that makes `witness`.

    Args:
        tables: names of those that have rows.

    Of its columns: `row_id` is the copy to be cited (allocated before recovered, live before shadow
    copy, else the first by source), `witnesses` are the others.
    """
    rows = " UNION ALL ".join([_candidates(name) for name in tables] or [NOTHING])
    states = ", ".join(quote.text(name) for name in sorted(host.STATES))
    order = "(is_recovered, is_earlier, source_id, artifact_no, row_id)"
    return f"""
CREATE OR REPLACE VIEW witness AS
WITH candidate AS (
    SELECT c.*, {host.of_row('c.device_hostname', 'h')} AS host, h.path AS src_path,
        coalesce(c.parse_flags, 0) & 2 <> 0 AS is_recovered,
        coalesce(regexp_matches(replace(h.path, '\\', '/'), {quote.text(place.EARLIER)}), false)
            AS is_earlier
    FROM ({rows}) AS c LEFT JOIN artifact_host AS h
    ON c.source_id = h.source_id AND c.artifact_no = h.artifact_no
),
numbered AS (
    SELECT *, row_number() OVER (
        PARTITION BY table_name, record_hash, time, host, source_id, artifact_no
        ORDER BY src_offset, sub) AS nth
    FROM candidate
    -- What hosts made of one image hold alike says nothing of unknown hosts.
    WHERE host IS NOT NULL OR (time IS NOT NULL AND table_name NOT IN ({states}))
)
SELECT table_name, time, host, arg_min(row_id, {order}) AS row_id, record_hash, count(*) AS copies,
    list(struct_pack(row_id := row_id, source_id := source_id, src_path := src_path)
        ORDER BY {order})[2:] AS witnesses
FROM numbered GROUP BY table_name, record_hash, time, host, nth HAVING count(*) > 1
"""

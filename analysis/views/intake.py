"""The view `intake`: every source, those of the running ingest too, and how far each is."""

from pathlib import Path

from tracelake.analysis.views import quote

FILE = "intake.jsonl"
"""Where an ingest says how far it is (ingest/intake.py), in the engagement's folder."""

_COLUMNS = {
    "uri": "VARCHAR",
    "size": "BIGINT",
    "state": "VARCHAR",
    "stage": "VARCHAR",
    "artifacts": "BIGINT",
    "left_aside": "BIGINT",
    "records": "BIGINT",
    "damage": "BIGINT",
    "why": "VARCHAR",
    "pid": "BIGINT",
}


def view(root: str, said: bool | None = None) -> str:
    """SQL that makes the view. What an ingest says is read when it is asked for.

    Args:
        root: the engagement's folder (or prefix), as its session may read it.
        said: whether an ingest has said something; None: look.
    """
    path = f"{root.rstrip('/')}/{FILE}"
    if Path(path).is_file() if said is None else said:
        columns = ", ".join(f"{quote.name(n)}: {quote.text(t)}" for n, t in _COLUMNS.items())
        states = (
            f"read_json({quote.text(path)}, format = 'newline_delimited', columns = {{{columns}}})"
        )
    else:
        empty = ", ".join(f"CAST(NULL AS {t}) AS {quote.name(n)}" for n, t in _COLUMNS.items())
        states = f"(SELECT {empty} FROM range(0))"
    return (
        "CREATE OR REPLACE VIEW intake AS "
        "SELECT coalesce(s.uri, i.uri) AS uri, s.source_id, coalesce(i.size, s.size) AS size, "
        # What is in the tables counts: a run may have ended before it could say so.
        "CASE WHEN s.source_id IS NOT NULL AND coalesce(i.state, '') <> 'failed' THEN 'done' "
        "ELSE i.state END AS state, "
        "CASE WHEN s.source_id IS NULL THEN i.stage END AS stage, "
        "coalesce(a.artifacts, i.artifacts) AS artifacts, "
        "coalesce(a.left_aside, i.left_aside) AS left_aside, "
        "coalesce(s.records, i.records) AS records, coalesce(s.damage, i.damage) AS damage, "
        "s.not_opened, i.why, i.pid, s.ingested "
        f"FROM {states} AS i FULL JOIN source AS s ON s.uri = i.uri LEFT JOIN ("
        "SELECT source_id, count(*) FILTER (parser IS NOT NULL) AS artifacts, "
        "count(*) FILTER (parser IS NULL) AS left_aside FROM artifact WHERE artifact_no >= 0 "
        "GROUP BY ALL) AS a USING (source_id)"
    )

"""Which host each artifact is of.

`artifact_host` is a table that a session makes when a query first needs it: its regular expressions
and groups would cost every query that names a host. `host` (known.py) is a view over it.

An artifact is of the host that its collection names (place.py): the registry or files of the same
root say `computer_name`; where none does, its event logs name a Computer. All artifacts of a
container (ZIP, image) are of one host, unless it holds roots of several. Nothing is guessed: where
two names stand against each other, the artifact has no host.
"""

from tracelake.analysis.views import place, quote, zones

NAMED, EARLIER, MAIN_LOG, OTHER_LOG = 0, 1, 2, 3
"""How good a name is: said by the host's own settings; by older copies of them; by the first
record of a main event log; by that of another one."""


def label(name: str) -> str:
    """SQL: the first part of a host's name in lower case, by which names are compared."""
    return (
        f"CASE WHEN regexp_full_match({name}, '[0-9.:]+') THEN {name} "
        f"ELSE lower(split_part({name}, '.', 1)) END"
    )


def _clear(group: str, latest: bool) -> str:
    """SQL: (gid, label) of the groups that a column makes whose best names agree.

    Args:
        latest: where only logs name them, the newest log may say it (a host that was renamed).
    """
    rest = f"WHEN min(rank) >= {MAIN_LOG} THEN arg_max(label, (seen, label))" if latest else ""
    return (
        f"SELECT {group} AS gid, "
        f"CASE WHEN count(DISTINCT label) = 1 THEN min(label) {rest} END AS label "
        f"FROM (SELECT *, min(rank) OVER (PARTITION BY {group}) AS best FROM named "
        f"WHERE {group} IS NOT NULL) WHERE rank = best GROUP BY 1"
    )


def _one(expression: str) -> str:
    """SQL: a group's value, where it has one only."""
    return f"CASE WHEN count(DISTINCT {expression}) = 1 THEN min({expression}) END"


def _files() -> str:
    within, uri = "replace(min(a.paths[1]), '\\', '/')", "replace(min(s.uri), '\\', '/')"
    return (
        f"SELECT a.source_id, a.artifact_no, min(a.paths[1]) AS path, {within} AS within, "
        f"{uri} AS uri FROM main.artifact AS a LEFT JOIN main.source AS s USING (source_id) "
        "WHERE a.artifact_no >= 0 GROUP BY ALL"
    )


def _places() -> str:
    """The root of each artifact: `fine` with its volume's name, `coarse` without."""
    marks = "['before', 'mark']"
    return (
        "SELECT source_id, artifact_no, path, within, box, fine, is_earlier, "
        f"CASE WHEN regexp_matches(mark, {quote.text(place.UNIX)}) "
        f"THEN regexp_replace(fine, {quote.text(place.VOLUMES_UNIX)}, '') "
        f"ELSE regexp_replace(fine, {quote.text(place.VOLUMES)}, '') END AS coarse FROM ("
        "SELECT source_id, artifact_no, path, within, CASE WHEN in_box THEN source_id END AS box, "
        "CASE WHEN hit.mark <> '' THEN '/' || CASE WHEN in_box THEN source_id || '/' "
        "ELSE left(uri, length(uri) - length(within)) END || hit.before "
        "WHEN far.mark <> '' THEN '/' || far.before END AS fine, "
        "coalesce(nullif(hit.mark, ''), far.mark) AS mark, "
        f"regexp_matches(within, {quote.text(place.EARLIER)}) AS is_earlier FROM ("
        "SELECT *, uri IS NULL OR artifact_no > 0 OR NOT ends_with(uri, within) AS in_box, "
        f"regexp_extract(within, {quote.text(place.LAYOUT)}, {marks}) AS hit, "
        f"regexp_extract(uri, {quote.text(place.STRONG)}, {marks}) AS far FROM file))"
    )


def _named() -> str:
    """Every name that an artifact gives its host."""
    main = r"(?i)(?:^|[^a-z])(?:System|Security|Application)\.evtx$"
    names = (
        "SELECT source_id, artifact_no, device_hostname AS name, NULL::TIMESTAMPTZ AS seen, "
        "false AS logged FROM fact WHERE fact = 'computer_name' AND device_hostname <> '' "
        "UNION ALL SELECT source_id, artifact_no, device_hostname, first_time, true "
        "FROM main.evtx_file WHERE device_hostname <> ''"
    )
    return (
        f"SELECT p.*, n.name, n.seen, {label('n.name')} AS label, "
        f"CASE WHEN n.logged THEN CASE WHEN regexp_matches(p.path, {quote.text(main)}) "
        f"THEN {MAIN_LOG} ELSE {OTHER_LOG} END "
        f"WHEN p.is_earlier THEN {EARLIER} ELSE {NAMED} END AS rank "
        f"FROM placed AS p JOIN ({names}) AS n USING (source_id, artifact_no) "
        # Forwarded events name the hosts that they come from, and keep their channels.
        "WHERE NOT (n.logged AND contains(lower(p.path), 'forwarded'))"
    )


ATTRIBUTION = f"""
WITH
fact AS MATERIALIZED (
    SELECT source_id, artifact_no, fact, device_hostname, device_uid, time_zone
    FROM (@inventory@)
    WHERE fact IN ('computer_name', 'machine_uid', 'time_zone')
),
file AS ({_files()}),
placed AS MATERIALIZED ({_places()}),
named AS MATERIALIZED ({_named()}),
by_coarse AS ({_clear('coarse', latest=True)}),
by_fine AS ({_clear('fine', latest=True)}),
by_box AS ({_clear('box', latest=False)}),
by_own AS ({_clear("source_id || '/' || artifact_no", latest=False)}),
rooted AS (
    SELECT p.*, p.source_id || '/' || p.artifact_no AS own, coalesce(c.label, f.label) AS root_says,
        CASE WHEN c.label IS NOT NULL THEN p.coarse ELSE p.fine END AS root
    FROM placed AS p LEFT JOIN by_coarse AS c ON c.gid = p.coarse
    LEFT JOIN by_fine AS f ON f.gid = p.fine
),
-- A container is of one host, if its roots are, or if it has none and its names agree. Where it
-- has several roots of which not all are named, only what stands below the named one is its.
boxed AS (
    SELECT r.box AS gid, {_one('r.root_says')} AS by_roots, count(DISTINCT r.coarse) AS roots,
        min(r.root) FILTER (r.root_says IS NOT NULL) AS named_root, any_value(b.label) AS by_names
    FROM rooted AS r LEFT JOIN by_box AS b ON b.gid = r.box WHERE r.box IS NOT NULL GROUP BY 1
),
heard AS (
    SELECT r.*, o.label AS own_says, CASE
        WHEN b.roots = 0 THEN b.by_names
        WHEN (b.roots = 1 AND r.fine IS NULL)
            OR starts_with('/' || r.source_id || '/' || r.within, b.named_root || '/')
            THEN b.by_roots
        END AS box_says
    FROM rooted AS r LEFT JOIN boxed AS b ON b.gid = r.box LEFT JOIN by_own AS o ON o.gid = r.own
),
settled AS MATERIALIZED (
    SELECT source_id, artifact_no, path, fine, coarse, is_earlier,
        coalesce(root_says, own_says, box_says) AS label,
        CASE WHEN coalesce(root_says, own_says, box_says) = box_says THEN source_id
            WHEN root_says IS NOT NULL THEN root ELSE own END AS gid,
        CASE WHEN root_says IS NOT NULL THEN 'root' WHEN own_says IS NOT NULL THEN 'itself'
            WHEN box_says IS NOT NULL THEN 'container' END AS said_by
    FROM heard
),
-- Hosts of one name are several where they have several ids, or without ids several domains.
uids AS (
    SELECT s.gid, s.label, {_one("lower(f.device_uid)")} AS uid
    FROM settled AS s JOIN fact AS f USING (source_id, artifact_no)
    WHERE f.fact = 'machine_uid' AND NOT s.is_earlier AND s.label IS NOT NULL GROUP BY ALL
),
full_names AS (
    SELECT s.gid, s.label, {_one("lower(n.name)")} AS full_name
    FROM settled AS s JOIN named AS n USING (source_id, artifact_no)
    WHERE n.label = s.label AND contains(n.name, '.') GROUP BY ALL
),
groups AS (
    SELECT label, gid, uid, full_name,
        count(DISTINCT uid) OVER (PARTITION BY label) AS uids,
        count(DISTINCT full_name) OVER (PARTITION BY label) AS full_names
    FROM (SELECT DISTINCT label, gid FROM settled WHERE label IS NOT NULL)
    LEFT JOIN uids USING (label, gid) LEFT JOIN full_names USING (label, gid)
),
keyed AS (
    SELECT label, gid, CASE WHEN uids > 1 THEN label || coalesce('/' || uid, '')
        WHEN uids = 0 AND full_names > 1 THEN coalesce(full_name, label) ELSE label END AS host_key
    FROM groups
),
called AS (
    SELECT host_key, arg_min(name, (rank, name)) AS name, list(DISTINCT label) AS labels
    FROM (
        SELECT k.host_key, n.name, n.label,
            -- The name that it has is one that it goes by, whatever it was called earlier.
            n.rank + CASE WHEN n.label = k.label THEN 0 ELSE 10 END AS rank
        FROM settled AS s JOIN keyed AS k USING (label, gid)
        JOIN named AS n USING (source_id, artifact_no)
    ) GROUP BY 1
),
zoned AS (
    SELECT k.host_key, {_one('coalesce(z.iana, i.name)')} AS zone
    FROM settled AS s JOIN keyed AS k USING (label, gid)
    JOIN fact AS f USING (source_id, artifact_no)
    LEFT JOIN {zones.pairs()} ON z.windows = lower(f.time_zone)
    LEFT JOIN pg_timezone_names() AS i ON i.name = f.time_zone
    WHERE f.fact = 'time_zone' AND NOT s.is_earlier GROUP BY 1
)
SELECT s.source_id, s.artifact_no, s.path,
    CASE WHEN contains(k.host_key, '/')
        THEN split_part(c.name, '.', 1) || '/' || left(split_part(k.host_key, '/', 2), 8)
        WHEN k.host_key <> s.label THEN k.host_key
        WHEN regexp_full_match(c.name, '[0-9.:]+') THEN c.name
        ELSE split_part(c.name, '.', 1) END AS host,
    k.host_key, c.labels AS host_labels, z.zone, coalesce(s.coarse, s.fine) AS root, s.said_by,
    s.is_earlier
FROM settled AS s LEFT JOIN keyed AS k USING (label, gid) LEFT JOIN called AS c USING (host_key)
LEFT JOIN zoned AS z USING (host_key)
"""


def attribution(inventory: str) -> str:
    """SQL that makes the table `artifact_host`.

    Args:
        inventory: SQL of all rows of that table, whatever the session's window.
    """
    made = ATTRIBUTION.replace("@inventory@", inventory)
    return f"CREATE OR REPLACE TABLE artifact_host AS {made}"


def of_row(row: str, at: str) -> str:
    """SQL: the host of a row: that of its id, else the artifact's, unless the row names another.

    Args:
        row: alias of the row.
        at: alias of `artifact_host`; `joins` must be joined, too.
    """
    name = f"{row}.device_hostname"
    return (
        f"CASE WHEN {row}.device_uid IS NOT NULL AND by_uid.host IS NOT NULL THEN by_uid.host "
        f"WHEN {name} IS NULL OR list_contains({at}.host_labels, {label(name)}) "
        f"THEN coalesce({at}.host, by_name.host, {name}) ELSE coalesce(by_name.host, {name}) END"
    )


def joins(row: str) -> str:
    """SQL: joins of what `of_row` needs besides the artifact's host; `row`: alias of the row."""
    return (
        f" LEFT JOIN host_of_uid AS by_uid ON by_uid.device_uid = {row}.device_uid"
        f" LEFT JOIN host_of_name AS by_name ON by_name.device_hostname = {row}.device_hostname"
    )


STATES = {"file_query", "artifact_query", "registry_activity", "inventory", "certificate"}
"""Tables whose times are not of what happened when the evidence was written."""

UTC_OF = (
    "CREATE OR REPLACE MACRO utc_of(t, flags, zone) AS CASE WHEN flags & 32 <> 0 "
    "AND zone IS NOT NULL THEN timezone(zone, timezone('UTC', t)) ELSE t END"
)
"""SQL of `utc_of`: a time of a row whose zone was assumed (parse_flags 32), taken in the host's."""

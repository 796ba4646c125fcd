"""`host`: what the evidence says of each host, one row a host.

A row of `inventory` and a record of a log are of the host that they name; where they name none, of
that of their artifact (host.py).
"""

from tracelake.analysis.views import quote
from tracelake.analysis.views.host import STATES, label
from tracelake.normalize import TABLES


def _seen() -> str:
    """SQL: first and last dated record of the logs, per host. What event logs say of themselves
    is enough of them."""
    scans = [
        f"SELECT source_id, artifact_no, device_hostname, min(time) AS first, max(time) AS last "
        f"FROM main.{quote.name(table.name)} WHERE time IS NOT NULL "
        "AND parser NOT IN ('evtx', 'evtx_carve') "
        # Not recovered ones, not times that were repaired or inferred.
        "AND coalesce(parse_flags, 0) & 74 = 0 GROUP BY ALL"
        for table in TABLES.values() if table.is_events and table.name not in STATES
    ]
    scans.append(
        "SELECT source_id, artifact_no, device_hostname, first_time, last_time FROM main.evtx_file"
    )
    return " UNION ALL ".join(scans)


def _key(hostname: str) -> str:
    """SQL: the key of the host of a row, as `of_row` tells it."""
    return (
        f"CASE WHEN {hostname} IS NULL OR list_contains(h.host_labels, {label(hostname)}) "
        f"THEN coalesce(h.host_key, {label(hostname)}) ELSE {label(hostname)} END"
    )


def _listed(expression: str, where: str = "") -> str:
    """SQL: the values of a group, each once and in order."""
    kept = f"{expression} IS NOT NULL{' AND ' + where if where else ''}"
    return f"coalesce(list_sort(list(DISTINCT {expression}) FILTER ({kept})), [])"


def _latest(column: str) -> str:
    """SQL: the value that was written last."""
    return (
        f"arg_max({column}, (NOT is_earlier, coalesce(time, TIMESTAMPTZ '1601-01-01'))) "
        f"FILTER ({column} IS NOT NULL)"
    )


IDENTITY = ("computer_name", "machine_uid", "domain", "os", "time_zone", "interface", "hardware")
"""Facts that are quoted as evidence of a host."""


def view(inventory: str) -> str:
    """SQL that makes `host`.

    Args:
        inventory: SQL of all rows of that table with their row_id, whatever the session's window.
    """
    join = "LEFT JOIN artifact_host AS h USING (source_id, artifact_no)"
    facts = ", ".join(quote.text(fact) for fact in IDENTITY)
    return f"""
CREATE OR REPLACE VIEW host AS
WITH
said AS (
    SELECT i.*, {_key('i.device_hostname')} AS host_key, h.is_earlier
    FROM ({inventory}) AS i {join}
),
known AS (
    SELECT host_key, {_listed('device_hostname')} AS names,
        {_listed('device_uid')} AS machine_uids,
        {_listed('device_domain')} AS domains, {_latest('os_name')} AS os_name,
        {_latest('os_version')} AS os_version, {_latest('os_build')} AS os_build,
        {_latest('time_zone')} AS time_zone, {_latest('time_zone_bias')} AS time_zone_bias,
        {_listed('user_name', "class_uid = 5003 AND fact <> 'group'")} AS users,
        list_sort(list_distinct(coalesce(
            flatten(list(addresses) FILTER (addresses IS NOT NULL AND fact = 'interface')), [])))
            AS addresses,
        {_listed('interface_mac')} AS macs,
        max(os_install_time) AS os_install_time, max(boot_time) AS boot_time,
        max(shutdown_time) AS shutdown_time,
        list(struct_pack(fact := fact, said := coalesce(device_hostname, device_uid,
            nullif(concat_ws(' ', os_name, os_version, os_build), ''), time_zone,
            nullif(array_to_string(addresses, ', '), ''), hardware_model, interface_name),
            row_id := row_id) ORDER BY fact, row_id) FILTER (fact IN ({facts})) AS evidence
    FROM said WHERE host_key IS NOT NULL GROUP BY 1
),
seen AS (
    SELECT {_key('s.device_hostname')} AS host_key, {_listed('s.device_hostname')} AS names,
        min(s.first) AS first_seen, max(s.last) AS last_seen, {_listed('s.source_id')} AS source_ids
    FROM ({_seen()}) AS s {join} GROUP BY 1
),
attributed AS (
    SELECT host_key, min(host) AS host, min(zone) AS zone, count(*) AS artifacts,
        {_listed('source_id')} AS source_ids, {_listed('root')} AS roots
    FROM artifact_host WHERE host_key IS NOT NULL GROUP BY 1
),
keys AS (
    SELECT host_key FROM known UNION SELECT host_key FROM seen WHERE host_key IS NOT NULL
    UNION SELECT host_key FROM attributed
)
SELECT coalesce(a.host, k.names[1], s.names[1]) AS host, k0.host_key,
    list_sort(list_distinct(coalesce(k.names, []) || coalesce(s.names, []))) AS names,
    coalesce(k.machine_uids, []) AS machine_uids, coalesce(k.domains, []) AS domains,
    k.os_name, k.os_version, k.os_build, k.time_zone, a.zone, k.time_zone_bias,
    coalesce(k.users, []) AS users, coalesce(k.addresses, []) AS addresses,
    coalesce(k.macs, []) AS macs, s.first_seen, s.last_seen, k.os_install_time, k.boot_time,
    k.shutdown_time, coalesce(a.artifacts, 0) AS artifacts,
    list_sort(list_distinct(coalesce(a.source_ids, []) || coalesce(s.source_ids, [])))
        AS source_ids,
    coalesce(a.roots, []) AS roots, coalesce(k.evidence, []) AS evidence
FROM keys AS k0 LEFT JOIN attributed AS a USING (host_key) LEFT JOIN known AS k USING (host_key)
LEFT JOIN seen AS s USING (host_key)
"""

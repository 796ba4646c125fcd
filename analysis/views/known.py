"""`host`: what the evidence says of each host, one row a host.

A row is of the host that it names by its name or its id (identity.py); where it names none, of that
of its artifact (host.py).
"""

from collections.abc import Iterator

from tracelake.analysis.views import quote
from tracelake.analysis.views.host import label


def _key(hostname: str, at: str) -> str:
    """SQL: the key of the host of a row by its name only; `at`: alias of what has its artifact's
    `host_key` and `host_labels`."""
    own = label(hostname)
    return (
        f"CASE WHEN {hostname} IS NULL OR list_contains({at}.host_labels, {own}) "
        f"THEN coalesce({at}.host_key, {own}) ELSE {own} END"
    )


def _said(row: str, alias: str) -> str:
    """SQL: joins what is said of a row's host (identity.py)."""
    return (
        f"LEFT JOIN host_said AS {alias} ON {alias}.source_id = {row}.source_id "
        f"AND {alias}.artifact_no = {row}.artifact_no "
        f"AND {alias}.device_hostname IS NOT DISTINCT FROM {row}.device_hostname "
        f"AND {alias}.device_uid IS NOT DISTINCT FROM {row}.device_uid"
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


def views(inventory: str) -> Iterator[str]:
    """SQL that makes `host`, and `host_interface`, its addresses by `inventory`.

    Args:
        inventory: SQL of all rows of that table with their row_id, whatever the session's window.
    """
    facts = ", ".join(quote.text(fact) for fact in IDENTITY)
    keyed = f"""
        SELECT i.* REPLACE (
            -- The accounts of a domain controller are its domain's, whose name is none of a host.
            CASE WHEN i.fact <> 'domain' OR i.log_provider IS NOT NULL
                OR list_contains(h.host_labels, {label('i.device_hostname')})
                THEN i.device_hostname END AS device_hostname),
            h.is_earlier,
            CASE WHEN i.fact = 'domain' AND i.log_provider IS NULL THEN h.host_key
                ELSE coalesce(s.host_key, {_key('i.device_hostname', 'h')}) END AS host_key
        FROM ({inventory}) AS i LEFT JOIN artifact_host AS h USING (source_id, artifact_no)
        {_said('i', 's')}"""
    yield f"""
CREATE OR REPLACE VIEW host_interface AS
SELECT host_key, unnest(addresses) AS ip, coalesce(lease_obtained_time, time) AS time, row_id
FROM ({keyed}) WHERE fact = 'interface' AND addresses IS NOT NULL AND host_key IS NOT NULL
"""
    yield f"""
CREATE OR REPLACE VIEW host AS
WITH
keyed AS ({keyed}),
known AS (
    SELECT host_key, {_listed('device_hostname')} AS names,
        {_listed('device_uid', "fact = 'machine_uid'")} AS machine_uids,
        {_listed('source_id')} AS source_ids, {_listed('device_domain')} AS domains,
        {_latest('os_name')} AS os_name,
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
    FROM keyed WHERE host_key IS NOT NULL GROUP BY 1
),
seen AS (
    SELECT s.host_key, {_listed('f.device_hostname')} AS names,
        {_listed('f.device_uid', 'f.log_provider IS NOT NULL')} AS device_uids,
        {_listed('f.device_domain')} AS domains, {_listed('f.device_ip')} AS addresses,
        {_listed('f.device_mac')} AS macs,
        arg_max(f.os_name, coalesce(f.last_time, TIMESTAMPTZ '1601-01-01'))
            FILTER (f.os_name IS NOT NULL) AS os_name,
        min(f.first_time) AS first_seen, max(f.last_time) AS last_seen,
        sum(f.rows)::BIGINT AS rows, {_listed('f.source_id')} AS source_ids
    FROM device_fact AS f {_said('f', 's').replace('LEFT JOIN', 'JOIN', 1)}
    WHERE s.host_key IS NOT NULL GROUP BY 1
),
attributed AS (
    SELECT host_key, min(host) AS host, min(zone) AS zone, count(*) AS artifacts,
        {_listed('source_id')} AS source_ids, {_listed('root')} AS roots
    FROM artifact_host WHERE host_key IS NOT NULL GROUP BY 1
),
named AS (SELECT host_key, min(host) AS host FROM host_said GROUP BY 1),
keys AS (
    SELECT host_key FROM known UNION SELECT host_key FROM seen
    UNION SELECT host_key FROM attributed
)
SELECT coalesce(a.host, n.host, k.names[1], s.names[1]) AS host, k0.host_key,
    {_both('names')} AS names, coalesce(k.machine_uids, []) AS machine_uids,
    coalesce(s.device_uids, []) AS device_uids, {_both('domains')} AS domains,
    coalesce(k.os_name, s.os_name) AS os_name,
    k.os_version, k.os_build, k.time_zone, a.zone, k.time_zone_bias,
    coalesce(k.users, []) AS users, {_both('addresses')} AS addresses,
    {_both('macs')} AS macs, s.first_seen, s.last_seen, s.rows, k.os_install_time, k.boot_time,
    k.shutdown_time, coalesce(a.artifacts, 0) AS artifacts,
    list_sort(list_distinct(coalesce(a.source_ids, []) || coalesce(s.source_ids, [])
        || coalesce(k.source_ids, []))) AS source_ids,
    coalesce(a.roots, []) AS roots, coalesce(k.evidence, []) AS evidence
FROM keys AS k0 LEFT JOIN attributed AS a USING (host_key) LEFT JOIN known AS k USING (host_key)
LEFT JOIN seen AS s USING (host_key) LEFT JOIN named AS n USING (host_key)
"""


def _both(column: str) -> str:
    """SQL: what `inventory` and the rows say."""
    return f"list_sort(list_distinct(coalesce(k.{column}, []) || coalesce(s.{column}, [])))"

"""`flow`: flows of captures, whole, also where a capture ends in the middle of them.

A sensor begins a new file every hour or every gigabyte. Each file is a source of its own, so a
flow that goes over a border is a row in each, marked as open at that end (`open_start`,
`open_end`). Here the pieces are one: those of the same two ends and protocol that follow each other
in time, the earlier open at its end and the later at its start, with no longer silence between
them than ends a flow within a capture. The order in which the files were taken in does not matter.

What a piece that has no SYN takes for the originator is a guess: the first piece decides, and
pieces that differ are turned round, their history in the other case.
"""

# Letters of a history, and the same for the other side.
_UPPER = "SHADFRCGTWIQ"
# Seconds of silence that end a flow (docs/flows.md).
_IDLE = """CASE WHEN protocol_num <> 6 THEN 60
    WHEN list_has_any([a_port, b_port], [21, 22, 23, 513]) THEN 3600 ELSE 300 END"""


def _turned(column: str, other: str) -> str:
    """SQL: a value of the side that began by the first piece."""
    return f"CASE WHEN turned THEN {other} ELSE {column} END"


def _sum(column: str, other: str) -> str:
    return f"sum({_turned(column, other)})::BIGINT AS {column}"


_HISTORY = f"""CASE WHEN turned
    THEN translate(history, '{_UPPER}{_UPPER.lower()}', '{_UPPER.lower()}{_UPPER}')
    ELSE history END"""

# conn_state of a connection by the letters of all of its pieces, as Zeek names them.
_STATE = """CASE
    WHEN count(*) = 1 OR any_value(protocol_num) <> 6 THEN
        CASE WHEN any_value(protocol_num) <> 17 THEN arg_min(conn_state, place)
             WHEN sum(packets_out) > 0 AND sum(packets_in) > 0 THEN 'SF'
             ELSE arg_min(conn_state, place) END
    WHEN contains(letters, 'r') THEN CASE WHEN contains(letters, 'S') THEN 'RSTR' ELSE 'RSTRH' END
    WHEN contains(letters, 'R') THEN 'RSTO'
    WHEN contains(letters, 'F') AND contains(letters, 'f') THEN 'SF'
    WHEN contains(letters, 'F') THEN 'S2'
    WHEN contains(letters, 'f') THEN 'S3'
    WHEN contains(letters, 'S') AND contains(letters, 'h') THEN 'S1'
    ELSE 'OTH'
END"""

VIEW = f"""
CREATE OR REPLACE VIEW flow AS
WITH open AS (
    SELECT *,
        (src_ip, src_port) > (dst_ip, dst_port) AS swapped,
        CASE WHEN swapped THEN dst_ip ELSE src_ip END AS a_ip,
        CASE WHEN swapped THEN dst_port ELSE src_port END AS a_port,
        CASE WHEN swapped THEN src_ip ELSE dst_ip END AS b_ip,
        CASE WHEN swapped THEN src_port ELSE dst_port END AS b_port,
        (time, end_time, conn_uid) AS place
    FROM main.network_activity
    WHERE (open_start OR open_end) AND conn_state IS NOT NULL
),
step AS (
    SELECT *,
        coalesce(
            open_start AND lag(open_end) OVER ends
            AND time - lag(end_time) OVER ends BETWEEN INTERVAL 0 SECOND
                AND to_seconds({_IDLE}),
            false
        ) AS goes_on
    FROM open
    WINDOW ends AS (
        PARTITION BY a_ip, a_port, b_ip, b_port, protocol_num, vlan_id, tunnel_depth
        ORDER BY time, end_time, conn_uid
    )
),
chain AS (
    SELECT *, count_if(NOT goes_on) OVER (
        PARTITION BY a_ip, a_port, b_ip, b_port, protocol_num, vlan_id, tunnel_depth
        ORDER BY time, end_time, conn_uid
    ) AS number
    FROM step
),
piece AS (
    SELECT *, swapped <> first_value(swapped) OVER (
        PARTITION BY a_ip, a_port, b_ip, b_port, protocol_num, vlan_id, tunnel_depth, number
        ORDER BY time, end_time, conn_uid
    ) AS turned
    FROM chain
),
said AS (
    SELECT *, {_HISTORY} AS said,
        {_turned("packets_out", "packets_in")} AS sent,
        {_turned("packets_in", "packets_out")} AS received
    FROM piece
),
whole AS (
    SELECT
        min(time) AS time, max(end_time) AS end_time,
        epoch(max(end_time) - min(time))::DOUBLE AS duration_s,
        arg_min(conn_uid, place) AS conn_uid, any_value(community_id) AS community_id,
        arg_min(src_ip, place) AS src_ip, arg_min(src_port, place) AS src_port,
        arg_min(dst_ip, place) AS dst_ip, arg_min(dst_port, place) AS dst_port,
        any_value(transport) AS transport, any_value(protocol_num) AS protocol_num,
        any_value(vlan_id) AS vlan_id, any_value(tunnel_depth) AS tunnel_depth,
        string_agg(DISTINCT app_protocol, ',' ORDER BY app_protocol) AS app_protocol,
        {_sum("bytes_out", "bytes_in")}, {_sum("bytes_in", "bytes_out")},
        sum(sent)::BIGINT AS packets_out, sum(received)::BIGINT AS packets_in,
        {_sum("ip_bytes_out", "ip_bytes_in")}, {_sum("ip_bytes_in", "ip_bytes_out")},
        sum(bytes_missed)::BIGINT AS bytes_missed,
        string_agg(said, '' ORDER BY place) AS letters,
        {_STATE.replace("sum(packets_out)", "sum(sent)").replace("sum(packets_in)", "sum(received)")
          .replace("letters", "string_agg(said, '' ORDER BY place)")} AS conn_state,
        arg_min(src_internal, place) AS src_internal,
        arg_min(dst_internal, place) AS dst_internal,
        coalesce(arg_min(open_start, place), false) AS open_start,
        coalesce(arg_max(open_end, place), false) AS open_end,
        count(*) AS pieces,
        list(row_id ORDER BY place) AS row_ids
    FROM said
    GROUP BY a_ip, a_port, b_ip, b_port, protocol_num, vlan_id, tunnel_depth, number
)
SELECT * EXCLUDE (letters), letters AS history FROM whole
UNION ALL BY NAME
SELECT
    time, end_time, duration_s, conn_uid, community_id, src_ip, src_port, dst_ip, dst_port,
    transport, protocol_num, vlan_id, tunnel_depth, app_protocol, bytes_out, bytes_in,
    packets_out, packets_in, ip_bytes_out, ip_bytes_in, bytes_missed, conn_state, history,
    src_internal, dst_internal, false AS open_start, false AS open_end, 1 AS pieces,
    [row_id] AS row_ids
FROM main.network_activity
WHERE NOT coalesce(open_start, false) AND NOT coalesce(open_end, false) AND conn_state IS NOT NULL
"""
"""SQL that makes the view. One row a flow; beside columns of `network_activity`:

pieces      rows that it is made of
row_ids     of these, in order
history     of all pieces, one after the other
"""

"""`script_full`: scripts whose text was logged in parts (PowerShell 4104), joined again."""

ORDER = "ORDER BY part_no"

VIEW = f"""
CREATE OR REPLACE VIEW script_full AS
WITH part AS (
    -- The same record may have been collected several times: one row a part, of the smallest id.
    SELECT
        -- Wide enough for one more than any number that a record can say.
        device_hostname, script_uid, part_no::BIGINT AS part_no,
        min(time) AS time,
        max(part_total)::BIGINT AS part_total,
        max(script_path) AS script_path,
        max(event_user_uid) AS event_user_uid,
        arg_min(script_content, row_id) AS script_content,
        count(DISTINCT script_content) > 1 AS differs,
        min(row_id) AS row_id,
        count(*) AS copies
    FROM main.script_activity
    WHERE script_uid IS NOT NULL AND part_no >= 1 AND script_content IS NOT NULL
    GROUP BY ALL
)
SELECT
    device_hostname,
    script_uid,
    min(time) AS time,
    max(time) AS end_time,
    max(script_path) AS script_path,
    max(event_user_uid) AS event_user_uid,
    greatest(max(part_total), max(part_no)) AS part_total,
    count(*) AS parts,
    count(*) = greatest(max(part_total), max(part_no)) AS is_complete,
    -- Missing parts as (first, last), so that a part_total that is not true cannot fill memory.
    list_filter(
        list_transform(
            list_zip(
                list_prepend(0, list(part_no {ORDER})),
                list_append(list(part_no {ORDER}),
                            greatest(max(part_total), max(part_no)) + 1)
            ),
            lambda gap: {{'first': gap[1] + 1, 'last': gap[2] - 1}}
        ),
        lambda gap: gap.first <= gap.last
    ) AS missing,
    list(part_no {ORDER}) FILTER (WHERE differs) AS differing,
    string_agg(script_content, '' {ORDER}) AS script_content,
    sum(copies)::BIGINT AS copies,
    list(row_id {ORDER}) AS row_ids
FROM part
GROUP BY device_hostname, script_uid
"""
"""SQL that makes the view. One row a script and host:

part_total      parts that the script has, as its parts say
parts           of those, how many are there; is_complete: all of them
missing         runs of parts that are not there (cleared, overwritten, outside the window)
differing       numbers of parts of which copies have different texts, NULL: none
script_content  the text of the parts that are there, one after another
copies          records that the parts were seen in, copies of the log included
row_ids         of the records that the text is from, in order
"""

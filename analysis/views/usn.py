r"""`usn`: the change journal with full paths, from the $MFT of the same volume.

A journal knows folders by number. The parser makes paths of what the journal itself says; where that
does not lead to the root they begin with `\$Unknown\<entry>-<sequence>\`. Here that folder's path is
looked up in the $MFT that stands beside the journal: in the same source (or, where both are files of
their own, in the same folder), at the root of the volume that holds `$Extend`.

The $MFT says where a folder is now, the journal what was then: `path_from` tells them apart.
"""

# What an artifact's path becomes when the name of the book itself is taken off: the volume.
_BOOK = r"[/\\]?(\$|%24)extend[/\\].*$|[/\\]?[^/\\]*$"
_MISSING = r"^\\\$Unknown\\(\d+)-(\d+)\\"


def _found(path: str, alias: str) -> str:
    """SQL: a path with the folder that it does not know replaced by what `alias` knows."""
    rest = f"regexp_replace({path}, '{_MISSING}', '')"
    return (
        f"CASE WHEN {alias}.folder IS NULL THEN {path} "
        f"ELSE rtrim({alias}.folder, '\\') || '\\' || {rest} END"
    )


def _folder(path: str, alias: str) -> str:
    """SQL: joins the folder that a path does not know."""
    entry, sequence = (
        f"TRY_CAST(regexp_extract({path}, '{_MISSING}', {group}) AS BIGINT)" for group in (1, 2)
    )
    # A deleted folder has the sequence number after the one that it was referred to by.
    return (
        f"LEFT JOIN folder AS {alias} ON {alias}.volume = j.volume "
        f"AND {alias}.entry = {entry} AND {alias}.sequence = {sequence}"
    )


VIEW = f"""
CREATE OR REPLACE VIEW usn AS
WITH place AS (
    SELECT
        a.source_id, a.artifact_no,
        regexp_replace(
            lower(CASE WHEN ends_with(s.uri, a.path) THEN s.uri
                       ELSE a.source_id || '/' || a.path END),
            '{_BOOK}', ''
        ) AS volume
    FROM artifact_path AS a LEFT JOIN main.source AS s USING (source_id)
),
folder AS (
    SELECT
        volume, entry, folder,
        unnest(CASE WHEN in_use THEN [sequence] ELSE [sequence, sequence - 1] END) AS sequence
    FROM (
        SELECT
            volume, mft_entry AS entry, mft_seq AS sequence, in_use, min(file_path) AS folder
        FROM main.file_query JOIN place USING (source_id, artifact_no)
        WHERE parser = 'mft' AND is_dir AND sub = 0 AND file_path IS NOT NULL
        GROUP BY ALL
    )
),
j AS (
    SELECT f.*, p.volume FROM main.file_activity AS f
    LEFT JOIN place AS p USING (source_id, artifact_no)
    WHERE f.log_provider = 'USN'
)
SELECT
    j.* EXCLUDE (volume) REPLACE (
        {_found("j.file_path", "now")} AS file_path,
        {_found("j.file_prev_path", "before")} AS file_prev_path
    ),
    CASE WHEN NOT starts_with(j.file_path, '\\$Unknown\\') THEN 'journal'
         WHEN now.folder IS NOT NULL THEN 'mft' END AS path_from
FROM j
{_folder("j.file_path", "now")}
{_folder("j.file_prev_path", "before")}
"""
"""SQL that makes the view: the columns of `file_activity`, and

path_from   where the path is from: 'journal', 'mft', NULL (the folder is not known)
"""

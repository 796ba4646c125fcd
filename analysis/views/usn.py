r"""`usn`: the change journal with full paths, from the $MFT of the same volume.

A journal knows folders by number. The parser makes paths of what the journal itself says; where
that does not lead to the root they begin with `\$Unknown\<entry>-<sequence>\`. Here that folder's
path is looked up in the $MFT that stands beside the journal: in the same source (or, where both
are files of their own, in the same folder), at the root of the volume that holds `$Extend`.

A folder that is gone by now, its entry another file's, is in no $MFT: its name is taken from a
later record of the journal (that of its deletion, mostly), and so on up to one that is known.

The $MFT says where a folder is now, the journal what was then: `path_from` tells them apart.
"""

# What an artifact's path becomes when the name of the book itself is taken off: the volume.
_BOOK = r"[/\\]?(\$|%24)extend[/\\].*$|[/\\]?[^/\\]*$"
_MISSING = r"^\\\$Unknown\\(\d+)-(\d+)\\"


def _missing(path: str, group: int) -> str:
    """SQL: entry (1) or sequence number (2) of the folder that a path does not know."""
    number = f"TRY_CAST(regexp_extract({path}, '{_MISSING}', {group}) AS BIGINT)"
    return f"CASE WHEN starts_with({path}, '\\$Unknown\\') THEN {number} END"


def _under(folder: str, path: str) -> str:
    """SQL: a path with what it does not know replaced by the folder's own."""
    return f"rtrim({folder}, '\\') || '\\' || regexp_replace({path}, '{_MISSING}', '')"


def _found(path: str, alias: str) -> str:
    """SQL: a path with the folder that it does not know replaced by what `alias` knows."""
    under = _under(f"{alias}.folder", path)
    return f"CASE WHEN {alias}.folder IS NULL THEN {path} ELSE {under} END"


def _known(path: str, alias: str) -> str:
    """SQL: joins the folder that a path does not know."""
    return (
        f"LEFT JOIN known AS {alias} ON {alias}.volume = j.volume "
        f"AND {alias}.entry = {_missing(path, 1)} AND {alias}.sequence = {_missing(path, 2)}"
    )


VIEW = f"""
CREATE OR REPLACE VIEW usn AS
WITH RECURSIVE place AS (
    SELECT
        a.source_id, a.artifact_no,
        regexp_replace(
            lower(CASE WHEN ends_with(s.uri, a.path) THEN s.uri
                       ELSE a.source_id || '/' || a.path END),
            '{_BOOK}', ''
        ) AS volume
    FROM artifact_path AS a LEFT JOIN main.source AS s USING (source_id)
),
-- A deleted folder has the sequence number after the one that it was referred to by.
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
),
-- Folders that only the journal knows, each by the last name that it had.
gone AS (
    SELECT d.* FROM (
        SELECT volume, mft_entry AS entry, mft_seq AS sequence, arg_max(file_path, usn) AS path
        FROM main.file_activity JOIN place USING (source_id, artifact_no)
        WHERE log_provider = 'USN' AND file_attributes & 16 <> 0 AND mft_entry IS NOT NULL
        GROUP BY ALL
    ) AS d
    ANTI JOIN folder AS f USING (volume, entry, sequence)
),
-- Each of them has one folder, so none is met twice.
known AS (
    SELECT volume, entry, sequence, folder, 'mft' AS source FROM folder
    UNION ALL
    SELECT volume, entry, sequence, path, 'later' FROM gone
    WHERE NOT starts_with(path, '\\$Unknown\\')
    UNION ALL
    SELECT g.volume, g.entry, g.sequence, {_under("k.folder", "g.path")}, 'later'
    FROM gone AS g JOIN known AS k
        ON k.volume = g.volume AND k.entry = {_missing("g.path", 1)}
        AND k.sequence = {_missing("g.path", 2)}
)
SELECT
    j.* EXCLUDE (volume) REPLACE (
        {_found("j.file_path", "now")} AS file_path,
        {_found("j.file_prev_path", "before")} AS file_prev_path
    ),
    CASE WHEN NOT starts_with(j.file_path, '\\$Unknown\\') THEN 'journal'
         ELSE now.source END AS path_from
FROM j
{_known("j.file_path", "now")}
{_known("j.file_prev_path", "before")}
"""
"""SQL that makes the view: the columns of `file_activity`, and

path_from   where the path is from: 'journal', 'mft', 'later' (a folder that is gone by now, by a
            later record of the journal), NULL (the folder is not known)
"""

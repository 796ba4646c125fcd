"""files.log: what was carried in clear (certificates are another table's)."""

from tests.zeek_fields.log import Log, Row

SOURCES = ("HTTP", "SMTP", "FTP_DATA", "SMB", "SSL")


def intended(name: str, theirs: Row | None, own: Row | None) -> str | None:
    if theirs is None and own is not None and (own.get("parse_flags") or 0) & 1:
        return "the flow's beginning is not in the capture: Zeek reads no HTTP there"
    return None


LOG = Log(
    name="files",
    table="network_file_activity",
    where=lambda row: row["protocol"] in SOURCES,
    theirs=lambda row: row["source"] in SOURCES,
    fields={
        "source": "protocol", "mime_type": "mime_type", "filename": "file_name",
        "is_orig": "is_orig", "seen_bytes": "seen_bytes", "total_bytes": "total_bytes",
        "missing_bytes": "missing_bytes", "overflow_bytes": "overflow_bytes",
        "md5": "file_md5", "sha1": "file_sha1", "depth": "depth",
    },
    loose={"filename": "of FTP: what the command names it"},
    intended=intended,
)

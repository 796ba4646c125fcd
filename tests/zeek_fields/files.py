"""files.log: what was carried in clear (certificates are another table's)."""

from tests.zeek_fields.log import Log

SOURCES = ("HTTP", "SMTP", "FTP_DATA", "SMB")

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
)

"""smb_files.log: files that were opened, renamed, deleted."""

from tests.zeek_fields.log import Log

LOG = Log(
    name="smb_files",
    table="smb_activity",
    where=lambda row: str(row.get("command")).startswith("SMB::"),
    fields={
        "action": "command", "path": "share", "name": "file_path", "prev_name": "file_prev_path",
        "size": "file_size", "times.created": "file_created_time",
        "times.modified": "file_modified_time", "times.accessed": "file_accessed_time",
        "times.changed": "file_changed_time",
    },
    loose={"path": "of SMB 1 Zeek leaves out the share that a file is opened on"},
)

"""smb_mapping.log: shares that were connected to."""

from tests.zeek_fields.log import Log

LOG = Log(
    name="smb_mapping",
    table="smb_activity",
    where=lambda row: row.get("command") == "TREE_CONNECT",
    fields={
        "path": "share", "service": "service_type", "native_file_system": "native_file_system",
        "share_type": "share_type",
    },
)

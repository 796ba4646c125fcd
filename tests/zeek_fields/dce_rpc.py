"""dce_rpc.log: functions that were called."""

from tests.zeek_fields.log import Log

LOG = Log(
    name="dce_rpc",
    table="smb_activity",
    where=lambda row: row.get("dce_operation") is not None,
    fields={
        "rtt": "rtt_s", "named_pipe": "named_pipe", "endpoint": "dce_endpoint",
        "operation": "dce_operation",
    },
    loose={"named_pipe": "the name that the client opened, where the server does not say its own"},
)

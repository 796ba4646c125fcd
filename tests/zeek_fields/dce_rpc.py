"""dce_rpc.log: functions that were called."""

from tests.zeek_fields.log import Log, Row


def intended(name: str, theirs: Row | None, own: Row | None) -> str | None:
    if own is None:
        return None
    if theirs is None:
        if own.get("status_id") == 2:
            return "a call that ended in a fault: Zeek writes none"
        if own.get("rtt_s") is None:
            return "a call without an answer: Zeek writes none, or the latest answered one again"
        return None
    if name in ("endpoint", "operation") and str(theirs.get(name)).startswith("unknown-"):
        return "a name of the specification that Zeek has not got"
    return None


LOG = Log(
    name="dce_rpc",
    table="smb_activity",
    where=lambda row: row.get("dce_operation") is not None,
    fields={
        "rtt": "rtt_s", "named_pipe": "named_pipe", "endpoint": "dce_endpoint",
        "operation": "dce_operation",
    },
    loose={"named_pipe": "the name that the client opened, where the server does not say its own"},
    intended=intended,
)

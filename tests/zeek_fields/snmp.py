"""snmp.log: what two ends said to each other in a flow."""

from tests.zeek_fields.log import Log, Row


def intended(name: str, theirs: Row | None, own: Row | None) -> str | None:
    if theirs is None:
        return "Zeek leaves out messages whose variables are not well-formed"
    return None


LOG = Log(
    name="snmp",
    table="net_service_activity",
    where=lambda row: row["protocol"] == "snmp",
    fields={
        "ts": "time", "duration": "duration_s", "version": "protocol_version",
        "community": "community", "get_requests": "get_requests",
        "get_bulk_requests": "get_bulk_requests", "get_responses": "get_responses",
        "set_requests": "set_requests", "display_string": "display_string",
        "up_since": "up_since",
    },
    intended=intended,
)

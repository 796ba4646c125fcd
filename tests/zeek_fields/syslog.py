"""syslog.log: a message."""

from tests.zeek_fields.log import Log, Row


def intended(name: str, theirs: Row | None, own: Row | None) -> str | None:
    if theirs is None and own is not None:
        if own["transport"] == "tcp":
            return "Zeek does not read syslog over TCP"
        if own["dst_port"] != 514:
            return "Zeek knows syslog by port 514 alone"
    return None


LOG = Log(
    name="syslog",
    table="net_service_activity",
    where=lambda row: row["protocol"] == "syslog",
    fields={
        "ts": "time", "proto": "transport", "facility": "facility", "severity": "severity",
        "message": "message",
    },
    intended=intended,
)

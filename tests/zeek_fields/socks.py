"""socks.log: what a proxy was asked for."""

from tests.zeek_fields.log import Log, Row


def intended(name: str, theirs: Row | None, own: Row | None) -> str | None:
    if name == "request.host" and own is not None and ":" in (own.get("target_ip") or ""):
        return "Zeek 7 misreads IPv6 addresses"
    return None


LOG = Log(
    name="socks",
    table="remote_access_activity",
    where=lambda row: row["protocol"] == "socks",
    fields={
        "ts": "time", "version": lambda row: int(row["protocol_version"]), "user": "user_name",
        "status": "result", "request.host": "target_ip", "request.name": "target_name",
        "request_p": "target_port", "bound.host": "bound_ip", "bound.name": "bound_name",
        "bound_p": "bound_port",
    },
    intended=intended,
)

"""dhcp.log: what was said under one transaction id. Its lines name flows, not ends."""

from tests.zeek_fields.log import Key, Log, Row


def of_zeek(row: Row) -> Key:
    return (row.get("mac"),)


def own(row: Row) -> Key:
    return (row.get("client_mac"),)


def intended(name: str, theirs: Row | None, own: Row | None) -> str | None:
    if own is not None and own.get("time") is None and name in ("ts", "duration"):
        return "a packet without a time has none here; Zeek says 1970"
    if name in ("ts", "duration") and theirs is not None and theirs["ts"] == 1.0:
        return "a packet without a time: Zeek says 1970"
    return None


LOG = Log(
    name="dhcp",
    table="net_service_activity",
    where=lambda row: row["protocol"] == "dhcp",
    fields={
        "ts": "time", "client_addr": "client_ip", "server_addr": "server_ip", "mac": "client_mac",
        "host_name": "hostname", "client_fqdn": "fqdn", "domain": "domain",
        "requested_addr": "requested_ip", "assigned_addr": "assigned_ip",
        "lease_time": "lease_s", "client_message": "client_message",
        "server_message": "server_message", "msg_types": "message_types",
        "duration": "duration_s",
    },
    zeek_key=of_zeek,
    own_key=own,
    intended=intended,
)

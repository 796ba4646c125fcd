"""mqtt_connect.log: a connection and its answer."""

from tests.zeek_fields.log import Log, Row


def intended(name: str, theirs: Row | None, own: Row | None) -> str | None:
    if theirs is None and own is not None and own.get("connect_status") is None:
        return "a connection without an answer is no line of Zeek's"
    if name and own is not None and own.get("protocol_version") == "5.0":
        return "Zeek 7 reads MQTT 5 as if it were 3.1.1"
    return None


LOG = Log(
    name="mqtt_connect",
    table="net_service_activity",
    where=lambda row: row["protocol"] == "mqtt" and row["command"] == "CONNECT",
    fields={
        "proto_name": "protocol_name", "proto_version": "protocol_version",
        "client_id": "client_id", "connect_status": "connect_status",
        "will_topic": "will_topic", "will_payload": "will_payload", "ts": "time",
    },
    intended=intended,
)

"""mqtt_publish.log: a message."""

from tests.zeek_fields.log import Log, Row


def intended(name: str, theirs: Row | None, own: Row | None) -> str | None:
    if theirs is None and own is not None and own["delivery"] != "ok":
        return "Zeek forgets what is not acknowledged before the flow ends"
    if theirs is None:
        return "Zeek leaves a flow at the first message that it cannot read"
    if name not in ("payload", "payload_len") or theirs is None or own is None:
        return None
    if theirs["payload_len"] > own["payload_len"]:
        return "Zeek 7 takes the properties of MQTT 5 for payload"
    return None


LOG = Log(
    name="mqtt_publish",
    table="net_service_activity",
    where=lambda row: row["protocol"] == "mqtt" and row["command"] == "PUBLISH",
    fields={
        "ts": "time", "from_client": "from_client", "retain": "retain", "qos": "qos",
        "status": "delivery", "topic": "topic", "payload": "payload",
        "payload_len": "payload_len",
    },
    intended=intended,
)

"""mqtt_subscribe.log: topics that are subscribed to, or no longer."""

from tests.zeek_fields.log import Log, Row


def intended(name: str, theirs: Row | None, own: Row | None) -> str | None:
    if theirs is None and own is not None and not own["ack"]:
        return "Zeek forgets what is not acknowledged before the flow ends"
    if theirs is None:
        return "Zeek leaves a flow at the first message that it cannot read"
    return None


LOG = Log(
    name="mqtt_subscribe",
    table="net_service_activity",
    where=lambda row: row["protocol"] == "mqtt" and row["command"].endswith("SUBSCRIBE"),
    fields={
        "ts": "time", "action": lambda row: f"MQTT::{row['command']}", "topics": "topics",
        "qos_levels": "qos_levels", "granted_qos_level": "granted_qos_level", "ack": "ack",
    },
    intended=intended,
)

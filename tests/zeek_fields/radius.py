"""radius.log: a request and its answer."""

from tests.zeek_fields.log import Log, Row


def intended(name: str, theirs: Row | None, own: Row | None) -> str | None:
    if theirs is None and own is not None and own["dst_port"] != 1812:
        return "Zeek knows RADIUS by port 1812 alone"
    if theirs is None:
        return "Zeek leaves a flow at the first message that it cannot read (fuzzed captures)"
    return None


LOG = Log(
    name="radius",
    table="net_service_activity",
    where=lambda row: row["protocol"] == "radius",
    fields={
        "ts": "time", "username": "user_name", "mac": "client_mac", "framed_addr": "framed_ip",
        "tunnel_client": "tunnel_client", "connect_info": "connect_info", "reply_msg": "reply",
        "result": "result", "ttl": "rtt_s",
    },
    loose={"reply_msg": "Zeek reads it in challenges only", "framed_addr": "the same"},
    intended=intended,
)

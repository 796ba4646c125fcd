"""websocket.log: here the row of the request that was upgraded."""

from typing import Any

from tests.zeek_fields.http import uri
from tests.zeek_fields.log import Log


def first(column: str) -> Any:
    return lambda row: row[column][0] if row.get(column) else None


LOG = Log(
    name="websocket",
    table="http_activity",
    where=lambda row: (row.get("upgrade_protocol") or "").lower() == "websocket",
    fields={
        "host": "url_hostname", "uri": uri, "user_agent": "user_agent",
        "subprotocol": first("ws_protocol"), "client_protocols": "ws_client_protocols",
        "server_extensions": "ws_server_extensions",
        "client_extensions": "ws_client_extensions",
    },
)

"""mysql.log: a login or command and its answer."""

from tests.zeek_fields.log import Log, Row


def success(row: Row) -> bool | None:
    status = row.get("status_id")
    return None if status is None else status == 1


LOG = Log(
    name="mysql",
    table="net_service_activity",
    where=lambda row: row["protocol"] == "mysql",
    fields={
        "ts": "time", "cmd": "command", "arg": "argument", "success": success,
        "rows": "result_rows", "response": "reply",
    },
)

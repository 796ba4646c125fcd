"""mysql.log: a login or command and its answer."""

from tests.zeek_fields.log import Log, Row


def success(row: Row) -> bool | None:
    status = row.get("status_id")
    return None if status is None else status == 1


def intended(name: str, theirs: Row | None, own: Row | None) -> str | None:
    if theirs is None and own is not None and own["dst_port"] not in (1434, 3306):
        return "Zeek knows MySQL by its ports alone"
    return None


LOG = Log(
    name="mysql",
    table="net_service_activity",
    where=lambda row: row["protocol"] == "mysql",
    fields={
        "ts": "time", "cmd": "command", "arg": "argument", "success": success,
        "rows": "result_rows", "response": "reply",
    },
    intended=intended,
)

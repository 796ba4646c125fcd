"""modbus.log: a message."""

from tests.zeek_fields.log import Log, Row


def intended(name: str, theirs: Row | None, own: Row | None) -> str | None:
    if name == "func" and theirs is not None and theirs["func"].startswith("unknown-"):
        return "functions of vendors have the names that later versions of Zeek give them"
    if own is None and theirs is not None and theirs["func"] == "READ_COILS_EXCEPTION":
        return "Zeek 7 writes an exception of ReadCoils twice"
    if theirs is None:
        return "Zeek leaves a flow whose message breaks a rule, and most exceptions out"
    return None


LOG = Log(
    name="modbus",
    table="ics_activity",
    where=lambda row: row["protocol"] == "modbus",
    fields={
        "ts": "time", "tid": "transaction_id", "unit": "unit_id", "func": "function",
        "pdu_type": "message_type", "exception": "exception",
    },
    intended=intended,
)

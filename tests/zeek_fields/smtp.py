"""smtp.log."""

from typing import Any

from tests.zeek_fields.log import Log, Row


def each(column: str) -> Any:
    """A set: its order means nothing."""
    return lambda row: sorted(row[column]) if row.get(column) else None


def intended(name: str, theirs: Row | None, own: Row | None) -> str | None:
    if theirs is None and own is not None and (own.get("parse_flags") or 0) & 1:
        return "the flow's beginning is not in the capture: Zeek reads no SMTP there"
    if name in ("rcptto", "to", "cc") and theirs is not None and own is not None:
        column = {"rcptto": "rcpt_to", "to": "header_to", "cc": "header_cc"}[name]
        if sorted(theirs.get(name) or []) == sorted(own.get(column) or []):
            return "a set in another order"
    return None


LOG = Log(
    name="smtp",
    table="net_service_activity",
    where=lambda row: row["protocol"] == "smtp",
    fields={
        "trans_depth": "trans_depth", "helo": "helo", "mailfrom": "mail_from",
        "rcptto": "rcpt_to", "date": "header_date", "from": "header_from", "to": "header_to",
        "cc": "header_cc", "reply_to": "header_reply_to", "msg_id": "message_uid",
        "in_reply_to": "in_reply_to", "subject": "subject",
        "x_originating_ip": "x_originating_ip", "first_received": "first_received",
        "second_received": "second_received", "last_reply": "last_reply", "path": "mail_path",
        "user_agent": "user_agent", "tls": lambda row: bool(row.get("tls")),
    },
    intended=intended,
)

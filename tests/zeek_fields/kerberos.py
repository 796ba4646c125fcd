"""kerberos.log: a ticket that was asked for."""

from tests.zeek_fields.log import Log, Row


def client(row: Row) -> str | None:
    user, domain = row.get("user_name"), row.get("user_domain")
    if user is None and domain is None:
        return None
    return ("" if user is None else f"{user}/") + (domain or "")


def success(row: Row) -> bool | None:
    status = row.get("status_id")
    return None if status is None else status == 1


def intended(name: str, theirs: Row | None, own: Row | None) -> str | None:
    if theirs is None:
        assert own is not None
        wanted = "Need to use PA-ENC-TIMESTAMP/PA-PK-AS-REQ"
        if own.get("status_detail") in ("NEEDED_PREAUTH", wanted):
            return "that pre-authentication was wanted is no line of Zeek's"
        return "Zeek writes one line a connection, whatever was asked in it"
    if name == "ts" and own is not None and 0 < theirs["ts"] - own["time"] < 1:
        return "a message begins with its first packet; Zeek has it when it is whole"
    return None


LOG = Log(
    name="kerberos",
    table="authentication",
    where=lambda row: row.get("auth_protocol") == "Kerberos",
    fields={
        "ts": "time", "request_type": "request_type", "client": client, "service": "service_name",
        "success": success,
        "error_msg": "status_detail", "from": "ticket_from", "till": "ticket_till",
        "cipher": "ticket_cipher", "forwardable": "forwardable", "renewable": "renewable",
    },
    loose={
        "request_type": "Zeek names AS and TGS only", "service": "of the ticket that was shown",
        "cipher": "the same",
    },
    intended=intended,
)

"""dnp3.log: a request and its response. Zeek's time is the response's, ours the request's."""

from tests.zeek_fields.log import Log, Row


def intended(name: str, theirs: Row | None, own: Row | None) -> str | None:
    if theirs is None and own is not None and own.get("reply_function") is None:
        return "a request that another one followed is a row; Zeek forgets it"
    if theirs is None:
        return "Zeek leaves a flow at the first object that it does not know"
    if name in ("fc_reply", "iin") and theirs.get("fc_reply") is None:
        return "the same: it could not read the response"
    return None


LOG = Log(
    name="dnp3",
    table="ics_activity",
    where=lambda row: row["protocol"] == "dnp3",
    fields={"fc_request": "function", "fc_reply": "reply_function", "iin": "indications"},
    intended=intended,
)

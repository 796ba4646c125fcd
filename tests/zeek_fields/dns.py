"""dns.log over TCP (that over UDP is compared in tests/zeek.py, difference by difference)."""

from tests.zeek_fields.log import Log, Row


def intended(name: str, theirs: Row | None, own: Row | None) -> str | None:
    if theirs is None and own is not None and own["dst_port"] != 53:
        return "DNS known by content on a port that is not its own"
    if name == "AA" and theirs and own and own["aa"] and "answers" not in theirs:
        return "flags are those of the message that carries them"
    return None


LOG = Log(
    name="dns",
    table="dns_activity",
    where=lambda row: row["transport"] == "tcp",
    theirs=lambda row: row["proto"] == "tcp",
    fields={
        "query": "query_hostname", "qtype": "query_type_id", "qtype_name": "query_type",
        "qclass": "query_class_id", "rcode": "rcode_id", "rcode_name": "rcode",
        "answers": "answers", "TTLs": "ttls", "trans_id": "transaction_id",
        "AA": lambda row: bool(row["aa"]), "TC": lambda row: bool(row["tc"]),
        "RD": lambda row: bool(row["rd"]), "RA": lambda row: bool(row["ra"]),
        "rejected": lambda row: bool(row["rejected"]),
    },
    intended=intended,
    loose={"qtype": "what the answer repeats", "qtype_name": "the same", "qclass": "the same",
           "query": "the same"},
)

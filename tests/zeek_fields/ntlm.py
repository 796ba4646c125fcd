"""ntlm.log: logons by NTLM."""

from tests.zeek_fields.log import Log, Row


def success(row: Row) -> bool | None:
    return None if row.get("status_id") is None else bool(row.get("status_id") == 1)


def intended(name: str, theirs: Row | None, own: Row | None) -> str | None:
    if theirs is None:
        return "a further logon of the connection: Zeek writes one line of each"
    failed = own is not None and str(own.get("status_code")).startswith("0xc")
    if name == "success" and theirs.get(name) is None and failed:
        return "SMB's status says that it failed, which Zeek does not look at"
    return None


LOG = Log(
    name="ntlm",
    table="authentication",
    where=lambda row: row.get("auth_protocol") == "NTLM",
    fields={
        "username": "user_name", "hostname": "src_hostname", "domainname": "user_domain",
        "server_nb_computer_name": "server_nb_name", "server_dns_computer_name": "server_dns_name",
        "server_tree_name": "server_tree_name", "success": success,
    },
    intended=intended,
)

"""ntlm.log: logons by NTLM."""

from tests.zeek_fields.log import Log, Row


def success(row: Row) -> bool | None:
    return None if row.get("status_id") is None else bool(row.get("status_id") == 1)


LOG = Log(
    name="ntlm",
    table="authentication",
    where=lambda row: row.get("auth_protocol") == "NTLM",
    fields={
        "username": "user_name", "hostname": "src_hostname", "domainname": "user_domain",
        "server_nb_computer_name": "server_nb_name", "server_dns_computer_name": "server_dns_name",
        "server_tree_name": "server_tree_name", "success": success,
    },
)

"""Sigma's categories: which rows they mean, and the fields that are not one column.

The conditions are those that pySigma's bare backends leave out. Names of fields stand in
the columns' metadata (`sigma.*`, `sigma.<category>`).
"""

import pyarrow as pa

from tracelake.normalize.alias import Alias
from tracelake.normalize.column import note

# A host's own record, as opposed to what was seen on the wire.
HOST = "conn_uid IS NULL"
SYSMON = "log_name = 'Microsoft-Windows-Sysmon/Operational'"


def _code(*codes: int) -> str:
    listed = ", ".join(f"'{code}'" for code in codes)
    return f"event_code IN ({listed})"


def _but(*codes: int) -> str:
    """Not those Sysmon events: they are categories of their own."""
    return f"NOT coalesce({SYSMON} AND {_code(*codes)}, false)"


def _user(name: str, domain: str) -> str:
    return f"CASE WHEN {domain} IS NULL THEN {name} ELSE {domain} || '\\' || {name} END"


def _hashes(prefix: str) -> str:
    kinds = ("sha1", "md5", "sha256", "imphash")
    parts = ", ".join(f"'{kind.upper()}=' || upper({prefix}_{kind})" for kind in kinds)
    return f"nullif(concat_ws(',', {parts}), '')"


USER = {"User": _user("user_name", "user_domain")}
PROCESS = {**USER, "Hashes": _hashes("proc")}
ACCESS = {
    "SourceUser": _user("actor_user_name", "actor_user_domain"),
    "TargetUser": _user("user_name", "user_domain"),
}
FILE = {**USER, "Hashes": _hashes("file")}
MODULE = {**USER, "Hashes": _hashes("module")}
REGISTRY = {
    **USER,
    "TargetObject": "CASE WHEN reg_value_name IS NULL THEN reg_key_path "
    "ELSE reg_key_path || '\\' || reg_value_name END",
    "EventType": "coalesce(reg_event_type, CASE WHEN class_uid = 201002 THEN CASE activity_id "
    "WHEN 2 THEN 'SetValue' WHEN 3 THEN 'SetValue' WHEN 4 THEN 'DeleteValue' END "
    "ELSE CASE activity_id WHEN 1 THEN 'CreateKey' WHEN 4 THEN 'DeleteKey' "
    "WHEN 5 THEN 'RenameKey' END END)",
}
NETWORK = {
    **USER,
    "Initiated": "CASE direction_id WHEN 2 THEN 'true' WHEN 1 THEN 'false' END",
    "SourceIsIpv6": "CASE WHEN src_ip LIKE '%:%' THEN 'true' WHEN src_ip IS NOT NULL "
    "THEN 'false' END",
    "DestinationIsIpv6": "CASE WHEN dst_ip LIKE '%:%' THEN 'true' WHEN dst_ip IS NOT NULL "
    "THEN 'false' END",
}
URI = "url_path || CASE WHEN url_query IS NULL THEN '' ELSE '?' || url_query END"

CATEGORIES: dict[str, Alias] = {
    "process_creation": Alias("process_activity", "activity_id = 1", PROCESS),
    "process_termination": Alias("process_activity", "activity_id = 2", USER),
    "process_access": Alias("process_activity", "activity_id = 3", ACCESS),
    "create_remote_thread": Alias("process_activity", f"activity_id = 4 AND {_but(25)}", ACCESS),
    "process_tampering": Alias("process_activity", f"activity_id = 4 AND {_code(25)}", USER),
    "file_event": Alias(
        "file_activity", f"activity_id = 1 AND {_but(15, 27, 28, 29)}", FILE
    ),
    "file_access": Alias("file_activity", f"activity_id IN (2, 14) AND {_but(9)}", FILE),
    "file_change": Alias("file_activity", "activity_id = 6", FILE),
    "file_delete": Alias("file_activity", f"activity_id = 4 AND {_but(28)}", FILE),
    "file_rename": Alias("file_activity", "activity_id = 5", FILE),
    "create_stream_hash": Alias(
        "file_activity", "activity_id = 1 AND file_ads IS NOT NULL", FILE
    ),
    "raw_access_thread": Alias("file_activity", f"{SYSMON} AND {_code(9)}", FILE),
    "file_block_executable": Alias("file_activity", f"{SYSMON} AND {_code(27)}", FILE),
    "file_block_shredding": Alias("file_activity", f"{SYSMON} AND {_code(28)}", FILE),
    "file_executable_detected": Alias("file_activity", f"{SYSMON} AND {_code(29)}", FILE),
    "image_load": Alias("module_activity", "class_uid = 1005", MODULE),
    "driver_load": Alias("module_activity", "class_uid = 1002", MODULE),
    "registry_event": Alias("registry_activity", "class_uid IN (201001, 201002)", REGISTRY),
    "registry_add": Alias("registry_activity", "class_uid = 201001 AND activity_id = 1", REGISTRY),
    "registry_delete": Alias(
        "registry_activity", "class_uid IN (201001, 201002) AND activity_id = 4", REGISTRY
    ),
    "registry_set": Alias(
        "registry_activity", "class_uid = 201002 AND activity_id IN (2, 3)", REGISTRY
    ),
    "registry_rename": Alias(
        "registry_activity", "class_uid = 201001 AND activity_id = 5", REGISTRY
    ),
    "network_connection": Alias(
        "network_activity", f"activity_id IN (1, 4) AND {HOST}", NETWORK
    ),
    "firewall": Alias(
        "network_activity", "",
        {"action": "CASE action_id WHEN 1 THEN 'accept' WHEN 2 THEN 'deny' END",
         "blocked": "action_id = 2"},
    ),
    "dns_query": Alias(
        "dns_activity", HOST, {**USER, "QueryResults": "array_to_string(answers, ';')"}
    ),
    "dns": Alias("dns_activity", "", {"answer": "array_to_string(answers, ';')"}),
    "proxy": Alias(
        "http_activity", "",
        {"c-uri": f"coalesce(url_scheme || '://', '') || coalesce(url_hostname, '') || {URI}",
         "cs-uri": URI},
    ),
    "webserver": Alias("http_activity", "", {"c-uri": URI, "cs-uri": URI}),
    "pipe_created": Alias("smb_activity", f"named_pipe IS NOT NULL AND {HOST}", USER),
    "ps_script": Alias("script_activity", _code(4104), USER),
    "ps_module": Alias("script_activity", _code(4103), USER),
    "ps_classic_start": Alias("script_activity", _code(400), USER),
    "ps_classic_provider_start": Alias("script_activity", _code(600), USER),
    "ps_classic_script": Alias("script_activity", _code(800), USER),
    "wmi_event": Alias("artifact_query", "artifact = 'wmi_subscription'", {
        "User": "user_name", "Name": "subject_name", "Destination": "cmd_line",
    }),
    "sysmon_status": Alias("event_log_activity", f"{SYSMON} AND {_code(4, 16)}"),
    "sysmon_error": Alias("raw_event", f"{SYSMON} AND {_code(255)}"),
    "clipboard_capture": Alias("raw_event", f"{SYSMON} AND {_code(24)}"),
    "antivirus": Alias("detection_finding", "", USER),
}

# In every view of Sigma names: what Windows' own fields are when they are not one column.
COMMON = {"EventID": "TRY_CAST(event_code AS INTEGER)"}


def names(field: pa.Field, category: str) -> list[str]:
    """The column's Sigma names in a category; none where it has none there."""
    found = note(field, f"sigma.{category}") or note(field, "sigma.*")
    return found.split() if found else []

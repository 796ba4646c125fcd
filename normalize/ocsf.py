"""OCSF 1.8.0: its classes, and how a table's columns stand in their objects."""

import re
from dataclasses import dataclass

import pyarrow as pa

from tracelake.normalize.column import note
from tracelake.normalize.table import Table

VERSION = "1.8.0"

CLASSES = {
    0: "base_event",
    1001: "file_activity",
    1002: "kernel_extension_activity",
    1005: "module_activity",
    1006: "scheduled_job_activity",
    1007: "process_activity",
    1008: "event_log_activity",
    1009: "script_activity",
    1010: "peripheral_activity",
    2004: "detection_finding",
    3001: "account_change",
    3002: "authentication",
    3003: "authorize_session",
    3004: "entity_management",
    3005: "user_access",
    3006: "group_management",
    4001: "network_activity",
    4002: "http_activity",
    4003: "dns_activity",
    4004: "dhcp_activity",
    4005: "rdp_activity",
    4006: "smb_activity",
    4007: "ssh_activity",
    4008: "ftp_activity",
    4009: "email_activity",
    4010: "network_file_activity",
    4011: "email_file_activity",
    4012: "email_url_activity",
    4013: "ntp_activity",
    4014: "tunnel_activity",
    5001: "inventory_info",
    5003: "user_inventory",
    5007: "file_query",
    5010: "job_query",
    5011: "module_query",
    5012: "network_connection_query",
    5015: "process_query",
    5016: "service_query",
    5017: "session_query",
    5020: "software_info",
    5022: "startup_item_query",
    6001: "web_resources_activity",
    6002: "application_lifecycle",
    6003: "api_activity",
    6007: "scan_activity",
    201001: "registry_key_activity",
    201002: "registry_value_activity",
    201004: "windows_service_activity",
    205004: "registry_key_query",
    205005: "registry_value_query",
    205019: "prefetch_query",
}
"""class_uid -> name, for every class that a table's rows may be of.

1008 is spelt as it is meant: the schema's own file says `event_log_actvity`."""

SEGMENT = re.compile(r"(\w+)(?:\[(?:(\d*)|(\w+)=(\d+))\])?$")


@dataclass(frozen=True, slots=True)
class Segment:
    """One step of a path.

    Attributes:
        name: of the attribute.
        array: "" none, "items" (`[]`), "one" (`[0]`) or "keyed" (`[algorithm_id=3]`).
        key, value: of a keyed one.
    """

    name: str
    array: str = ""
    key: str = ""
    value: int = 0


def segments(path: str) -> list[Segment]:
    """A path, step by step. Raises ValueError where it is not well-formed."""
    steps = []
    for part in path.split("."):
        match = SEGMENT.match(part)
        if match is None:
            raise ValueError(f"not a path: {path}")
        name, index, key, value = match.groups()
        if key:
            steps.append(Segment(name, "keyed", key, int(value)))
        else:
            steps.append(Segment(name, "" if index is None else "one" if index else "items"))
    return steps


def path_of(field: pa.Field, class_uid: int) -> str | None:
    """Where the column stands in that class, or None: nowhere."""
    own = note(field, f"ocsf.path.{class_uid}")
    if own is not None:
        return own
    metadata = field.metadata or {}
    if any(key.startswith(b"ocsf.path.") for key in metadata):
        return None
    return note(field, "ocsf.path")


def views(tables: dict[str, Table]) -> dict[str, tuple[Table, int]]:
    """Name of each view -> its table and class: the class's name, or the table's where
    another table has that name already."""
    found: dict[str, tuple[Table, int]] = {}
    later = []
    for table in tables.values():
        for uid in table.classes:
            if CLASSES[uid] in found or (CLASSES[uid] in tables and CLASSES[uid] != table.name):
                later.append((table, uid))
            else:
                found[CLASSES[uid]] = (table, uid)
    for table, uid in later:
        if table.name in found:
            raise ValueError(f"two views ocsf.{table.name}")
        found[table.name] = (table, uid)
    return found

"""What the tables of ESE databases mean: SRUM, WebCache, User Access Logging, ntds.dit, BITS.

Sheets are made for the tables that a database has, since names have numbers (`Container_7`) or are
GUIDs of providers that come with each version of Windows.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from tracelake.parsers.bits_jobs import Job, file_of, guid_text, job_of
from tracelake.parsers.epochs import Moment, filetime, ole, scaled, written
from tracelake.parsers.sheets import Place, Sheet, Time, Values, hostname
from tracelake.parsers.texts_in import prefixed_texts

USAGE = {"class_uid": 205019, "activity_id": 1}
HTTP = {"class_uid": 6001, "activity_id": 1}
TRAFFIC = 6
OTHER = 99
USER_CLASS = 5003
# Extensions of the System Resource Usage Monitor.
SRUM = {
    "{D10CA2FE-6FCF-4F6D-848E-B2E99266FA89}": "srum_application",
    "{D10CA2FE-6FCF-4F6D-848E-B2E99266FA86}": "srum_push_notification",
    "{973F5D5C-1D90-4944-BE8E-24B94231A174}": "srum_network_usage",
    "{DD6636C4-8929-4683-974E-22C046A43763}": "srum_network_connectivity",
    "{FEE4E14F-02A9-4550-B5CE-5FA2DA202E37}": "srum_energy",
    "{FEE4E14F-02A9-4550-B5CE-5FA2DA202E37}LT": "srum_energy_long_term",
    "{97C2CE28-A37B-4920-B1E9-8B76CD341EC5}": "srum_energy_estimation",
    "{DA73FB89-2BEA-4DDC-86B8-6E048C6DA477}": "srum_energy_estimator",
    "{B6D82AF1-F780-4E17-8077-6CB9AD8A6FC4}": "srum_tagged_energy",
    "{5C8CF1C7-7257-4F13-B223-970EF5939312}": "srum_app_timeline",
    "{7ACBBAA3-D029-4BE4-9A7A-0885927F1D8F}": "srum_vfu",
    "{17F4D97B-F26A-5E79-3A82-90040A47D13D}": "srum_volume",
    "{841A7317-3805-518B-C2EA-AD224CB4AF84}": "srum_disk",
    "{DC3D3B50-BB90-5066-FA4E-A5F90DD8B677}": "srum_processor",
    "{EEE2F477-0659-5C47-EF03-6D6BEFD441B3}": "srum_network",
}
NETWORK_USAGE = "{973F5D5C-1D90-4944-BE8E-24B94231A174}"
SID_TYPE = 3
# Roles of Windows Server, as User Access Logging names them.
ROLES = {
    "{10A9226F-50EE-49D8-A393-9A501D47CE04}": "File Server",
    "{AD495FC3-0EAA-413D-BA7D-8B13FA7EC598}": "Active Directory Domain Services",
    "{C50FCC83-BC8D-4DF5-8A3D-89D7F80F074B}": "Active Directory Certificate Services",
    "{7FB09BD3-7FE6-435E-8348-7D8AEFB6CEA3}": "Print and Document Services",
    "{D6256CF7-98FB-4EB4-AA18-303F1DA1F770}": "Web Server",
}
CONTAINER = re.compile(r"Container_(\d+)")
COOKIES = re.compile(r"CookieEntryEx_(\d+)")
# "Visited: anna@http://..", ":2021010120210102: anna@http://..", "Cookie:anna@host/"
CACHED = re.compile(r"(?:[A-Za-z]+:|:\d{16}:)\s*([^@/:]+)@(.*)", re.DOTALL)
KINDS = {"history": "visit", "mshist": "visit", "content": "cache", "cookie": "cookie",
         "iedownload": "download", "domstore": "dom_storage"}  # fmt: skip


def date(value: Any) -> Moment | None:
    """A date column: FILETIME where it is an integer, days since 1899 where it is not."""
    return ole(value) if isinstance(value, float) else filetime(value)


def since_1601(value: Any) -> Moment | None:
    """Seconds since 1601 (Active Directory)."""
    return scaled(value, 1, -11_644_473_600) if isinstance(value, int) and value > 0 else None


def sid_text(data: Any, turned: bool = False) -> str | None:
    """A SID as text. `turned`: its last number stands in network order (Active Directory)."""
    if not isinstance(data, bytes) or len(data) < 8 or data[0] != 1:
        return None
    count = data[1]
    if count > 15 or len(data) < 8 + 4 * count:
        return None
    parts = [int.from_bytes(data[8 + 4 * i : 12 + 4 * i], "little") for i in range(count)]
    if turned and parts:
        parts[-1] = int.from_bytes(data[4 + 4 * count : 8 + 4 * count], "big")
    return "-".join(["S-1", str(int.from_bytes(data[2:8], "big")), *map(str, parts)])


@dataclass(frozen=True, slots=True)
class Named:
    """What an id of SRUM stands for. Attributes: kind: 0 program, 1 service, 2 package, 3 user."""

    kind: int
    text: str


def srum_names(records: Iterable[Mapping[str, Any]]) -> dict[int, Named]:
    """`SruDbIdMapTable`: id -> what it stands for."""
    names: dict[int, Named] = {}
    for record in records:
        kind, number, blob = (record.get(k) for k in ("IdType", "IdIndex", "IdBlob"))
        if not isinstance(kind, int) or not isinstance(number, int):
            continue
        if kind == SID_TYPE:
            text = sid_text(blob)
        elif isinstance(blob, bytes):
            text = blob.decode("utf-16-le", "replace").rstrip("\0")
        else:
            text = None
        names[number] = Named(kind, text or "")
    return names


SERVED = re.compile(r"(.*\\[^\\]*) \[([^\]]*)\]")


def program(rest: Values, ours: Values, path: str, name: str) -> None:
    """A program as SRUM writes it: a path, with the service that it ran or without,
    `!!name!time of linking!size!service`, or the name of a package or service alone."""
    value = rest.get("application")
    if not isinstance(value, str) or not value:
        return
    parts = value.split("!")
    if value.startswith("!!") and len(parts) > 2:
        ours[name] = parts[2]
        return
    if found := SERVED.fullmatch(value):
        value, rest["service"] = found.groups()
    if "\\" in value:
        ours[path] = value
    ours[name] = value.rsplit("\\", 1)[-1]


def srum(tables: Mapping[str, tuple[str, ...]], names: Mapping[int, Named]) -> list[Sheet]:
    """A sheet for each table of a provider."""

    def resolved(rest: Values, ours: Values) -> None:
        app, user = names.get(rest.get("AppId", -1)), names.get(rest.get("UserId", -1))
        if app is not None and app.text:
            rest["application"] = app.text
        if user is not None and user.text:
            ours["user_uid"] = user.text
            rest.pop("UserId", None)

    def used(rest: Values, ours: Values, _place: Place) -> None:
        resolved(rest, ours)
        program(rest, ours, "subject_path", "subject_name")

    def sent(rest: Values, ours: Values, _place: Place) -> None:
        resolved(rest, ours)
        program(rest, ours, "actor_path", "actor_name")

    sheets = []
    for table, columns in tables.items():
        if not {"TimeStamp", "AppId", "UserId"} <= set(columns):
            continue
        kind = SRUM.get(table.upper(), "srum")
        times = (
            Time("TimeStamp", date, "recorded"),
            Time("EndTime", filetime, "ended"), Time("StartTime", filetime, "started"),
            Time("ConnectStartTime", filetime, "connected"),
            Time("EventTimestamp", filetime, "event"),
        )  # fmt: skip
        if table.upper() == NETWORK_USAGE:
            sheets.append(Sheet(
                kind, table, (), "network_activity",
                {"bytes_out": "BytesSent", "bytes_in": "BytesRecvd"}, times,
                {"activity_id": TRAFFIC, "log_provider": "SRUM", "event_code": kind},
                finish=sent,
            ))  # fmt: skip
        amounts = {"bytes_out": ("BytesSent", "BytesOutBound"),
                   "bytes_in": ("BytesRecvd", "BytesInBound")}  # fmt: skip
        sheets.append(Sheet(
            kind, table, (), "artifact_query", amounts, times, USAGE | {"artifact": kind},
            finish=used,
        ))  # fmt: skip
    return sheets


def web_cache(
    tables: Mapping[str, tuple[str, ...]], containers: Mapping[int, Mapping[str, Any]]
) -> list[Sheet]:
    """A sheet for each container of WebCacheV01.dat."""

    def cached(kind: str) -> Any:
        def finish(rest: Values, ours: Values, _place: Place) -> None:
            ours["browser"] = "internet explorer"
            found = CACHED.fullmatch(str(ours.get("url", "")))
            if found:
                rest["Url"] = ours["url"]
                ours["user_name"], ours["url"] = found.groups()
                ours["url_hostname"] = None
                if "://" not in ours["url"] and kind == "cookie":
                    ours["url_hostname"] = ours["url"].split("/")[0]
            if kind == "download" and isinstance(rest.get("ResponseHeaders"), bytes):
                texts = prefixed_texts(rest["ResponseHeaders"]) or ended_texts(
                    rest["ResponseHeaders"]
                )
                web = [t for t in texts if "://" in t]
                ours["url"] = web[-1] if web else ours.get("url")
                ours["file_path"] = texts[-1] if texts and "\\" in texts[-1] else None
            if ours.get("url_hostname") is None:
                ours.pop("url_hostname", None)

        return finish

    sheets = []
    for table in tables:
        found = CONTAINER.fullmatch(table)
        if not found:
            if COOKIES.fullmatch(table):
                sheets.append(Sheet(
                    "cookie", table, (), "browser_activity", {"title": "Name"},
                    (Time("LastModified", filetime, "cookie set"),
                     Time("Expires", filetime, "expires")),
                    HTTP | {"record_type": "cookie", "browser": "internet explorer"},
                ))  # fmt: skip
            continue
        name = str(containers.get(int(found.group(1)), {}).get("Name", ""))
        kind = next((k for word, k in KINDS.items() if name.lower().startswith(word)), "cache")
        sheets.append(Sheet(
            kind, table, (), "browser_activity",
            {"url": "Url", "visit_count": "AccessCount", "bytes": "FileSize",
             "file_path": "Filename"},
            (Time("AccessedTime", filetime, "visited" if kind == "visit" else "accessed"),
             Time("CreationTime", filetime, "created"), Time("ModifiedTime", filetime, "modified"),
             Time("SyncTime", filetime, "synchronized"), Time("ExpiryTime", filetime, "expires"),
             Time("PostCheckTime", filetime, "checked")),
            HTTP | {"record_type": kind, "log_name": f"{table} ({name})" if name else table},
            finish=cached(kind),
        ))  # fmt: skip
    return sheets


def ended_texts(data: bytes) -> list[str]:
    """UTF-16 texts that end with a NUL, as history of downloads has them."""
    texts = data.decode("utf-16-le", "replace").split("\0")
    return [text for text in texts if len(text) > 3 and text.isprintable() and text.isascii()]


def client(rest: Values, ours: Values, _place: Place) -> None:
    """Who used a role of this server, from where."""
    address = rest.get("Address")
    if isinstance(address, bytes) and len(address) in (4, 16):
        ours["src_ip"] = str(ip_address(address))
        rest.pop("Address")
    role = rest.get("RoleGuid")
    if isinstance(role, str):
        ours["service_uid"] = role
        ours["service_name"] = ROLES.get(role)
        rest.pop("RoleGuid")
    user = rest.get("AuthenticatedUserName")
    if isinstance(user, str) and user:
        domain, _, name = user.rpartition("\\")
        ours["user_name"], ours["user_domain"] = name, domain or None
        rest.pop("AuthenticatedUserName")


LOGGED = {"activity_id": OTHER, "log_provider": "User Access Logging"}
UAL = (
    Sheet(
        "client", "CLIENTS", ("RoleGuid", "LastAccess", "Address"), "authentication",
        {"src_hostname": "ClientName"},
        (Time("LastAccess", date, "last access"), Time("InsertDate", date, "first access")),
        LOGGED | {"status_id": 1, "is_remote": True}, finish=client,
    ),
    Sheet(
        "role", "ROLE_ACCESS", ("RoleGuid", "FirstSeen", "LastSeen"), "raw_event", {},
        (Time("LastSeen", date, "last seen"), Time("FirstSeen", date, "first seen")), LOGGED,
        finish=lambda rest, ours, _place: ours.update(
            message=ROLES.get(str(rest.get("RoleGuid")))
        ),
    ),
    Sheet(
        "dns", "DNS", ("LastSeen", "Address", "HostName"), "raw_event", {"message": "HostName"},
        (Time("LastSeen", date, "last seen"),), LOGGED,
    ),
    Sheet(
        "vm", "VIRTUALMACHINES", ("VmGuid", "CreationTime"), "raw_event", {"message": "VmGuid"},
        (Time("LastSeenActive", date, "last seen"), Time("CreationTime", date, "created")), LOGGED,
    ),
    Sheet(
        "role_name", "ROLE_IDS", ("RoleGuid", "RoleName"), "raw_event", {"message": "RoleName"},
        (Time("LastSeen", date, "last seen"),), LOGGED,
    ),
    Sheet(
        "system", "SYSTEM_IDENTITY", ("CreationTime",), "raw_event",
        {"message": "SystemDNSHostName"},
        (Time("CreationTime", date, "created"),), LOGGED,
    ),
)  # fmt: skip

# attributeIDs of Active Directory's schema, as ntds.dit names its columns.
SECRETS = {
    "ATTk589879": "dBCSPwd", "ATTk589914": "unicodePwd", "ATTk589918": "ntPwdHistory",
    "ATTk589984": "lmPwdHistory", "ATTk589949": "supplementalCredentials",
    "ATTk590689": "pekList", "ATTk591734": "pekList",
}  # fmt: skip
TURNED_OFF = 2
NORMAL_ACCOUNT = 805306368


def account(rest: Values, ours: Values, _place: Place) -> None:
    """An account of a domain. Its secrets are not taken over; that it has them is."""
    kept = [name for column, name in SECRETS.items() if rest.pop(column, None)]
    if kept:
        rest["secrets not shown"] = ", ".join(sorted(set(kept)))
    sid = sid_text(rest.get("ATTr589970"), turned=True)
    if sid:
        ours["user_uid"] = sid
        rest.pop("ATTr589970")
    flags = ours.get("account_flags")
    if isinstance(flags, int):
        ours["is_disabled"] = bool(flags & TURNED_OFF)


NTDS = Sheet(
    "account", "datatable", ("ATTm590045", "ATTr589970"), "inventory",
    {"user_name": "ATTm590045", "user_full_name": "ATTm131085", "user_comment": "ATTm13",
     "account_flags": "ATTj589832", "logon_count": "ATTj589993", "user_home": "ATTm589868"},
    (Time("ATTl131075", since_1601, "changed"),
     Time("ATTl131074", since_1601, "created", "account_created_time"),
     Time("ATTq589876", filetime, "last logon", "last_logon_time"),
     Time("ATTq591520", filetime, "last logon (replicated)"),
     Time("ATTq589873", filetime, "last failed logon", "last_failed_logon_time"),
     Time("ATTq589920", filetime, "password set", "password_set_time"),
     Time("ATTq589983", filetime, "expires", "account_expires_time")),
    {"class_uid": USER_CLASS, "activity_id": 1, "fact": "user", "log_provider": "ntds.dit"},
    finish=account,
)  # fmt: skip


def bits(jobs: Iterable[Mapping[str, Any]]) -> tuple[Sheet, ...]:
    """Transfer jobs and their files.

    Args:
        jobs: the records of the table Jobs: they say whose the files are.
    """
    owners: dict[str, Job] = {}
    for each in jobs:
        found = job_of(each.get("Blob"))
        if found is not None:
            owners |= {uid: found for uid in found.files}

    def put_job(ours: Values, job: Job) -> None:
        ours["job_uid"], ours["job_name"] = job.uid, job.name or None
        ours["job_owner"] = job.owner or None
        if job.created is not None:
            ours["time"], ours["time_ns"] = job.created
            ours["time_desc"] = "job created"

    def a_job(rest: Values, ours: Values, _place: Place) -> None:
        blob = rest.get("Blob", b"")
        job = job_of(blob)
        if job is None:
            rest["texts"] = "\n".join(prefixed_texts(blob))
            ours["job_uid"] = guid_text(rest.get("Id")) or None
            return
        put_job(ours, job)
        rest |= {
            "job_type": job.kind, "job_priority": job.priority, "job_state": job.state,
            "description": job.description, "notify_command": job.command,
            "files": ", ".join(job.files),
            "modified": written(job.modified) if job.modified else None,
            "transferred": written(job.transferred) if job.transferred else None,
        }  # fmt: skip

    def a_file(rest: Values, ours: Values, _place: Place) -> None:
        blob = rest.get("Blob", b"")
        file = file_of(blob)
        owner = owners.get(guid_text(rest.get("Id")))
        if owner is not None:
            put_job(ours, owner)
            rest |= {"job_type": owner.kind, "job_state": owner.state}
        if file is None:
            texts = prefixed_texts(blob)
            rest["texts"] = "\n".join(texts)
            ours["url"] = next((text for text in texts if "://" in text), None)
            ours["file_path"] = next((text for text in texts if "\\" in text), None)
        else:
            ours["url"], ours["file_path"] = file.remote or None, file.local or None
            rest |= {
                "temporary_file": file.temporary, "bytes_transferred": file.done,
                "bytes_total": file.size, "drive": file.drive, "volume": file.volume,
            }  # fmt: skip
        ours["url_hostname"] = hostname(ours["url"])

    common = {"activity_id": OTHER, "log_provider": "BITS"}
    return (
        Sheet("bits_job", "Jobs", ("Id", "Blob"), "http_activity", {}, (), common, finish=a_job),
        Sheet("bits_file", "Files", ("Id", "Blob"), "http_activity", {}, (), common,
              finish=a_file),
    )  # fmt: skip


TABLES = (
    "artifact_query", "authentication", "browser_activity", "http_activity", "inventory",
    "network_activity", "raw_event",
)  # fmt: skip

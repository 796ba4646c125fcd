"""Columns that every table of events begins or ends with (design: one provenance for all)."""

from collections.abc import Iterable

import pyarrow as pa

from tracelake.normalize.column import (
    BIG,
    BOOL,
    BYTES,
    INT,
    MAP,
    SMALL,
    TEXT,
    TEXTS,
    TIME,
    TINY,
    WORD,
    column,
)
from tracelake.normalize.table import Table, table

# Which case, when, and what kind of event.
HEAD = (
    column("engagement_id", WORD, "the case that the evidence belongs to",
           ocsf="metadata.tenant_uid", ecs="organization.id", required=True),
    column("time", TIME, "when it happened, UTC; null where the record has no date",
           ocsf="time", ecs="@timestamp", zeek="ts", sigma="UtcTime"),
    column("time_ns", SMALL, "nanoseconds below the microsecond of `time`, 0 to 999"),
    column("time_desc", WORD, "which clock `time` is (created, si_modified, ...)"),
    column("class_uid", INT, "OCSF class", ocsf="class_uid"),
    column("category_uid", TINY, "OCSF category", ocsf="category_uid"),
    column("activity_id", SMALL, "OCSF activity of the class", ocsf="activity_id", stats=True),
    column("activity_name", WORD, "what was done, in the log's own words", ocsf="activity_name"),
    column("type_uid", BIG, "class_uid * 100 + activity_id", ocsf="type_uid"),
    column("severity_id", TINY, "OCSF severity: 1 informational ... 6 fatal",
           ocsf="severity_id"),
    column("status_id", TINY, "1 success, 2 failure", ocsf="status_id"),
    column("device_hostname", WORD, "host that the record is about, as the record names it",
           ocsf="device.hostname", ecs="host.hostname", sigma="Computer", bloom=True, stats=True),
    column("device_uid", WORD, "host's own id (MachineGuid, agent id)", ocsf="device.uid",
           ecs="host.id", bloom=True),
    column("device_ip", WORD, "host's address", ocsf="device.ip", ecs="host.ip", bloom=True),
    column("device_public_ip", WORD, "address that the sensor's cloud saw the host come from",
           bloom=True),
    column("device_mac", WORD, "host's link address", ocsf="device.mac", bloom=True),
    column("device_domain", WORD, "domain or workgroup of the host", ocsf="device.domain",
           ecs="host.domain"),
    column("device_type", WORD, "what kind of host it is: laptop, server, ...",
           ocsf="device.type", ecs="host.type"),
    column("device_groups", TEXTS, "groups that the sensor's console has the host in",
           ocsf="device.groups[].name"),
    column("device_group_uids", TEXTS, "their ids", ocsf="device.groups[].uid"),
    column("os_name", WORD, "operating system of the host", ocsf="device.os.name",
           ecs="host.os.name"),
    column("os_version", WORD, "its version", ocsf="device.os.version", ecs="host.os.version"),
    column("os_type", WORD, "its family: windows, linux, macos, ios, android",
           ocsf="device.os.type", ecs="host.os.type"),
    column("agent_uid", WORD, "the sensor's own id, where the host has another one",
           ocsf="device.agent_list[0].uid", ecs="agent.id", bloom=True),
    column("agent_version", WORD, "version of the sensor", ocsf="device.agent_list[0].version",
           ecs="agent.version"),
    column("org_uid", WORD, "customer, tenant or account that the sensor belongs to",
           ocsf="device.org.uid"),
    column("org_name", WORD, "its name", ocsf="device.org.name", ecs="organization.name"),
    column("org_unit_uid", WORD, "part of it that the host is in (site, unit)",
           ocsf="device.org.ou_uid"),
    column("org_unit_name", WORD, "its name", ocsf="device.org.ou_name"),
    column("device_city", WORD, "city that the host is in, by its address",
           ocsf="device.location.city", ecs="host.geo.city_name"),
    column("device_country", WORD, "its country", ocsf="device.location.country",
           ecs="host.geo.country_name"),
    column("sensor_id", WORD, "sensor and interface that saw it",
           ocsf="metadata.reporter.uid", ecs="observer.name"),
)

# What the record's own log says of it: Windows `System` and its like.
LOG = (
    column("log_provider", WORD, "who wrote the record (Windows: Provider Name)",
           ocsf="metadata.log_provider", ecs="event.provider", sigma="Provider_Name"),
    column("log_name", WORD, "the log it stood in (Windows: Channel)",
           ocsf="metadata.log_name", ecs="winlog.channel", sigma="Channel", stats=True),
    column("event_code", WORD, "the log's number or name for this kind (Windows: EventID)",
           ocsf="metadata.event_code", ecs="event.code", stats=True),
    column("original_event_uid", TEXT, "the record's id in its log, as text",
           ocsf="metadata.original_event_uid", ecs="event.id"),
    column("event_version", SMALL, "version of the event's template (Version)",
           ecs="winlog.version", sigma="Version"),
    column("event_level", SMALL, "1 critical, 2 error, 3 warning, 4 information, 5 verbose",
           ocsf="metadata.log_level", ocsf_as="VARCHAR", sigma="Level"),
    column("event_task", INT, "Task", sigma="Task", stats=False),
    column("event_opcode", SMALL, "Opcode", sigma="Opcode"),
    column("event_keywords", WORD, "Keywords, as 0x and hexadecimal digits",
           ecs="winlog.keywords", sigma="Keywords"),
    column("event_pid", BIG, "process that wrote the record (Execution ProcessID)",
           ecs="winlog.process.pid", stats=False),
    column("event_tid", BIG, "thread that wrote the record (Execution ThreadID)",
           ecs="winlog.process.thread.id", stats=False),
    column("event_activity_uid", TEXT, "Correlation ActivityID",
           ocsf="metadata.correlation_uid", ecs="winlog.activity_id"),
    column("event_related_uid", TEXT, "Correlation RelatedActivityID",
           ecs="winlog.related_activity_id"),
    column("event_user_uid", WORD, "SID under which the record was written (Security UserID)",
           ecs="winlog.user.identifier", sigma="UserID", bloom=True),
    column("event_user_name", WORD,
           "who that is, where the SID is the same on every host (NT AUTHORITY\\SYSTEM)"),
    column("log_provider_uid", WORD, "GUID of the provider", ecs="winlog.provider_guid"),
    column("logged_time", TIME, "when it was logged or received, where that is another clock",
           ocsf="metadata.logged_time", ecs="event.ingested"),
    column("message", TEXT, "text of the record, where it has one of its own",
           ocsf="message", ecs="message", sigma="Message"),
)

# Where the row comes from: enough to find and read the very bytes again.
ORIGIN = (
    column("source_id", WORD, "the evidence: first 32 hex digits of its SHA-256",
           required=True, stats=True),
    column("artifact_no", INT, "file inside the source (table `artifact`)", required=True),
    column("sub", INT, "number of the row among those that begin at the same offset",
           required=True, stats=False),
    column("record_hash", BIG, "64-bit hash of the record's own bytes or canonical fields",
           stats=False),
    column("src_offset", BIG, "offset of the record in its artifact, bytes", required=True),
    column("src_length", INT, "length of the record, bytes", stats=False),
    column("src_record_id", BIG, "record number in its log (Windows: EventRecordID)",
           ocsf="metadata.sequence", ecs="winlog.record_id", sigma="EventRecordID"),
    column("parser", WORD, "parser that read it",
           ocsf="metadata.transformation_info_list[0].name", required=True),
    column("parser_version", WORD, "its version",
           ocsf="metadata.transformation_info_list[0].uid", required=True),
    column("mapping_version", WORD, "version of the rules that named the columns",
           required=True),
    column("parse_flags", INT,
           "1 truncated, 2 from slack, 4 bad checksum, 8 time repaired, 16 name guessed, "
           "32 zone assumed, 64 year inferred, 128 text repaired", stats=False),
)

# What has no column of its own.
REST = (
    column("unmapped", MAP, "fields of the record that no column holds", ocsf="unmapped"),
    column("raw", BYTES, "the record's bytes, where they cannot be read again from the evidence",
           ocsf="raw_data", ocsf_as="VARCHAR"),
    column("labels", TEXTS, "labels put on the row", ocsf="metadata.labels", ecs="tags"),
)

BEFORE = (*HEAD, *LOG)
AFTER = (*ORIGIN, *REST)
COMMON = (*BEFORE, *AFTER)


def events(
    name: str, short: str, classes: Iterable[int], doc: str, *columns: pa.Field | Iterable[pa.Field]
) -> Table:
    """A table of events: its own columns between the common ones."""
    return table(name, short, classes, doc, BEFORE, *columns, AFTER)


def fingerprints(
    prefix: str, path: str | dict[int, str], ecs: str, what: str, sigma: bool = True
) -> list[pa.Field]:
    """The four hashes of a file, as Sysmon and EDR sensors give them, in lower case.

    Args:
        prefix: of the column names.
        path: the file object's path in OCSF, or one per class.
        ecs: its name in ECS.
        what: whose hashes.
        sigma: whether Sigma's names for single hashes mean this file.
    """
    kinds = (
        ("sha256", 3, "hash.sha256", "sha256"),
        ("sha1", 2, "hash.sha1", "sha1"),
        ("md5", 1, "hash.md5", "md5"),
        ("imphash", 99, "pe.imphash", "Imphash"),
    )


    def at(number: int) -> str | dict[int, str]:
        end = f".hashes[algorithm_id={number}].value"
        return path + end if isinstance(path, str) else {k: v + end for k, v in path.items()}

    return [
        column(f"{prefix}_{kind}", TEXT, f"{kind.upper()} of {what}", ocsf=at(number),
               ecs=f"{ecs}.{name}", sigma=alias if sigma else None, bloom=True)
        for kind, number, name, alias in kinds
    ]


def about(
    prefix: str, path: str, ecs: str | None, image: str, its: str
) -> list[pa.Field]:
    """What EDR sensors say of a process beside its path, ids and SHA-256.

    Args:
        prefix: of the column names.
        path: the process's path in OCSF.
        ecs: its name in ECS, or None.
        image, its: whose, in the columns' meanings.
    """

    def name(value: str) -> str | None:
        return f"{ecs}.{value}" if ecs else None

    return [
        column(f"{prefix}_sha1", TEXT, f"SHA-1 {image}", bloom=True,
               ocsf=f"{path}.file.hashes[algorithm_id=2].value", ecs=name("hash.sha1")),
        column(f"{prefix}_md5", TEXT, f"MD5 {image}", bloom=True,
               ocsf=f"{path}.file.hashes[algorithm_id=1].value", ecs=name("hash.md5")),
        column(f"{prefix}_signed", BOOL, f"{its} image is signed",
               ecs=name("code_signature.exists")),
        column(f"{prefix}_signer", WORD, f"who signed {its} image",
               ocsf=f"{path}.file.signature.certificate.subject",
               ecs=name("code_signature.subject_name")),
        column(f"{prefix}_desc", WORD, f"description in the version information {image}",
               ocsf=f"{path}.file.desc", ecs=name("pe.description")),
        column(f"{prefix}_created_time", TIME, f"when {its} process was made",
               ocsf=f"{path}.created_time", ecs=name("start")),
        column(f"{prefix}_integrity", WORD, f"{its} integrity level", ocsf=f"{path}.integrity"),
    ]


def ancestor(ecs: str | None) -> list[pa.Field]:
    """The parent of the process that did it."""

    def name(value: str) -> str | None:
        return f"{ecs}.{value}" if ecs else None

    path = "actor.process.parent_process"
    return [
        column("actor_parent_path", WORD, "image of its parent", ocsf=f"{path}.path",
               ecs=name("executable"), bloom=True),
        column("actor_parent_name", WORD, "file name of that image", ocsf=f"{path}.name",
               ecs=name("name")),
        column("actor_parent_cmd_line", TEXT, "command line of the parent",
               ocsf=f"{path}.cmd_line", ecs=name("command_line")),
        column("actor_parent_pid", BIG, "process id of the parent", ocsf=f"{path}.pid",
               ecs=name("pid")),
        column("actor_parent_uid", TEXT, "unique id of the parent", ocsf=f"{path}.uid",
               ecs=name("entity_id"), bloom=True),
        column("actor_parent_sha256", TEXT, "SHA-256 of the parent's image", bloom=True,
               ocsf=f"{path}.file.hashes[algorithm_id=3].value", ecs=name("hash.sha256")),
        column("actor_parent_user_name", WORD, "user of the parent, with its domain where given",
               ocsf=f"{path}.user.name", ecs=name("user.name"), bloom=True),
        column("actor_parent_user_uid", WORD, "its SID or number", ocsf=f"{path}.user.uid",
               ecs=name("user.id"), bloom=True),
        *about("actor_parent", path, ecs, "of the parent's image", "the parent's"),
    ]


def seen_by_system() -> list[pa.Field]:
    """The process that the operating system saw do it, where a sensor traces that back to another
    one, the actor (a task or a WMI call that it asked for)."""
    return [
        column("os_actor_path", WORD, "image of the process that the system saw do it, where the "
               "sensor says that it did it for the actor", bloom=True),
        column("os_actor_name", WORD, "its file name"),
        column("os_actor_cmd_line", TEXT, "its command line"),
        column("os_actor_pid", BIG, "its process id"),
        column("os_actor_uid", TEXT, "its unique id", bloom=True),
        column("os_actor_sha256", TEXT, "SHA-256 of its image", bloom=True),
        column("os_actor_sha1", TEXT, "SHA-1 of its image", bloom=True),
        column("os_actor_md5", TEXT, "MD5 of its image", bloom=True),
        column("os_actor_signed", BOOL, "its image is signed"),
        column("os_actor_signer", WORD, "who signed its image"),
        column("os_actor_desc", WORD, "description in the version information of its image"),
        column("os_actor_created_time", TIME, "when it was made"),
        column("os_actor_user_name", WORD, "user that it ran as", bloom=True),
        column("os_actor_user_domain", WORD, "domain or host of that user"),
    ]


def actor(
    path: str | dict[str, str] = "Image", user: bool = True, ecs: bool = True
) -> list[pa.Field]:
    """The process that did it, and the user it ran as.

    Args:
        path: Sigma name(s) of its image.
        user: also the user_* columns, meaning the actor's user.
        ecs: whether it is what ECS calls `process`.
    """

    def name(value: str) -> str | None:
        return value if ecs else None

    images = {"*": path} if isinstance(path, str) else path

    def beside(**names: str) -> dict[str, str]:
        """Sigma names beside those of the image: `Image="ProcessId"`."""
        return {category: names[image] for category, image in images.items() if image in names}

    columns = [
        column("actor_path", WORD, "image of the process that did it",
               ocsf="actor.process.path", ecs=name("process.executable"), sigma=images, bloom=True),
        column("actor_name", WORD, "file name of that image", ocsf="actor.process.name",
               ecs=name("process.name")),
        column("actor_cmd_line", TEXT, "its command line", ocsf="actor.process.cmd_line",
               ecs=name("process.command_line"), sigma=beside(Image="CommandLine")),
        column("actor_pid", BIG, "its process id", ocsf="actor.process.pid",
               ecs=name("process.pid"),
               sigma=beside(Image="ProcessId", SourceImage="SourceProcessId",
                            ProcessName="ProcessId", Application="ProcessID")),
        column("actor_tid", BIG, "its thread", ocsf="actor.process.tid",
               ecs=name("process.thread.id"), stats=False,
               sigma=beside(SourceImage="SourceThreadId")),
        column("actor_uid", TEXT, "its unique id (ProcessGuid, sensor's id)",
               ocsf="actor.process.uid", ecs=name("process.entity_id"), bloom=True,
               sigma=beside(Image="ProcessGuid", SourceImage="SourceProcessGUID")),
        column("actor_sha256", TEXT, "SHA-256 of its image", bloom=True,
               ocsf="actor.process.file.hashes[algorithm_id=3].value",
               ecs=name("process.hash.sha256")),
        *about("actor", "actor.process", name("process"), "of its image", "its"),
        column("actor_imphash", TEXT, "import hash of its image", bloom=True,
               ecs=name("process.pe.imphash")),
        column("actor_size", BIG, "bytes of its image", ocsf="actor.process.file.size",
               stats=False),
        column("actor_original_name", WORD, "name in its image's version information",
               ocsf="actor.process.file.internal_name",
               ecs=name("process.pe.original_file_name")),
        column("actor_internal_name", WORD, "internal name in the version information"),
        column("actor_company", WORD, "company in the version information",
               ocsf="actor.process.file.company_name", ecs=name("process.pe.company")),
        column("actor_product", WORD, "product in the version information",
               ocsf="actor.process.file.product.name", ecs=name("process.pe.product")),
        column("actor_file_version", WORD, "version in the version information",
               ocsf="actor.process.file.version", ecs=name("process.pe.file_version")),
        column("actor_elevation", WORD, "its token elevation type"),
        column("actor_cwd", WORD, "its working directory",
               ocsf="actor.process.working_directory", ecs=name("process.working_directory")),
        *ancestor(name("process.parent")),
        *seen_by_system(),
        column("session_terminal", WORD, "terminal session that it ran in",
               ocsf="actor.session.terminal"),
        column("session_is_remote", BOOL, "it ran in a session from another host (RDP)",
               ocsf="actor.session.is_remote"),
        column("session_src_ip", WORD, "address of that host", bloom=True),
        column("session_src_hostname", WORD, "name of that host", bloom=True),
    ]
    if user:
        columns += [
            column("user_name", WORD, "user that did it", ocsf="actor.user.name",
                   ecs="user.name", bloom=True),
            column("user_domain", WORD, "domain or host of that user", ocsf="actor.user.domain",
                   ecs="user.domain"),
            column("user_uid", WORD, "its SID or number", ocsf="actor.user.uid", ecs="user.id",
                   bloom=True),
            column("user_uid_alt", WORD, "its id in the directory of a cloud (object id)",
                   ocsf="actor.user.uid_alt", bloom=True),
            column("user_email", WORD, "its mail address or principal name (UPN)",
                   ocsf="actor.user.email_addr", ecs="user.email", bloom=True),
            column("session_uid", WORD, "its logon session (LogonId)",
                   ocsf="actor.session.uid", sigma="LogonId", bloom=True),
        ]
    return columns


def subject(ecs: bool = True) -> list[pa.Field]:
    """The user that did it, where user_* is the one that it was done to (Windows: Subject*).

    Args:
        ecs: whether it is what ECS calls `user`.
    """

    def name(value: str) -> str | None:
        return value if ecs else None

    return [
        column("actor_user_name", WORD, "user that did it", ocsf="actor.user.name",
               ecs=name("user.name"), bloom=True, sigma="SubjectUserName"),
        column("actor_user_domain", WORD, "domain or host of that user",
               ocsf="actor.user.domain", ecs=name("user.domain"), sigma="SubjectDomainName"),
        column("actor_user_uid", WORD, "its SID or number", ocsf="actor.user.uid",
               ecs=name("user.id"), bloom=True, sigma="SubjectUserSid"),
        column("actor_user_uid_alt", WORD, "its id in the directory of a cloud (object id)",
               ocsf="actor.user.uid_alt", bloom=True),
        column("actor_user_email", WORD, "its mail address or principal name (UPN)",
               ocsf="actor.user.email_addr", ecs=name("user.email"), bloom=True),
        column("actor_session_uid", WORD, "its logon session", ocsf="actor.session.uid",
               bloom=True, sigma="SubjectLogonId"),
    ]

def cloud() -> list[pa.Field]:
    """The cloud that it happened in: whose account, and where."""
    return [
        column("cloud_provider", WORD, "AWS, Azure, GCP, ...", ocsf="cloud.provider",
               ecs="cloud.provider"),
        column("cloud_account_uid", WORD, "account, subscription or tenant that it happened in",
               ocsf="cloud.account.uid", ecs="cloud.account.id", bloom=True),
        column("cloud_account_name", WORD, "its name", ocsf="cloud.account.name",
               ecs="cloud.account.name"),
        column("cloud_org_uid", WORD, "organization or tenant of that account",
               ocsf="cloud.org.uid", bloom=True),
        column("cloud_project_uid", WORD, "project or resource group",
               ocsf="cloud.project_uid", ecs="cloud.project.id", bloom=True),
        column("cloud_region", WORD, "region", ocsf="cloud.region", ecs="cloud.region"),
    ]


def origin_of_request(ecs: bool = True) -> list[pa.Field]:
    """Where the sender of a request is, and what it says of itself.

    Args:
        ecs: whether it is what ECS calls `source`.
    """

    def name(value: str) -> str | None:
        return value if ecs else None

    return [
        column("src_country", WORD, "country of the sender, as the log has it",
               ocsf="src_endpoint.location.country", ecs=name("source.geo.country_iso_code")),
        column("src_region", WORD, "state or region of the sender",
               ocsf="src_endpoint.location.region", ecs=name("source.geo.region_name")),
        column("src_city", WORD, "city of the sender", ocsf="src_endpoint.location.city",
               ecs=name("source.geo.city_name")),
        column("src_isp", WORD, "who it has its address from",
               ocsf="src_endpoint.location.isp"),
        column("src_asn", BIG, "number of that network", ecs=name("source.as.number"),
               stats=False),
        column("user_agent", WORD, "user agent of the request",
               ocsf="http_request.user_agent", ecs=name("user_agent.original"), bloom=True),
    ]

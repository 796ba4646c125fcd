"""Sigma's log sources: which rows they mean, and the fields that are not one column.

Sources: SigmaHQ's taxonomy (sigma-specification, appendix taxonomy 2.1) and pySigma's pipelines for
Windows and Sysmon. Names of fields stand in the columns' metadata (`sigma.*`,
`sigma.<category>`) and, for what Windows writes, in the mapping files: see
`analysis/views/categories.py` and `evtx.py`.
"""

from dataclasses import dataclass

import pyarrow as pa

from tracelake.normalize.alias import Alias
from tracelake.normalize.column import note

# A host's own record, as opposed to what was seen on the wire.
HOST = "conn_uid IS NULL"

SYSMON = ("Microsoft-Windows-Sysmon", "Linux-Sysmon")
POWERSHELL = ("Microsoft-Windows-PowerShell", "PowerShellCore")
CLASSIC = ("PowerShell",)


@dataclass(frozen=True, slots=True)
class Category(Alias):
    """A category of Sigma.

    Events of its providers belong to it by their codes alone, in whatever table they are. Rows of
    `table` from anyone else (Security 4688, EDR sensors, ...) belong to it by `where`.

    Attributes:
        providers, codes: its Windows events.
        only: a field of such an event, and the values that it must have.
        names: fields that such events have, by the provider's own schema.
    """

    providers: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    only: tuple[str, tuple[str, ...]] | None = None
    names: tuple[str, ...] = ()


def _sysmon(
    codes: str, table: str, where: str, names: str, computed: dict[str, str],
    only: tuple[str, tuple[str, ...]] | None = None,
) -> Category:
    listed = ("RuleName", "UtcTime", *names.split())
    return Category(table, where, computed, SYSMON, tuple(codes.split()), only, listed)


def _script(code: str, providers: tuple[str, ...], names: str) -> Category:
    return Category("script_activity", "false", USER, providers, (code,), None,
                    tuple(names.split()))


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

PROCESS_OF = "ProcessGuid ProcessId Image User"
FILE_OF = f"{PROCESS_OF} TargetFilename"
KEY_OF = f"EventType {PROCESS_OF} TargetObject"

CATEGORIES: dict[str, Alias] = {
    "process_creation": _sysmon(
        "1", "process_activity", "activity_id = 1",
        f"{PROCESS_OF} FileVersion Description Product Company OriginalFileName CommandLine "
        "CurrentDirectory LogonGuid LogonId TerminalSessionId IntegrityLevel Hashes "
        "ParentProcessGuid ParentProcessId ParentImage ParentCommandLine ParentUser", PROCESS,
    ),
    "process_termination": _sysmon("5", "process_activity", "activity_id = 2", PROCESS_OF, USER),
    "process_access": _sysmon(
        "10", "process_activity", "activity_id = 3",
        "SourceProcessGUID SourceProcessId SourceThreadId SourceImage TargetProcessGUID "
        "TargetProcessId TargetImage GrantedAccess CallTrace SourceUser TargetUser", ACCESS,
    ),
    "create_remote_thread": _sysmon(
        "8", "process_activity", "activity_id = 4",
        "SourceProcessGuid SourceProcessId SourceImage TargetProcessGuid TargetProcessId "
        "TargetImage NewThreadId StartAddress StartModule StartFunction SourceUser TargetUser",
        ACCESS,
    ),
    "process_tampering": _sysmon(
        "25", "process_activity", "false", f"{PROCESS_OF} Type", USER
    ),
    "file_event": _sysmon(
        "11", "file_activity", "activity_id = 1 AND file_ads IS NULL",
        f"{FILE_OF} CreationUtcTime", FILE,
    ),
    "file_access": Alias("file_activity", "activity_id IN (2, 14) AND event_code <> '9'", FILE),
    "file_change": _sysmon(
        "2", "file_activity", "activity_id = 6",
        f"{FILE_OF} CreationUtcTime PreviousCreationUtcTime", FILE,
    ),
    "file_delete": _sysmon(
        "23 26", "file_activity", "activity_id = 4", f"{FILE_OF} Hashes IsExecutable Archived",
        FILE,
    ),
    "file_delete_detected": _sysmon(
        "26", "file_activity", "false", f"{FILE_OF} Hashes IsExecutable", FILE
    ),
    "file_rename": Alias("file_activity", "activity_id = 5", FILE),
    "create_stream_hash": _sysmon(
        "15", "file_activity", "activity_id = 1 AND file_ads IS NOT NULL",
        f"{FILE_OF} CreationUtcTime Hash Contents", FILE,
    ),
    "raw_access_thread": _sysmon("9", "file_activity", "false", f"{PROCESS_OF} Device", FILE),
    "file_block_executable": _sysmon("27", "file_activity", "false", f"{FILE_OF} Hashes", FILE),
    "file_block_shredding": _sysmon(
        "28", "file_activity", "false", f"{FILE_OF} Hashes IsExecutable", FILE
    ),
    "file_executable_detected": _sysmon(
        "29", "file_activity", "false", f"{FILE_OF} Hashes", FILE
    ),
    "image_load": _sysmon(
        "7", "module_activity", "class_uid = 1005",
        f"{PROCESS_OF} ImageLoaded FileVersion Description Product Company OriginalFileName "
        "Hashes Signed Signature SignatureStatus", MODULE,
    ),
    "driver_load": _sysmon(
        "6", "module_activity", "class_uid = 1002",
        "ImageLoaded Hashes Signed Signature SignatureStatus", MODULE,
    ),
    "registry_event": _sysmon(
        "12 13 14", "registry_activity", "class_uid IN (201001, 201002)",
        f"{KEY_OF} Details NewName", REGISTRY,
    ),
    "registry_add": _sysmon(
        "12", "registry_activity", "class_uid = 201001 AND activity_id = 1", KEY_OF, REGISTRY,
        ("EventType", ("CreateKey", "CreateValue")),
    ),
    "registry_delete": _sysmon(
        "12", "registry_activity", "class_uid IN (201001, 201002) AND activity_id = 4", KEY_OF,
        REGISTRY, ("EventType", ("DeleteKey", "DeleteValue")),
    ),
    "registry_set": _sysmon(
        "13", "registry_activity", "class_uid = 201002 AND activity_id IN (2, 3)",
        f"{KEY_OF} Details", REGISTRY,
    ),
    "registry_rename": _sysmon(
        "14", "registry_activity", "class_uid = 201001 AND activity_id = 5", f"{KEY_OF} NewName",
        REGISTRY,
    ),
    "network_connection": _sysmon(
        "3", "network_activity", f"activity_id IN (1, 4) AND {HOST}",
        f"{PROCESS_OF} Protocol Initiated SourceIsIpv6 SourceIp SourceHostname SourcePort "
        "SourcePortName DestinationIsIpv6 DestinationIp DestinationHostname DestinationPort "
        "DestinationPortName", NETWORK,
    ),
    "firewall": Alias(
        "network_activity", "",
        {"action": "CASE action_id WHEN 1 THEN 'accept' WHEN 2 THEN 'deny' END",
         "blocked": "action_id = 2"},
    ),
    "dns_query": _sysmon(
        "22", "dns_activity", HOST, f"{PROCESS_OF} QueryName QueryStatus QueryResults",
        {**USER, "QueryResults": "array_to_string(answers, ';')"},
    ),
    "dns": Alias("dns_activity", "", {"answer": "array_to_string(answers, ';')"}),
    "proxy": Alias(
        "http_activity", "",
        {"c-uri": f"coalesce(url_scheme || '://', '') || coalesce(url_hostname, '') || {URI}",
         "cs-uri": URI},
    ),
    "webserver": Alias("http_activity", "", {"c-uri": URI, "cs-uri": URI}),
    "pipe_created": _sysmon(
        "17 18", "smb_activity", f"named_pipe IS NOT NULL AND {HOST}",
        f"EventType {PROCESS_OF} PipeName", USER,
    ),
    "ps_script": _script(
        "4104", POWERSHELL, "ScriptBlockText ScriptBlockId Path MessageNumber MessageTotal"
    ),
    "ps_module": _script("4103", POWERSHELL, "ContextInfo UserData Payload"),
    "ps_classic_start": _script("400", CLASSIC, "Data"),
    "ps_classic_provider_start": _script("600", CLASSIC, "Data"),
    "ps_classic_script": _script("800", CLASSIC, "Data"),
    "wmi_event": _sysmon(
        "19 20 21", "artifact_query", "artifact = 'wmi_subscription'",
        "EventType Operation User EventNamespace Name Query Type Destination Consumer Filter",
        {"User": "user_name", "Name": "subject_name", "Destination": "cmd_line"},
    ),
    "sysmon_status": _sysmon(
        "4 16", "event_log_activity", "false",
        "State Version SchemaVersion Configuration ConfigurationFileHash", {},
    ),
    "sysmon_error": _sysmon("255", "raw_event", "false", "ID Description", {}),
    "clipboard_capture": _sysmon(
        "24", "raw_event", "false", f"{PROCESS_OF} Session ClientInfo Hashes Archived", {}
    ),
    "antivirus": Alias("detection_finding", "", USER),
}

# In every view of Sigma names: what Windows' own fields are when they are not one column.
COMMON = {"EventID": "TRY_CAST(event_code AS INTEGER)"}

def _of(*names: str) -> tuple[str, ...]:
    return tuple(f"Microsoft-Windows-{name}" for name in names)


SERVICES: dict[str, tuple[str, ...]] = {
    "application": ("Application",),
    "application-experience": _of(
        "Application-Experience/Program-Telemetry",
        "Application-Experience/Program-Compatibility-Assistant",
    ),
    "applocker": _of(
        "AppLocker/MSI and Script", "AppLocker/EXE and DLL",
        "AppLocker/Packaged app-Deployment", "AppLocker/Packaged app-Execution",
    ),
    "appmodel-runtime": _of("AppModel-Runtime/Admin"),
    "appxdeployment-server": _of("AppXDeploymentServer/Operational"),
    "appxpackaging-om": _of("AppxPackaging/Operational"),
    "bitlocker": _of("BitLocker/BitLocker Management"),
    "bits-client": _of("Bits-Client/Operational"),
    "capi2": _of("CAPI2/Operational"),
    "certificateservicesclient-lifecycle-system": _of(
        "CertificateServicesClient-Lifecycle-System/Operational"
    ),
    "codeintegrity-operational": _of("CodeIntegrity/Operational"),
    "dhcp": _of("DHCP-Server/Operational"),
    "diagnosis-scripted": _of("Diagnosis-Scripted/Operational"),
    "dns-client": _of("DNS Client Events/Operational", "DNS-Client/Operational"),
    "dns-server": ("DNS Server",),
    "dns-server-analytic": _of("DNS-Server/Analytical"),
    "dns-server-audit": _of("DNS-Server/Audit"),
    "driver-framework": _of("DriverFrameworks-UserMode/Operational"),
    "firewall-as": _of("Windows Firewall With Advanced Security/Firewall"),
    "hyper-v-worker": _of(
        "Hyper-V-Worker", "Hyper-V-Worker-Admin", "Hyper-V-Worker-Operational",
        "Hyper-V-Worker-Analytic",
    ),
    "iis-configuration": (
        "Microsoft-IIS-Configuration/Operational", "Microsoft-IIS-Configuration/Administrative",
    ),
    "kernel-event-tracing": _of("Kernel-EventTracing", "Kernel-EventTracing/Admin"),
    "kernel-shimengine": _of("Kernel-ShimEngine/Operational", "Kernel-ShimEngine/Diagnostic"),
    "ldap": _of("LDAP-Client/Debug"),
    "ldap_debug": _of("LDAP-Client/Debug"),
    "lsa-server": _of("LSA/Operational"),
    "microsoft-servicebus-client": (
        "Microsoft-ServiceBus-Client", "Microsoft-ServiceBus-Client/Operational",
        "Microsoft-ServiceBus-Client/Admin",
    ),
    "msexchange-management": ("MSExchange Management",),
    "ntfs": _of("Ntfs/Operational"),
    "ntlm": _of("NTLM/Operational"),
    "openssh": ("OpenSSH/Operational",),
    "powershell": (*_of("PowerShell/Operational"), "PowerShellCore/Operational"),
    "powershell-classic": ("Windows PowerShell",),
    "printservice-admin": _of("PrintService/Admin"),
    "printservice-operational": _of("PrintService/Operational"),
    "security": ("Security",),
    "security-mitigations": _of(
        "Security-Mitigations/KernelMode", "Security-Mitigations/UserMode",
        "Security-Mitigations/Kernel Mode", "Security-Mitigations/User Mode",
    ),
    "sense": _of("SENSE/Operational"),
    "servicebus-client": (
        "Microsoft-ServiceBus-Client", "Microsoft-ServiceBus-Client/Operational",
        "Microsoft-ServiceBus-Client/Admin",
    ),
    "shell-core": _of("Shell-Core/Operational"),
    "smbclient-connectivity": _of("SmbClient/Connectivity"),
    "smbclient-security": _of("SmbClient/Security"),
    "smbserver-connectivity": _of("SMBServer/Connectivity"),
    "sysmon": _of("Sysmon/Operational"),
    "system": ("System",),
    "taskscheduler": _of("TaskScheduler/Operational"),
    "terminalservices-localsessionmanager": _of(
        "TerminalServices-LocalSessionManager/Operational"
    ),
    "vhdmp": _of("VHDMP-Operational", "VHDMP/Operational"),
    "windefend": _of("Windows Defender/Operational"),
    "wmi": _of("WMI-Activity/Operational"),
}
"""Service of Windows -> the channels that it means."""

SYSTEM = {
    **COMMON,
    "Channel": "log_name",
    "Provider_Name": "log_provider",
    "Computer": "device_hostname",
    "EventRecordID": "src_record_id",
    "Level": "event_level",
    "Task": "event_task",
    "Opcode": "event_opcode",
    "Keywords": "event_keywords",
    "Version": "event_version",
    "UserID": "event_user_uid",
}
"""What every event of Windows has, beside its own data."""


# What SigmaHQ's rules for services name.
_RULES = """
AccessList AccessMask AccountName Action AdditionalInfo Address AllowedToDelegateTo AppID
Application ApplicationPath AppName AttributeLDAPDisplayName AttributeValue AuditPolicyChanges
AuditSourceName AuthenticationPackageName Binary CallingProcess Caption CertThumbprint
ClassName ClientAddress ClientProcessId Configuration Description DestAddress DestPort
DeviceDescription DeviceName DistinguishedName EncyptionUsed ErrorCode ExceptionCode
FileNameBuffer FilterName FilterOrigin Flags HasFullTrust HiveName ImageName
ImagePath ImpersonationLevel IpAddress IpPort IsatapRouter KeyLength LayerRTID LocalName
LogonProcessName LogonType ModifyingApplication Name NewTargetUserName NewTemplateContent
NewUacValue NewValue ObjectClass ObjectDN ObjectName ObjectServer ObjectType ObjectValueName
OldUacValue OldValue Operation Origin PackageFullName PackagePath PackageSourceUri param1
param2 param3 Path payload PossibleCause PreAuthType PrivilegeList process ProcessId
ProcessName ProcessNameBuffer processPath Properties Provider ProviderContextName Query
QueryName Reason RelativeTargetName RemoteName RequestedPolicy SamAccountName SearchFilter
ServerName Service ServiceFileName ServiceName ServicePrincipalNames ServiceStartType
ServiceType ShareName SidHistory SidList SigningUsed SourceAddress SourceName SourcePort
Status SubcategoryGuid SubjectDomainName SubjectLogonId subjectName SubjectUserName
SubjectUserSid SubStatus TargetInfo TargetName TargetOutboundUserName TargetServerName
TargetSid TargetUserName TargetUserSid TaskContent TaskContentNew TaskName TemplateContent
TicketEncryptionType TicketOptions User UserName Value Workstation WorkstationName
"""

# Defender's names have blanks, which rules leave out.
_BLANKS = """
Action Name, Additional Actions String, Category Name, Detection User, Error Code, Error
Description, Execution Name, Feature Name, New Value, Old Value, Origin Name, Post Clean Status,
Process Name, Product Name, Remediation User, Scan Parameters, Severity Name, Source Name, Status
Code, Status Description, Threat Name
"""

FIELDS: tuple[str, ...] = tuple(dict.fromkeys([
    *(name for alias in CATEGORIES.values() if isinstance(alias, Category) for name in alias.names),
    *_RULES.split(),
    *(" ".join(name.split()) for name in _BLANKS.split(",")),
]))
"""Names of event fields that `sigma.evtx` has as columns beside those that mappings name."""


def names(field: pa.Field, category: str) -> list[str]:
    """The column's Sigma names in a category; none where it has none there."""
    found = note(field, f"sigma.{category}") or note(field, "sigma.*")
    return found.split() if found else []

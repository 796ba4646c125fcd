"""Events of the Security log and of Sysmon of which no sample is at hand: fields as their templates
and Microsoft's reference have them, and the columns that they fill."""

from typing import Any

import pytest

from tracelake.normalize import mapping
from tracelake.normalize.rebuild import pairs
from tracelake.parsers.events import Events

SECURITY = "Microsoft-Windows-Security-Auditing"
SYSMON = "Microsoft-Windows-Sysmon"
SUBJECT = {
    "SubjectUserSid": "S-1-5-21-1-2-3-1104", "SubjectUserName": "dadmin",
    "SubjectDomainName": "CONTOSO", "SubjectLogonId": "0x43659",
}
PROCESS = {"ProcessId": "0x524", "ProcessName": "C:\\Windows\\System32\\cmd.exe"}
TARGET = {"TargetUserName": "ksmith", "TargetDomainName": "CONTOSO",
          "TargetSid": "S-1-5-21-1-2-3-6609"}
CASES: list[tuple[str, str, dict[str, str], dict[str, Any]]] = [
    (SECURITY, "4625", {
        "SubjectUserSid": "S-1-5-18", "SubjectUserName": "DC01$", "SubjectDomainName": "CONTOSO",
        "SubjectLogonId": "0x3e7", "TargetUserSid": "S-1-0-0", "TargetUserName": "Auditor",
        "TargetDomainName": "CONTOSO", "Status": "0xc000006d", "FailureReason": "%%2313",
        "SubStatus": "0xc000006a", "LogonType": "3", "LogonProcessName": "NtLmSsp ",
        "AuthenticationPackageName": "NTLM", "WorkstationName": "WS7", "TransmittedServices": "-",
        "LmPackageName": "-", "KeyLength": "0", "ProcessId": "0x0", "ProcessName": "-",
        "IpAddress": "::ffff:10.0.0.7", "IpPort": "49157",
    }, {
        "table": "authentication", "activity_id": 1, "status_id": 2, "user_name": "Auditor",
        "user_domain": "CONTOSO", "logon_type_id": 3, "logon_type": "Network", "is_remote": True,
        "auth_protocol": "NTLM", "src_ip": "10.0.0.7", "src_port": 49157, "src_hostname": "WS7",
        "status_code": "0xc000006d", "status_detail": "0xc000006a",
        "status_name": "STATUS_WRONG_PASSWORD", "actor_user_name": "DC01$",
    }),
    (SECURITY, "4625", {"Status": "0xc000005e", "SubStatus": "0x0"}, {
        "status_code": "0xc000005e", "status_detail": "0x0",
        "status_name": "STATUS_NO_LOGON_SERVERS",
    }),
    (SECURITY, "4771", {
        "TargetUserName": "dadmin", "TargetSid": "S-1-5-21-1-2-3-1104",
        "ServiceName": "krbtgt/CONTOSO.LOCAL", "TicketOptions": "0x40810010", "Status": "0x18",
        "PreAuthType": "2", "IpAddress": "::ffff:10.0.0.100", "IpPort": "49254",
        "CertIssuerName": "", "CertSerialNumber": "", "CertThumbprint": "",
    }, {
        "table": "authentication", "activity_id": 6, "status_id": 2, "user_name": "dadmin",
        "auth_protocol": "Kerberos", "src_ip": "10.0.0.100", "status_code": "0x18",
        "status_name": "KDC_ERR_PREAUTH_FAILED", "pre_auth_type": "2",
        "service_name": "krbtgt/CONTOSO.LOCAL",
    }),
    (SECURITY, "4740", {
        "TargetUserName": "Auditor", "TargetDomainName": "WIN81",
        "TargetSid": "S-1-5-21-1-2-3-2104", **SUBJECT,
    }, {
        "table": "account_change", "class_uid": 3001, "activity_id": 9, "user_name": "Auditor",
        "src_hostname": "WIN81", "user_domain": None, "actor_user_name": "dadmin",
    }),
    (SECURITY, "4723", {**TARGET, **SUBJECT, "PrivilegeList": "-"}, {
        "table": "account_change", "activity_id": 3, "user_name": "ksmith", "status_id": None,
    }),
    (SECURITY, "4741", {
        **TARGET, **SUBJECT, "PrivilegeList": "SeMachineAccountPrivilege",
        "SamAccountName": "WIN81$", "OldUacValue": "0x0", "NewUacValue": "0x87",
        "AllowedToDelegateTo": "-", "SidHistory": "-",
        "ServicePrincipalNames": "HOST/win81.contoso.local\r\n\t\t\tRestrictedKrbHost/WIN81",
    }, {
        "table": "account_change", "class_uid": 3001, "activity_id": 1, "uac_after": 0x87,
        "privileges": ["SeMachineAccountPrivilege"], "user_new_name": "WIN81$",
        "service_principals": ["HOST/win81.contoso.local", "RestrictedKrbHost/WIN81"],
    }),
    (SECURITY, "4704", {**SUBJECT, "TargetSid": "S-1-5-32-544",
                        "PrivilegeList": "SeDebugPrivilege\r\n\t\t\tSeTcbPrivilege"}, {
        "table": "account_change", "class_uid": 3005, "activity_id": 1,
        "user_uid": "S-1-5-32-544", "user_name": "Administrators", "user_domain": "BUILTIN",
        "privileges": ["SeDebugPrivilege", "SeTcbPrivilege"],
    }),
    (SECURITY, "4757", {
        "MemberName": "CN=Auditor,CN=Users,DC=contoso,DC=local",
        "MemberSid": "S-1-5-21-1-2-3-2104", "TargetUserName": "AccountOperators",
        "TargetDomainName": "CONTOSO", "TargetSid": "S-1-5-21-1-2-3-6605", **SUBJECT,
        "PrivilegeList": "-",
    }, {
        "table": "account_change", "class_uid": 3006, "activity_id": 4,
        "group_name": "AccountOperators", "user_uid": "S-1-5-21-1-2-3-2104",
        "user_name": "CN=Auditor,CN=Users,DC=contoso,DC=local",
    }),
    (SECURITY, "4663", {
        **SUBJECT, "ObjectServer": "Security", "ObjectType": "File",
        "ObjectName": "C:\\Documents\\HBI Data.txt", "HandleId": "0x1bc",
        "AccessList": "%%4417\r\n\t\t\t\t%%4418", "AccessMask": "0x6", **PROCESS,
        "ResourceAttributes": "S:AI",
    }, {
        "table": "file_activity", "activity_id": 3, "file_path": "C:\\Documents\\HBI Data.txt",
        "file_name": "HBI Data.txt", "file_ext": "txt", "access_mask": 6,
        "actor_path": "C:\\Windows\\System32\\cmd.exe", "user_name": "dadmin",
    }),
    (SECURITY, "4663", {"ObjectType": "File", "AccessMask": "0x10000"}, {"activity_id": 4}),
    (SECURITY, "4663", {"ObjectType": "File", "AccessMask": "0x40000"}, {"activity_id": 7}),
    (SECURITY, "4663", {"ObjectType": "File", "AccessMask": "0x100"}, {"activity_id": 6}),
    (SECURITY, "4663", {"ObjectType": "File", "AccessMask": "0x100000"}, {"activity_id": 14}),
    (SECURITY, "4663", {"ObjectType": "SymbolicLink", "AccessMask": "0x1"},
     {"table": "raw_event", "activity_id": None}),
    (SECURITY, "4657", {
        **SUBJECT, "ObjectName": "\\REGISTRY\\MACHINE", "ObjectValueName": "Name_New",
        "HandleId": "0x54", "OperationType": "%%1905", "OldValueType": "%%1873", "OldValue": "",
        "NewValueType": "%%1873", "NewValue": "Andrei", **PROCESS,
    }, {
        "table": "registry_activity", "class_uid": 201002, "activity_id": 3,
        "reg_key_path": "\\REGISTRY\\MACHINE", "reg_value_name": "Name_New",
        "reg_value_type": "REG_SZ", "reg_value_data": "Andrei", "reg_prev_value_type": "REG_SZ",
    }),
    (SECURITY, "4657", {"OperationType": "%%1906"}, {"activity_id": 4}),
    (SECURITY, "4719", {
        **SUBJECT, "CategoryId": "%%8274", "SubcategoryId": "%%12807",
        "SubcategoryGuid": "{0cce9223-69ae-11d9-bed3-505054503030}",
        "AuditPolicyChanges": "%%8448, %%8450",
    }, {
        "table": "event_log_activity", "activity_id": 10, "log_target": "Handle Manipulation",
        "user_name": "dadmin",
    }),
    (SECURITY, "4719", {"AuditPolicyChanges": "%%8449"}, {"activity_id": 9}),
    (SECURITY, "4719", {"AuditPolicyChanges": "%%8448, %%8451"}, {"activity_id": 99}),
    (SECURITY, "4662", {
        **SUBJECT, "ObjectServer": "DS", "ObjectType": "%{19195a5b-6da0-11d0-afd3-00c04fd930c9}",
        "ObjectName": "%{9f5a6a4c-0000-0000-0000-000000000000}", "OperationType": "Object Access",
        "HandleId": "0x0", "AccessList": "%%7688", "AccessMask": "0x100",
        "Properties": "%%7688\r\n\t\t{1131f6aa-9c07-11d1-f79f-00c04fc2dcd2}",
    }, {
        "table": "account_change", "class_uid": 3004, "activity_id": 2, "access_mask": 0x100,
        "object_properties": "%%7688\r\n\t\t{1131f6aa-9c07-11d1-f79f-00c04fc2dcd2}",
    }),
    (SECURITY, "5137", {
        "OpCorrelationID": "{4eac9f4b-0000-0000-0000-000000000000}", "AppCorrelationID": "-",
        **SUBJECT, "DSName": "contoso.local", "DSType": "%%14676",
        "ObjectDN": "cn=Win2000,CN=Users,DC=contoso,DC=local",
        "ObjectGUID": "{41024167-853a-47da-8fbd-e8c9bd9ed4d2}", "ObjectClass": "user",
    }, {
        "table": "account_change", "class_uid": 3004, "activity_id": 1, "object_type": "user",
        "object_name": "cn=Win2000,CN=Users,DC=contoso,DC=local",
        "object_uid": "{41024167-853a-47da-8fbd-e8c9bd9ed4d2}",
    }),
    (SECURITY, "5152", {
        "ProcessId": "4556", "Application": "\\device\\harddiskvolume2\\a\\listener.exe",
        "Direction": "%%14592", "SourceAddress": "10.0.0.100", "SourcePort": "49278",
        "DestAddress": "10.0.0.10", "DestPort": "3333", "Protocol": "6", "FilterRTID": "0",
        "LayerName": "%%14610", "LayerRTID": "44",
    }, {
        "table": "network_activity", "activity_id": 5, "action_id": 2, "direction_id": 1,
        "src_ip": "10.0.0.100", "src_port": 49278, "dst_ip": "10.0.0.10", "dst_port": 3333,
        "transport": "tcp", "protocol_num": 6, "actor_pid": 4556, "actor_name": "listener.exe",
    }),
    (SECURITY, "4887", {
        "RequestId": "12", "Requester": "CONTOSO\\dadmin",
        "Attributes": "CertificateTemplate:User\r\nSAN:upn=administrator@contoso.local",
        "Disposition": "3", "SubjectKeyIdentifier": "aa bb", "Subject": "CN=dadmin",
    }, {
        "table": "config_change", "activity_id": 1, "status_id": 1, "user_name": "dadmin",
        "user_domain": "CONTOSO", "object_name": "CN=dadmin", "object_uid": "12",
    }),
    (SECURITY, "6273", {
        "SubjectUserSid": "S-1-5-21-1-2-3-1104", "SubjectUserName": "dadmin",
        "SubjectDomainName": "CONTOSO", "CalledStationID": "AP1", "CallingStationID": "00-11-22",
        "NASIPv4Address": "10.0.0.9", "NASIPv6Address": "-", "NASIdentifier": "vpn1",
        "ClientIPAddress": "10.0.0.9", "NetworkPolicyName": "Staff", "AuthenticationType": "PEAP",
        "ReasonCode": "16", "Reason": "Wrong password.",
    }, {
        "table": "authentication", "activity_id": 1, "status_id": 2, "user_name": "dadmin",
        "dst_ip": "10.0.0.9", "dst_hostname": "vpn1", "policy_name": "Staff",
        "auth_protocol": "PEAP", "status_code": "16", "status_detail": "Wrong password.",
    }),
    (SECURITY, "4929", {
        "DestinationDRA": "CN=NTDS Settings,CN=DC1", "SourceDRA": "CN=NTDS Settings,CN=ROGUE",
        "SourceAddr": "rogue.contoso.local", "NamingContext": "DC=contoso,DC=local",
        "Options": "2147483733", "StatusCode": "0",
    }, {
        "table": "config_change", "activity_id": 4, "object_name": "DC=contoso,DC=local",
        "status_code": "0",
    }),
    (SYSMON, "6", {
        "RuleName": "-", "UtcTime": "2023-01-01 00:00:00.000",
        "ImageLoaded": "C:\\Windows\\System32\\drivers\\x.sys",
        "Hashes": "MD5=" + "A" * 32 + ",SHA256=" + "B" * 64, "Signed": "true",
        "Signature": "Microsoft Windows", "SignatureStatus": "Expired",
    }, {
        "table": "module_activity", "class_uid": 1002, "module_name": "x.sys",
        "module_sha256": "b" * 64, "module_md5": "a" * 32, "module_signed": True,
        "module_sig_status": "Expired", "module_sig_status_id": 2,
    }),
    (SYSMON, "15", {
        "UtcTime": "2023-01-01 00:00:00.000", "ProcessId": "12", "Image": "C:\\b\\firefox.exe",
        "TargetFilename": "C:\\Users\\a\\x.exe:Zone.Identifier",
        "CreationUtcTime": "2023-01-01 00:00:00.001", "Hash": "SHA256=" + "B" * 64,
        "Contents": "[ZoneTransfer]\r\nZoneId=3\r\nHostUrl=https://h.example/x.exe",
        "User": "HOST\\a",
    }, {
        "table": "file_activity", "activity_id": 1, "file_ads": "Zone.Identifier",
        "file_sha256": "b" * 64, "file_url": "https://h.example/x.exe", "actor_pid": 12,
        "user_name": "a", "user_domain": "HOST",
    }),
    (SYSMON, "14", {
        "EventType": "RenameKey", "Image": "C:\\r.exe", "TargetObject": "HKLM\\A\\Old",
        "NewName": "HKLM\\A\\New",
    }, {
        "table": "registry_activity", "class_uid": 201001, "activity_id": 5,
        "reg_key_path": "HKLM\\A\\Old", "reg_new_name": "HKLM\\A\\New", "reg_value_name": None,
    }),
    (SYSMON, "25", {"Image": "C:\\x.exe", "ProcessId": "7", "Type": "Image is replaced"}, {
        "table": "process_activity", "activity_id": 4, "proc_path": "C:\\x.exe", "proc_pid": 7,
    }),
    (SYSMON, "27", {"Image": "C:\\x.exe", "TargetFilename": "C:\\t\\y.dll",
                    "Hashes": "SHA256=" + "B" * 64}, {
        "table": "file_activity", "activity_id": 1, "status_id": 2, "file_path": "C:\\t\\y.dll",
        "file_sha256": "b" * 64,
    }),
    ("Linux-Sysmon", "1", {
        "Image": "/usr/bin/id", "User": "root", "ProcessId": "9", "CommandLine": "id -u",
        "ParentImage": "-",
    }, {
        "table": "process_activity", "activity_id": 1, "proc_path": "/usr/bin/id",
        "proc_name": "id", "user_name": "root", "user_domain": None, "parent_path": None,
    }),
]


@pytest.mark.parametrize(
    ("provider", "code", "named", "wanted"), CASES, ids=[f"{p} {c}" for p, c, _, _ in CASES]
)
def test_fields_fill_their_columns(
    provider: str, code: str, named: dict[str, str], wanted: dict[str, Any]
) -> None:
    mappings = mapping.load()
    events = Events(mappings)
    events.add(provider, code, [(name, "text", value.encode()) for name, value in named.items()])
    ((table, batch),) = events.take(True)
    (row,) = batch.to_pylist()
    found = {"table": table, **row}
    assert {name: found.get(name) for name in wanted} == wanted
    assert pairs(row, mappings.events[provider, code]) == named

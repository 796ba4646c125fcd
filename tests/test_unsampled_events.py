"""Mapped events of which no sample is at hand: fields as their templates and published records
have them, and the columns that they fill."""

from typing import Any

import pytest

from tracelake.normalize import mapping
from tracelake.normalize.rebuild import pairs
from tracelake.parsers.events import Events

APPLOCKER = {
    "PolicyNameLength": "3", "PolicyName": "EXE",
    "RuleId": "{a61c8b2c-a319-4cd0-9690-d2177cad7b51}",
    "RuleName": "(Default Rule) All files", "RuleSddl": "D:(XA;;FX;;;S-1-1-0)",
    "TargetUser": "S-1-5-18", "TargetProcessId": "4242",
    "FilePath": "%OSDRIVE%\\USERS\\A\\X.EXE", "FileHash": "0A" * 32, "Fqbn": "-",
    "TargetLogonId": "0x3e7", "FullFilePath": "C:\\Users\\a\\x.exe",
}
CONTROL = {
    "FileNameLength": "19", "File Name": "\\Device\\HarddiskVolume6\\a\\b.dll",
    "ProcessNameLength": "19", "Process Name": "\\Device\\HarddiskVolume6\\a\\c.exe",
    "Requested Signing Level": "2", "Validated Signing Level": "2", "Status": "0xc0e90002",
    "SHA256 Hash": "FD" * 32, "SHA1 Flat Hash": "01" * 20, "SHA256 Flat Hash": "99" * 32,
    "PolicyName": "VerifiedAndReputableDesktop", "OriginalFileName": "b.dll",
    "PolicyGUID": "{0283ac0f-fff1-49ae-ada1-8a933130cad6}",
}
RULE = {
    "Product Name": "Microsoft Defender Antivirus", "Unused": "",
    "ID": "D4F940AB-401B-4EFC-AADC-AD5F3C50688A", "User": "HOST\\alice",
    "Path": "C:\\Windows\\System32\\cmd.exe", "Process Name": "C:\\Office\\WINWORD.EXE",
    "Security intelligence Version": "1.441.381.0", "RuleType": "ENT\\ConsR",
    "Target Commandline": "cmd.exe /c a", "Parent Commandline": "WINWORD.EXE /n b.docm",
}
NTLM = {
    "SChannelName": "FS01", "UserName": "alice", "DomainName": "CORP",
    "WorkstationName": "Rdesktop", "SChannelType": "2",
}
DISK = {
    "DiskNumber": "1", "Capacity": "31023169536", "BusType": "7", "Manufacturer": "SanDisk",
    "Model": "Ultra", "SerialNumber": "4C53000123",
    "ParentId": "USB\\VID_0781&PID_5581\\4C53000123",
}
GONE = {**DISK, "Capacity": "0"}
SMB = {
    "SessionGUID": "{00000000-0000-0000-0000-000000000000}", "SessionId": "0x1",
    "Status": "0xc000006d", "UserName": "CORP\\bob", "ClientName": "\\\\10.0.0.9",
    "ClientAddress": "0200C0040A0000090000000000000000",
}

CASES: list[tuple[str, str, dict[str, str], dict[str, Any]]] = [
    ("Microsoft-Windows-AppLocker", "8004", APPLOCKER, {
        "table": "process_activity", "activity_id": 99, "status_id": 2, "action_id": 2,
        "proc_path": "C:\\Users\\a\\x.exe", "proc_name": "X.EXE", "proc_pid": 4242,
        "proc_authentihash": "0a" * 32, "user_name": "SYSTEM", "user_uid": "S-1-5-18",
        "rule_name": "(Default Rule) All files",
    }),
    ("Microsoft-Windows-AppLocker", "8003", {**APPLOCKER, "PolicyName": "DLL"}, {
        "table": "module_activity", "class_uid": 1005, "action_id": 3,
        "module_path": "C:\\Users\\a\\x.exe", "actor_pid": 4242,
    }),
    ("Microsoft-Windows-AppLocker", "8007", {**APPLOCKER, "PolicyName": "SCRIPT"}, {
        "table": "script_activity", "action_id": 2, "script_path": "C:\\Users\\a\\x.exe",
    }),
    ("Microsoft-Windows-AppLocker", "8005", {**APPLOCKER, "PolicyName": "MSI"}, {
        "table": "application_activity", "class_uid": 6002, "activity_id": 1, "action_id": 1,
    }),
    ("Microsoft-Windows-CodeIntegrity", "3077", CONTROL, {
        "table": "module_activity", "class_uid": 1005, "status_id": 2, "action_id": 2,
        "module_path": "\\Device\\HarddiskVolume6\\a\\b.dll", "module_name": "b.dll",
        "module_sha256": "99" * 32, "module_sha1": "01" * 20, "module_authentihash": "fd" * 32,
        "actor_path": "\\Device\\HarddiskVolume6\\a\\c.exe",
        "policy_name": "VerifiedAndReputableDesktop", "status_code": "0xc0e90002",
    }),
    ("Microsoft-Windows-CodeIntegrity", "3033", {
        "FileNameBuffer": "\\Device\\a.dll", "ProcessNameBuffer": "\\Device\\b.exe",
        "RequestedPolicy": "7",
    }, {"table": "module_activity", "module_name": "a.dll", "actor_name": "b.exe"}),
    ("Microsoft-Windows-Windows Defender", "1121", RULE, {
        "table": "detection_finding", "action_id": 2,
        "analytic_uid": "D4F940AB-401B-4EFC-AADC-AD5F3C50688A",
        "analytic_name": "child processes of Office", "actor_path": "C:\\Office\\WINWORD.EXE",
        "proc_cmd_line": "cmd.exe /c a", "actor_cmd_line": "WINWORD.EXE /n b.docm",
        "user_name": "alice", "user_domain": "HOST",
    }),
    ("Microsoft-Windows-Windows Defender", "1126", {
        "Destination": "https://a.example", "Process Name": "C:\\a.exe", "User": "H\\u",
    }, {"table": "detection_finding", "dst_hostname": "https://a.example", "action_id": 2}),
    ("Microsoft-Windows-Windows Defender", "5001", {"Product Name": "%%827"}, {
        "table": "config_change", "activity_id": 9, "object_name": "real-time protection",
    }),
    ("Microsoft-Windows-NTLM", "8004", NTLM, {
        "table": "authentication", "auth_protocol": "NTLM", "dst_hostname": "FS01",
        "src_hostname": "Rdesktop", "user_name": "alice", "user_domain": "CORP",
    }),
    ("Microsoft-Windows-Partition", "1006", DISK, {
        "table": "peripheral_activity", "activity_id": 1, "periph_serial": "4C53000123",
        "bus_type": 7, "capacity": 31023169536,
    }),
    ("Microsoft-Windows-Partition", "1006", GONE, {
        "table": "peripheral_activity", "activity_id": 2, "periph_serial": "4C53000123",
    }),
    ("Microsoft-Windows-VHDMP", "1", {"VhdFileName": "C:\\a.iso", "VhdDiskNumber": "1"}, {
        "table": "peripheral_activity", "activity_id": 1, "image_path": "C:\\a.iso",
    }),
    ("Microsoft-Windows-SMBServer", "551", SMB, {
        "table": "authentication", "status_id": 2, "src_ip": "10.0.0.9", "src_port": 49156,
        "status_detail": "STATUS_LOGON_FAILURE", "user_name": "CORP\\bob",
    }),
    ("Microsoft-Windows-PrintService", "808",
     {"PluginDllName": "C:\\a\\b.dll", "ErrorCode": "0x45a"},
     {"table": "module_activity", "status_id": 2, "module_name": "b.dll"}),
    ("Microsoft-Windows-Windows Firewall With Advanced Security", "2071", {
        "RuleId": "{0D458E97-4EC5-4C5C-A5A4-F9F73E769168}", "RuleName": "Open SSH Port 22",
        "Direction": "1", "Protocol": "6", "LocalPorts": "22", "RemotePorts": "*", "Action": "3",
        "ModifyingApplication": "C:\\Windows\\System32\\netsh.exe",
    }, {
        "table": "config_change", "activity_id": 1, "object_name": "Open SSH Port 22",
        "direction_id": 1, "protocol_num": 6, "local_ports": "22", "action_id": 1,
        "rule_action": 3, "actor_path": "C:\\Windows\\System32\\netsh.exe",
    }),
    ("Microsoft-Windows-DNSServer", "257", {
        "TCP": "0", "InterfaceIP": "10.0.0.1", "Destination": "10.0.0.7", "AA": "1",
        "QNAME": "a.example.", "QTYPE": "1", "XID": "7", "RCODE": "3", "Port": "50000",
    }, {
        "table": "dns_activity", "activity_id": 2, "src_ip": "10.0.0.7", "src_port": 50000,
        "dst_ip": "10.0.0.1", "rcode_id": 3, "transport": "udp", "aa": True,
    }),
    ("Microsoft-Windows-IIS-Configuration", "29", {
        "Configuration": "/system.webServer/httpLogging/@dontLog", "OldValue": "false",
        "NewValue": "true",
    }, {
        "table": "config_change", "object_name": "/system.webServer/httpLogging/@dontLog",
        "value_before": "false", "value_after": "true",
    }),
]


@pytest.mark.parametrize(
    ("provider", "code", "fields", "wanted"), CASES,
    ids=[f"{case[0].removeprefix('Microsoft-Windows-')} {case[1]} {case[3]['table']}"
         for case in CASES],
)
def test_columns_of_an_event(
    provider: str, code: str, fields: dict[str, str], wanted: dict[str, Any]
) -> None:
    mappings = mapping.load()
    events = Events(mappings)
    events.add(provider, code, [(name, "text", text.encode()) for name, text in fields.items()])
    ((table, batch),) = events.take(True)
    (row,) = batch.to_pylist()
    row["table"] = table
    assert {name: row.get(name) for name in wanted} == wanted
    event = mappings.events[provider, code].section(fields)
    assert event is not None
    assert pairs(row, event) == fields
